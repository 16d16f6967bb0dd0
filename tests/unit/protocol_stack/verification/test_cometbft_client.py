from collections.abc import Callable
from dataclasses import replace

import pytest

from piebridge.cometbft.header import Header
from piebridge.cometbft.verification import (
    InsufficientPowerError,
    InvalidCommitError,
    InvalidHeaderError,
    NotEnoughTrustError,
    SurplusSignatureError,
    TrustExpiredError,
)
from piebridge.crypto.errors import ProtocolError
from piebridge.protocol_stack.relay_messages import LightBlock
from piebridge.protocol_stack.verification.light_clients.cometbft import (
    ClientParameters,
    UnknownTrustedHeightError,
    is_misbehaviour,
    verify_update,
)
from testkit.source_chain import NANOSECONDS, SourceChain

TRUSTING_PERIOD = 1_000
DRIFT = 10


@pytest.fixture
def chain() -> SourceChain:
    chain = SourceChain("a", b"\x0a" * 20)
    for _ in range(6):
        chain.close_block()
    return chain


@pytest.fixture
def parameters(chain: SourceChain) -> ClientParameters:
    return ClientParameters(chain.chain_id, TRUSTING_PERIOD, DRIFT)


def now_ns(chain: SourceChain) -> int:
    return chain.now_seconds * NANOSECONDS


@pytest.mark.parametrize("height", [3, 5])
def test_adjacent_and_skipping_updates_are_trusted(
    chain: SourceChain, parameters: ClientParameters, height: int
) -> None:
    state = verify_update(parameters, chain.consensus_state(2), chain.update(2, height), now_ns(chain))
    assert state == chain.consensus_state(height)


def test_update_from_another_height_than_named_is_refused(chain: SourceChain, parameters: ClientParameters) -> None:
    with pytest.raises(UnknownTrustedHeightError):
        verify_update(parameters, chain.consensus_state(3), chain.update(2, 5), now_ns(chain))


def test_trusted_set_must_come_exactly_when_heights_are_skipped(
    chain: SourceChain, parameters: ClientParameters
) -> None:
    adjacent, skipping = chain.update(2, 3), chain.update(2, 5)
    for update in (
        replace(adjacent, trusted_validator_set=skipping.trusted_validator_set),
        replace(skipping, trusted_validator_set=b""),
    ):
        with pytest.raises(InvalidHeaderError):
            verify_update(parameters, chain.consensus_state(2), update, now_ns(chain))


def test_client_expires_exactly_at_the_end_of_the_trusting_period(
    chain: SourceChain, parameters: ClientParameters
) -> None:
    trusted = chain.consensus_state(2)
    end = trusted.time_ns + TRUSTING_PERIOD * NANOSECONDS
    verify_update(parameters, trusted, chain.update(2, 3), end - 1)
    with pytest.raises(TrustExpiredError):
        verify_update(parameters, trusted, chain.update(2, 3), end)


def test_header_may_lie_ahead_of_the_clock_by_less_than_the_drift(
    chain: SourceChain, parameters: ClientParameters
) -> None:
    time_ns = chain.light_blocks[3].header.time_ns
    latest = time_ns - DRIFT * NANOSECONDS
    verify_update(parameters, chain.consensus_state(2), chain.update(2, 3), latest + 1)
    with pytest.raises(InvalidHeaderError):
        verify_update(parameters, chain.consensus_state(2), chain.update(2, 3), latest)


def test_commit_with_one_signature_more_than_needed_is_refused(
    chain: SourceChain, parameters: ClientParameters
) -> None:
    update = replace(chain.update(2, 3), commit=chain.light_blocks[3].commit.encode())
    with pytest.raises(SurplusSignatureError):
        verify_update(parameters, chain.consensus_state(2), update, now_ns(chain))


def test_quorum_is_more_than_two_thirds() -> None:
    # Three of three are needed with three validators: two are exactly 2/3.
    chain = SourceChain("b", b"\x0b" * 20, validator_count=3)
    chain.close_block()
    parameters = ClientParameters(chain.chain_id, TRUSTING_PERIOD, DRIFT)
    block = chain.light_blocks[3]
    from piebridge.cometbft.commit import CommitSig

    two = replace(block.commit, signatures=(*block.commit.signatures[:2], CommitSig.absent()))
    update = replace(chain.update(2, 3), commit=two.encode())
    with pytest.raises(InsufficientPowerError):
        verify_update(parameters, chain.consensus_state(2), update, now_ns(chain))


