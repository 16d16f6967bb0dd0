"""Everything that a hash or a proof addresses: tags, slots of a hub, keys of a relay chain's store ``endorsed``.

Keys of its store ``state`` are its own business and made in ``piebridge.relay.app.keys``.

Sources: ``docs/protocol/formats.md``, sections 1, 7 and 12.1. A new tag, slot or key is written there first.
"""

from enum import IntEnum, unique
from functools import lru_cache
from typing import Final

from piebridge.crypto.hash import keccak256, tag
from piebridge.protocol_stack.codec import HASH_LENGTH, fixed, unsigned

TAG_PACKET: Final = tag("PACKET")
TAG_PACKETS: Final = tag("PACKETS")
TAG_TX: Final = tag("TX")
TAG_OUTBOX: Final = tag("OUTBOX")
TAG_OUTBOX_OPEN_HUB: Final = tag("OUTBOX_OPEN_HUB")
TAG_OUTBOX_OPEN_RELAY: Final = tag("OUTBOX_OPEN_RELAY")
TAG_RECEIPT: Final = tag("RECEIPT")
TAG_RECEIPT_HOME: Final = tag("RECEIPT_HOME")
TAG_VERDICT: Final = tag("VERDICT")
TAG_REPORT: Final = tag("REPORT")
TAG_ENDORSE: Final = tag("ENDORSE")
TAG_ENDORSEMENT_SET: Final = tag("ENDORSEMENT_SET")
TAG_NOTARY: Final = tag("NOTARY")
TAG_NOTARY_SET: Final = tag("NOTARY_SET")
TAG_GOVERNOR_HUB: Final = tag("GOVERNOR_HUB")
TAG_GOVERNOR_RELAY: Final = tag("GOVERNOR_RELAY")
TAG_RELAY_TX: Final = tag("RELAY_TX")

TAGS: Final = {
    "PACKET": TAG_PACKET,
    "PACKETS": TAG_PACKETS,
    "TX": TAG_TX,
    "OUTBOX": TAG_OUTBOX,
    "OUTBOX_OPEN_HUB": TAG_OUTBOX_OPEN_HUB,
    "OUTBOX_OPEN_RELAY": TAG_OUTBOX_OPEN_RELAY,
    "RECEIPT": TAG_RECEIPT,
    "RECEIPT_HOME": TAG_RECEIPT_HOME,
    "VERDICT": TAG_VERDICT,
    "REPORT": TAG_REPORT,
    "ENDORSE": TAG_ENDORSE,
    "ENDORSEMENT_SET": TAG_ENDORSEMENT_SET,
    "NOTARY": TAG_NOTARY,
    "NOTARY_SET": TAG_NOTARY_SET,
    "GOVERNOR_HUB": TAG_GOVERNOR_HUB,
    "GOVERNOR_RELAY": TAG_GOVERNOR_RELAY,
    "RELAY_TX": TAG_RELAY_TX,
}
"""The complete list, by name."""

STATUSES_PER_SLOT: Final = 128
"""Two status bits each."""
BITS_PER_SLOT: Final = 256
"""Packets of one word of a bitmap."""


@unique
class SlotBase(IntEnum):
    """Storage variables of a hub that proofs address."""

    CHAIN = 0
    """``chain[q]`` of an outbox head."""
    HEAD = 1
    """Entry number and last transaction nonce of an outbox."""
    STATUS = 2
    """Two status bits per packet of a bound lane, or per own transaction."""
    SEEN = 3
    """One bit per packet of an unordered free lane."""
    RECEIPTS = 4
    """One bit per receipt that came home."""
    SEND_LANE = 5
    """Last sequence sent; not of shared lanes toward a domain's first peer, which are counted in the head."""
    RECEIVE_LANE = 6
    """Last sequence of an ordered lane that reached its end."""
    SETTLEMENT = 7
    """What is still to be undone of an aborted transaction."""
    CLOSED = 8
    """Block number at which the hub was closed."""


_HEAD_PEER_BASE: Final = 9
"""First peer of a domain; no proof addresses it."""


@lru_cache(maxsize=8_192)
def mapping_slot(base: int, key: bytes) -> bytes:
    """Return the 32-byte slot of ``key`` (32 bytes) in the Solidity mapping ``mapping(uint256 => ...)`` at ``base``.

    Source: Solidity documentation, "Layout of State Variables in Storage", mappings.
    """
    return keccak256(fixed(key, HASH_LENGTH) + unsigned(base, HASH_LENGTH))


def hub_slot(base: SlotBase, key: bytes) -> bytes:
    """Return the slot that ``base`` and ``key`` name (both as in a HUB_SLOTS transaction); CLOSED is no mapping."""
    return closed_slot() if base is SlotBase.CLOSED else mapping_slot(base, key)


def outbox_key(domain: int, relay: int) -> bytes:
    """Return the key of an outbox for the bases CHAIN and HEAD."""
    return unsigned(domain << 32 | relay, HASH_LENGTH)


