"""Parameters of a domain (``docs/protocol/management.md``, section 5.2)."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from piebridge.crypto.quorum import MEMBERS_MAX
from piebridge.protocol_stack.codec import U32_MAX, Reader, decode_whole, in_range, one_of, u8, u32
from piebridge.protocol_stack.endorsement import EndorsementMethod
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.governor_relay_bodies import Parameters
from piebridge.protocol_stack.signers import is_byzantine_quorum

VERSION: Final = 1
"""Version byte of the only format."""
LENGTH: Final = 46
"""Length of the parameters, bytes."""
BLOCK_BYTES_MIN: Final = 65_536
"""Smallest accepted value of the largest block, bytes."""
BLOCK_BYTES_MAX: Final = 104_857_600
"""Largest accepted value of the largest block, bytes: the limit of CometBFT."""
RELAY_CHAINS_MAX: Final = 16
"""Most relay chains of a domain."""
_METHODS: Final = (EndorsementMethod.SIGNATURES, EndorsementMethod.COMMIT)


class Consensus(IntEnum):
    """How blocks of the relay chains are made."""

    COMETBFT = 1
    """CometBFT with one process per seat."""
    SINGLE_OPERATOR = 2
    """The embedded engine: one operator holds all seats. Counts only where every representative's approval names it."""


@dataclass(frozen=True, slots=True)
class DomainParameters:
    """What the representatives agree on for all relay chains of a domain."""

    consensus: Consensus
    """Engine of the relay chains."""
    block_interval_milliseconds: int
    """Wished time between two blocks, u32, at least 1."""
    block_bytes_max: int
    """Largest block, bytes."""
    relay_chains: int
    """Number of relay chains, 1 to 16."""
    seats: int
    """n: validators of a relay chain, 1 to 32."""
    threshold: int
    """k: endorsements that hubs demand, 1 to n."""
    endorsement: EndorsementMethod
    """SIGNATURES or COMMIT."""
    capacity_min: int
    """Least capacity of a node, packets a second, u32, at least 1."""
    term_min_seconds: int
    """How long, from the closing of a request, a node must at least be offered, u32."""
    overlap_seconds: int
    """How long the set before stays valid at hubs, u32."""
    caps: Parameters
    """Caps of the relay chains; the largest body is that of the hubs as well."""
    delta_min_seconds: int
    """Least time between now and the expiry of a transaction at a hub, u32."""
    delta_max_seconds: int
    """Most time between now and the expiry of a transaction at a hub, u32; not below the least."""

    @property
    def safe(self) -> bool:
        """Whether ``k > 2n/3`` and ``n >= 2``; anything else is refused outside ``--dev``."""
        return is_byzantine_quorum(self.threshold, self.seats)

    def encode(self) -> bytes:
        """Return the 46 bytes.

        Raises:
            FormatError: a value is not accepted.
        """
        self._check()
        return (
            u8(VERSION)
            + u8(self.consensus)
            + u32(self.block_interval_milliseconds)
            + u32(self.block_bytes_max)
            + u8(self.relay_chains)
            + u8(self.seats)
            + u8(self.threshold)
            + u8(self.endorsement)
            + u32(self.capacity_min)
            + u32(self.term_min_seconds)
            + u32(self.overlap_seconds)
            + self.caps.encode()
            + u32(self.delta_min_seconds)
            + u32(self.delta_max_seconds)
        )

    @classmethod
    def read(cls, reader: Reader) -> "DomainParameters":
        """Take the parameters.

        Raises:
            FormatError: a value is not accepted.
        """
        one_of(reader.u8(), (VERSION,), "version of the parameters", ErrorCode.VERSION)
        parameters = cls(
            Consensus(one_of(reader.u8(), tuple(Consensus), "consensus", ErrorCode.DOMAIN_PARAMETER)),
            reader.u32(),
            reader.u32(),
            reader.u8(),
            reader.u8(),
            reader.u8(),
            EndorsementMethod(one_of(reader.u8(), _METHODS, "endorsement method", ErrorCode.DOMAIN_PARAMETER)),
            reader.u32(),
            reader.u32(),
            reader.u32(),
            Parameters.read(reader),
            reader.u32(),
            reader.u32(),
        )
        parameters._check()
        return parameters

    @classmethod
    def decode(cls, data: bytes) -> "DomainParameters":
        """Read bytes that hold nothing but the parameters.

        Raises:
            FormatError: the bytes are no parameters.
        """
        return decode_whole(cls.read, data)

    def _check(self) -> None:
        code = ErrorCode.DOMAIN_PARAMETER
        one_of(self.consensus, tuple(Consensus), "consensus", code)
        one_of(self.endorsement, _METHODS, "endorsement method", code)
        in_range(self.block_interval_milliseconds, 1, U32_MAX, "block interval", code)
        in_range(self.block_bytes_max, BLOCK_BYTES_MIN, BLOCK_BYTES_MAX, "largest block", code)
        in_range(self.relay_chains, 1, RELAY_CHAINS_MAX, "number of relay chains", code)
        in_range(self.seats, 1, MEMBERS_MAX, "number of seats", code)
        in_range(self.threshold, 1, self.seats, "threshold", code)
        in_range(self.capacity_min, 1, U32_MAX, "least capacity", code)
        in_range(self.caps.max_body, 1, U32_MAX, "largest body", code)
        if self.delta_min_seconds > self.delta_max_seconds:
            raise FormatError(
                code,
                "the least time to an expiry is above the most",
                expected=self.delta_max_seconds,
                actual=self.delta_min_seconds,
            )
