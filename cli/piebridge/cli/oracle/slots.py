"""Where a hub keeps what it says of a packet (formats.md, section 7), and the root of a storage trie."""

from collections.abc import Mapping
from dataclasses import dataclass

import rlp  # type: ignore[import-untyped]
from trie.hexary import HexaryTrie

from piebridge.cli.oracle.decoding import SentPacket, keccak

_CHAIN, _HEAD, _STATUS, _SEEN, _RECEIPTS, _SEND_LANE, _RECEIVE_LANE, _SETTLEMENT = range(8)
_HEAD_PEER = 9
_U64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Place:
    """Some bits of a storage word."""

    slot: bytes
    """The word, 32 bytes."""
    shift: int
    """Lowest bit."""
    width: int
    """Number of bits."""

    @property
    def mask(self) -> int:
        """The bits in the word."""
        return ((1 << self.width) - 1) << self.shift

    def of(self, words: Mapping[bytes, int]) -> int:
        """Return the bits from words by slot."""
        return (words[self.slot] & self.mask) >> self.shift


def mapping_slot(base: int, key: bytes) -> bytes:
    """Return the slot of ``key`` in the Solidity mapping number ``base``."""
    return keccak(key.rjust(32, b"\0") + base.to_bytes(32, "big"))


def _word(base: int, key: int) -> bytes:
    return mapping_slot(base, key.to_bytes(32, "big"))


def outbox_value(outbox: int) -> Place:
    """Head value of an outbox, ``domain << 32 | relay``."""
    return Place(_word(_CHAIN, outbox), 0, 256)


def outbox_number(outbox: int) -> Place:
    """Number of the last entry of an outbox."""
    return Place(_word(_HEAD, outbox), 0, 64)


def outbox_nonce(outbox: int) -> Place:
    """Last transaction nonce of an outbox."""
    return Place(_word(_HEAD, outbox), 64, 64)


def status(packet: SentPacket) -> Place:
    """Status of a bound packet at its destination."""
    key = packet.domain << 160 | packet.source << 128 | packet.relay << 96 | packet.channel << 64
    return _status(key, packet.sequence)


def own_status(packet: SentPacket) -> Place:
    """Status of a packet's transaction at its origin."""
    return _status(packet.domain << 160 | packet.relay << 96, packet.nonce)


def _status(key: int, position: int) -> Place:
    return Place(_word(_STATUS, key | position >> 7), 2 * (position & 127), 2)


def seen(packet: SentPacket) -> Place:
    """Bit of a packet of an unordered free lane that reached its end."""
    key = packet.domain << 128 | packet.source << 96 | packet.channel << 64 | packet.sequence >> 8
    return Place(_word(_SEEN, key), packet.sequence & 255, 1)


def receipt_home(packet: SentPacket) -> Place:
    """Bit of a packet whose receipt came home."""
    key = packet.domain << 160 | packet.destination << 128 | packet.relay << 96 | packet.channel << 64
    return Place(_word(_RECEIPTS, key | packet.sequence >> 8), packet.sequence & 255, 1)


def send_counters(packet: SentPacket) -> tuple[Place, Place, Place]:
    """What tells the last sequence that was sent in a packet's lane, see :func:`last_sequence`."""
    key = packet.domain << 96 | packet.destination << 64 | packet.relay << 32 | packet.channel
    return (
        Place(_word(_SEND_LANE, key), 0, 64),
        Place(_word(_HEAD, packet.domain << 32 | packet.relay), 152, 56),
        Place(_word(_HEAD_PEER, packet.domain), 0, 256),
    )


def last_sequence(packet: SentPacket, words: Mapping[bytes, int]) -> int:
    """Return the last sequence sent in a packet's lane: shared lanes toward the first peer are counted in the head."""
    own, in_head, head_peer = (place.of(words) for place in send_counters(packet))
    return in_head if packet.channel == 0 and head_peer == packet.destination else own


def receive_lane(packet: SentPacket) -> Place:
    """Last sequence of an ordered lane that reached its end."""
    key = packet.domain << 96 | packet.source << 64 | packet.relay << 32 | packet.channel
    return Place(_word(_RECEIVE_LANE, key), 0, 64)


def settlement(packet: SentPacket) -> Place:
    """What is to be undone of a packet's transaction."""
    return Place(_word(_SETTLEMENT, packet.relay << 64 | packet.nonce), 0, 256)


def storage_trie_root(words: Mapping[bytes, int]) -> bytes:
    """Return the root of a contract's storage trie if these words, by slot, are all that it holds.

    Source: Yellow Paper, section 4.1: keccak(slot) to the RLP of the value without leading zeros; zero is absent.
    """
    trie = HexaryTrie({}, prune=True)
    for slot, value in words.items():
        if value:
            trie[keccak(slot)] = rlp.encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))
    return bytes(trie.root_hash)
