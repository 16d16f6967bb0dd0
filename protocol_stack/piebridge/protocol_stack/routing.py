"""Which relay chain carries what (``docs/protocol/formats.md``, kind 6 of section 10 and section 14).

A bound packet's relay chain follows from routing slots that the source hub keeps. A free packet may travel over any
relay chain; that gateways agree on one is a matter of thrift, never of safety.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.codec import Reader, in_range, u8, u16, u32, u64
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.identifiers import ApplicationId, Height, RegistrationNumber, RelayId

SLOT_COUNT: Final = 1_024
"""Virtual routing slots of a domain."""
CANDIDATES: Final = 2
"""Relay chains among which gateways choose for the free packets of a source block."""


def routing_slot(source: RegistrationNumber, destination: RegistrationNumber, application: ApplicationId) -> int:
    """Return the slot, 0 to 1023, of the transactions of an application between two chains."""
    digest = keccak256(u32(source) + u32(destination) + u32(application))
    return int.from_bytes(digest, "big") % SLOT_COUNT


@dataclass(frozen=True, slots=True)
class SlotRange:
    """Neighbouring slots of one relay chain."""

    relay: RelayId
    """The relay chain."""
    first: int
    """First slot."""
    count: int
    """Number of slots, at least 1."""


@dataclass(frozen=True, slots=True)
class RoutingPolicy:
    """Which relay chain new transactions are bound to."""

    epoch: int
    """Number of the policy, from 1."""
    ranges: tuple[SlotRange, ...]
    """Cover the slots 0 to 1023 in ascending order, each exactly once; a relay chain has one range."""

    def relay_of(
        self, source: RegistrationNumber, destination: RegistrationNumber, application: ApplicationId
    ) -> RelayId:
        """Return the relay chain of a new transaction."""
        slot = routing_slot(source, destination, application)
        return next(item.relay for item in self.ranges if item.first <= slot < item.first + item.count)

    def encode(self) -> bytes:
        """Return ``epoch || count || count x (relay || first slot || slots)``.

        Raises:
            FormatError: the ranges do not cover every slot exactly once in ascending order, or a relay chain has two.
        """
        self._check()
        items = b"".join(u32(item.relay) + u16(item.first) + u16(item.count) for item in self.ranges)
        return u32(self.epoch) + u8(len(self.ranges)) + items

    @classmethod
    def decode(cls, data: bytes) -> "RoutingPolicy":
        """Read the body of a ROUTING_POLICY message.

        Raises:
            FormatError: the bytes are no policy.
        """
        reader = Reader(data)
        epoch = reader.positive_u32("policy epoch")
        count = in_range(reader.u8(), 1, 255, "number of slot ranges")
        ranges = reader.many(
            count, lambda: SlotRange(reader.positive_u32("relay"), reader.u16(), reader.positive_u16("slots"))
        )
        reader.finish()
        policy = cls(epoch, ranges)
        policy._check()
        return policy

    def _check(self) -> None:
        in_range(len(self.ranges), 1, 255, "number of slot ranges")
        if len({item.relay for item in self.ranges}) != len(self.ranges):
            raise FormatError(ErrorCode.GOVERNOR_BODY, "a relay chain has two slot ranges")
        covered = 0
        for item in self.ranges:
            if item.count < 1 or item.first != covered:
                raise FormatError(
                    ErrorCode.GOVERNOR_BODY, "slot ranges overlap or leave a gap", expected=covered, actual=item.first
                )
            covered += item.count
        if covered != SLOT_COUNT:
            raise FormatError(
                ErrorCode.GOVERNOR_BODY, "slot ranges do not cover the slots", expected=SLOT_COUNT, actual=covered
            )


def free_candidates(
    relays: Collection[RelayId], source: RegistrationNumber, height_on_source: Height
) -> tuple[RelayId, ...]:
    """Return the relay chains that should carry the free packets of one source block, the preferred one first.

    Policy ``source-block`` by rendezvous hashing: when a relay chain comes or goes, only its own share moves.

    Args:
        relays: active relay chains of the domain.
        source: registration of the source.
        height_on_source: block that made the packets.
    """
    weight = {relay: keccak256(u32(source) + u64(height_on_source) + u32(relay)) for relay in relays}
    return tuple(sorted(weight, key=lambda relay: weight[relay], reverse=True)[:CANDIDATES])
