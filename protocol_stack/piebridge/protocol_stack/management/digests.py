"""What is signed for the contracts of the management chain (``docs/protocol/management.md``, section 2).

A signer builds the digest itself with the functions of this file and is never given one.
"""

from enum import IntEnum, unique

from piebridge.crypto.signature import COMPRESSED_KEY_LENGTH
from piebridge.protocol_stack.codec import ZERO_HASH, address, fixed, hash32, u64
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.identifiers import DomainId, KeyEpoch, RegistrationNumber
from piebridge.protocol_stack.management.tags import (
    TAG_GOVERNOR_MANAGEMENT,
    TAG_NODE_OFFER,
    TAG_REPRESENTATIVE,
    ManagementContract,
    Place,
)
from piebridge.protocol_stack.signing import signed_digest


@unique
class RepresentativeKind(IntEnum):
    """What a representative says about a request (section 5.4)."""

    APPROVE = 1
    """Approves the request."""
    APPROVE_SINGLE_OPERATOR = 2
    """Approves a request whose parameters say single-operator consensus."""
    CONFIRM = 3
    """Confirms the decision that was drawn."""
    REJECT = 4
    """Refuses the request."""


@unique
class OfferKey(IntEnum):
    """Which key of a node shows that it is there (section 4.2)."""

    ENDORSEMENT = 1
    CONSENSUS = 2


def representative_digest(
    registry: Place,
    domain: DomainId,
    registration: RegistrationNumber,
    epoch: int,
    kind: RepresentativeKind,
    request_id: bytes,
    decision_hash: bytes = ZERO_HASH,
) -> bytes:
    """Return what a representative signs.

    Args:
        registry: the DomainRegistry.
        domain: that of the request, 0 for FORM.
        registration: the chain that is represented.
        epoch: epoch of its representative, u32.
        kind: what is said.
        request_id: 32 bytes.
        decision_hash: 32 bytes; zero exactly where no decision is confirmed.

    Raises:
        FormatError: the decision hash does not fit the kind, or a field is not encodable.
    """
    if (kind is RepresentativeKind.CONFIRM) is (decision_hash == ZERO_HASH):
        raise FormatError(ErrorCode.ZERO, "a decision hash stands exactly where a decision is confirmed", actual=kind)
    body = registry.encode() + hash32(request_id) + hash32(decision_hash)
    return signed_digest(TAG_REPRESENTATIVE, domain, registration, epoch, kind, body)


def offer_digest(
    market: Place, operator: int, key: OfferKey, consensus_key: bytes, endorsement_address: bytes
) -> bytes:
    """Return what a key of a node signs: that it belongs to this operator, and to the other key.

    Args:
        market: the NodeMarket.
        operator: number of the operator, u32.
        key: which of the two signs.
        consensus_key: compressed, 33 bytes.
        endorsement_address: 20 bytes.
    """
    body = market.encode() + fixed(consensus_key, COMPRESSED_KEY_LENGTH) + address(endorsement_address)
    return signed_digest(TAG_NODE_OFFER, 0, operator, 0, key, body)


def governor_management_digest(
    place: Place,
    target: ManagementContract,
    domain: DomainId,
    key_epoch: KeyEpoch,
    kind: int,
    counter: int,
    body: bytes,
) -> bytes:
    """Return what the governor signs for a contract of the management chain (section 3).

    Args:
        place: the contract.
        target: its number.
        domain: the domain concerned, or 0.
        key_epoch: current epoch of the governor key on GovernorBoard.
        kind: kind of the message.
        counter: last counter of (contract, domain) + 1.
        body: encoded body of the kind.
    """
    return signed_digest(TAG_GOVERNOR_MANAGEMENT, domain, target, key_epoch, kind, place.encode() + u64(counter) + body)
