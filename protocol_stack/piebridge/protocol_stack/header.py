"""The four layer headers: 136 bytes in front of every body (``docs/protocol/formats.md``, section 4.1).

Each class knows the layout of its slice and the rules that need nothing but that slice. What a protocol of the layer
demands beyond that stands in the protocol's file; :mod:`piebridge.protocol_stack.stack` puts both together.
"""

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, Protocol

from piebridge.protocol_stack.codec import U40_MAX, ZERO_HASH
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.identifiers import (
    ApplicationId,
    ChannelId,
    DomainId,
    Lane,
    RegistrationNumber,
    RelayId,
    Sequence,
    TransactionNonce,
)

VERSION: Final = 1
"""Version byte of the only packet format."""
HEADER_LENGTH: Final = 136
"""Length of the four headers together, bytes."""
_HEADER_LENGTH_UNITS: Final = HEADER_LENGTH // 8

FLAG_ORDERED: Final = 1
"""Transport flag: the packet belongs to an ordered lane."""
FLAG_RECEIPT_WANTED: Final = 2
"""Transport flag: the receipt is carried home to the source."""
FLAG_RETURN: Final = 16
"""Transaction flag: the receipt carries what the handler returned."""

KIND_PLAIN: Final = 0
"""Kind of a packet that belongs to no transaction."""
KIND_REQUEST: Final = 1
"""Kind of a packet that asks its destination to take part in a transaction."""

BODY_LENGTH_OFFSET: Final = 92
"""Where the body length stands in the header; it is read even where the header is malformed otherwise."""
MAX_BODY_DEFAULT: Final = 8_192
"""Largest body, bytes, where a domain does not say otherwise. No business of the decoder."""

_TRANSPORT = struct.Struct(">BBBB5IQ")
_VERIFICATION = struct.Struct(">BBHI")
_TRANSACTION = struct.Struct(">BBBBBBIQ5s5sI")
_APPLICATION = struct.Struct(">IIIIBBHIQ32s")


class LayerHeader(Protocol):
    """What the aggregators ask of a header."""

    LENGTH: ClassVar[int]
    """Length of its slice, bytes."""

    @property
    def protocol_number(self) -> int:
        """Key in the registry of the layer."""

    def check(self) -> None:
        """Refuse values that no protocol of the layer accepts."""

    def encode(self) -> bytes:
        """Return the slice."""


@dataclass(frozen=True, slots=True)
class TransportHeader:
    """Which lane a packet goes through, and its place there: bytes ``[0, 32)``."""

    LENGTH: ClassVar[int] = _TRANSPORT.size

    protocol: int
    """1 basic, 2 reliable."""
    flags: int
    """Bit 0 ORDERED, bit 1 RECEIPT_WANTED."""
    domain: DomainId
    """Relay domain."""
    source: RegistrationNumber
    """Registration of the sending hub."""
    destination: RegistrationNumber
    """Registration of the receiving hub."""
    relay: RelayId
    """Relay chain that a transaction is bound to, 0 in a free lane."""
    channel: ChannelId
    """Channel at the source, 0 the shared one."""
    sequence: Sequence
    """Place in the lane, from 1."""

    @property
    def protocol_number(self) -> int:
        """Key in the registry of transport protocols."""
        return self.protocol

    @property
    def ordered(self) -> bool:
        """Whether the lane is ordered."""
        return bool(self.flags & FLAG_ORDERED)

    @property
    def receipt_wanted(self) -> bool:
        """Whether the receipt goes home to the source."""
        return bool(self.flags & FLAG_RECEIPT_WANTED)

    @property
    def lane(self) -> Lane:
        """The lane of the packet."""
        return Lane(self.domain, self.source, self.destination, self.relay, self.channel)

    def check(self) -> None:
        """Refuse reserved flags and numbers that start at 1 but are 0.

        Raises:
            FormatError: with a code of the hundred 1xx.
        """
        if self.flags & ~(FLAG_ORDERED | FLAG_RECEIPT_WANTED):
            raise FormatError(ErrorCode.TRANSPORT_FLAGS, "a reserved transport flag is set", actual=self.flags)
        if self.domain == 0:
            raise FormatError(ErrorCode.TRANSPORT_DOMAIN, "the domain is 0")
        if self.source == 0:
            raise FormatError(ErrorCode.TRANSPORT_SOURCE, "the source registration is 0")
        if self.destination == 0 or self.destination == self.source:
            raise FormatError(
                ErrorCode.TRANSPORT_DESTINATION, "the destination is 0 or the source", actual=self.destination
            )
        if self.sequence == 0:
            raise FormatError(ErrorCode.TRANSPORT_SEQUENCE, "the sequence is 0")

    def encode(self) -> bytes:
        """Return the 32 bytes of the transport header.

        Raises:
            FormatError: ``OUT_OF_RANGE``.
        """
        try:
            return _TRANSPORT.pack(
                VERSION,
                self.protocol,
                self.flags,
                _HEADER_LENGTH_UNITS,
                self.domain,
                self.source,
                self.destination,
                self.relay,
                self.channel,
                self.sequence,
            )
        except struct.error as error:
            raise _out_of_range(self) from error

    @classmethod
    def decode(cls, data: bytes) -> "TransportHeader":
        """Read 32 bytes.

        Raises:
            FormatError: with ``VERSION``, ``TRUNCATED`` or a code of the hundred 1xx.
        """
        version, protocol, flags, units, *numbers = _unpack(_TRANSPORT, data)
        if version != VERSION:
            raise FormatError(ErrorCode.VERSION, "unknown packet version", expected=VERSION, actual=version)
        if units != _HEADER_LENGTH_UNITS:
            raise FormatError(
                ErrorCode.TRANSPORT_HEADER_LENGTH,
                "the header has another length",
                expected=_HEADER_LENGTH_UNITS,
                actual=units,
            )
        header = cls(protocol, flags, *numbers)
        header.check()
        return header


