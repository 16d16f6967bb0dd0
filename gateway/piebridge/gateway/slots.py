"""Which storage slots of a hub say that it has a message, and what they must hold (formats.md, section 7)."""

from collections.abc import Callable
from dataclasses import dataclass

from piebridge.protocol_stack.commitment import (
    SlotBase,
    bitmap_bit,
    lane_key,
    receipts_key,
    seen_key,
    status_bits,
    status_key,
)
from piebridge.protocol_stack.header import Header
from piebridge.protocol_stack.relay_messages import SlotName
from piebridge.protocol_stack.transport.outbox import (
    Entry,
    HeaderEntry,
    PacketEntry,
    ReceiptHomeEntry,
    VerdictsEntry,
)
from piebridge.protocol_stack.verdicts import OriginVerdict

Holds = Callable[[int], bool]
"""Whether the value of a slot says so."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One slot, and what its value must say."""

    name: SlotName
    """The slot."""
    holds: Holds
    """Whether a value of it (256 bits) says that the hub has the message."""


def evidence_of(entry: Entry, domain: int, relay: int) -> list[Evidence]:
    """Return what shows that a hub has an entry of a relay chain's outbox; all of it must hold.

    Args:
        entry: of the outbox toward that hub.
        domain: relay domain.
        relay: the relay chain whose outbox it is.

    Returns:
        Nothing where there is nothing to be had: a bare or malformed entry.
    """
    if isinstance(entry, PacketEntry):
        return [of_packet(entry.packet.header)]
    if isinstance(entry, HeaderEntry):
        return [of_packet(entry.header)]
    if isinstance(entry, ReceiptHomeEntry):
        return [of_receipt(entry.receipt.header)]
    if isinstance(entry, VerdictsEntry):
        evidence = []
        for item in entry.verdicts.items:
            if isinstance(item, OriginVerdict):
                evidence.append(_status(domain, 0, relay, 0, item.nonce))
            else:
                evidence.append(_status(domain, item.source, relay, item.channel, item.sequence))
        return evidence
    return []


def of_packet(header: Header) -> Evidence:
    """Return what shows that its destination has a packet."""
    lane, sequence = header.lane, header.transport.sequence
    if not lane.free:
        return _status(lane.domain, lane.source, lane.relay, lane.channel, sequence)
    if header.transport.ordered:
        key = lane_key(lane.domain, lane.source, lane.relay, lane.channel)
        return Evidence(SlotName(SlotBase.RECEIVE_LANE, key), lambda word: word & _U64 >= sequence)
    key = seen_key(lane.domain, lane.source, lane.channel, sequence)
    return Evidence(SlotName(SlotBase.SEEN, key), lambda word: bitmap_bit(word, sequence))


def of_receipt(header: Header) -> Evidence:
    """Return what shows that its source has the receipt of a packet."""
    lane, sequence = header.lane, header.transport.sequence
    key = receipts_key(lane.domain, lane.destination, lane.relay, lane.channel, sequence)
    return Evidence(SlotName(SlotBase.RECEIPTS, key), lambda word: bitmap_bit(word, sequence))


def _status(domain: int, source: int, relay: int, channel: int, sequence: int) -> Evidence:
    key = status_key(domain, source, relay, channel, sequence)
    return Evidence(SlotName(SlotBase.STATUS, key), lambda word: status_bits(word, sequence) != 0)


_U64 = (1 << 64) - 1
