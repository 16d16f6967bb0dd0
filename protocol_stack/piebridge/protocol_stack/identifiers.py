"""Names of things that packets speak of (``docs/protocol/formats.md``, section 3).

All are numbers that the management chain or a hub gives out once and never again. They start at 1; where 0
has a meaning it is said here.
"""

import struct
from dataclasses import dataclass
from typing import Final, TypeAlias

from piebridge.protocol_stack.errors import ErrorCode, FormatError

DomainId: TypeAlias = int
"""Relay domain, u32."""
RegistrationNumber: TypeAlias = int
"""A hub: one contract on one chain, u32. What every header calls a chain."""
RelayId: TypeAlias = int
"""Relay chain, u32, unique across domains and time. 0 stands for "free": any relay chain of the domain."""
ApplicationId: TypeAlias = int
"""Application, u32, equal on all chains of a domain."""
ChannelId: TypeAlias = int
"""Number that a source hub gave to one application, u32. 0 is shared, basic and unordered."""
Sequence: TypeAlias = int
"""Position of a packet in its lane, u64, dense."""
TransactionNonce: TypeAlias = int
"""Number of a transaction at its origin, u64, dense per bound relay chain."""
EntryNumber: TypeAlias = int
"""Number of an outbox entry, u64, dense."""
Height: TypeAlias = int
"""Number of a block, u64."""
SetEpoch: TypeAlias = int
"""Number of an endorsement or notary set, u32."""
KeyEpoch: TypeAlias = int
"""Number of a governor key, u32."""

FREE_RELAY: Final = 0
"""The relay of a free lane or outbox."""
SHARED_CHANNEL: Final = 0
"""The channel that every application may send on."""

_LANE = struct.Struct(">5I")


@dataclass(frozen=True, slots=True, order=True)
class Lane:
    """The road of a packet: a sequence is dense, and means something, within one lane only."""

    domain: DomainId
    """Relay domain."""
    source: RegistrationNumber
    """Registration of the sending hub."""
    destination: RegistrationNumber
    """Registration of the receiving hub."""
    relay: RelayId
    """Relay chain of a bound lane, 0 in a free lane."""
    channel: ChannelId
    """Channel at the source, 0 the shared one."""

    def encode(self) -> bytes:
        """Return the 20 bytes ``domain || source || destination || relay || channel``.

        Raises:
            FormatError: a number does not fit 32 bits.
        """
        try:
            return _LANE.pack(self.domain, self.source, self.destination, self.relay, self.channel)
        except struct.error as error:
            raise FormatError(ErrorCode.OUT_OF_RANGE, f"a number of {self} does not fit 32 bits") from error

    @classmethod
    def decode(cls, data: bytes) -> "Lane":
        """Read 20 bytes.

        Raises:
            FormatError: another length, a domain, source or destination of 0, or source and destination are the same.
        """
        if len(data) != LANE_LENGTH:
            raise FormatError(ErrorCode.TRUNCATED, "a lane has another length", expected=LANE_LENGTH, actual=len(data))
        lane = cls(*_LANE.unpack(data))
        if not (lane.domain and lane.source and lane.destination):
            raise FormatError(ErrorCode.ZERO, f"domain, source or destination of {lane} is 0")
        if lane.source == lane.destination:
            raise FormatError(ErrorCode.TRANSPORT_DESTINATION, f"{lane} leads back to its source")
        return lane

    @property
    def free(self) -> bool:
        """Whether any relay chain of the domain may carry its packets."""
        return self.relay == FREE_RELAY


LANE_LENGTH: Final = _LANE.size
"""Length of an encoded lane, bytes."""
