"""Traffic for networks of real processes: records sent at a rate, and watched from block to block.

Transactions are signed beforehand, so that what is measured is the network and not this process. A packet is known by
the key of its record: sent when its block is seen, received when the destination's block with the stored record is
seen, home when the source's block with the confirmation is seen.
"""

import asyncio
import contextlib
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from eth_account import Account
from eth_utils.address import to_checksum_address

from bench.network import BenchNetwork
from piebridge.chains.evm.hub import decode_log
from piebridge.chains.jsonrpc import JsonRpcClient, Subscription
from piebridge.contracts.loader import load
from piebridge.crypto.errors import TransientChainError
from piebridge.crypto.hash import keccak256, sha256
from piebridge.protocol_stack.header import HEADER_LENGTH
from piebridge.protocol_stack.packet import packet_id

_GAS = 400_000
_FEE_WEI = 100 * 10**9
_SUBMIT_SECONDS = 0.05
"""Interval of batches of transactions."""


@dataclass(slots=True)
class Journey:
    """What was seen of one packet, in seconds of this process's clock; None is not seen yet."""

    submitted: float
    source: int
    """Place of the sending chain in the network."""
    sent: float | None = None
    received: float | None = None
    home: float | None = None


@dataclass(slots=True)
class _Chain:
    registration: int
    evm_chain_id: int
    hub: bytes
    notary: bytes
    client: JsonRpcClient
    websocket_url: str
    height: int = 0
    nonce: int = 0
    signed: list[tuple[bytes, str]] = field(default_factory=list)
    blocks_seen: list[float] = field(default_factory=list)


