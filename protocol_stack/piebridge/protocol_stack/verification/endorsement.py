"""Endorsement: an outbox of a relay chain that its validators vouch for, as a hub checks it.

Source: ``docs/protocol/formats.md``, section 8.
"""

from collections.abc import Collection

from piebridge.crypto.errors import VerificationError
from piebridge.crypto.quorum import Quorum, SignerSet, verify_quorum
from piebridge.crypto.threshold.verification import verify as verify_threshold_signature
from piebridge.protocol_stack.commit_proof import (
    CommitProof,
    proven_block_hash,
    relay_chain_id,
    verify_commit_proof,
)
from piebridge.protocol_stack.endorsement import EndorsementMethod, EndorsementSet, Envelope, Proof, SignedValue
from piebridge.protocol_stack.identifiers import DomainId, RegistrationNumber, RelayId
from piebridge.protocol_stack.transport.outbox import OutboxHead


def verify_envelope(
    envelope: Envelope, destination: RegistrationNumber, accepted_set_hashes: Collection[bytes]
) -> OutboxHead:
    """Check who vouches for a range, and return the head that it was folded to.

    Args:
        envelope: the claim.
        destination: registration of the hub that checks.
        accepted_set_hashes: hashes of the endorsement sets that this hub accepts of that relay chain now.

    Raises:
        VerificationError: an unknown set, or the signatures do not hold.
    """
    _check_set(envelope.domain, envelope.relay, envelope.signers, accepted_set_hashes)
    head = envelope.range.fold()
    if isinstance(envelope.proof, CommitProof):
        _verify_commit(envelope.domain, envelope.relay, envelope.signers, envelope.proof, destination, head)
    else:
        verify_proof(envelope.signers, envelope.proof, envelope.digest(destination))
    return head


def is_equivocation(first: SignedValue, second: SignedValue, accepted_set_hashes: Collection[bytes]) -> bool:
    """Tell whether two signed values convict a relay chain: one outbox, one number, two values, both endorsed.

    Raises:
        VerificationError: one of the two is not endorsed by an accepted set, so it convicts nobody.
    """
    for statement in (first, second):
        _check_set(statement.domain, statement.relay, statement.signers, accepted_set_hashes)
        if isinstance(statement.proof, CommitProof):
            head = OutboxHead(statement.number, statement.value)
            _verify_commit(
                statement.domain, statement.relay, statement.signers, statement.proof, statement.destination, head
            )
        else:
            verify_proof(statement.signers, statement.proof, statement.digest)
    same_entry = (first.domain, first.relay, first.destination, first.number) == (
        second.domain,
        second.relay,
        second.destination,
        second.number,
    )
    return same_entry and first.value != second.value


def verify_proof(signers: EndorsementSet, proof: Proof, digest: bytes) -> None:
    """Check the signatures of a set over a digest by the set's method.

    Raises:
        VerificationError: they do not hold, or are of the other method.
        DecodingError: a signature is not in its one encoding.
    """
    if isinstance(proof, Quorum) and signers.method is EndorsementMethod.SIGNATURES:
        verify_quorum(SignerSet(signers.keys, signers.threshold), digest, proof)
    elif isinstance(proof, bytes) and signers.method is EndorsementMethod.THRESHOLD:
        verify_threshold_signature(proof, digest, signers.keys[0])
    else:
        raise VerificationError("proof is not of the method of its endorsement set", actual=signers.method)


def _verify_commit(
    domain: DomainId,
    relay: RelayId,
    signers: EndorsementSet,
    proof: CommitProof,
    destination: RegistrationNumber,
    head: OutboxHead,
) -> None:
    if signers.method is not EndorsementMethod.COMMIT:
        raise VerificationError("proof is not of the method of its endorsement set", actual=signers.method)
    *members, validators_hash = signers.keys
    block_hash = proven_block_hash(proof, validators_hash, destination, head.number, head.value)
    verify_commit_proof(proof, members, signers.threshold, relay_chain_id(domain, relay), block_hash)


def _check_set(
    domain: DomainId, relay: RelayId, signers: EndorsementSet, accepted_set_hashes: Collection[bytes]
) -> None:
    if signers.set_hash(domain, relay) not in accepted_set_hashes:
        raise VerificationError(
            f"endorsement set of epoch {signers.epoch} is not one that is accepted of relay chain {relay} now"
        )
