import pytest

from piebridge.crypto.hash import keccak256, sha256, tag


def test_keccak256_is_ethereums_not_sha3() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    # Event topic of ERC-20, known to every explorer.
    assert (
        keccak256(b"Transfer(address,address,uint256)").hex()
        == "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    )


def test_sha256_known_answer() -> None:
    assert sha256(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_tag_is_the_hash_of_prefix_name_and_version() -> None:
    assert tag("OUTBOX") == keccak256(b"PIEBRIDGE/OUTBOX/v1")
    assert tag("A-B_2") == keccak256(b"PIEBRIDGE/A-B_2/v1")


@pytest.mark.parametrize("name", ["", "outbox", "OUT BOX", "OUT/BOX", "_A", "A_", "A__B", "Ä", "A\n", "\u0661"])
def test_tag_refuses_other_names(name: str) -> None:
    with pytest.raises(ValueError, match="tag name"):
        tag(name)
