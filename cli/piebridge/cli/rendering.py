"""A packet as a network analyser shows it: layer by layer, field, bytes, meaning."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from eth_utils.address import to_checksum_address

from piebridge.protocol_stack.application import APPLICATIONS
from piebridge.protocol_stack.application.door import DoorMessage
from piebridge.protocol_stack.application.record_notary import Notarisation
from piebridge.protocol_stack.application.token import TokenTransfer
from piebridge.protocol_stack.errors import FormatError
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.transaction import TRANSACTION_PROTOCOLS
from piebridge.protocol_stack.transport import TRANSPORT_PROTOCOLS
from piebridge.protocol_stack.verification import VERIFICATION_METHODS

_TRANSPORT_FLAGS = {1: "ORDERED", 2: "RECEIPT_WANTED"}
_TRANSACTION_FLAGS = {16: "RETURN"}
_KINDS = {0: "plain", 1: "REQUEST"}
_CODECS = {0: "raw", 1: "ABI", 2: "CBOR"}
_BODY_BYTES_SHOWN = 32
_TEXT_CHARACTERS_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a packet."""

    layer: str
    """Layer whose header it stands in."""
    offset: int
    """Offset in the packet, bytes."""
    name: str
    """Name."""
    data: bytes
    """Its bytes."""
    meaning: str
    """What they mean."""


def dissect(packet: Packet, names: Callable[[int], str]) -> list[Field]:
    """Return all fields of a packet in the order of its bytes.

    Args:
        packet: the packet.
        names: gives the name of a chain by its registration.
    """
    data = packet.encode()
    meanings = _meanings(packet, names)
    return [
        Field(
            layer, offset, name, data[offset : offset + size], meanings.get((layer, name), _number(data, offset, size))
        )
        for layer, offset, size, name in _LAYOUT
    ] + _body_fields(packet)


_LAYOUT = (
    ("transport", 0, 1, "version"),
    ("transport", 1, 1, "protocol"),
    ("transport", 2, 1, "flags"),
    ("transport", 3, 1, "header length"),
    ("transport", 4, 4, "domain"),
    ("transport", 8, 4, "source"),
    ("transport", 12, 4, "destination"),
    ("transport", 16, 4, "relay"),
    ("transport", 20, 4, "channel"),
    ("transport", 24, 8, "sequence"),
    ("verification", 32, 1, "method"),
    ("verification", 33, 1, "finality depth"),
    ("verification", 34, 2, "oldest set epoch"),
    ("verification", 36, 4, "reserved"),
    ("transaction", 40, 1, "protocol"),
    ("transaction", 41, 1, "reserved"),
    ("transaction", 42, 1, "kind"),
    ("transaction", 43, 1, "flags"),
    ("transaction", 44, 1, "participant index"),
    ("transaction", 45, 1, "participant count"),
    ("transaction", 46, 4, "origin"),
    ("transaction", 50, 8, "nonce"),
    ("transaction", 58, 5, "deadline"),
    ("transaction", 63, 5, "execution expiry"),
    ("transaction", 68, 4, "handler gas"),
    ("application", 72, 4, "application"),
    ("application", 76, 4, "function"),
    ("application", 80, 4, "callback function"),
    ("application", 84, 4, "compensation function"),
    ("application", 88, 1, "version"),
    ("application", 89, 1, "codec"),
    ("application", 90, 2, "flags"),
    ("application", 92, 4, "body length"),
    ("application", 96, 8, "reserved"),
    ("application", 104, 32, "user identity"),
)