@dataclass(frozen=True, slots=True)
class VerificationHeader:
    """What the sender demands of the proof at the relay chain, never less than registered: bytes ``[32, 40)``."""

    LENGTH: ClassVar[int] = _VERIFICATION.size

    method: int
    """The least the sender accepts: 1 SPV, 2 notary, 3 both."""
    depth: int = 0
    """Finality depth demanded, blocks, u8."""
    oldest_set_epoch: int = 0
    """Oldest epoch of the source's notary set that is accepted, u16."""

    @property
    def protocol_number(self) -> int:
        """Key in the registry of verification methods."""
        return self.method

    def check(self) -> None:
        """Accept everything: depth and epoch may have any value, the method is the registry's business."""

    def encode(self) -> bytes:
        """Return the 8 bytes of the verification header.

        Raises:
            FormatError: ``OUT_OF_RANGE``.
        """
        try:
            return _VERIFICATION.pack(self.method, self.depth, self.oldest_set_epoch, 0)
        except struct.error as error:
            raise _out_of_range(self) from error

    @classmethod
    def decode(cls, data: bytes) -> "VerificationHeader":
        """Read 8 bytes.

        Raises:
            FormatError: with ``TRUNCATED`` or a code of the hundred 2xx.
        """
        method, depth, oldest_set_epoch, reserved = _unpack(_VERIFICATION, data)
        if reserved:
            raise FormatError(ErrorCode.VERIFICATION_RESERVED, "reserved bytes are not 0", actual=reserved)
        return cls(method, depth, oldest_set_epoch)


@dataclass(frozen=True, slots=True)
class TransactionHeader:
    """Which transaction a packet belongs to, and its clocks: bytes ``[40, 72)``."""

    LENGTH: ClassVar[int] = _TRANSACTION.size

    protocol: int
    """0 NONE, 2 ATP, 4 FORWARD."""
    kind: int = KIND_PLAIN
    """0 plain, 1 REQUEST."""
    flags: int = 0
    """Bit 4 RETURN."""
    participant_index: int = 0
    """Number of the participant that this packet speaks to, from 0."""
    participant_count: int = 0
    """Number of participants, 0 in a plain packet."""
    origin: RegistrationNumber = 0
    """Registration of the hub that began the transaction, 0 in a plain packet."""
    nonce: TransactionNonce = 0
    """Number of the transaction at the origin, 0 in a plain packet."""
    deadline: int = 0
    """Relay time before which the transaction may be opened, Unix seconds, 0 in a plain packet."""
    execution_expiry: int = 0
    """Destination time from which the packet is not executed any more, Unix seconds; 0 means never."""
    handler_gas: int = 0
    """Gas that the handler at the destination gets, exactly."""

    @property
    def protocol_number(self) -> int:
        """Key in the registry of transaction protocols."""
        return self.protocol

    @property
    def returns_data(self) -> bool:
        """Whether the receipt carries what the handler returned."""
        return bool(self.flags & FLAG_RETURN)

    def check(self) -> None:
        """Refuse flags that nothing uses yet.

        Raises:
            FormatError: ``TRANSACTION_FLAGS``.
        """
        if self.flags & ~FLAG_RETURN:
            raise FormatError(
                ErrorCode.TRANSACTION_FLAGS, "a transaction flag is reserved or not accepted yet", actual=self.flags
            )

    def encode(self) -> bytes:
        """Return the 32 bytes of the transaction header.

        Raises:
            FormatError: ``OUT_OF_RANGE``.
        """
        if not (0 <= self.deadline <= U40_MAX and 0 <= self.execution_expiry <= U40_MAX):
            raise _out_of_range(self)
        try:
            return _TRANSACTION.pack(
                self.protocol,
                0,
                self.kind,
                self.flags,
                self.participant_index,
                self.participant_count,
                self.origin,
                self.nonce,
                self.deadline.to_bytes(5, "big"),
                self.execution_expiry.to_bytes(5, "big"),
                self.handler_gas,
            )
        except struct.error as error:
            raise _out_of_range(self) from error

    @classmethod
    def decode(cls, data: bytes) -> "TransactionHeader":
        """Read 32 bytes.

        Raises:
            FormatError: with ``TRUNCATED`` or a code of the hundred 3xx.
        """
        protocol, reserved, kind, flags, index, count, origin, nonce, deadline, expiry, gas = _unpack(
            _TRANSACTION, data
        )
        if reserved:
            raise FormatError(ErrorCode.TRANSACTION_RESERVED, "the reserved byte is not 0", actual=reserved)
        header = cls(
            protocol,
            kind,
            flags,
            index,
            count,
            origin,
            nonce,
            int.from_bytes(deadline, "big"),
            int.from_bytes(expiry, "big"),
            gas,
        )
        header.check()
        return header


