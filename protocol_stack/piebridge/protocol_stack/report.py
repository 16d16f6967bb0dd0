"""Reports: what a hub tells governance through its free outbox (``docs/protocol/formats.md``, section 6.5)."""

from dataclasses import dataclass
from enum import IntEnum

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.codec import Reader, one_of, u8, u32, u64
from piebridge.protocol_stack.commitment import TAG_REPORT
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.identifiers import EntryNumber, Height, RelayId, TransactionNonce


class ReportKind(IntEnum):
    """What a report is about."""

    RELAY_FROZEN = 1
    RELAY_DRAINING = 2
    HUB_CLOSED = 3


@dataclass(frozen=True, slots=True)
class Report:
    """A hub's word about a relay chain or itself: 29 bytes."""

    kind: ReportKind
    """What happened."""
    relay: RelayId
    """The relay chain; 0 when the hub was closed."""
    height: Height
    """Block of the hub's chain in which it happened."""
    last_nonce: TransactionNonce
    """Last transaction bound to that relay chain; 0 when the hub was closed."""
    last_entry: EntryNumber
    """Last entry of the outbox bound to that relay chain; 0 when the hub was closed."""

    @property
    def message_id(self) -> bytes:
        """``H(TAG_REPORT || H(report))``, 32 bytes."""
        return keccak256(TAG_REPORT + keccak256(self.encode()))

    def encode(self) -> bytes:
        """Return the 29 bytes.

        Raises:
            FormatError: relay, nonce or entry do not fit the kind.
        """
        self._check()
        return u8(self.kind) + u32(self.relay) + u64(self.height) + u64(self.last_nonce) + u64(self.last_entry)

    @classmethod
    def read(cls, reader: Reader) -> "Report":
        """Take one report.

        Raises:
            FormatError: the bytes are no report.
        """
        kind = ReportKind(one_of(reader.u8(), tuple(ReportKind), "kind of report", ErrorCode.REPORT_KIND))
        report = cls(kind, reader.u32(), reader.u64(), reader.u64(), reader.u64())
        report._check()
        return report

    @classmethod
    def decode(cls, data: bytes) -> "Report":
        """Read the data of a ``ReportMade`` event.

        Raises:
            FormatError: the bytes are no report.
        """
        reader = Reader(data)
        report = cls.read(reader)
        reader.finish()
        return report

    def _check(self) -> None:
        about_hub = self.kind is ReportKind.HUB_CLOSED
        if about_hub and (self.relay or self.last_nonce or self.last_entry):
            raise FormatError(ErrorCode.REPORT_KIND, "the report of a closed hub names a relay chain, nonce or entry")
        if not about_hub and self.relay == 0:
            raise FormatError(ErrorCode.REPORT_KIND, "a report about a relay chain names none")
