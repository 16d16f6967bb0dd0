"""Outboxes: one hash chain of messages at every hop (``docs/protocol/formats.md``, section 5).

``chain[q] = H(TAG_OUTBOX || chain[q-1] || q || height || messageId)``. A *range* is some entries in a row and the value
before them; folding it gives the value behind them, which somebody else authenticates. Nothing in a range is believed
before that: any other start, number, height, content or order folds to another value.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import ClassVar, Final, TypeAlias

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.codec import (
    HASH_LENGTH,
    U16_MAX,
    U64_MAX,
    ZERO_HASH,
    Reader,
    address,
    hash32,
    in_range,
    u8,
    u16,
    u32,
    u64,
)
from piebridge.protocol_stack.commitment import TAG_OUTBOX, TAG_OUTBOX_OPEN_HUB, TAG_OUTBOX_OPEN_RELAY
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.header import BODY_LENGTH_OFFSET, HEADER_LENGTH, Header
from piebridge.protocol_stack.identifiers import DomainId, EntryNumber, Height, RegistrationNumber, RelayId
from piebridge.protocol_stack.packet import Packet, packet_id
from piebridge.protocol_stack.receipts import ReceiptBatch, ReceiptHome
from piebridge.protocol_stack.report import Report
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.verdicts import VerdictList


def open_hub_outbox(registration: RegistrationNumber, hub: bytes, domain: DomainId, relay: RelayId) -> bytes:
    """Return ``chain[0]`` of a hub's outbox (domain, relay).

    Args:
        registration: the hub's number.
        hub: the hub's address, 20 bytes.
        domain: relay domain.
        relay: relay chain that the outbox is bound to, 0 for the free one.
    """
    return keccak256(TAG_OUTBOX_OPEN_HUB + u32(registration) + address(hub) + u32(domain) + u32(relay))


def open_relay_outbox(domain: DomainId, relay: RelayId, destination: RegistrationNumber) -> bytes:
    """Return ``chain[0]`` of a relay chain's outbox toward the hub ``destination``."""
    return keccak256(TAG_OUTBOX_OPEN_RELAY + u32(domain) + u32(relay) + u32(destination))


def fold_entry(value: bytes, number: EntryNumber, height: Height, message_id: bytes) -> bytes:
    """Return ``chain[number]`` from ``value``, which is ``chain[number - 1]``."""
    return keccak256(TAG_OUTBOX + hash32(value) + u64(number) + u64(height) + hash32(message_id))


@dataclass(frozen=True, slots=True)
class OutboxHead:
    """The last entry of an outbox: all that is stored of it."""

    number: EntryNumber
    """Number of the last entry; 0 while there is none."""
    value: bytes
    """``chain[number]``, 32 bytes, never zero."""

    def append(self, height: Height, message_id: bytes) -> "OutboxHead":
        """Return the head after one more entry, made in the block ``height``."""
        return OutboxHead(self.number + 1, fold_entry(self.value, self.number + 1, height, message_id))

    def encode(self) -> bytes:
        """Return ``number || value``, 40 bytes."""
        return u64(self.number) + _value(self.value)

    @classmethod
    def decode(cls, data: bytes) -> "OutboxHead":
        """Read 40 bytes.

        Raises:
            FormatError: another length, or the value is zero.
        """
        reader = Reader(data)
        head = cls(reader.u64(), _value(reader.hash()))
        reader.finish()
        return head


class Form(IntEnum):
    """How an entry stands in a range."""

    BARE = 0
    PACKET = 1
    PACKET_WITHOUT_BODY = 2
    RECEIPTS = 3
    REPORT = 4
    RECEIPT_HOME = 5
    VERDICTS = 6


@dataclass(frozen=True, slots=True)
class Maker:
    """Whose outbox a range is of: decides which forms may stand in it."""

    registration: RegistrationNumber | None
    """Registration of the hub, or None for a relay chain."""

    @property
    def forms(self) -> frozenset[Form]:
        """The forms of entries that such a chain makes."""
        return _RELAY_FORMS if self.registration is None else _HUB_FORMS


RELAY_CHAIN: Final = Maker(None)
"""The maker of what relay chains send to hubs."""
_COMMON_FORMS = frozenset({Form.BARE, Form.PACKET, Form.PACKET_WITHOUT_BODY})
_HUB_FORMS = _COMMON_FORMS | {Form.RECEIPTS, Form.REPORT}
_RELAY_FORMS = _COMMON_FORMS | {Form.RECEIPT_HOME, Form.VERDICTS}


@dataclass(frozen=True, slots=True)
class BareEntry:
    """An entry whose message is not wanted here."""

    FORM: ClassVar[Form] = Form.BARE

    height: Height
    """Block that made the entry."""
    identifier: bytes
    """Id of the message, 32 bytes."""

    def message_id(self, maker: Maker) -> bytes:
        """Return the id of the message."""
        return self.identifier

    def content(self) -> bytes:
        """Return what stands behind the form."""
        return hash32(self.identifier)