@dataclass(frozen=True, slots=True)
class ApplicationHeader:
    """Which function of which application is called, for whom: bytes ``[72, 136)``."""

    LENGTH: ClassVar[int] = _APPLICATION.size

    application: ApplicationId
    """Application at both ends, written by the source hub."""
    function: int
    """Function of the application, u32."""
    body_length: int
    """Length of the body behind the header, bytes."""
    callback_function: int = 0
    """Function of the sender that the receipt is given to, 0 for none."""
    compensation_function: int = 0
    """0: no accepted protocol calls one."""
    version: int = 0
    """Version of the application's own format, u8."""
    codec: int = 0
    """How the body is encoded: 0 raw, 1 ABI, 2 CBOR."""
    flags: int = 0
    """The application's own, u16."""
    user_identity: bytes = ZERO_HASH
    """Whom the packet speaks for, 32 bytes; a statement of the sending application and no more."""

    @property
    def protocol_number(self) -> int:
        """Key in the registry of codecs."""
        return self.codec

    def check(self) -> None:
        """Refuse application 0 and a compensation function.

        Raises:
            FormatError: with a code of the hundred 4xx.
        """
        if self.application == 0:
            raise FormatError(ErrorCode.APPLICATION_ID, "the application id is 0")
        if self.compensation_function:
            raise FormatError(
                ErrorCode.APPLICATION_COMPENSATION, "no protocol compensates", actual=self.compensation_function
            )

    def encode(self) -> bytes:
        """Return the 64 bytes of the application header.

        Raises:
            FormatError: ``OUT_OF_RANGE``.
        """
        if len(self.user_identity) != 32:
            raise _out_of_range(self)
        try:
            return _APPLICATION.pack(
                self.application,
                self.function,
                self.callback_function,
                self.compensation_function,
                self.version,
                self.codec,
                self.flags,
                self.body_length,
                0,
                self.user_identity,
            )
        except struct.error as error:
            raise _out_of_range(self) from error

    @classmethod
    def decode(cls, data: bytes) -> "ApplicationHeader":
        """Read 64 bytes.

        Raises:
            FormatError: with ``TRUNCATED`` or a code of the hundred 4xx.
        """
        application, function, callback, compensation, version, codec, flags, length, reserved, identity = _unpack(
            _APPLICATION, data
        )
        if reserved:
            raise FormatError(ErrorCode.APPLICATION_RESERVED, "reserved bytes are not 0", actual=reserved)
        header = cls(application, function, length, callback, compensation, version, codec, flags, identity)
        header.check()
        return header


@dataclass(frozen=True)
class Header:
    """The four layer headers of a packet. Immutable, so what follows from it is computed once and kept."""

    transport: TransportHeader
    """Lane and sequence."""
    verification: VerificationHeader
    """Demands on the proof."""
    transaction: TransactionHeader
    """Transaction and clocks."""
    application: ApplicationHeader
    """Function, user, body length."""

    @cached_property
    def lane(self) -> Lane:
        """The lane of the packet."""
        return self.transport.lane

    def encode(self) -> bytes:
        """Return the 136 bytes. Whether they are accepted is the stack's business, not checked here.

        Raises:
            FormatError: ``OUT_OF_RANGE``.
        """
        return self._encoded

    @cached_property
    def _encoded(self) -> bytes:
        return (
            self.transport.encode() + self.verification.encode() + self.transaction.encode() + self.application.encode()
        )


def _unpack(layout: struct.Struct, data: bytes) -> tuple[Any, ...]:
    try:
        return layout.unpack(data)
    except struct.error:
        raise FormatError(
            ErrorCode.TRUNCATED, "a layer's header has another length", expected=layout.size, actual=len(data)
        ) from None


def _out_of_range(header: object) -> FormatError:
    return FormatError(ErrorCode.OUT_OF_RANGE, f"a value does not fit its field: {header}")
