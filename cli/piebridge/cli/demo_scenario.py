"""What the demo does with its network, and what must come of it."""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from piebridge.cli import oracle_command, processes, sending
from piebridge.cli.accounts import account_key
from piebridge.cli.collect import collect
from piebridge.cli.demo_report import Expectation, Report
from piebridge.cli.network_file import NetworkFile
from piebridge.cli.progress import Progress
from piebridge.cli.sending import TOKEN_UNIT, Transfer
from piebridge.cli.trace import State, trace
from piebridge.cli.view import ChainView, NetworkView, artifact
from piebridge.cli.wallet import Call
from piebridge.cli.watch import POLL_SECONDS, Watch
from piebridge.contracts.loader import load
from piebridge.crypto.errors import TransientChainError
from piebridge.protocol_stack.receipts import ReceiptCode

BATCH = 5
"""Transfers that each chain sends to each other chain."""
EXPIRY_SECONDS = 3
"""How soon the transfer expires that the gateways are kept from carrying."""
MESSAGE = b"Hello from chain-3"
"""What the third chain tells the second."""
TIMEOUT_SECONDS = 60.0
"""How long the demo waits for its packets."""


class Scenario:
    """One run of the demo."""

    def __init__(self, directory: Path, progress: Progress) -> None:
        """Begin to count time."""
        self._directory, self._progress = directory, progress
        self._began = time.monotonic()
        self._expectations: list[Expectation] = []

    async def play(self, network: NetworkFile) -> Report:
        """Do everything on a network that is up, and tell what came of it.

        Raises:
            ChainError: a chain does not answer, or refuses what it should take.
        """
        async with NetworkView(network, self._directory) as view:
            self._view, self._watch = view, Watch(view)
            self._key = account_key(view.network, view.directory, network.account("alice"))
            self._first, self._second, self._third = list(view.chains.values())[:3]
            ready = time.monotonic()
            record = await self._send_batch()
            left = await self._until_finished()
            total = len(self._expectations)
            self._progress.done(f"{total - left} of {total} packets finished")
            await self._expire()
            self._progress.working("asking the chains what happened")
            return await self._report(ready, record)

    async def _send_batch(self) -> tuple[bytes, bytes]:
        """Send transfers between all chains, one to be refused, a notarisation and a message, all at the same time."""
        view, bob = self._view, self._view.address("bob")
        token = self._second.application("token")
        key, value = secrets.token_bytes(32), secrets.token_bytes(32)
        expiry = sending.expiry_in(sending.DEFAULT_EXPIRES_IN_SECONDS)
        batches: dict[str, list[tuple[str, Call, State]]] = {}
        for chain in view.chains.values():
            others = [other for other in view.chains.values() if other is not chain]
            batches[chain.name] = [
                ("transfer", await self._transfer(chain, other, bob, units * TOKEN_UNIT, expiry), State.COMPLETED)
                for other in others
                for units in range(1, BATCH + 1)
            ]
        refused = await self._transfer(self._first, self._second, token, TOKEN_UNIT, expiry)
        batches[self._first.name].append(("refused transfer", refused, State.REFUNDED))
        record = sending.notarise_call(view, self._first, self._third.entry.registration, key, value, expiry)
        batches[self._first.name].append(("notarisation", record, State.COMPLETED))
        greeting = sending.Message(self._second.entry.evm_chain_id, self._second.message_board, MESSAGE)
        message = sending.message_call(view, self._third, greeting)
        batches[self._third.name].append(("ERC-7786 message", message, State.COMPLETED))

        self._progress.working("sending packets from all chains")
        await asyncio.gather(*(self._send_from(chain, batches) for chain in view.chains.values()))
        count = len(self._expectations)
        self._progress.done(f"{count} packets sent: transfers, one that will be refused, a notarisation, a message")
        return key, value

    async def _send_from(self, chain: ChainView, batches: dict[str, list[tuple[str, Call, State]]]) -> None:
        """Send the packets of one chain together."""
        began = time.monotonic()
        items = batches[chain.name]
        packets = await sending.send(chain, self._key, [call for _, call, _ in items])
        self._watch.add(packets, began)
        self._expectations += [
            Expectation(what, packet, state) for (what, _, state), packet in zip(items, packets, strict=True)
        ]

    async def _expire(self) -> None:
        """Send a transfer while the gateways stand still, and let them go on once its time is over."""
        self._progress.working("stopping the gateways until a transfer has expired")
        with _stopped_gateways(self._view.network):
            began = time.monotonic()
            expiry = await self._third.clock()
            expiry = max(expiry, int(time.time())) + EXPIRY_SECONDS
            call = await self._transfer(self._third, self._first, self._view.address("bob"), TOKEN_UNIT, expiry)
            packets = await sending.send(self._third, self._key, [call])
            self._expectations.append(Expectation("expired transfer", packets[0], State.REFUNDED, ReceiptCode.EXPIRED))
            self._watch.add(packets, began)
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while await self._first.clock() < expiry:
                if time.monotonic() > deadline:
                    raise TransientChainError(f"the clock of {self._first.name} stands still")
                await asyncio.sleep(POLL_SECONDS)
        self._progress.done("a transfer expired while the gateways stood still; now they go on")
        if not await self._until_finished():
            self._progress.done("the expired transfer was refunded")

    async def _transfer(
        self, source: ChainView, destination: ChainView, recipient: bytes, amount: int, expiry: int
    ) -> Call:
        transfer = Transfer(destination.entry.registration, recipient, amount, expiry)
        return await sending.transfer_call(self._view, source, transfer)

    async def _until_finished(self) -> int:
        """Watch until every packet is finished or time is up; return how many are not, which the report will tell."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        acknowledged_before = bool(self._watch.finished)
        while (left := await self._watch.look()) and time.monotonic() < deadline:
            if self._watch.finished and not acknowledged_before:
                acknowledged_before = True
                self._progress.done("the first packet is acknowledged")
            total = len(self._expectations)
            self._progress.working(f"{total - left} of {total} packets finished")
            await asyncio.sleep(POLL_SECONDS)
        return left

    async def _report(self, ready: float, record: tuple[bytes, bytes]) -> Report:
        view = self._view
        traces = {}
        for item in self._expectations:
            facts = await collect(view, item.packet)
            traces[item.packet.id] = (facts, trace(facts))
        faults = [fault for item in self._expectations if (fault := item.fault(*traces[item.packet.id]))]
        stored, source, _ = await self._third.call(
            self._third.application("record-notary"), artifact("record-notary"), "recordOf", record[0]
        )
        if (stored, source) != (record[1], self._first.entry.registration):
            faults.append(f"{self._third.name} does not hold the notarised record")
        verdict = await asyncio.to_thread(oracle_command.examine, view.network)
        if not await self._message_stands():
            faults.append(f"the message board on {self._second.name} does not show the message")
        return Report(
            expectations=self._expectations,
            traces=traces,
            latencies={item.packet.id: self._watch.latency_seconds(item.packet) for item in self._expectations},
            faults=faults,
            verdict=verdict,
            seconds_until_up=ready - self._began,
            seconds_until_first=min(self._watch.finished.values()) - self._began if self._watch.finished else None,
            seconds=time.monotonic() - self._began,
            chain_name=view.chain_name,
        )

    async def _message_stands(self) -> bool:
        query = {"address": self._second.entry.message_board, "fromBlock": "0x0", "toBlock": "latest"}
        logs = await self._second.client.call("eth_getLogs", [query])
        posted = load("MessageBoard")
        assert isinstance(logs, list)
        events = [
            posted.decode_event([bytes.fromhex(topic[2:]) for topic in log["topics"]], bytes.fromhex(log["data"][2:]))
            for log in logs
        ]
        return any(event is not None and event.arguments["payload"] == MESSAGE for event in events)


@contextmanager
def _stopped_gateways(network: NetworkFile) -> Iterator[None]:
    """Let the gateways stand still, as if their machine were suspended."""
    gateways = [item for item in network.processes if item.role == "gateway" and processes.is_running(item)]
    for item in gateways:
        os.kill(item.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for item in gateways:
            if processes.is_running(item):
                os.kill(item.pid, signal.SIGCONT)
