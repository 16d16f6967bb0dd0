"""The hub's interface as carriers use it: call data, and outbox entries from logs and from the queue.

Signatures are those of formats.md section 14; a test holds them to the compiled contract's ABI.
"""

from collections.abc import Mapping
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError as AbiDecodingError

from piebridge.chains.endpoint import HubEntry
from piebridge.chains.evm.header import octets, quantity
from piebridge.crypto.errors import TransientChainError
from piebridge.crypto.hash import keccak256

PACKET_SENT = keccak256(b"PacketSent(uint256)")
"""Topic: a packet became an entry."""
RECEIPTS_MADE = keccak256(b"ReceiptsMade(uint256)")
"""Topic: the receipts of a received batch became an entry."""
REPORT_MADE = keccak256(b"ReportMade(uint256)")
"""Topic: a report became an entry."""

FORM_OF_TOPIC: Mapping[bytes, int] = {PACKET_SENT: 1, RECEIPTS_MADE: 3, REPORT_MADE: 4}
"""Form in a range (formats.md section 5.1) of what each event carries."""

_QUEUED_PREFIX_LENGTH = 9
"""Height u64 and form u8 in front of a queued message."""

_U32 = (1 << 32) - 1
_U64 = (1 << 64) - 1


def _selector(signature: str) -> bytes:
    return keccak256(signature.encode())[:4]


SIGNATURES = (
    "receiveRange(bytes)",
    "settle(uint32,uint32,uint64,bytes)",
    "governor(bytes)",
    "message(uint32,uint32,uint64)",
    "route(uint32,uint32,uint32)",
)
"""Functions that are called from here."""


def receive_range_data(envelope: bytes) -> bytes:
    """Call data of ``receiveRange``."""
    return _selector("receiveRange(bytes)") + encode(["bytes"], [envelope])


def settle_data(domain: int, relay: int, nonce: int, packets: bytes) -> bytes:
    """Call data of ``settle``: the packets of an aborted transaction, header and body each, by participant index."""
    return _selector("settle(uint32,uint32,uint64,bytes)") + encode(
        ["uint32", "uint32", "uint64", "bytes"], [domain, relay, nonce, packets]
    )


def governor_data(message: bytes) -> bytes:
    """Call data of ``governor``."""
    return _selector("governor(bytes)") + encode(["bytes"], [message])


def message_data(domain: int, relay: int, number: int) -> bytes:
    """Call data of ``message``: an entry from the queue."""
    return _selector("message(uint32,uint32,uint64)") + encode(["uint32", "uint32", "uint64"], [domain, relay, number])


def decode_queued(domain: int, relay: int, number: int, answer: bytes, where: str) -> HubEntry | None:
    """Read the answer of ``message``; None on a hub that keeps no messages, or where there is no such entry.

    Raises:
        TransientChainError: the answer is not that of this function.
    """
    try:
        (message,) = decode(["bytes"], answer)
    except (AbiDecodingError, OverflowError) as error:
        raise TransientChainError(f"{where}: answer of message() does not decode: {error}") from error
    if not message:
        return None
    if len(message) <= _QUEUED_PREFIX_LENGTH:
        raise TransientChainError(f"{where}: a queued message of {len(message)} bytes")
    return HubEntry(
        domain, relay, number, int.from_bytes(message[:8], "big"), message[8], bytes(message[_QUEUED_PREFIX_LENGTH:])
    )


def decode_log(log: object, hub_address: bytes, where: str) -> HubEntry | None:
    """Read one log; None unless it is an outbox event of this hub.

    A log of another address is ignored, whatever its topics: anybody can emit such an event (security incident class
    of forged logs). What remains is still a claim; the outbox's hash chain decides.

    Raises:
        TransientChainError: the node's answer is malformed.
    """
    if not isinstance(log, dict):
        raise TransientChainError(f"{where}: a log is not an object")
    if octets(log.get("address"), 20, where) != hub_address or log.get("removed") is True:
        return None
    topics = log.get("topics")
    if not isinstance(topics, list) or len(topics) != 2:
        return None
    form = FORM_OF_TOPIC.get(octets(topics[0], 32, where))
    if form is None:
        return None
    entry = int.from_bytes(octets(topics[1], 32, where), "big")
    return HubEntry(
        domain=entry >> 96 & _U32,
        relay=entry >> 64 & _U32,
        number=entry & _U64,
        height=quantity(log.get("blockNumber"), where),
        form=form,
        content=octets(log.get("data"), None, where),
    )


def log_position(log: Mapping[str, Any], where: str) -> tuple[int, int]:
    """Return block number and index of a log within its block."""
    return quantity(log.get("blockNumber"), where), quantity(log.get("logIndex"), where)
