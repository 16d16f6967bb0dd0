"""Notary: storage slots of a hub that k of n notaries say they have read.

A statement stands at or below the registered depth of its chain; a notary signs nothing newer. Which set counts is
written in the state of the relay chain, never taken from the message.

Source: ``docs/protocol/formats.md``, section 9.
"""

from piebridge.crypto.errors import VerificationError
from piebridge.crypto.quorum import Quorum, verify_quorum
from piebridge.protocol_stack.identifiers import DomainId, RegistrationNumber
from piebridge.protocol_stack.notary_statement import NotarySet, NotaryStatement
from piebridge.protocol_stack.verification.slots import AuthenticatedSlots


def verify_statement(
    domain: DomainId,
    registration: RegistrationNumber,
    hub: bytes,
    committed: NotarySet,
    claimed: NotarySet,
    quorum: Quorum,
    statement: NotaryStatement,
) -> AuthenticatedSlots:
    """Check that k members of the committed set signed a statement about a hub.

    Args:
        domain: relay domain.
        registration: registration of the chain that was read.
        hub: address of its hub, 20 bytes.
        committed: the set that counts now.
        claimed: the set that the message names; must be that one.
        quorum: the signatures.
        statement: the claim.

    Raises:
        VerificationError: another set, another hub, or no quorum.
    """
    if claimed != committed:
        raise VerificationError(
            "statement is signed by another notary set than the registered one",
            expected=f"epoch {committed.epoch}",
            actual=f"epoch {claimed.epoch}",
        )
    if statement.hub != hub:
        raise VerificationError("statement is about another hub", expected=hub, actual=statement.hub)
    verify_quorum(committed.signers, statement.digest(domain, registration, committed.epoch), quorum)
    return AuthenticatedSlots(
        block_number=statement.block_number,
        block_time_seconds=statement.block_time,
        block_hash=statement.block_hash,
        slots=tuple(item.slot for item in statement.slots),
        values=tuple(item.value for item in statement.slots),
    )
