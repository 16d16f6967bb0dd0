from itertools import combinations, permutations, product

import pytest

from piebridge.crypto.errors import VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.quorum import Quorum, SignerSet, select_quorum, verify_quorum
from piebridge.crypto.signature import GROUP_ORDER, address_of_private_key, sign_recoverable

DIGEST = keccak256(b"statement")
KEYS = [keccak256(b"member %d" % i) for i in range(8)]
MEMBERS = tuple(address_of_private_key(key) for key in KEYS)
SIGNATURES = [sign_recoverable(DIGEST, key) for key in KEYS]


def accepted(signers: SignerSet, quorum: Quorum) -> bool:
    try:
        verify_quorum(signers, DIGEST, quorum)
    except VerificationError:
        return False
    return True


def bitmap_of(positions: tuple[int, ...]) -> int:
    return sum(1 << position for position in positions)


@pytest.mark.parametrize("count", range(1, 9))
def test_rows_27_28_all_subsets_and_thresholds(count: int) -> None:
    """Every set of distinct members in order is accepted exactly if its size is the threshold."""
    tried = 0
    for threshold in range(1, count + 1):
        signers = SignerSet(MEMBERS[:count], threshold)
        for size in range(count + 1):
            for chosen in combinations(range(count), size):
                quorum = Quorum(bitmap_of(chosen), tuple(SIGNATURES[i] for i in chosen))
                assert accepted(signers, quorum) == (size == threshold), chosen
                tried += 1
    assert tried == count * 2**count


@pytest.mark.parametrize(
    ("count", "threshold"),
    [
        pytest.param(count, k, marks=[pytest.mark.slow] if count == 8 and k > 5 else [])
        for count in range(1, 9)
        for k in range(1, count + 1)
    ],
)
def test_row_27_all_orders(count: int, threshold: int) -> None:
    """Of all orders of all signers only the ascending one is accepted, whatever the bitmap's own members."""
    signers = SignerSet(MEMBERS[:count], threshold)
    bitmap = bitmap_of(tuple(range(threshold)))
    right = tuple(SIGNATURES[:threshold])
    for order in permutations(range(count), threshold):
        signatures = tuple(SIGNATURES[i] for i in order)
        assert accepted(signers, Quorum(bitmap, signatures)) == (signatures == right)


def test_row_27_duplicates_never_count() -> None:
    signers = SignerSet(MEMBERS[:3], 2)
    for bitmap, pair in product(range(8), product(range(3), repeat=2)):
        quorum = Quorum(bitmap, (SIGNATURES[pair[0]], SIGNATURES[pair[1]]))
        assert accepted(signers, quorum) == (pair[0] < pair[1] and bitmap == bitmap_of(pair))


def test_row_27_empty_list_and_zero_threshold() -> None:
    with pytest.raises(VerificationError, match="exactly the threshold"):
        verify_quorum(SignerSet(MEMBERS[:1], 1), DIGEST, Quorum(0, ()))
    with pytest.raises(VerificationError, match="not the threshold"):
        verify_quorum(SignerSet(MEMBERS[:1], 1), DIGEST, Quorum(1, ()))
    with pytest.raises(VerificationError, match="threshold of a set"):
        SignerSet(MEMBERS[:3], 0)


def test_more_than_the_first_k_is_refused() -> None:
    with pytest.raises(VerificationError, match="exactly the threshold"):
        verify_quorum(SignerSet(MEMBERS[:4], 3), DIGEST, Quorum(0b1111, tuple(SIGNATURES[:4])))
    with pytest.raises(VerificationError, match="not the threshold"):
        verify_quorum(SignerSet(MEMBERS[:4], 3), DIGEST, Quorum(0b0111, tuple(SIGNATURES[:4])))


@pytest.mark.parametrize("bitmap", [0b1011, 0b10000 | 0b11, -1, 1 << 256, (1 << 40) | 0b11])
def test_row_26_bits_outside_of_the_set(bitmap: int) -> None:
    with pytest.raises(VerificationError, match="outside"):
        verify_quorum(SignerSet(MEMBERS[:3], 3), DIGEST, Quorum(bitmap, tuple(SIGNATURES[:3])))


def test_row_26_stranger_does_not_count() -> None:
    with pytest.raises(VerificationError, match="not of member 1"):
        verify_quorum(SignerSet(MEMBERS[:3], 2), DIGEST, Quorum(0b011, (SIGNATURES[0], SIGNATURES[7])))


def test_row_29_high_s_does_not_count() -> None:
    s = GROUP_ORDER - int.from_bytes(SIGNATURES[0][32:64], "big")
    twin = SIGNATURES[0][:32] + s.to_bytes(32, "big") + bytes([55 - SIGNATURES[0][64]])
    with pytest.raises(VerificationError, match="n/2"):
        verify_quorum(SignerSet(MEMBERS[:1], 1), DIGEST, Quorum(1, (twin,)))


def test_signatures_of_another_digest_do_not_count() -> None:
    with pytest.raises(VerificationError, match="not of member 0"):
        verify_quorum(SignerSet(MEMBERS[:2], 2), keccak256(b"other"), Quorum(0b11, tuple(SIGNATURES[:2])))


@pytest.mark.parametrize(
    ("members", "threshold"),
    [
        ((), 1),
        (tuple(bytes([i]) * 20 for i in range(1, 34)), 22),
        ((MEMBERS[0], MEMBERS[0]), 1),
        ((MEMBERS[0], bytes(20)), 1),
        ((MEMBERS[0], MEMBERS[1][:19]), 1),
        ((MEMBERS[0], MEMBERS[1] + b"\x00"), 1),
        (MEMBERS[:3], 4),
        (MEMBERS[:3], -1),
    ],
)
def test_malformed_sets_are_refused(members: tuple[bytes, ...], threshold: int) -> None:
    with pytest.raises(VerificationError):
        SignerSet(members, threshold)


def test_largest_set() -> None:
    keys = [keccak256(b"large %d" % i) for i in range(32)]
    signers = SignerSet(tuple(address_of_private_key(key) for key in keys), 22)
    at_hand = {address_of_private_key(key): sign_recoverable(DIGEST, key) for key in keys[10:]}
    quorum = select_quorum(signers, at_hand)
    assert quorum.bitmap == 0xFFFFFC00
    verify_quorum(signers, DIGEST, quorum)


def test_select_takes_the_first_members_in_set_order_and_no_strangers() -> None:
    signers = SignerSet(MEMBERS[:4], 2)
    at_hand = {MEMBERS[i]: SIGNATURES[i] for i in (7, 3, 2, 1)}
    quorum = select_quorum(signers, at_hand)
    assert quorum == Quorum(0b0110, (SIGNATURES[1], SIGNATURES[2]))
    verify_quorum(signers, DIGEST, quorum)


def test_select_says_whose_signatures_are_missing() -> None:
    with pytest.raises(VerificationError, match=f"0x{MEMBERS[2].hex()}"):
        select_quorum(SignerSet(MEMBERS[:3], 3), {MEMBERS[i]: SIGNATURES[i] for i in (0, 1)})
