import pytest

from piebridge.cometbft.commit import MAX_VALIDATORS
from piebridge.cometbft.keys import ED25519, PublicKey
from piebridge.cometbft.validator_set import MAX_TOTAL_VOTING_POWER, Validator, ValidatorSet
from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.hash import sha256
from testkit.validators import validator_keys


def _validator(number: int, power: int) -> Validator:
    return Validator(validator_keys(1, number)[0].public_key, power)


def _ed25519(number: int, power: int = 1) -> Validator:
    return Validator(PublicKey(ED25519, sha256(number.to_bytes(4, "big"))), power)


def test_order_is_power_then_address() -> None:
    validators = ValidatorSet.genesis([_validator(1, 5), _validator(2, 9), _validator(3, 5)])
    assert [member.voting_power for member in validators.validators] == [9, 5, 5]
    assert validators.validators[1].address < validators.validators[2].address
    with pytest.raises(VerificationError, match="canonical order"):
        ValidatorSet(reversed(validators.validators))


def test_proposers_are_drawn_in_proportion_to_power() -> None:
    validators = ValidatorSet.genesis([_validator(1, 1), _validator(2, 2), _validator(3, 5)])
    turns: dict[int, int] = {}
    for _ in range(80):
        turns[validators.proposer.voting_power] = turns.get(validators.proposer.voting_power, 0) + 1
        validators = validators.moved_on()
    assert turns == {1: 10, 2: 20, 5: 50}


def test_known_rotation_of_three() -> None:
    """Worked by hand from the specification: powers 1, 2, 3; the largest goes first and pays the total."""
    validators = ValidatorSet.genesis([_validator(1, 1), _validator(2, 2), _validator(3, 3)])
    seen = []
    for _ in range(6):
        seen.append((validators.proposer.voting_power, [member.proposer_priority for member in validators.validators]))
        validators = validators.moved_on()
    assert seen == [
        (3, [-3, 2, 1]),
        (2, [0, -2, 2]),
        (3, [-3, 0, 3]),  # a tie, which the lower address wins
        (1, [0, 2, -2]),
        (2, [3, -2, -1]),
        (3, [0, 0, 0]),
    ]


def test_lower_address_wins_a_tie_whatever_its_power() -> None:
    large, small = _validator(1, 3), _validator(3, 1)
    assert small.address < large.address
    validators = ValidatorSet.genesis([large, small])
    assert [member.proposer_priority for member in validators.validators] == [-1, 1]
    # Both come to 2 in the next step.
    assert validators.moved_on().proposer_address == small.address


def test_hash_ignores_priorities() -> None:
    validators = ValidatorSet.genesis([_validator(1, 1), _validator(2, 2)])
    assert validators.moved_on().hash() == validators.hash() == validators.without_rotation().hash()
    assert validators.moved_on() != validators


def test_newcomer_starts_behind_everybody() -> None:
    validators = ValidatorSet.genesis([_validator(1, 10), _validator(2, 10)])
    changed = validators.with_changes([_validator(3, 10)])
    newcomer = changed.by_address(_validator(3, 1).address)
    assert newcomer is not None
    # -(30 + 30 / 8) = -33, then all are shifted by the average of -11.
    assert newcomer.proposer_priority == -22
    assert sum(member.proposer_priority for member in changed.validators) == 0


def test_removal_and_change_of_power() -> None:
    validators = ValidatorSet.genesis([_validator(number, 10) for number in (1, 2, 3)])
    removed = validators.with_changes([_validator(2, 0)])
    assert [member.voting_power for member in removed.validators] == [10, 10]
    changed = validators.with_changes([_validator(2, 11)])
    assert changed.validators[0].public_key == _validator(2, 1).public_key
    assert changed.total_voting_power == 31
    assert validators.with_changes([]) is validators


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([(4, 0)], "not a member"),
        ([(1, 5), (1, 6)], "twice"),
        ([(1, 0), (1, 6)], "twice"),
        ([(1, 0), (2, 0)], "empty set"),
        ([(1, -1)], "negative"),
        ([(1, MAX_TOTAL_VOTING_POWER)], "exceeds"),
    ],
)
def test_impossible_changes_are_refused(changes: list[tuple[int, int]], reason: str) -> None:
    validators = ValidatorSet.genesis([_validator(1, 10), _validator(2, 10)])
    with pytest.raises(VerificationError, match=reason):
        validators.with_changes([_validator(number, power) for number, power in changes])


def test_size_is_capped() -> None:
    members = [_ed25519(number) for number in range(MAX_VALIDATORS + 1)]
    assert len(ValidatorSet.ordered(members[:-1])) == MAX_VALIDATORS
    with pytest.raises(VerificationError, match="1 to 256"):
        ValidatorSet.ordered(members)
    encoded = ValidatorSet.ordered(members[:-1]).encode()
    assert ValidatorSet.decode(encoded).hash() == ValidatorSet.ordered(members[:-1]).hash()
    with pytest.raises(DecodingError, match="more than 256"):
        ValidatorSet.decode(encoded + encoded[:40])


@pytest.mark.parametrize("members", [[], [(1, 1), (1, 1)], [(1, 0)]])
def test_malformed_sets_are_refused(members: list[tuple[int, int]]) -> None:
    with pytest.raises(VerificationError):
        ValidatorSet(_validator(number, power) for number, power in members)


def test_public_keys_have_one_encoding() -> None:
    key = _validator(1, 1).public_key
    assert PublicKey.decode(key.encode()) == key
    for body in (
        b"",
        b"\x12\x21" + key.data,
        key.encode() + b"\x00",
        b"\x2a\x20" + key.data[1:],
        b"\x2a\x21\x05" + key.data[1:],
    ):
        with pytest.raises(DecodingError):
            PublicKey.decode(body)


def test_addresses() -> None:
    # The address of secret 1 is well known from Ethereum.
    assert _validator(1, 1).address.hex() == "7e5f4552091a69125d5dfcb7b8c2659029395bdf"
    key = PublicKey(ED25519, bytes(range(32)))
    assert key.address == sha256(bytes(range(32)))[:20]
