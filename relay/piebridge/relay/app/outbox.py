"""The outboxes of the relay chain: at the end of a block its messages become entries, verdicts first.

Toward each hub, in this order: verdicts for the origin, verdicts for a participant (at most 256 an entry), then packets
and receipts in the order in which the block made them. Hubs are taken in the order of their numbers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from piebridge.protocol_stack.transport.outbox import Form, OutboxHead, open_relay_outbox
from piebridge.protocol_stack.verdicts import VERDICTS_MAX, VerdictList
from piebridge.relay.app.context import (
    Events,
    Outgoing,
    OutgoingMessage,
    OutgoingOriginVerdict,
    OutgoingParticipantVerdict,
    OutgoingVerdict,
    RelayEvent,
    event,
)
from piebridge.relay.app.records import EntryRecord, MessageRecord
from piebridge.relay.app.retention import Remembered, own_entries
from piebridge.relay.app.store import Store


def open_outbox(store: Store, destination: int) -> None:
    """Open the outbox toward a hub, once."""
    if store.outbox_head(destination) is None:
        relay = store.relay
        store.set_outbox_head(destination, OutboxHead(0, open_relay_outbox(relay.domain, relay.relay, destination)))


@dataclass(frozen=True, slots=True)
class Made:
    """What the end of a block made."""

    events: Events
    """One for each outbox that got something."""
    remembered: Sequence[Remembered]
    """The entries, for retention."""


def make_entries(store: Store, outgoing: Sequence[Outgoing], height: int, time_seconds: int) -> Made:
    """Turn what a block brought forth into entries."""
    events: list[RelayEvent] = []
    remembered: list[Remembered] = []
    by_destination: dict[int, list[Outgoing]] = {}
    for item in outgoing:
        by_destination.setdefault(item.destination, []).append(item)
    for destination, mine in sorted(by_destination.items()):
        writer = _Writer(store, destination, height, time_seconds)
        writer.write_verdicts([item for item in mine if isinstance(item, OutgoingOriginVerdict)])
        writer.write_verdicts([item for item in mine if isinstance(item, OutgoingParticipantVerdict)])
        for item in mine:
            if isinstance(item, OutgoingMessage):
                writer.write_message(item)
        first, last = writer.close()
        events.append(event("outbox_entries", destination=destination, first=first, last=last))
        remembered += own_entries(destination, last - first + 1)
    return Made(events, remembered)


class _Writer:
    """Appends to one outbox."""

    def __init__(self, store: Store, destination: int, height: int, time_seconds: int) -> None:
        head = store.outbox_head(destination)
        assert head is not None, f"outbox toward {destination} was never opened"
        self._store, self._destination = store, destination
        self._height, self._time_seconds = height, time_seconds
        self._head = head
        self._first = head.number + 1

    def write_verdicts(self, verdicts: Sequence[OutgoingVerdict]) -> None:
        """Write verdicts of one form."""
        for chunk in _chunks(verdicts, VERDICTS_MAX):
            listed = VerdictList(tuple(verdict.item for verdict in chunk))
            number = self._append(Form.VERDICTS, listed.encode(), listed.message_id, remaining=len(chunk))
            for verdict in chunk:
                self._note_verdict(verdict, number)

    def write_message(self, message: OutgoingMessage) -> None:
        """Write a packet or a receipt home."""
        number = self._append(message.form, message.content, message.message_id, remaining=1)
        record = self._store.packet(message.packet_id)
        assert record is not None, "a message is about a recorded packet"
        is_packet = message.form is Form.PACKET
        noted = replace(record, entry=number) if is_packet else replace(record, receipt_entry=number)
        self._store.set_packet(message.packet_id, noted)
        if is_packet and record.is_acknowledged:
            # A dishonest destination may prove a packet's end in the very block that records it: nobody needs it then.
            self._store.set_message(self._destination, number, None)

    def close(self) -> tuple[int, int]:
        """Write the head; return the numbers of the first and the last new entry."""
        self._store.set_outbox_head(self._destination, self._head)
        return self._first, self._head.number

    def _note_verdict(self, verdict: OutgoingVerdict, number: int) -> None:
        if isinstance(verdict, OutgoingOriginVerdict):
            transaction = self._store.transaction(verdict.transaction_id)
            assert transaction is not None, "a verdict is about a recorded transaction"
            self._store.set_transaction(verdict.transaction_id, replace(transaction, verdict_entry=number))
        else:
            packet = self._store.packet(verdict.packet_id)
            assert packet is not None, "a tombstone is for a recorded packet"
            self._store.set_packet(verdict.packet_id, replace(packet, tombstone_entry=number))

    def _append(self, form: Form, content: bytes, message_id: bytes, remaining: int) -> int:
        self._head = self._head.append(self._height, message_id)
        number, value = self._head.number, self._head.value
        message = MessageRecord(remaining, form, content)
        entry = EntryRecord(self._height, self._time_seconds, message_id, value, message)
        self._store.set_entry(self._destination, number, entry)
        return number


def _chunks(items: Sequence[OutgoingVerdict], size: int) -> Iterable[Sequence[OutgoingVerdict]]:
    return (items[start : start + size] for start in range(0, len(items), size))
