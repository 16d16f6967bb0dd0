"""Collects what endorsement method 2 needs: a commit of the relay chain, and the path from its header to a head.

Nobody has to be asked for a signature: the chain has signed already. It costs one block of waiting, for the header that
proves a state is that of the next block.
"""

from typing import Protocol, runtime_checkable

from piebridge.chains.cometbft_rpc import ProvenValue
from piebridge.cometbft.validator_set import ValidatorSet
from piebridge.cometbft.verification import SignedHeader
from piebridge.crypto.errors import TransientChainError, VerificationError
from piebridge.gateway.endorsements import CollectedEndorsement
from piebridge.protocol_stack.codec import HASH_LENGTH
from piebridge.protocol_stack.commit_proof import (
    commit_proof,
    proven_block_hash,
    relay_chain_id,
    verify_commit_proof,
)
from piebridge.protocol_stack.commitment import endorsed_head_key
from piebridge.protocol_stack.endorsement import EndorsementMethod, EndorsementSet, encode_proof

_HEAD_LENGTH = 8 + HASH_LENGTH


@runtime_checkable
class CommittedState(Protocol):
    """What has to be read of a relay chain."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    async def query(self, path: str, data: bytes) -> bytes:
        """Return the value of an ABCI query."""
        ...

    async def proven(self, path: str, key: bytes) -> ProvenValue:
        """Return the value of a key of a store that is a simple map, with its proof in the app hash."""
        ...

    async def signed_header(self, height: int) -> SignedHeader:
        """Return header and commit of a height."""
        ...

    async def validators(self, height: int) -> ValidatorSet:
        """Return the validators of a height."""
        ...


async def collect_commit(
    endpoint: CommittedState, domain: int, relay: int, destination: int, at_least: int
) -> tuple[int, CollectedEndorsement]:
    """Return the number of the newest outbox entry that a commit proves, and the proof.

    Raises:
        TransientChainError: the chain has not committed entry ``at_least`` yet, or not the block after it.
        VerificationError: the node's answers do not belong together, or the commit lacks votes.
    """
    epoch = EndorsementSet.decode(await endpoint.query("/set", b"")).epoch
    head = await endpoint.proven("/store/endorsed/key", endorsed_head_key(destination))
    if len(head.value) != _HEAD_LENGTH:
        raise VerificationError(f"{endpoint.name}: an outbox head of {len(head.value)} bytes")
    number, value = int.from_bytes(head.value[:8], "big"), head.value[8:]
    if number < at_least:
        raise TransientChainError(f"{endpoint.name}: the outbox toward {destination} ends at {number}, not {at_least}")
    signed = await endpoint.signed_header(head.height + 1)
    validators = await endpoint.validators(head.height + 1)
    addresses = tuple(validator.address for validator in validators.validators)
    size = len(addresses)
    signers = EndorsementSet(epoch, EndorsementMethod.COMMIT, 2 * size // 3 + 1, size, (*addresses, validators.hash()))
    proof = commit_proof(signed, addresses, signers.threshold, head.inner, head.outer)
    encoded = signers.encode() + encode_proof(signers, proof)  # first: it refuses what cannot be a vote at all
    # A node that lies must be found out here, not by a transaction that the hub refuses.
    block_hash = proven_block_hash(proof, validators.hash(), destination, number, value)
    verify_commit_proof(proof, addresses, signers.threshold, relay_chain_id(domain, relay), block_hash)
    return number, CollectedEndorsement(value, encoded)
