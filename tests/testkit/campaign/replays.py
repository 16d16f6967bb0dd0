"""Somebody who hands old transactions in again: whatever a hub has taken once, it must not take to effect twice."""

import random

from piebridge.cli.accounts import account_key
from piebridge.cli.view import ChainView, NetworkView
from piebridge.cli.wallet import Call, Wallet

USER = "bob"
"""The account that does it: it is nobody's gateway, and not the account that sends packets."""
_RECENT_BLOCKS = 40


class Replays:
    """Repeats calls of `receiveRange` that are in blocks, by another sender."""

    def __init__(self, view: NetworkView, randomness: random.Random) -> None:
        self._view, self._random = view, randomness
        self._key = account_key(view.network, view.directory, view.network.account(USER))
        self.tried = 0
        """Replays that are in blocks."""
        self.taken = 0
        """Replays that the hub did not revert: it skipped what it knew."""

    async def replay(self) -> None:
        """Repeat one call of a chain chosen at random, if there is one in its recent blocks.

        Raises:
            ChainError: the chain does not answer, or makes no blocks.
        """
        chain = self._random.choice(list(self._view.chains.values()))
        calls = await self._calls(chain)
        if not calls:
            return
        wallet = Wallet(chain.client, self._key, chain.entry.evm_chain_id)
        (receipt,) = await wallet.wait(await wallet.send([self._random.choice(calls)]))
        self.tried += 1
        self.taken += int(receipt["status"], 16)

    async def _calls(self, chain: ChainView) -> list[Call]:
        head, _ = await chain.head()
        calls = []
        for number in range(max(0, head - _RECENT_BLOCKS), head):
            ranges = {item.transaction for item in await chain.received_ranges(number)}
            for item in (await chain.block(number))["transactions"]:
                if item["hash"] in ranges:
                    data = bytes.fromhex(item["input"][2:])
                    calls.append(Call(data, chain.hub, int(item["gas"], 16)))
        return calls