@dataclass(frozen=True, slots=True)
class PacketEntry:
    """A packet."""

    FORM: ClassVar[Form] = Form.PACKET

    height: Height
    """Block that made the entry."""
    packet: Packet
    """The packet; all rules of the decoder hold for it."""

    def message_id(self, maker: Maker) -> bytes:
        """Return the packet id."""
        return self.packet.packet_id

    def content(self) -> bytes:
        """Return what stands behind the form."""
        return self.packet.encode()


@dataclass(frozen=True, slots=True)
class HeaderEntry:
    """A packet without its body: enough for a tombstone, an expiry or an abort. Before that it counts as bare."""

    FORM: ClassVar[Form] = Form.PACKET_WITHOUT_BODY

    height: Height
    """Block that made the entry."""
    header: Header
    """The packet's header; all rules of the decoder hold for it."""
    body_hash: bytes
    """``H(body)``, 32 bytes."""

    def message_id(self, maker: Maker) -> bytes:
        """Return the packet id."""
        return packet_id(self.header.encode(), self.body_hash)

    def content(self) -> bytes:
        """Return what stands behind the form."""
        return self.header.encode() + hash32(self.body_hash)


@dataclass(frozen=True, slots=True)
class MalformedEntry:
    """Form 1 or 2 with a header that the decoder refuses: folded with its id, and otherwise counted as bare."""

    height: Height
    """Block that made the entry."""
    form: Form
    """PACKET or PACKET_WITHOUT_BODY."""
    header: bytes
    """The 136 refused bytes."""
    rest: bytes
    """The body, or ``H(body)``, as the form says."""
    reason: FormatError = field(compare=False)
    """Why the decoder refused the header."""

    @property
    def FORM(self) -> Form:
        """The form."""
        return self.form

    def message_id(self, maker: Maker) -> bytes:
        """Return the packet id."""
        return packet_id(self.header, keccak256(self.rest) if self.form is Form.PACKET else self.rest)

    def content(self) -> bytes:
        """Return what stands behind the form."""
        return self.header + self.rest


@dataclass(frozen=True, slots=True)
class ReceiptsEntry:
    """The receipts of a batch that a hub received."""

    FORM: ClassVar[Form] = Form.RECEIPTS

    height: Height
    """Block that made the entry."""
    batch: ReceiptBatch
    """The receipts."""

    def message_id(self, maker: Maker) -> bytes:
        """Return the id of the batch, which names the hub that made it."""
        assert maker.registration is not None, "only hubs make receipt batches"
        return self.batch.message_id(maker.registration)

    def content(self) -> bytes:
        """Return what stands behind the form."""
        return self.batch.encode()


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """A report to governance."""

    FORM: ClassVar[Form] = Form.REPORT

    height: Height
    """Block that made the entry."""
    report: Report
    """The report."""

    def message_id(self, maker: Maker) -> bytes:
        """Return the id of the report."""
        return self.report.message_id

    def content(self) -> bytes:
        """Return what stands behind the form."""
        return self.report.encode()


@dataclass(frozen=True, slots=True)
class ReceiptHomeEntry:
    """A receipt for the source of its packet."""

    FORM: ClassVar[Form] = Form.RECEIPT_HOME

    height: Height
    """Block that made the entry."""
    receipt: ReceiptHome
    """The receipt."""

    def message_id(self, maker: Maker) -> bytes:
        """Return the id of the receipt."""
        return self.receipt.message_id

    def content(self) -> bytes:
        """Return what stands behind the form."""
        return self.receipt.encode()


@dataclass(frozen=True, slots=True)
class VerdictsEntry:
    """The verdicts of a relay block toward this hub."""

    FORM: ClassVar[Form] = Form.VERDICTS

    height: Height
    """Block that made the entry."""
    verdicts: VerdictList
    """The verdicts."""

    def message_id(self, maker: Maker) -> bytes:
        """Return the id of the list."""
        return self.verdicts.message_id

    def content(self) -> bytes:
        """Return what stands behind the form."""
        return self.verdicts.encode()


Entry: TypeAlias = (
    BareEntry
    | PacketEntry
    | HeaderEntry
    | MalformedEntry
    | ReceiptsEntry
    | ReportEntry
    | ReceiptHomeEntry
    | VerdictsEntry
)


