"""Data of the ABCI queries of a relay chain (``docs/protocol/formats.md``, section 12).

Both ends of a query use these classes: the gateway to ask, the relay chain to understand.
"""

from dataclasses import dataclass
from typing import ClassVar

from piebridge.protocol_stack.codec import U16_MAX, U64_MAX, Reader, hash32, in_range, u16, u32, u64
from piebridge.protocol_stack.commitment import BITS_PER_SLOT
from piebridge.protocol_stack.errors import ErrorCode
from piebridge.protocol_stack.identifiers import LANE_LENGTH, EntryNumber, Lane, RegistrationNumber, RelayId, Sequence

ANSWER_BYTES_MAX = 1 << 20
"""Most bytes of an answer with entries."""
GATEWAYS_PATH = "/gateways"
"""Takes no data; answers with all authorised gateways as the body of a GATEWAYS message, addresses ascending."""
UNKNOWN_CODE = 1
"""ABCI code of the answer to a query that has no other: what it names is not there, or not yet on this node."""
FORGOTTEN_CODE = 2
"""ABCI code of the answer to a query for entries that were made and are not shown any more: nothing at them waits."""
PAGE_MAX = U64_MAX // BITS_PER_SLOT
"""Highest page of 256 sequences of a lane."""


@dataclass(frozen=True, slots=True)
class EndorseQuery:
    """Ask a validator's node to vouch for the value of an entry."""

    PATH: ClassVar[str] = "/endorse"

    destination: RegistrationNumber
    """Hub that the outbox leads to."""
    number: EntryNumber
    """A committed entry."""

    def encode(self) -> bytes:
        """Return ``destination || number``."""
        return u32(self.destination) + u64(self.number)

    @classmethod
    def decode(cls, data: bytes) -> "EndorseQuery":
        """Read 12 bytes.

        Raises:
            FormatError: another length, or a number is 0.
        """
        reader = Reader(data)
        query = cls(reader.positive_u32("destination"), reader.positive_u64("entry number"))
        reader.finish()
        return query


@dataclass(frozen=True, slots=True)
class RegistrationQuery:
    """Ask about a hub: its outbox head, its registration or its light client."""

    OUTBOX_HEAD_PATH: ClassVar[str] = "/outbox/head"
    CLIENT_PATH: ClassVar[str] = "/client"
    CHAIN_PATH: ClassVar[str] = "/chain"

    registration: RegistrationNumber
    """The hub."""

    def encode(self) -> bytes:
        """Return the registration, 4 bytes."""
        return u32(self.registration)

    @classmethod
    def decode(cls, data: bytes) -> "RegistrationQuery":
        """Read 4 bytes.

        Raises:
            FormatError: another length, or the number is 0.
        """
        reader = Reader(data)
        query = cls(reader.positive_u32("registration"))
        reader.finish()
        return query


@dataclass(frozen=True, slots=True)
class OutboxEntriesQuery:
    """Ask for entries of the outbox toward a hub."""

    PATH: ClassVar[str] = "/outbox/entries"

    destination: RegistrationNumber
    """Hub that the outbox leads to."""
    first: EntryNumber
    """First entry."""
    count: int
    """Most entries of the answer."""

    def encode(self) -> bytes:
        """Return ``destination || first || count``."""
        return u32(self.destination) + u64(self.first) + u16(self.count)

    @classmethod
    def decode(cls, data: bytes) -> "OutboxEntriesQuery":
        """Read 14 bytes.

        Raises:
            FormatError: another length, or a number is 0.
        """
        reader = Reader(data)
        destination, first = reader.positive_u32("destination"), reader.positive_u64("entry number")
        query = cls(destination, first, in_range(reader.u16(), 1, U16_MAX, "number of entries"))
        reader.finish()
        return query


@dataclass(frozen=True, slots=True)
class CursorQuery:
    """Ask what was folded last of an outbox of a hub."""

    PATH: ClassVar[str] = "/cursor"

    registration: RegistrationNumber
    """The hub."""
    outbox_relay: RelayId
    """Which outbox; 0 is the free one."""

    def encode(self) -> bytes:
        """Return ``registration || outbox relay``."""
        return u32(self.registration) + u32(self.outbox_relay)

    @classmethod
    def decode(cls, data: bytes) -> "CursorQuery":
        """Read 8 bytes.

        Raises:
            FormatError: another length, or the registration is 0.
        """
        reader = Reader(data)
        query = cls(reader.positive_u32("registration"), reader.u32())
        reader.finish()
        return query


@dataclass(frozen=True, slots=True)
class RecordedQuery:
    """Ask whether a packet was recorded."""

    PATH: ClassVar[str] = "/recorded"

    lane: Lane
    """Its lane."""
    sequence: Sequence
    """Its place there."""

    def encode(self) -> bytes:
        """Return ``lane || sequence``."""
        return self.lane.encode() + u64(self.sequence)

    @classmethod
    def decode(cls, data: bytes) -> "RecordedQuery":
        """Read 28 bytes.

        Raises:
            FormatError: another length, no lane, or sequence 0.
        """
        reader = Reader(data)
        query = cls(Lane.decode(reader.take(LANE_LENGTH)), reader.positive_u64("sequence"))
        reader.finish()
        return query


@dataclass(frozen=True, slots=True)
class RecordedWordsQuery:
    """Ask which packets were recorded, 256 sequences of a lane with each word."""

    PATH: ClassVar[str] = "/recorded/words"

    pages: tuple[tuple[Lane, int], ...]
    """Lane and ``sequence // 256``; at least one."""

    def encode(self) -> bytes:
        """Return ``count || count x (lane || page)``."""
        return u16(len(self.pages)) + b"".join(lane.encode() + u64(page) for lane, page in self.pages)

    @classmethod
    def decode(cls, data: bytes) -> "RecordedWordsQuery":
        """Read the encoding.

        Raises:
            FormatError: another length, no lane, no page, or one of sequences above 64 bits.
        """
        reader = Reader(data)
        count = in_range(reader.u16(), 1, U16_MAX, "number of pages")
        query = cls(reader.many(count, lambda: _read_page(reader)))
        reader.finish()
        return query


def _read_page(reader: Reader) -> tuple[Lane, int]:
    lane = Lane.decode(reader.take(LANE_LENGTH))
    return lane, in_range(reader.u64(), 0, PAGE_MAX, "page of a lane", ErrorCode.OUT_OF_RANGE)


@dataclass(frozen=True, slots=True)
class ReceiptCodesQuery:
    """Ask what receipts the relay chain has of packets."""

    PATH: ClassVar[str] = "/receipt/codes"
    UNKNOWN: ClassVar[int] = 255
    """Answer for a packet that was never recorded here, or is forgotten."""

    packet_ids: tuple[bytes, ...]
    """Packet ids, 32 bytes each; at least one."""

    def encode(self) -> bytes:
        """Return ``count || count x packet id``."""
        return u16(len(self.packet_ids)) + b"".join(map(hash32, self.packet_ids))

    @classmethod
    def decode(cls, data: bytes) -> "ReceiptCodesQuery":
        """Read the encoding.

        Raises:
            FormatError: another length, or no id.
        """
        reader = Reader(data)
        query = cls(reader.many(in_range(reader.u16(), 1, U16_MAX, "number of packets"), reader.hash))
        reader.finish()
        return query
