"""The wallet of a user, whose account others may use at the same time."""

from collections.abc import Sequence
from typing import Any

import pytest

from piebridge.chains.errors import AlreadyKnownError, NonceError
from piebridge.chains.jsonrpc import Call as Request
from piebridge.cli.wallet import Call, Wallet
from piebridge.crypto.errors import ChainError, PermanentChainError

KEY = b"\x01" * 32
TARGET = b"\x02" * 20


class Node:
    """A node that refuses some transactions because others of the account were faster."""

    url = "http://node"

    def __init__(self, *refusals: Sequence[bool], error: ChainError | None = None) -> None:
        self.refusals = list(refusals)
        self.error = error or NonceError("nonce too low: next nonce 1, tx nonce 0")
        self.nonces = 0
        self.sent: list[str] = []

    async def batch(self, calls: Sequence[Request]) -> list[object]:
        assert [method for method, _ in calls] == ["eth_getTransactionCount", "eth_getBlockByNumber"]
        self.nonces += 1
        return [hex(self.nonces), {"baseFeePerGas": "0x1"}]

    async def batch_results(self, calls: Sequence[Request]) -> list[object]:
        refused = self.refusals.pop(0) if self.refusals else [False] * len(calls)
        answers: list[object] = []
        for refusal, (_, params) in zip(refused, calls, strict=True):
            if refusal:
                answers.append(self.error)
            else:
                parameters: Any = params
                self.sent.append(parameters[0])
                answers.append("0x" + "ab" * 32)
        return answers


def wallet(node: Node) -> Wallet:
    return Wallet(node, KEY, 1)  # type: ignore[arg-type]


CALL = Call(b"", TARGET, 21_000)


async def test_a_nonce_that_somebody_else_took_is_read_again() -> None:
    node = Node([True], [True])
    assert len(await wallet(node).send([CALL])) == 1
    assert node.nonces == 3
    assert len(node.sent) == 1


async def test_the_same_wish_of_somebody_else_at_the_same_moment_is_another_transaction() -> None:
    node = Node([True], error=AlreadyKnownError("tx already exists in cache"))
    assert len(await wallet(node).send([CALL])) == 1
    assert node.nonces == 2


async def test_that_others_are_always_faster_is_said_without_blaming_the_network() -> None:
    with pytest.raises(PermanentChainError, match=r"another transaction of 0x.* was faster"):
        await wallet(Node(*[[True]] * 5)).send([CALL])


async def test_what_was_taken_in_part_is_not_sent_twice() -> None:
    node = Node([False, True])
    with pytest.raises(ChainError, match="was faster"):
        await wallet(node).send([CALL, CALL])
    assert len(node.sent) == 1
