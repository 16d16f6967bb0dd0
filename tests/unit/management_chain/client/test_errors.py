"""Whatever a contract of the management chain refuses is told in words."""

from eth_utils.crypto import keccak

from piebridge.management_chain.chain.contracts import ContractName, artifact
from piebridge.management_chain.client.errors import WORDS, explain, refusal


def declared() -> set[str]:
    return {entry["name"] for name in ContractName for entry in artifact(name).abi if entry["type"] == "error"}


def test_every_error_of_the_contracts_has_words_and_no_word_is_without_an_error() -> None:
    assert declared() == set(WORDS)


def test_an_error_is_told_with_its_values_and_its_meaning() -> None:
    data = keccak(text="WrongCounter(uint64,uint64)")[:4] + (3).to_bytes(32, "big") + (2).to_bytes(32, "big")
    error = refusal("NodeMarket.governor", data)
    assert error.error == "WrongCounter(3, 2)"
    assert str(error) == f"NodeMarket.governor: {WORDS['WrongCounter']} [WrongCounter(3, 2)]"


def test_an_unknown_error_is_told_as_it_came() -> None:
    assert explain(b"\x01\x02\x03\x04") == ("0x01020304", None)
    assert str(refusal("x", b"")) == "x: the contract gives no reason"


def test_a_plain_revert_reason_is_told() -> None:
    from eth_abi.abi import encode

    assert explain(keccak(text="Error(string)")[:4] + encode(["string"], ["no"]))[0] == "Error(no)"
