"""An endorsement by a relay chain's own commit (method 2): what it proves, and that nothing else passes for it."""

from dataclasses import replace

import pytest

from piebridge.cometbft.vote import VoteType
from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.protocol_stack.commit_proof import CommitProof
from piebridge.protocol_stack.endorsement import EndorsementSet, Envelope, SignedValue
from piebridge.protocol_stack.governor_relay_bodies import ValidatorKeys, ValidatorSet
from piebridge.protocol_stack.transport.outbox import RELAY_CHAIN, BareEntry, OutboxRange
from piebridge.protocol_stack.verification.endorsement import is_equivocation, verify_envelope
from testkit.commits import Committee, EndorsedState

DOMAIN, RELAY, HERE, EPOCH = 1, 5, 22, 3
COMMITTEE = Committee(DOMAIN, RELAY, tuple(bytes([7, i]) * 16 for i in range(1, 5)))
SIGNERS = COMMITTEE.signers(EPOCH)
ACCEPTED = {SIGNERS.set_hash(DOMAIN, RELAY)}
RANGE = OutboxRange(RELAY_CHAIN, 1, bytes([7]) * 32, (BareEntry(9, b"\x01" * 32), BareEntry(9, b"\x02" * 32)))


def state(others: int = 3) -> EndorsedState:
    head = RANGE.fold()
    heads = {HERE: (head.number, head.value), **{100 + i: (i + 1, bytes([i + 1]) * 32) for i in range(others)}}
    return EndorsedState(heads, {b"set": b"epoch and hash"})


def envelope(**changes: object) -> Envelope:
    held = state()
    proof = held.prove(COMMITTEE.decide(held.app_hash, **changes), COMMITTEE, HERE)  # type: ignore[arg-type]
    return Envelope(DOMAIN, RELAY, SIGNERS, proof, RANGE)


def accepted(data: bytes, destination: int = HERE) -> bool:
    try:
        verify_envelope(Envelope.decode(data), destination, ACCEPTED)
    except (DecodingError, VerificationError):
        return False
    return True


@pytest.mark.parametrize(
    "changes",
    [{}, {"round_": 3}, {"parts": 300}, {"absent": (1,)}, {"absent": (3,)}, {"height": (1 << 63) - 1}, {"height": 1}],
)
def test_a_commit_proves_the_head_of_an_outbox(changes: dict[str, object]) -> None:
    assert accepted(envelope(**changes).encode())


@pytest.mark.parametrize("others", [0, 1, 2, 3, 4, 6, 7, 20])
def test_whatever_else_the_store_holds(others: int) -> None:
    held = state(others)
    proof = held.prove(COMMITTEE.decide(held.app_hash), COMMITTEE, HERE)
    assert accepted(Envelope(DOMAIN, RELAY, SIGNERS, proof, RANGE).encode())


def test_every_bit_counts() -> None:
    data = envelope().encode()
    passed = [
        bit
        for bit in range(8 * len(data))
        if accepted(data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :])
    ]
    assert passed == []


def test_every_cut_and_one_byte_more_is_refused() -> None:
    data = envelope().encode()
    assert not any(accepted(data[:length]) for length in range(len(data)))
    assert not accepted(data + b"\0")


def test_votes_of_another_kind_chain_or_set_are_refused() -> None:
    assert not accepted(envelope(vote_type=VoteType.PREVOTE).encode())
    assert not accepted(envelope(chain_id="piebridge-1-6").encode())
    assert not accepted(envelope().encode(), HERE + 1)
    held = state()
    strangers = replace(COMMITTEE, private_keys=tuple(bytes([9, i]) * 16 for i in range(1, 5)))
    proof = held.prove(strangers.decide(held.app_hash), strangers, HERE)
    assert not accepted(Envelope(DOMAIN, RELAY, SIGNERS, proof, RANGE).encode())
    # The same members under another validators hash: a block of another set, whoever has signed it.
    larger = replace(COMMITTEE, private_keys=(*COMMITTEE.private_keys, bytes([9, 9]) * 16))
    signed = larger.decide(held.app_hash)
    votes = [vote for vote in signed.commit.signatures if vote.validator_address in COMMITTEE.members]
    fewer = replace(signed, commit=replace(signed.commit, signatures=tuple(votes)))
    assert not accepted(Envelope(DOMAIN, RELAY, SIGNERS, held.prove(fewer, COMMITTEE, HERE), RANGE).encode())


def test_too_few_votes_and_too_many_are_refused() -> None:
    honest = envelope()
    assert isinstance(honest.proof, CommitProof)
    assert not accepted(replace(honest, proof=replace(honest.proof, votes=honest.proof.votes[:2])).encode())
    held = state()
    four = held.prove(COMMITTEE.decide(held.app_hash), COMMITTEE, HERE, threshold=4)
    assert not accepted(replace(honest, proof=four).encode())
    with pytest.raises(VerificationError, match="votes of a commit"):
        held.prove(COMMITTEE.decide(held.app_hash, absent=(0, 1)), COMMITTEE, HERE)


def test_the_set_follows_from_the_relay_chains_own_record() -> None:
    keys = tuple(
        ValidatorKeys(validator.public_key.data, bytes([i + 1]) * 20)
        for i, validator in enumerate(reversed(COMMITTEE.validators.validators))
    )
    assert ValidatorSet(EPOCH, 3, keys).committers == SIGNERS
    assert EndorsementSet.decode(SIGNERS.encode()) == SIGNERS


def test_two_thirds_are_not_enough_for_a_commit() -> None:
    for signers in (replace(SIGNERS, threshold=2), replace(SIGNERS, keys=SIGNERS.keys[:-1])):
        with pytest.raises(DecodingError):
            signers.encode()


def test_two_commits_of_two_values_for_one_number_are_equivocation() -> None:
    head = RANGE.fold()
    statements = []
    for value in (head.value, b"\x05" * 32):
        held = EndorsedState({HERE: (head.number, value)}, {b"set": b"x"})
        proof = held.prove(COMMITTEE.decide(held.app_hash), COMMITTEE, HERE)
        statements.append(SignedValue(DOMAIN, RELAY, SIGNERS, proof, HERE, head.number, value))
    assert [SignedValue.decode(item.encode()) for item in statements] == statements
    assert is_equivocation(statements[0], statements[1], ACCEPTED)
    assert not is_equivocation(statements[0], statements[0], ACCEPTED)
    with pytest.raises(VerificationError):
        is_equivocation(statements[0], replace(statements[1], number=head.number + 1), ACCEPTED)
