"""How batches are put together: the items behind outbox entries, ranges of chosen forms, and the gas they need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from piebridge.crypto.hash import keccak256
from piebridge.gateway.archive import ArchivedEntry
from piebridge.gateway.forwarder import FORM_FULL, FORM_WITHOUT_BODY, Item
from piebridge.protocol_stack.codec import Reader
from piebridge.protocol_stack.header import HEADER_LENGTH, Header
from piebridge.protocol_stack.transport.outbox import (
    BareEntry,
    Entry,
    Form,
    HeaderEntry,
    Maker,
    MalformedEntry,
    OutboxRange,
    PacketEntry,
    ReceiptHomeEntry,
    VerdictsEntry,
    read_entry,
)

_BARE_BYTES = 41
_SHARE_KEPT = 0.97
"""How much of a learned share is left after a transaction that used less. Receipts use a smaller share of their bound
than packets: some transactions with nothing but receipts must not make the next one with packets fail."""
_DECODED_KEPT_MAX = 10_000
"""Decoded entries that are kept: each is wanted when it is observed, and whenever it is checked."""


@dataclass(frozen=True, slots=True)
class GasModel:
    """Gas of a hub's ``receiveRange``, as upper bounds; what is not used is not paid.

    The hub demands of a transaction, before each call, what the packet's header promises its handler and 1/64 more
    (EIP-150), so a limit follows from the headers and from what the hub itself does, never from an estimate alone.
    """

    base: int = 120_000
    """Transaction, endorsement check of k signatures, opening of the range, entry with the receipts."""
    per_byte: int = 60
    """Call data of a non-zero byte (40 at most, EIP-7623), copying and hashing."""
    per_packet: int = 75_000
    """A fresh bitmap word, the receipt, events."""
    per_receipt_home: int = 60_000
    """A fresh bitmap word, events; the callback is extra."""
    callback: int = 205_000
    """What the hub gives to a callback and 1/64 more."""
    per_verdict: int = 60_000
    """A fresh status word and a settlement word."""
    per_bare: int = 1_500
    """Folding."""

    def of_entry(self, entry: Entry) -> int:
        """Return what one carried entry may need, its call data apart."""
        if isinstance(entry, PacketEntry):
            return self.per_packet + entry.packet.header.transaction.handler_gas * 65 // 63 + 20_000
        if isinstance(entry, ReceiptHomeEntry):
            callback = self.callback if entry.receipt.header.application.callback_function else 0
            return self.per_receipt_home + callback
        if isinstance(entry, VerdictsEntry):
            return self.per_verdict * len(entry.verdicts.items)
        return self.per_packet if isinstance(entry, HeaderEntry) else self.per_bare

    def of_largest(self, outbox_range: OutboxRange, envelope_length: int) -> int:
        """Return what a transaction needs of which all entries but the largest are free."""
        largest = max(self.of_entry(entry) for entry in outbox_range.entries)
        return self.base + self.per_byte * envelope_length + largest

    def of_range(self, outbox_range: OutboxRange, envelope_length: int) -> int:
        """Return the gas limit of a transaction with this range."""
        entries = sum(self.of_entry(entry) for entry in outbox_range.entries)
        return self.base + self.per_byte * envelope_length + entries


class LearnedGas:
    """How much of the upper bound the transactions to one hub have really used, and what follows for the next one.

    A handler is promised much and needs little. A limit near what is used lets more transactions into a block; one that
    was too low costs a revert, after which the whole bound is given again.
    """

    def __init__(self, margin: float = 1.5) -> None:
        """Know nothing: the whole bound is given."""
        self._margin = margin
        self._share: float | None = None

    def limit(self, upper: int, least: int) -> int:
        """Return the gas limit of a transaction.

        Args:
            upper: bound from the headers.
            least: what its largest single entry needs; the hub demands that much before the call, used or not.
        """
        if self._share is None:
            return upper
        return min(upper, max(least, int(upper * self._share * self._margin)) + least)

    def learn(self, upper: int, used: int) -> None:
        """Take note of what a transaction used; the share falls slowly and rises at once."""
        self._share = max(used / upper, (self._share or 0.0) * _SHARE_KEPT)

    def forget(self) -> None:
        """A limit was too low: give the whole bound again."""
        self._share = None


def item_of_relay_entry(number: int, entry: Entry, gas_model: GasModel) -> Item | None:
    """Return the item of an entry of a relay chain's outbox; None where there is nothing to carry."""
    if isinstance(entry, BareEntry | MalformedEntry):
        return None
    header = packet_header(entry)
    about = entry.receipt.header if isinstance(entry, ReceiptHomeEntry) else header
    return Item(
        number=number,
        height=entry.height,
        size_bytes=_BARE_BYTES + len(entry.content()),
        gas=gas_model.of_entry(entry) + gas_model.per_byte * len(entry.content()),
        expiry=header.transaction.execution_expiry if header is not None else 0,
        in_order=header is not None and header.transport.ordered,
        lane=about.lane.encode() if about is not None else b"",
        sequence=about.transport.sequence if about is not None else number,
    )