class Traffic:
    """Sends from the first two chains to each other and watches."""

    def __init__(self, network: BenchNetwork, *, both_ways: bool = True) -> None:
        """Use the record notaries of a network."""
        self._domain = int(network.document["domain"]["id"])
        self._key = network.user_key()
        self._address = Account.from_key(self._key).address
        self._chains = [
            _Chain(
                registration=item["registration"],
                evm_chain_id=item["evm_chain_id"],
                hub=bytes.fromhex(item["hub"][2:]),
                notary=network.application(index, "record-notary"),
                client=JsonRpcClient(item["rpc_url"], timeout_seconds=30.0),
                websocket_url=item["websocket_url"],
            )
            for index, item in enumerate(network.document["chains"][:2])
        ]
        self._senders = self._chains if both_ways else self._chains[:1]
        self.journeys: dict[bytes, Journey] = {}
        self.home = 0
        """Packets whose receipt came home."""
        self._by_packet: dict[bytes, bytes] = {}
        self._count = 0
        self._watching: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Traffic":
        """Begin to watch from the newest block on."""
        for chain in self._chains:
            chain.height = int(str(await chain.client.call("eth_blockNumber")), 16)
            told = await chain.client.call("eth_getTransactionCount", [self._address, "pending"])
            chain.nonce = int(str(told), 16)
            self._watching.append(asyncio.create_task(self._watch(chain)))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop watching."""
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        for chain in self._chains:
            await chain.client.close()

    def sign(self, count: int) -> None:
        """Sign as many transactions, evenly over the senders."""
        notarise = load("RecordNotary")
        account = Account.from_key(self._key)
        for index in range(count):
            chain = self._senders[index % len(self._senders)]
            other = self._chains[1] if chain is self._chains[0] else self._chains[0]
            key = sha256(b"bench record %d %d %d" % (chain.registration, chain.nonce, time.time_ns()))
            transaction: dict[str, Any] = {
                "type": 2,
                "chainId": chain.evm_chain_id,
                "nonce": chain.nonce,
                "to": to_checksum_address(chain.notary),
                "value": 0,
                "data": notarise.function_data("notarise", self._domain, other.registration, key, sha256(key), 0),
                "gas": _GAS,
                "maxFeePerGas": _FEE_WEI,
                "maxPriorityFeePerGas": 10**9,
            }
            chain.nonce += 1
            chain.signed.append((key, "0x" + bytes(account.sign_transaction(transaction).raw_transaction).hex()))

    async def submit(self, count: int) -> None:
        """Hand as many signed transactions to the nodes at once."""
        await asyncio.gather(*(self._submit(chain, count // len(self._senders)) for chain in self._senders))

    async def submit_at(self, per_second: float, seconds: float) -> None:
        """Hand signed transactions to the nodes at an even rate."""
        started, given = time.monotonic(), 0
        while (elapsed := time.monotonic() - started) < seconds:
            due = int(per_second * elapsed) - given
            due -= due % len(self._senders)
            if due:
                await self.submit(due)
                given += due
            await asyncio.sleep(_SUBMIT_SECONDS)

    async def finished(self, *, timeout_seconds: float, share: float = 1.0) -> None:
        """Wait until (a share of) the packets are home.

        Raises:
            TimeoutError: they were not in time.
        """
        async with asyncio.timeout(timeout_seconds):
            while self.home < share * len(self.journeys):  # noqa: ASYNC110 - chains are polled
                await asyncio.sleep(0.1)

    def block_intervals(self) -> list[float]:
        """Seconds between the blocks of both chains."""
        return [later - earlier for chain in self._chains for earlier, later in pairwise(chain.blocks_seen)]

    def first_block_after(self, chain: int, moment: float) -> float | None:
        """When the first block of a chain was seen at or after a moment; None where there was none yet."""
        seen = self._chains[chain].blocks_seen
        position = bisect_left(seen, moment)
        return seen[position] if position < len(seen) else None

    async def _submit(self, chain: _Chain, count: int) -> None:
        part, chain.signed = chain.signed[:count], chain.signed[count:]
        if len(part) < count:
            raise RuntimeError("too few transactions were signed beforehand")
        now = time.monotonic()
        for key, _ in part:
            self.journeys[key] = Journey(now, self._chains.index(chain))
        await chain.client.batch([("eth_sendRawTransaction", [raw]) for _, raw in part])

    async def _watch(self, chain: _Chain) -> None:
        async for _ in Subscription(
            chain.websocket_url, {"method": "eth_subscribe", "params": ["newHeads"]}, reconnect_seconds=0.1
        ).wakes():
            seen = time.monotonic()
            with contextlib.suppress(TransientChainError):  # the next block tells of this one too
                height = int(str(await chain.client.call("eth_blockNumber")), 16)
                if height > chain.height:
                    await self._take(chain, chain.height + 1, height, seen)
                    chain.blocks_seen.append(seen)
                    chain.height = height

    async def _take(self, chain: _Chain, first: int, last: int, seen: float) -> None:
        query = {
            "address": ["0x" + chain.hub.hex(), "0x" + chain.notary.hex()],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        logs: Any = await chain.client.call("eth_getLogs", [query])
        for log in logs:
            if log["address"] == "0x" + chain.hub.hex():
                self._sent(chain, log, seen)
            else:
                self._answered(log, seen)

    def _sent(self, chain: _Chain, log: dict[str, Any], seen: float) -> None:
        entry = decode_log(log, chain.hub, "bench")
        if entry is None or entry.form != 1:
            return
        header, body = entry.content[:HEADER_LENGTH], entry.content[HEADER_LENGTH:]
        journey = self.journeys.get(body[:32])
        if journey is not None:
            journey.sent = seen
            self._by_packet[packet_id(header, keccak256(body))] = body[:32]

    def _answered(self, log: dict[str, Any], seen: float) -> None:
        topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
        if topics[0] == _NOTARISED and (journey := self.journeys.get(topics[2])) is not None:
            journey.received = seen
        elif topics[0] == _CONFIRMED and (key := self._by_packet.pop(topics[1], None)) is not None:
            self.journeys[key].home = seen
            self.home += 1


_NOTARISED = keccak256(b"RecordNotarised(bytes32,bytes32,bytes32,uint32,bool)")
_CONFIRMED = keccak256(b"NotarisationConfirmed(bytes32,uint8,bytes)")


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of all lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