def _meanings(packet: Packet, names: Callable[[int], str]) -> dict[tuple[str, str], str]:
    header = packet.header
    transport, transaction, application = header.transport, header.transaction, header.application
    return {
        ("transport", "protocol"): TRANSPORT_PROTOCOLS.get(transport.protocol).name,
        ("transport", "flags"): _flags(transport.flags, _TRANSPORT_FLAGS),
        ("transport", "header length"): "17 x 8 = 136 bytes",
        ("transport", "source"): names(transport.source),
        ("transport", "destination"): names(transport.destination),
        ("transport", "relay"): f"bound to relay-{transport.relay}" if transport.relay else "free: any relay chain",
        ("transport", "channel"): str(transport.channel) if transport.channel else "shared",
        ("verification", "method"): f"at least {VERIFICATION_METHODS.get(header.verification.method).name}",
        ("verification", "reserved"): "",
        ("transaction", "protocol"): TRANSACTION_PROTOCOLS.get(transaction.protocol).name,
        ("transaction", "reserved"): "",
        ("transaction", "kind"): _KINDS[transaction.kind],
        ("transaction", "flags"): _flags(transaction.flags, _TRANSACTION_FLAGS),
        ("transaction", "origin"): names(transaction.origin) if transaction.origin else "none",
        ("transaction", "deadline"): _time(transaction.deadline, "relay time"),
        ("transaction", "execution expiry"): _time(transaction.execution_expiry, "destination time"),
        ("application", "application"): application_name(application.application),
        ("application", "callback function"): str(application.callback_function or "none"),
        ("application", "compensation function"): "none",
        ("application", "codec"): _CODECS[application.codec],
        ("application", "reserved"): "",
        ("application", "user identity"): "none" if not any(application.user_identity) else "",
    }


def _body_fields(packet: Packet) -> list[Field]:
    application = packet.header.application
    offset = 136
    if application.application in APPLICATIONS:
        try:
            body = APPLICATIONS.get(application.application).decode_body(application, packet.body)
        except FormatError as error:
            return [Field("body", offset, "body", packet.body, f"not decoded: {error}")]
        if isinstance(body, TokenTransfer):
            return [
                Field("body", offset, "amount", packet.body[:16], f"{body.amount} smallest units"),
                Field("body", offset + 16, "sender", body.sender, to_checksum_address(body.sender)),
                Field("body", offset + 36, "recipient", body.recipient, to_checksum_address(body.recipient)),
            ]
        if isinstance(body, Notarisation):
            return [
                Field("body", offset, "key", body.key, ""),
                Field("body", offset + 32, "value", body.value, ""),
            ]
        if isinstance(body, DoorMessage):
            sender, recipient = body.sender.encode(), body.recipient.encode()
            payload = offset + 4 + len(sender) + len(recipient)
            return [
                Field("body", offset + 2, "sender", sender, _interoperable(body.sender.chain_id, body.sender.address)),
                Field(
                    "body",
                    offset + 4 + len(sender),
                    "recipient",
                    recipient,
                    _interoperable(body.recipient.chain_id, body.recipient.address),
                ),
                Field("body", payload, "payload", body.payload, _text(body.payload)),
            ]
    return [Field("body", offset, "body", packet.body, f"{len(packet.body)} bytes")]


def shorten(data: bytes) -> str:
    """Return bytes in hexadecimal, long ones cut with their length told."""
    if len(data) <= _BODY_BYTES_SHOWN:
        return data.hex()
    return f"{data[:_BODY_BYTES_SHOWN].hex()}… ({len(data)} bytes)"


def application_name(number: int) -> str:
    """Return the name of a standard application, or the number of another one."""
    return APPLICATIONS.get(number).name if number in APPLICATIONS else str(number)


def moment(time: float | None) -> str:
    """Return a time for people, UTC."""
    return "-" if time is None else datetime.fromtimestamp(time, UTC).strftime("%H:%M:%S")


def _number(data: bytes, offset: int, size: int) -> str:
    return str(int.from_bytes(data[offset : offset + size], "big"))


def _flags(value: int, known: dict[int, str]) -> str:
    return " ".join(name for bit, name in known.items() if value & bit) or "none"


def _time(value: int, clock: str) -> str:
    if not value:
        return "none"
    return f"{datetime.fromtimestamp(value, UTC).strftime('%Y-%m-%d %H:%M:%S')} UTC, {clock}"


def _interoperable(chain_id: int, address: bytes) -> str:
    return f"{to_checksum_address(address)} on EVM chain {chain_id}"


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return f"{len(data)} bytes"
    if not text.isprintable():
        return f"{len(data)} bytes"
    if len(text) > _TEXT_CHARACTERS_SHOWN:
        return f"{text[:_TEXT_CHARACTERS_SHOWN]!r}… ({len(data)} bytes)"
    return repr(text)
