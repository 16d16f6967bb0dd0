"""Storage of the management chain that proofs address (``docs/protocol/management.md``, sections 5.3 and 10)."""

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final

from piebridge.protocol_stack.codec import HASH_LENGTH, hash32, one_of, unsigned
from piebridge.protocol_stack.commitment import mapping_slot
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.identifiers import DomainId, KeyEpoch, RelayId
from piebridge.protocol_stack.management.request_bodies import RequestKind

_BOARD_KEY_EPOCH: Final = 0
_BOARD_KEY_HASHES: Final = 1
_REGISTRY_DECISIONS: Final = 0
_REGISTRY_GENESES: Final = 1
_REGISTRY_REQUESTS: Final = 2


@unique
class RequestState(IntEnum):
    """States of a request."""

    NONE = 0
    FILED = 1
    COSIGNED = 2
    CLOSED = 3
    DRAWN = 4
    CONFIRMED = 5
    EXECUTING = 6
    DONE = 7
    REFUSED = 8
    EXPIRED = 9

    @property
    def dead(self) -> bool:
        """Whether nothing will ever come of it."""
        return self in (RequestState.REFUSED, RequestState.EXPIRED)


@dataclass(frozen=True, slots=True)
class RequestStatus:
    """What the registry's storage says of a request."""

    state: RequestState
    """Where it is in its life."""
    kind: RequestKind
    """What kind of request it is."""
    domain: DomainId
    """Its domain; 0 of a FORM that is not drawn yet."""
    expires: int
    """Unix seconds."""

    @classmethod
    def decode(cls, word: bytes) -> "RequestStatus | None":
        """Read a slot of 32 bytes; None where there is no such request.

        Raises:
            FormatError: it is no status.
        """
        value = int.from_bytes(hash32(word), "big")
        if value == 0:
            return None
        state = one_of(value & 0xFF, tuple(RequestState), "state of a request", ErrorCode.OUT_OF_RANGE)
        kind = one_of(value >> 8 & 0xFF, tuple(RequestKind), "kind of a request", ErrorCode.KIND)
        if value >> 112 or state == RequestState.NONE:
            raise FormatError(ErrorCode.OUT_OF_RANGE, "no status of a request", actual=word)
        return cls(RequestState(state), RequestKind(kind), value >> 16 & 0xFFFFFFFF, value >> 48 & (1 << 64) - 1)

    def encode(self) -> bytes:
        """Return the slot, 32 bytes."""
        return unsigned(self.state | self.kind << 8 | self.domain << 16 | self.expires << 48, HASH_LENGTH)


def key_epoch_slot() -> bytes:
    """Return the slot of GovernorBoard with the current key epoch, 32 bytes."""
    return unsigned(_BOARD_KEY_EPOCH, HASH_LENGTH)


def key_hash_slot(epoch: KeyEpoch) -> bytes:
    """Return the slot of GovernorBoard with the hash of the group key (33 bytes) of an epoch, 32 bytes."""
    return mapping_slot(_BOARD_KEY_HASHES, unsigned(epoch, HASH_LENGTH))


def decision_slot(request_id: bytes) -> bytes:
    """Return the slot of DomainRegistry with the decision hash of a request, zero unless it is final; 32 bytes."""
    return mapping_slot(_REGISTRY_DECISIONS, request_id)


def genesis_slot(relay: RelayId) -> bytes:
    """Return the slot of DomainRegistry with the genesis hash of a relay chain, zero until all have reported it."""
    return mapping_slot(_REGISTRY_GENESES, unsigned(relay, HASH_LENGTH))


def request_slot(request_id: bytes) -> bytes:
    """Return the slot of DomainRegistry with the status of a request, 32 bytes."""
    return mapping_slot(_REGISTRY_REQUESTS, request_id)