def test_update_of_another_chain_is_refused(chain: SourceChain) -> None:
    with pytest.raises((InvalidHeaderError, InvalidCommitError)):
        verify_update(
            ClientParameters("evm-other", TRUSTING_PERIOD, DRIFT),
            chain.consensus_state(2),
            chain.update(2, 3),
            now_ns(chain),
        )


def test_skipping_to_validators_that_nobody_trusted_is_refused(parameters: ClientParameters) -> None:
    chain = SourceChain("a", b"\x0a" * 20)
    chain.close_block()
    chain.retired = list(chain.powers)
    chain.powers = {f"usurper {i}": 1 for i in range(4)}
    for _ in range(3):
        chain.close_block()
    with pytest.raises(NotEnoughTrustError):
        verify_update(parameters, chain.consensus_state(3), chain.update(3, 6), now_ns(chain))
    # Step by step the hand-over is fine: each header announces the next set.
    for height in (4, 5, 6):
        verify_update(parameters, chain.consensus_state(height - 1), chain.update(height - 1, height), now_ns(chain))


@pytest.mark.parametrize(
    "forge",
    [
        lambda header: replace(header, app_hash=bytes(32)),
        lambda header: replace(header, time_ns=header.time_ns - 10 * NANOSECONDS),
        lambda header: replace(header, height=header.height + 1),
        lambda header: replace(header, next_validators_hash=bytes(32)),
        lambda header: replace(header, chain_id="evm-other"),
    ],
)
def test_forged_header_under_a_real_commit_is_refused(
    chain: SourceChain, parameters: ClientParameters, forge: Callable[[Header], Header]
) -> None:
    update = replace(chain.update(2, 3), header=forge(chain.light_blocks[3].header).encode())
    with pytest.raises(ProtocolError):
        verify_update(parameters, chain.consensus_state(2), update, now_ns(chain))


def test_second_header_of_a_height_is_misbehaviour(chain: SourceChain, parameters: ClientParameters) -> None:
    other = chain.signed(replace(chain.light_blocks[4].header, app_hash=b"\x01" * 32))
    verified = verify_update(parameters, chain.consensus_state(2), chain.update_to(2, other), now_ns(chain))
    known = [chain.consensus_state(height) for height in (2, 4, 5)]
    assert is_misbehaviour(verified, known)
    assert not is_misbehaviour(chain.consensus_state(4), known)


def test_time_that_contradicts_the_heights_is_misbehaviour(chain: SourceChain, parameters: ClientParameters) -> None:
    after = chain.light_blocks[5].header.time_ns
    for time_ns in (after, after + 1):
        other = chain.signed(replace(chain.light_blocks[4].header, time_ns=time_ns))
        verified = verify_update(parameters, chain.consensus_state(2), chain.update_to(2, other), now_ns(chain))
        assert is_misbehaviour(verified, [chain.consensus_state(2), chain.consensus_state(5)])
    assert not is_misbehaviour(chain.consensus_state(4), [chain.consensus_state(2), chain.consensus_state(5)])


def _parts(update: LightBlock) -> list[tuple[str, bytes]]:
    return [(name, getattr(update, name)) for name in ("header", "commit", "validator_set", "trusted_validator_set")]


def _flip_bits(chain: SourceChain, parameters: ClientParameters, step: int) -> int:
    tried = 0
    for height in (3, 5):
        update = chain.update(2, height)
        for name, data in _parts(update):
            for bit in range(0, 8 * len(data), step):
                changed = bytearray(data)
                changed[bit // 8] ^= 1 << bit % 8
                forged = replace(update, **{name: bytes(changed)})  # type: ignore[arg-type]
                with pytest.raises(ProtocolError):
                    verify_update(parameters, chain.consensus_state(2), forged, now_ns(chain))
                tried += 1
    return tried


def test_sampled_single_bit_changes_of_an_update_are_refused(chain: SourceChain, parameters: ClientParameters) -> None:
    assert _flip_bits(chain, parameters, 37) > 300


@pytest.mark.slow
def test_every_single_bit_change_of_an_update_is_refused(chain: SourceChain, parameters: ClientParameters) -> None:
    assert _flip_bits(chain, parameters, 1) > 10_000