@dataclass(frozen=True)
class OutboxRange:
    """Entries ``first .. last`` of an outbox, a claim until :meth:`fold` gives an authenticated value.

    Immutable, so it is folded once, however often it is asked for the result.
    """

    maker: Maker
    """Whose outbox it is."""
    first: EntryNumber
    """Number of the first entry, at least 1."""
    start: bytes
    """``chain[first - 1]``, 32 bytes, never zero."""
    entries: tuple[Entry, ...]
    """At least one; heights never fall."""

    @property
    def last(self) -> EntryNumber:
        """Number of the last entry."""
        return self.first + len(self.entries) - 1

    def fold(self) -> OutboxHead:
        """Return number and value of the last entry, as they follow from the range."""
        return self._folded

    @cached_property
    def _folded(self) -> OutboxHead:
        value, number = self.start, self.first
        for entry in self.entries:
            value = fold_entry(value, number, entry.height, entry.message_id(self.maker))
            number += 1
        return OutboxHead(number - 1, value)

    def heads(self) -> Iterator[OutboxHead]:
        """Go through the heads after each entry."""
        head = OutboxHead(self.first - 1, self.start)
        for entry in self.entries:
            head = head.append(entry.height, entry.message_id(self.maker))
            yield head

    def encode(self) -> bytes:
        """Return ``first || start || count || entries``.

        Raises:
            FormatError: a rule of the format is broken.
        """
        self._check()
        parts = [u64(self.first), _value(self.start), u16(len(self.entries))]
        parts.extend(encode_entry(entry) for entry in self.entries)
        return b"".join(parts)

    @classmethod
    def read(cls, reader: Reader, maker: Maker) -> "OutboxRange":
        """Take one range of an outbox of ``maker``.

        Raises:
            FormatError: the bytes are no range. A packet's malformed header is no reason: it makes a
                :class:`MalformedEntry`.
        """
        first = in_range(reader.u64(), 1, U64_MAX, "number of the first entry", ErrorCode.OUTBOX_NUMBER)
        start = _value(reader.hash())
        count = in_range(reader.u16(), 1, U16_MAX, "number of entries")
        decoded = cls(maker, first, start, reader.many(count, lambda: read_entry(reader, maker)))
        decoded._check()
        return decoded

    @classmethod
    def decode(cls, data: bytes, maker: Maker) -> "OutboxRange":
        """Read bytes that hold nothing but one range.

        Raises:
            FormatError: as :meth:`read`, or bytes are left over.
        """
        reader = Reader(data)
        decoded = cls.read(reader, maker)
        reader.finish()
        return decoded

    def _check(self) -> None:
        in_range(len(self.entries), 1, U16_MAX, "number of entries")
        in_range(self.first, 1, U64_MAX, "number of the first entry", ErrorCode.OUTBOX_NUMBER)
        in_range(self.last, 1, U64_MAX, "number of the last entry", ErrorCode.OUTBOX_NUMBER)
        height = 0
        for entry in self.entries:
            if entry.FORM not in self.maker.forms:
                raise FormatError(ErrorCode.OUTBOX_FORM, "this chain makes no such entry", actual=entry.FORM)
            if entry.height < height:
                raise FormatError(
                    ErrorCode.OUTBOX_HEIGHT, "the height of an entry falls", expected=height, actual=entry.height
                )
            height = entry.height


def encode_entry(entry: Entry) -> bytes:
    """Return ``height || form || content``."""
    return u64(entry.height) + u8(entry.FORM) + entry.content()


def read_entry(reader: Reader, maker: Maker) -> Entry:
    """Take one entry of an outbox of ``maker``.

    Raises:
        FormatError: the bytes are no entry that such a chain makes.
    """
    height = reader.u64()
    number = reader.u8()
    if number not in maker.forms:
        raise FormatError(
            ErrorCode.OUTBOX_FORM, "unknown form of an entry", expected=sorted(maker.forms), actual=number
        )
    match Form(number):
        case Form.BARE:
            return BareEntry(height, reader.hash())
        case Form.PACKET:
            return _read_packet(reader, height)
        case Form.PACKET_WITHOUT_BODY:
            return _read_header(reader, height)
        case Form.RECEIPTS:
            return ReceiptsEntry(height, ReceiptBatch.read(reader))
        case Form.REPORT:
            return ReportEntry(height, Report.read(reader))
        case Form.RECEIPT_HOME:
            return ReceiptHomeEntry(height, ReceiptHome.read(reader))
        case Form.VERDICTS:
            return VerdictsEntry(height, VerdictList.read(reader))


def _read_packet(reader: Reader, height: Height) -> PacketEntry | MalformedEntry:
    header = reader.take(HEADER_LENGTH)
    body = reader.take(int.from_bytes(header[BODY_LENGTH_OFFSET : BODY_LENGTH_OFFSET + 4], "big"))
    try:
        return PacketEntry(height, STACK.receive(header + body))
    except FormatError as error:
        return MalformedEntry(height, Form.PACKET, header, body, error)


def _read_header(reader: Reader, height: Height) -> HeaderEntry | MalformedEntry:
    header = reader.take(HEADER_LENGTH)
    body_hash = reader.take(HASH_LENGTH)
    try:
        return HeaderEntry(height, STACK.decode_header(header), body_hash)
    except FormatError as error:
        return MalformedEntry(height, Form.PACKET_WITHOUT_BODY, header, body_hash, error)


def _value(value: bytes) -> bytes:
    if hash32(value) == ZERO_HASH:
        raise FormatError(ErrorCode.OUTBOX_VALUE, "a chain value is zero: the outbox was never opened")
    return value
