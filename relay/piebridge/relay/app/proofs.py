"""Proofs of a hub's storage, by the method of its registration and by no other.

**Depth.** How many blocks are known to stand on an entry's block: under SPV the newest block that was ever proven for
the registration, less the entry's height (a light client that is final never takes a header back, so every later block
descends from it); under notaries the registered depth, below which they sign nothing, plus the newest block that they
ever stated, less the entry's height; under both the lesser of the two.
"""

from dataclasses import dataclass, replace

from piebridge.crypto.errors import VerificationError
from piebridge.protocol_stack.authentication import (
    Authentication,
    BothAuthentication,
    NotaryAuthentication,
    SpvAuthentication,
)
from piebridge.protocol_stack.identifiers import RegistrationNumber
from piebridge.protocol_stack.notary_statement import NotarySet
from piebridge.protocol_stack.verification.base import Method
from piebridge.protocol_stack.verification.notary import verify_statement
from piebridge.protocol_stack.verification.slots import AuthenticatedSlots, require_agreement
from piebridge.protocol_stack.verification.spv import verify_slots
from piebridge.relay.app.context import RefusedError
from piebridge.relay.app.records import ChainRecord, KeptValue, Progress
from piebridge.relay.app.store import Store, View


@dataclass(frozen=True, slots=True)
class ProvenSlots:
    """Slots of a hub that were proven."""

    slots: AuthenticatedSlots
    """Slots, values, and the block at which they stood."""
    progress: Progress
    """How far the chain is known to have gone on, this proof included."""


def chain_that_speaks(view: View, registration: RegistrationNumber) -> ChainRecord:
    """Return the registration whose hub a transaction wants to prove something of.

    Raises:
        RefusedError: this relay chain is frozen or terminated, or does not know the registration.
    """
    if not view.relay.takes_proofs:
        raise RefusedError("this relay chain is frozen or terminated and takes governor messages only")
    chain = view.chain(registration)
    if chain is None:
        raise RefusedError(f"registration {registration} is not a member of this relay domain")
    return chain


def verify(view: View, chain: ChainRecord, authentication: Authentication) -> ProvenSlots:
    """Verify a proof of slots of a hub.

    Raises:
        DecodingError: a part is not in its one encoding.
        VerificationError: the proof does not hold, or is not of the registered method.
        RefusedError: the state does not allow it: unknown header, frozen client, closed registration.
    """
    if chain.method != authentication.METHOD:
        raise VerificationError(
            "proof is not of the method of the registration", expected=chain.method, actual=authentication.METHOD
        )
    progress = view.progress(chain.registration)
    match authentication:
        case SpvAuthentication():
            slots = _verify_spv(view, chain, authentication)
        case NotaryAuthentication():
            slots = _verify_notary(view, chain, authentication)
        case BothAuthentication():
            slots = _verify_spv(view, chain, authentication.spv)
            stated = _verify_notary(view, chain, authentication.notary)
            require_agreement(slots, stated)
            progress = replace(progress, notary_block=max(progress.notary_block, stated.block_number))
            # The two may stand at different blocks. What is concluded from a block's time or number must hold for both,
            # or one method alone would decide that a packet expired or that a registration was still open.
            slots = replace(slots, block_time_seconds=min(slots.block_time_seconds, stated.block_time_seconds))
            _check_closing(chain, stated.block_number)
        case _:
            raise VerificationError("a kept value proves no slots")
    if isinstance(authentication, NotaryAuthentication):
        progress = replace(progress, notary_block=max(progress.notary_block, slots.block_number))
    else:
        progress = replace(progress, spv_block=max(progress.spv_block, slots.block_number))
    _check_closing(chain, slots.block_number)
    return ProvenSlots(slots, progress)


def depth(chain: ChainRecord, progress: Progress, height_on_source: int) -> int:
    """Return how many blocks are known to stand on a block of a chain; negative for one that is yet to come."""
    by_spv = progress.spv_block - height_on_source
    by_notaries = chain.depth + progress.notary_block - height_on_source
    if chain.method == Method.SPV:
        return by_spv
    return by_notaries if chain.method == Method.NOTARY else min(by_spv, by_notaries)


def check_kept(view: View, chain: ChainRecord, progress: Progress, kept: KeptValue) -> None:
    """Check that a value that was authenticated before still counts.

    Raises:
        RefusedError: the registration was closed at a lower block since, or its light client was frozen or started
            afresh, or its notaries were replaced: what they have authenticated may be one of two histories.
    """
    if chain.method != Method.NOTARY:
        _trusted_client(view, chain)
    if kept.trust_epoch != progress.trust_epoch:
        raise RefusedError(
            "the value was authenticated by a light client or notaries that were replaced since: prove it",
            expected=progress.trust_epoch,
            actual=kept.trust_epoch,
        )
    _check_closing(chain, kept.block_number)


def restart_trust(store: Store, registration: int, *, spv: bool) -> None:
    """Forget how far a chain was said to have gone on, when its light client is started afresh or its notaries change.

    Whoever had broken the one before could have named a block of any number: every depth would be met for ever.

    Args:
        store: the state.
        registration: the chain.
        spv: True for the light client, False for the notaries.
    """
    progress = store.progress(registration)
    after = replace(progress, spv_block=0) if spv else replace(progress, notary_block=0)
    store.set_progress(registration, replace(after, trust_epoch=progress.trust_epoch + 1))


def _trusted_client(view: View, chain: ChainRecord) -> None:
    client = view.client(chain.registration)
    if client is None or client.frozen:
        raise RefusedError(f"light client of registration {chain.registration} is frozen: a new checkpoint is needed")


def _verify_spv(view: View, chain: ChainRecord, proof: SpvAuthentication) -> AuthenticatedSlots:
    _trusted_client(view, chain)
    consensus = view.consensus(chain.registration, proof.client_height)
    if consensus is None:
        raise RefusedError(
            f"light client of registration {chain.registration} does not keep a header of height {proof.client_height}"
        )
    return verify_slots(consensus.app_hash, chain.hub, proof)


def _verify_notary(view: View, chain: ChainRecord, proof: NotaryAuthentication) -> AuthenticatedSlots:
    committed = NotarySet.decode(chain.notary_set)
    return verify_statement(
        view.relay.domain,
        chain.registration,
        chain.hub,
        committed,
        proof.notaries,
        proof.quorum,
        proof.statement,
    )


def _check_closing(chain: ChainRecord, block_number: int) -> None:
    if chain.closed_at is not None and block_number > chain.closed_at:
        raise RefusedError(
            f"registration {chain.registration} is closed: only what stood at its block {chain.closed_at} counts",
            expected=chain.closed_at,
            actual=block_number,
        )
