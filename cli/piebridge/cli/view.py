"""A running network as commands see it: clients of every chain, and what they are asked."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.chains.errors import MissingStateError, TransactionRefusedError
from piebridge.chains.evm.hub import PACKET_SENT
from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.cli import network_file
from piebridge.cli.facts import SentPacket
from piebridge.cli.network_file import ChainEntry, NetworkFile, RelayChainEntry, UnknownNameError
from piebridge.contracts.loader import Artifact, load
from piebridge.crypto.errors import ChainError, ConfigurationError, DecodingError, TransientChainError
from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.endorsement import Envelope
from piebridge.protocol_stack.errors import FormatError
from piebridge.protocol_stack.relay_messages import HubRange, RelayTransaction, TransactionKind
from piebridge.protocol_stack.stack import STACK

REQUEST_TIMEOUT_SECONDS = 5.0
"""How long a command waits for one answer."""
LOG_BLOCKS_MAX = 2_000
"""Blocks asked for in one ``eth_getLogs``."""

_Answer = TypeVar("_Answer")

_RECEIVE_RANGE = keccak256(b"receiveRange(bytes)")[:4]
_U32 = (1 << 32) - 1
_U64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class ReceivedRange:
    """A transaction that brought an endorsed range to a hub."""

    transaction: str
    """Its hash, 0x-hex."""
    envelope: Envelope
    """What it brought."""
    gas_used: int
    """Gas of the transaction."""
    logs: tuple[dict[str, Any], ...]
    """Logs that it made."""

    @property
    def proof_bytes(self) -> int:
        """Size of set and signatures."""
        return len(self.envelope.encode()) - len(self.envelope.range.encode())


@dataclass(slots=True)
class ChainView:
    """One parachain."""

    entry: ChainEntry
    """What the network file says of it."""
    client: JsonRpcClient
    """Its eth_* JSON-RPC."""
    _blocks: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name."""
        return self.entry.name

    @property
    def hub(self) -> bytes:
        """Address of its hub, 20 bytes."""
        return bytes.fromhex(self.entry.hub[2:])

    def application(self, name: str) -> bytes:
        """Return the address of an application, 20 bytes."""
        return bytes.fromhex(self.entry.application(name).address[2:])

    @property
    def message_board(self) -> bytes:
        """Address of the chain's example receiver of ERC-7786 messages, 20 bytes.

        Raises:
            ConfigurationError: the network file names none.
        """
        if self.entry.message_board is None:
            raise ConfigurationError(f"{self.name} has no message board: name the contract that takes the message")
        return bytes.fromhex(self.entry.message_board[2:])

    async def head(self) -> tuple[int, int]:
        """Return number and time of the newest block."""
        block = _object(await self.client.call("eth_getBlockByNumber", ["latest", False]), self.name)
        return int(block["number"], 16), int(block["timestamp"], 16)

    async def clock(self) -> int:
        """Return the time, Unix seconds, that the next block has at least.

        A chain on ABCI goes on in time while it makes no EVM block; its CometBFT headers tell.
        """
        _, time = await self.head()
        for url in self.entry.cometbft_rpc_urls:
            rpc = CometBftRpc(url, timeout_seconds=REQUEST_TIMEOUT_SECONDS)
            try:
                return max(time, (await rpc.status()).time_ns // 1_000_000_000)
            except ChainError:
                continue
            finally:
                await rpc.close()
        return time

    async def block(self, number: int) -> dict[str, Any]:
        """Return a block with its transactions.

        Raises:
            MissingStateError: the node does not have it.
        """
        if number not in self._blocks:
            block = await self.client.call("eth_getBlockByNumber", [hex(number), True])
            if block is None:
                raise MissingStateError(f"{self.name}: no block {number}")
            self._blocks[number] = _object(block, self.name)
        return self._blocks[number]

    async def block_time(self, number: int) -> int:
        """Return the time of a block, Unix seconds."""
        return int((await self.block(number))["timestamp"], 16)

    async def receipt(self, transaction: str) -> dict[str, Any]:
        """Return the receipt of a transaction that is in a block."""
        return _object(await self.client.call("eth_getTransactionReceipt", [transaction]), self.name)

    async def storage(self, slot: bytes, block: int | None = None) -> int:
        """Return the value of a slot of the hub; at the newest block unless told."""
        tag = "latest" if block is None else hex(block)
        answer = await self.client.call("eth_getStorageAt", [self.entry.hub, _hex(slot), tag])
        return int(str(answer), 16)

    async def balance(self, address: str) -> int:
        """Return the money of an account, wei."""
        return int(str(await self.client.call("eth_getBalance", [address, "latest"])), 16)

    async def call(self, address: bytes, artifact: Artifact, function: str, *arguments: object) -> tuple[Any, ...]:
        """Return what a function of a contract answers."""
        request = {"to": _hex(address), "data": _hex(artifact.function_data(function, *arguments))}
        answer = str(await self.client.call("eth_call", [request, "latest"]))
        return artifact.decode_result(function, bytes.fromhex(answer[2:]))

    async def sent_packets(self, first_block: int = 0) -> list[SentPacket]:
        """Return the packets that the hub sent, in order."""
        head, _ = await self.head()
        found = []
        for first in range(first_block, head + 1, LOG_BLOCKS_MAX):
            last = min(first + LOG_BLOCKS_MAX - 1, head)
            query = {
                "address": self.entry.hub,
                "topics": [_hex(PACKET_SENT)],
                "fromBlock": hex(first),
                "toBlock": hex(last),
            }
            logs = await self.client.call("eth_getLogs", [query])
            if not isinstance(logs, list):
                raise TransientChainError(f"{self.name}: logs are not a list")
            found += [packet for log in logs if (packet := self.sent_packet(log)) is not None]
        return found

    def sent_packet(self, log: dict[str, Any]) -> SentPacket | None:
        """Read a log of the hub; None unless it is of a packet that was sent."""
        if log["address"].lower() != self.entry.hub.lower() or log["topics"][0] != _hex(PACKET_SENT):
            return None
        number = int(log["topics"][1], 16)
        try:
            packet = STACK.receive(bytes.fromhex(log["data"][2:]))
        except FormatError as error:
            raise TransientChainError(f"{self.name}: the hub sent a packet that does not decode: {error}") from error
        return SentPacket(
            packet=packet,
            chain=self.name,
            outbox_relay=number >> 64 & _U32,
            entry_number=number & _U64,
            block_number=int(log["blockNumber"], 16),
            transaction=str(log["transactionHash"]),
        )

    async def find_change(self, slot: bytes, holds: Callable[[int], bool], first: int, last: int) -> int | None:
        """Return the first block from ``first`` to ``last`` after which a slot's value fulfils a condition.

        The condition must stay fulfilled once it is. None where the node has not kept that state, or never.
        """
        try:
            if not holds(await self.storage(slot, last)):
                return None
            while first < last:
                middle = (first + last) // 2
                if holds(await self.storage(slot, middle)):
                    last = middle
                else:
                    first = middle + 1
        except ChainError:
            return None
        return last

    async def received_ranges(self, number: int) -> list[ReceivedRange]:
        """Return the endorsed ranges that a block brought to the hub."""
        found = []
        for item in (await self.block(number))["transactions"]:
            data = bytes.fromhex(item["input"][2:])
            if (item.get("to") or "").lower() != self.entry.hub.lower() or data[:4] != _RECEIVE_RANGE:
                continue
            length = int.from_bytes(data[36:68], "big")
            try:
                envelope = Envelope.decode(data[68 : 68 + length])
            except DecodingError:
                continue  # anybody may send rubbish to a hub
            receipt = await self.receipt(item["hash"])
            if int(receipt["status"], 16) == 1:
                found.append(ReceivedRange(item["hash"], envelope, int(receipt["gasUsed"], 16), tuple(receipt["logs"])))
        return found


@dataclass(slots=True)
class RelayView:
    """One relay chain."""

    entry: RelayChainEntry
    """What the network file says of it."""
    nodes: tuple[CometBftRpc, ...]
    """RPC of each validator."""
    clients: tuple[JsonRpcClient, ...]
    """The same, for methods that the other does not know."""

    @property
    def name(self) -> str:
        """Its name."""
        return f"relay-{self.entry.id}"

    async def query(self, path: str, data: bytes) -> bytes:
        """Return the value of a query, from the first validator that answers."""
        return await self._any(lambda index: self.nodes[index].abci_query(path, data))

    async def query_json(self, path: str, data: bytes) -> dict[str, Any] | None:
        """Return a query's JSON; None where the relay chain knows no such thing."""
        try:
            return _object(json.loads(await self.query(path, data)), self.name)
        except TransactionRefusedError:
            return None

    async def time(self, height: int) -> float:
        """Return the time of a block, Unix seconds."""
        signed = await self._any(lambda index: self.nodes[index].signed_header(height))
        return signed.header.time_ns / 1e9

    async def silent_validators(self) -> list[str]:
        """Return the names of the validators whose nodes do not answer."""

        async def answers(node: CometBftRpc) -> bool:
            try:
                await node.status()
            except ChainError:
                return False
            return True

        answered = await asyncio.gather(*(answers(node) for node in self.nodes))
        return [
            entry.process or f"validator {entry.index}"
            for entry, answer in zip(self.entry.validators, answered, strict=True)
            if not answer
        ]

    async def hub_ranges(self, height: int) -> list[tuple[HubRange, int]]:
        """Return the ranges of hubs that a block took up, each with the size of its proof in bytes."""
        call = ("block", {"height": str(height)})
        answer = _object(await self._any(lambda index: self.clients[index].call(*call)), self.name)
        found = []
        for encoded in answer["block"]["data"].get("txs") or ():
            transaction = RelayTransaction.decode(base64.b64decode(encoded))
            if transaction.kind is TransactionKind.HUB_RANGE:
                body = transaction.decode_body()
                assert isinstance(body, HubRange)
                found.append((body, len(transaction.body) - len(body.range.encode())))
        return found

    async def _any(self, ask: Callable[[int], Awaitable[_Answer]]) -> _Answer:
        """Return what the first validator answers that answers at all; ``ask`` is given its index."""
        last: ChainError | None = None
        for index in range(len(self.nodes)):
            try:
                return await ask(index)
            except TransactionRefusedError:
                raise
            except ChainError as error:
                last = error
        raise TransientChainError(f"{self.name}: no validator answers; the last said: {last}")


class NetworkView:
    """A whole network; close it after use."""

    def __init__(self, network: NetworkFile, directory: Path) -> None:
        """Describe the network; nothing is asked yet."""
        self.network = network
        """Its file."""
        self.directory = directory
        """Its folder."""
        self.chains = {
            entry.registration: ChainView(entry, JsonRpcClient(entry.rpc_url, timeout_seconds=REQUEST_TIMEOUT_SECONDS))
            for entry in network.chains
        }
        """Parachains by registration."""
        self.relays = {entry.id: _relay_view(entry) for entry in network.relay_chains}
        """Relay chains by id."""

    @classmethod
    def open(cls, directory: Path) -> "NetworkView":
        """Read the network file of a folder.

        Raises:
            ConfigurationError: there is none, or it is malformed.
        """
        return cls(network_file.load(directory), directory)

    async def __aenter__(self) -> "NetworkView":
        """Return the view itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        closing = [chain.client.close() for chain in self.chains.values()]
        for relay in self.relays.values():
            closing += [client.close() for client in relay.clients]
            closing += [node.close() for node in relay.nodes]
        await asyncio.gather(*closing)

    def chain(self, name: str) -> ChainView:
        """Return a chain by name or registration.

        Raises:
            ConfigurationError: there is none.
        """
        return self.chains[self.network.chain(name).registration]

    def chain_name(self, registration: int) -> str:
        """Return the name of a chain, or its number where the network file does not have it."""
        chain = self.chains.get(registration)
        return chain.name if chain is not None else f"registration {registration}"

    def address(self, name: str) -> bytes:
        """Return the address, 20 bytes, of an account by name, or of hexadecimal digits.

        Raises:
            ConfigurationError: it is neither.
        """
        if name.startswith("0x"):
            return parse_address(name)
        return bytes.fromhex(self.network.account(name).address[2:])

    async def sent_packets(self) -> list[SentPacket]:
        """Return the packets that all hubs sent, in the order of their blocks' times."""
        lists = await asyncio.gather(*(chain.sent_packets() for chain in self.chains.values()))
        return [packet for packets in lists for packet in packets]

    async def find_packet(self, abbreviation: str) -> SentPacket:
        """Return the packet whose id begins like that.

        Raises:
            ConfigurationError: no packet's id does, or several do.
        """
        wanted = abbreviation.lower().removeprefix("0x")
        if not wanted or any(digit not in "0123456789abcdef" for digit in wanted):
            raise ConfigurationError(f"{abbreviation!r} is no packet id: give its first hexadecimal digits")
        packets = await self.sent_packets()
        found = [packet for packet in packets if packet.id[2:].startswith(wanted)]
        if not found:
            raise UnknownNameError(
                f"no packet's id begins with {abbreviation} ({len(packets)} are known); see piebridge packet list"
            )
        if len(found) > 1:
            candidates = ", ".join(packet.id[: len(wanted) + 6] for packet in found[:5])
            raise ConfigurationError(
                f"{len(found)} packets begin with {abbreviation} ({candidates} ...): give more digits"
            )
        return found[0]


def parse_address(text: str) -> bytes:
    """Return the 20 bytes of an address in hexadecimal; mixed case must be its EIP-55 checksum.

    Raises:
        ConfigurationError: it is none.
    """
    from eth_utils.address import is_address, is_checksum_address, is_checksum_formatted_address

    if not is_address(text):
        raise ConfigurationError(f"{text!r} is no address: 0x and 40 hexadecimal digits are expected")
    if is_checksum_formatted_address(text) and not is_checksum_address(text):
        raise ConfigurationError(f"{text} has a wrong EIP-55 checksum: a digit was mistyped")
    return bytes.fromhex(text[2:])


def artifact(name: str) -> Artifact:
    """Return the artifact of an application by its name in the network file."""
    return load(_CONTRACTS[name])


_CONTRACTS = {"erc7786-door": "ERC7786Door", "token": "BridgeToken", "record-notary": "RecordNotary"}


def _relay_view(entry: RelayChainEntry) -> RelayView:
    urls = [validator.rpc_url for validator in entry.validators]
    return RelayView(
        entry,
        tuple(CometBftRpc(url, timeout_seconds=REQUEST_TIMEOUT_SECONDS) for url in urls),
        tuple(JsonRpcClient(url, timeout_seconds=REQUEST_TIMEOUT_SECONDS) for url in urls),
    )


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TransientChainError(f"{where}: the answer is not a JSON object")
    return value


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
