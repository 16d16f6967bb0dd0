"""Verdicts: what a relay chain tells hubs of transactions (``docs/protocol/formats.md``, section 6.3)."""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final, TypeAlias

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.codec import Reader, hash32, in_range, one_of, u8, u16, u32, u64
from piebridge.protocol_stack.commitment import TAG_VERDICT
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.identifiers import ChannelId, RegistrationNumber, Sequence, TransactionNonce

VERDICTS_MAX: Final = 256
"""Most items of one entry."""


class Verdict(IntEnum):
    """The outcome of a transaction, in the values of the two status bits."""

    COMMIT = 2
    ABORT = 3


@dataclass(frozen=True, slots=True)
class OriginVerdict:
    """A verdict for the hub where the transaction began."""

    FORM: ClassVar[int] = 1

    nonce: TransactionNonce
    """Number of the transaction; its relay chain is the one whose outbox this is."""
    verdict: Verdict
    """COMMIT or ABORT."""
    packets_hash: bytes | None = None
    """In an ABORT, and only there: the hash of the transaction's packet ids, 32 bytes."""

    def encode(self) -> bytes:
        """Return ``nonce || verdict || [packetsHash]``.

        Raises:
            FormatError: the hash is missing in an ABORT, or given in a COMMIT.
        """
        if (self.packets_hash is not None) != (self.verdict is Verdict.ABORT):
            raise FormatError(ErrorCode.VERDICT, "an ABORT, and only an ABORT, names its packets")
        return (
            u64(self.nonce) + u8(self.verdict) + (hash32(self.packets_hash) if self.packets_hash is not None else b"")
        )

    @classmethod
    def read(cls, reader: Reader) -> "OriginVerdict":
        """Take one item."""
        nonce = reader.positive_u64("transaction nonce")
        verdict = _verdict(reader.u8())
        return cls(nonce, verdict, reader.hash() if verdict is Verdict.ABORT else None)


@dataclass(frozen=True, slots=True)
class ParticipantVerdict:
    """A verdict for a hub that takes part; for a packet that never came it leaves a tombstone."""

    FORM: ClassVar[int] = 2

    source: RegistrationNumber
    """Source of the packet's lane; domain and relay are those of the outbox."""
    channel: ChannelId
    """Channel of the packet's lane."""
    sequence: Sequence
    """Place of the packet in the lane."""
    verdict: Verdict
    """COMMIT or ABORT."""

    def encode(self) -> bytes:
        """Return ``source || channel || sequence || verdict``."""
        return u32(self.source) + u32(self.channel) + u64(self.sequence) + u8(self.verdict)

    @classmethod
    def read(cls, reader: Reader) -> "ParticipantVerdict":
        """Take one item."""
        return cls(
            reader.positive_u32("source registration"),
            reader.u32(),
            reader.positive_u64("sequence"),
            _verdict(reader.u8()),
        )


VerdictItem: TypeAlias = OriginVerdict | ParticipantVerdict


@dataclass(frozen=True, slots=True)
class VerdictList:
    """The verdicts of one relay block toward one hub, all of one form."""

    items: tuple[VerdictItem, ...]
    """1 to 256, all for the origin or all for a participant."""

    @property
    def message_id(self) -> bytes:
        """``H(TAG_VERDICT || form || count || items)``, 32 bytes."""
        return keccak256(TAG_VERDICT + self.encode())

    def encode(self) -> bytes:
        """Return ``form || count || items``.

        Raises:
            FormatError: no item, too many, or items of both forms.
        """
        count = in_range(len(self.items), 1, VERDICTS_MAX, "number of verdicts")
        form = self.items[0].FORM
        if any(form != item.FORM for item in self.items):
            raise FormatError(ErrorCode.VERDICT_FORM, "verdicts of two forms in one list")
        return u8(form) + u16(count) + b"".join(item.encode() for item in self.items)

    @classmethod
    def read(cls, reader: Reader) -> "VerdictList":
        """Take one message.

        Raises:
            FormatError: the bytes are no verdicts.
        """
        form = one_of(reader.u8(), (1, 2), "form of verdicts", ErrorCode.VERDICT_FORM)
        count = in_range(reader.u16(), 1, VERDICTS_MAX, "number of verdicts")
        if form == OriginVerdict.FORM:
            return cls(reader.many(count, lambda: OriginVerdict.read(reader)))
        return cls(reader.many(count, lambda: ParticipantVerdict.read(reader)))

    @classmethod
    def decode(cls, data: bytes) -> "VerdictList":
        """Read bytes that hold nothing but one message.

        Raises:
            FormatError: the bytes are no verdicts.
        """
        reader = Reader(data)
        verdicts = cls.read(reader)
        reader.finish()
        return verdicts


def _verdict(value: int) -> Verdict:
    return Verdict(one_of(value, tuple(Verdict), "verdict", ErrorCode.VERDICT))
