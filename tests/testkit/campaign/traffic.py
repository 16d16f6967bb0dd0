"""Users who send packets of every kind, many in a block, as long as a campaign wants them."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass

from piebridge.cli import sending
from piebridge.cli.accounts import account_key
from piebridge.cli.facts import SentPacket
from piebridge.cli.view import ChainView, NetworkView, artifact
from piebridge.cli.wallet import Call, Wallet
from piebridge.contracts.loader import load
from piebridge.protocol_stack.application.token import TOKEN
from testkit.campaign.pending import PendingPackets

USER = "alice"
LIFETIME_SECONDS = 3_600
SHORT_LIVES_SECONDS = (3, 12)
"""Lifetimes of transfers that may expire before anybody carries them: shortest and longest."""
SEND_GAS = 250_000
"""Enough for every kind of send; fixed, so that a burst is signed without asking."""
RECIPIENTS = 20
"""Accounts that transfers go to on each chain."""

KINDS = {"transfer": 60, "refused transfer": 10, "short transfer": 10, "notarisation": 10, "message": 10}
"""What is sent, with weights."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A packet that is about to be sent."""

    kind: str
    call: Call


class Traffic:
    """One user on every chain of a network, who sends as much as is granted."""

    def __init__(
        self, view: NetworkView, boards: dict[int, bytes], pending: PendingPackets, randomness: random.Random
    ) -> None:
        """Send on the chains of a view; message boards that are missing are deployed and noted."""
        self._view, self._pending, self._random = view, pending, randomness
        self._key = account_key(view.network, view.directory, view.network.account(USER))
        self._boards = boards
        self._routes: dict[tuple[int, int], int] = {}
        self._recipients = [randomness.randbytes(20) for _ in range(RECIPIENTS)]
        self._sending = asyncio.Lock()
        self.sent: list[SentPacket] = []
        """Every packet that is in a block, in the order of their blocks on each chain."""
        self.kinds: Counter[str] = Counter()
        """Packets of each kind."""
        self.refused_at_source = 0
        """Short transfers that came too late to be sent."""

    async def prepare(self) -> None:
        """Deploy a message board on every chain that has none yet."""

        async def deploy(chain: ChainView) -> None:
            door = f"0x{chain.application('erc7786-door').hex()}"
            wallet = self._wallet(chain)
            (receipt,) = await wallet.execute([Call(load("MessageBoard").deployment_data(door))])
            self._boards[chain.entry.registration] = bytes.fromhex(receipt["contractAddress"][2:])

        missing = [chain for number, chain in self._view.chains.items() if number not in self._boards]
        await asyncio.gather(*(deploy(chain) for chain in missing))

    async def send(self, count: int) -> list[SentPacket]:
        """Send that many packets, divided at random among the chains; returns them once they are in blocks."""
        async with self._sending:
            chains = list(self._view.chains.values())
            burst = Counter(self._random.randrange(len(chains)) for _ in range(count))
            # One after the other: what is drawn must not depend on which node answers first.
            chosen = [(chains[index], await self._choose_many(chains[index], burst[index])) for index in sorted(burst)]
            lists = await asyncio.gather(*(self._send_from(chain, items) for chain, items in chosen))
            return [packet for packets in lists for packet in packets]

    async def _choose_many(self, chain: ChainView, count: int) -> list[Chosen]:
        clock = await chain.clock()
        return [await self._choose(chain, clock) for _ in range(count)]

    async def _send_from(self, chain: ChainView, chosen: list[Chosen]) -> list[SentPacket]:
        wallet = self._wallet(chain)
        receipts = await wallet.wait(await wallet.send([item.call for item in chosen]))
        packets = []
        for item, receipt in zip(chosen, receipts, strict=True):
            if int(receipt["status"], 16) != 1:
                # The hub refuses what expires too soon after the block that sends it; nothing else may be refused.
                assert item.kind == "short transfer", f"{chain.name} refused a {item.kind}: {receipt}"
                self.refused_at_source += 1
                continue
            (packet,) = [packet for log in receipt["logs"] if (packet := chain.sent_packet(log)) is not None]
            packets.append(packet)
            self.kinds[item.kind] += 1
        self.sent += packets
        self._pending.add(packets)
        return packets

    async def _choose(self, chain: ChainView, clock: int) -> Chosen:
        source = chain.entry.registration
        other = self._view.chains[self._random.choice([key for key in self._view.chains if key != source])]
        destination = other.entry.registration
        (kind,) = self._random.choices(list(KINDS), list(KINDS.values()))
        expiry = clock + LIFETIME_SECONDS
        if kind == "notarisation":
            key, value = self._random.randbytes(32), self._random.randbytes(32)
            call = sending.notarise_call(self._view, chain, destination, key, value, expiry)
        elif kind == "message":
            payload = self._random.randbytes(self._random.randrange(1, 200))
            message = sending.Message(other.entry.evm_chain_id, self._boards[destination], payload)
            call = sending.message_call(self._view, chain, message)
        else:
            refused = kind == "refused transfer"
            recipient = other.application("token") if refused else self._random.choice(self._recipients)
            if kind == "short transfer":
                expiry = clock + self._random.randint(*SHORT_LIVES_SECONDS)
            amount = self._random.randint(1, sending.TOKEN_UNIT)
            call = await self._transfer(chain, destination, recipient, amount, expiry)
        return Chosen(kind, Call(call.data, call.to, SEND_GAS))

    async def _transfer(self, chain: ChainView, destination: int, recipient: bytes, amount: int, expiry: int) -> Call:
        domain = self._view.network.domain.id
        if (way := (chain.entry.registration, destination)) not in self._routes:
            (self._routes[way],) = await chain.call(chain.hub, load("Hub"), "route", domain, destination, TOKEN)
        deadline = expiry + sending.DEADLINE_MARGIN_SECONDS
        relay = self._routes[way]
        data = artifact("token").function_data(
            "transferRemote", domain, destination, relay, recipient, amount, expiry, deadline
        )
        return Call(data, chain.application("token"))

    def _wallet(self, chain: ChainView) -> Wallet:
        return Wallet(chain.client, self._key, chain.entry.evm_chain_id)