def chain_slot(domain: int, relay: int) -> bytes:
    """Return the slot of the head value of the outbox (domain, relay)."""
    return mapping_slot(SlotBase.CHAIN, outbox_key(domain, relay))


def head_slot(domain: int, relay: int) -> bytes:
    """Return the slot of the head number of the outbox (domain, relay)."""
    return mapping_slot(SlotBase.HEAD, outbox_key(domain, relay))


def status_key(domain: int, source: int, relay: int, channel: int, sequence: int) -> bytes:
    """Return the key of the status bits of a packet; the hub's own transactions have source and channel 0."""
    return unsigned(
        domain << 160 | source << 128 | relay << 96 | channel << 64 | sequence // STATUSES_PER_SLOT, HASH_LENGTH
    )


def status_slot(domain: int, source: int, relay: int, channel: int, sequence: int) -> bytes:
    """Return the slot of the status bits of a packet at its destination."""
    return mapping_slot(SlotBase.STATUS, status_key(domain, source, relay, channel, sequence))


def origin_status_slot(domain: int, relay: int, nonce: int) -> bytes:
    """Return the slot of the status bits of the hub's own transaction ``nonce``."""
    return status_slot(domain, 0, relay, 0, nonce)


def status_bits(word: int, sequence: int) -> int:
    """Return the two status bits of ``sequence`` (or nonce) in the value of its status slot."""
    return word >> 2 * (sequence % STATUSES_PER_SLOT) & 3


def seen_key(domain: int, source: int, channel: int, sequence: int) -> bytes:
    """Return the key of the bit that a packet of an unordered free lane sets at its end."""
    return unsigned(domain << 128 | source << 96 | channel << 64 | sequence // BITS_PER_SLOT, HASH_LENGTH)


def seen_slot(domain: int, source: int, channel: int, sequence: int) -> bytes:
    """Return the slot of the bit that a packet of an unordered free lane sets at its end."""
    return mapping_slot(SlotBase.SEEN, seen_key(domain, source, channel, sequence))


def receipts_key(domain: int, destination: int, relay: int, channel: int, sequence: int) -> bytes:
    """Return the key of the bit that a receipt sets when it is taken at the source."""
    return unsigned(
        domain << 160 | destination << 128 | relay << 96 | channel << 64 | sequence // BITS_PER_SLOT, HASH_LENGTH
    )


def receipts_slot(domain: int, destination: int, relay: int, channel: int, sequence: int) -> bytes:
    """Return the slot of the bit that a receipt sets when it is taken at the source."""
    return mapping_slot(SlotBase.RECEIPTS, receipts_key(domain, destination, relay, channel, sequence))


def bitmap_bit(word: int, sequence: int) -> bool:
    """Return the bit of ``sequence`` in the value of its ``seen`` or ``receipts`` slot."""
    return bool(word >> sequence % BITS_PER_SLOT & 1)


def lane_key(domain: int, peer: int, relay: int, channel: int) -> bytes:
    """Return the key of a lane for the bases SEND_LANE (peer is the destination) and RECEIVE_LANE (the source)."""
    return unsigned(domain << 96 | peer << 64 | relay << 32 | channel, HASH_LENGTH)


def send_lane_slot(domain: int, destination: int, relay: int, channel: int) -> bytes:
    """Return the slot of the last sequence sent in a lane that is not counted in the head."""
    return mapping_slot(SlotBase.SEND_LANE, lane_key(domain, destination, relay, channel))


def head_peer_slot(domain: int) -> bytes:
    """Return the slot of the registration of a domain's first peer: shared lanes toward it are counted in the head."""
    return mapping_slot(_HEAD_PEER_BASE, unsigned(domain, HASH_LENGTH))


def receive_lane_slot(domain: int, source: int, relay: int, channel: int) -> bytes:
    """Return the slot of the last sequence of an ordered lane that reached its end."""
    return mapping_slot(SlotBase.RECEIVE_LANE, lane_key(domain, source, relay, channel))


def settlement_slot(relay: int, nonce: int) -> bytes:
    """Return the slot of what is still to be undone of an aborted transaction."""
    return mapping_slot(SlotBase.SETTLEMENT, unsigned(relay << 64 | nonce, HASH_LENGTH))


def closed_slot() -> bytes:
    """Return the slot that says at which block the hub was closed."""
    return unsigned(SlotBase.CLOSED, HASH_LENGTH)


# --- Store ``endorsed`` of a relay chain: a simple map, ASCII keys ----------------------------------------------------

ENDORSED_SET_KEY: Final = b"set"
"""Value: epoch u32, set hash 32."""


def endorsed_head_key(destination: int) -> bytes:
    """Return the key of the outbox head toward a hub. Value: number u64, chain value 32."""
    return b"head/%08x" % destination


def endorsed_client_key(registration: int) -> bytes:
    """Return the key of the newest trusted height of a light client. Value: u64."""
    return b"client/%08x" % registration