def item_of_hub_entry(archived: ArchivedEntry, entry: Entry, eligible_after_seconds: float) -> Item | None:
    """Return the item of an entry of a hub's outbox; None where there is nothing to carry."""
    if isinstance(entry, BareEntry | MalformedEntry):
        return None
    header = packet_header(entry)
    return Item(
        number=archived.number,
        height=archived.height,
        size_bytes=_BARE_BYTES + len(archived.content),
        expiry=header.transaction.deadline if header is not None else 0,
        eligible_after_seconds=eligible_after_seconds,
        in_order=header is not None and header.transport.ordered,
        lane=header.lane.encode() if header is not None else b"",
        sequence=header.transport.sequence if header is not None else archived.number,
    )


def packet_header(entry: Entry) -> Header | None:
    """Return the header of a packet entry; None of any other."""
    if isinstance(entry, PacketEntry):
        return entry.packet.header
    return entry.header if isinstance(entry, HeaderEntry) else None


def decode_archived(archived: ArchivedEntry, maker: Maker) -> Entry:
    """Return an archived entry of a hub as the protocol stack reads it.

    Raises:
        DecodingError: the content is not of its form.
    """
    if archived.form == Form.BARE:
        return BareEntry(archived.height, archived.message_id)
    return _decode(archived.height, archived.form, archived.content, maker)


@lru_cache(maxsize=_DECODED_KEPT_MAX)
def _decode(height: int, form: int, content: bytes, maker: Maker) -> Entry:
    reader = Reader(height.to_bytes(8, "big") + bytes([form]) + content)
    entry = read_entry(reader, maker)
    reader.finish()
    return entry


def range_of_archived(start: bytes, archived: Sequence[ArchivedEntry], forms: Mapping[int, int]) -> bytes:
    """Encode a range of a hub's outbox from the archive.

    It is put together from bytes, not from decoded entries: the hub made them, and the relay chain judges them.

    Args:
        start: chain value before the first entry, 32 bytes.
        archived: entries in a row.
        forms: form of each entry that is carried, by number; the others are bare.
    """
    parts = [archived[0].number.to_bytes(8, "big"), start, len(archived).to_bytes(2, "big")]
    parts.extend(
        entry.height.to_bytes(8, "big") + _content(entry, forms.get(entry.number, Form.BARE)) for entry in archived
    )
    return b"".join(parts)


def reshaped(outbox_range: OutboxRange, forms: Mapping[int, int]) -> OutboxRange:
    """Return a range of a relay chain's outbox with the chosen forms; entries without one become bare."""
    if all(forms.get(outbox_range.first + offset) == FORM_FULL for offset in range(len(outbox_range.entries))):
        return outbox_range
    entries = tuple(
        _reshape(entry, forms.get(outbox_range.first + offset, Form.BARE), outbox_range.maker)
        for offset, entry in enumerate(outbox_range.entries)
    )
    return OutboxRange(outbox_range.maker, outbox_range.first, outbox_range.start, entries)


def _content(entry: ArchivedEntry, form: int) -> bytes:
    if form == FORM_FULL and entry.form != Form.BARE:
        return bytes([entry.form]) + entry.content
    if form == FORM_WITHOUT_BODY and entry.form == Form.PACKET:
        header, body = entry.content[:HEADER_LENGTH], entry.content[HEADER_LENGTH:]
        return bytes([Form.PACKET_WITHOUT_BODY]) + header + keccak256(body)
    if form == FORM_WITHOUT_BODY and entry.form != Form.BARE:
        return bytes([entry.form]) + entry.content
    return bytes([Form.BARE]) + entry.message_id


def _reshape(entry: Entry, form: int, maker: Maker) -> Entry:
    if form == FORM_WITHOUT_BODY and isinstance(entry, PacketEntry):
        return HeaderEntry(entry.height, entry.packet.header, entry.packet.body_hash)
    if form in (FORM_FULL, FORM_WITHOUT_BODY):
        return entry
    return BareEntry(entry.height, entry.message_id(maker))
