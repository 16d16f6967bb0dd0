"""Four nodes of the release line before ours on our ABCI server: nodes killed, applications gone, nothing lost.

Relay chains need v0.40 (its key type signs what contracts verify), but an application of somebody else may run on
v0.38.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from piebridge.abci.cometbft.errors import NodeRpcError
from testkit.cometbft_chains import within
from testkit.cometbft_nodes import Member, four_nodes
from testkit.key_value_application import app_hash_of

DOWN_SECONDS = 2.0
"""Longest time that a node stays down."""
ALIVE_SECONDS = 2.0
"""Longest time between two faults."""
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign does; everything else follows from the seed."""

    seed: int
    faults: int = 12
    """Nodes killed and applications that go away, one after another."""
    transactions: int = 200


async def older_cometbft(program: Path, folder: Path, plan: Plan) -> Mapping[str, int]:
    """Run four nodes, send, and break one node after another; then compare the four applications.

    Args:
        program: CometBFT of another release line.
        folder: an empty folder.
        plan: seed and figures.

    Raises:
        AssertionError: an application lost a transaction or came to another state, or nothing was tested.
    """
    randomness = random.Random(plan.seed)
    counts: Counter[str] = Counter()
    async with four_nodes(program, folder) as chain:
        members = chain.members
        await within(90, "the first block", lambda: chain.reached(1))
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(_send(members, plan.transactions, random.Random(f"{plan.seed}/sender")))
            for _ in range(plan.faults):
                await asyncio.sleep(randomness.uniform(0, ALIVE_SECONDS))
                number = randomness.randrange(len(members))
                member = members[number]
                how = randomness.choice(["kill", "abandon"])
                await (member.kill() if how == "kill" else member.abandon())
                counts[f"{how}s"] += 1
                await asyncio.sleep(randomness.uniform(0, DOWN_SECONDS))
                await member.start()
                await within(60, "a node is back", lambda number=number: chain.reached(1, number))  # type: ignore[misc]
        expected = await sender
        await within(60, "all nodes have all transactions", lambda: _have(members, expected))
        states = {app_hash_of(member.application.values) for member in members}
        assert states == {app_hash_of(expected)}, "the applications came to different states"
        heights = [await member.height() or 0 for member in members]
    counts["transactions"], counts["blocks"] = len(expected), max(heights)
    return counts


async def _send(members: Sequence[Member], transactions: int, randomness: random.Random) -> dict[str, str]:
    """Offer transactions until some node has taken each; it may be lost with that node's mempool, so offer it again."""
    expected = {f"key-{number}": str(randomness.randrange(1 << 30)) for number in range(transactions)}
    missing = dict(expected)
    while missing:
        for key, value in list(missing.items()):
            if any(member.application.values.get(key) == value for member in members):
                del missing[key]
                continue
            with contextlib.suppress(NodeRpcError):  # down, or known already
                answer = await randomness.choice(members).rpc.broadcast(f"{key}={value}".encode())
                assert answer.code == 0, answer.log
            await asyncio.sleep(0.01)
        await asyncio.sleep(_POLL_SECONDS)
    return expected


async def _have(members: Sequence[Member], expected: Mapping[str, str]) -> bool:
    return all(member.application.values == expected for member in members)
