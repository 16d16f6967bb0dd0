"""A whole domain inside one process: EVM parachains, relay chains and their RPC on loopback, with deployed hubs.

Everything is the real thing but the processes: the gateway under test speaks HTTP and WebSocket to it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from eth_account import Account

from piebridge.abci.embedded.genesis import GenesisDocument
from piebridge.abci.embedded.keys import ValidatorKey
from piebridge.abci.embedded.node import EmbeddedNode
from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.contracts.loader import Artifact, load
from piebridge.crypto.hash import keccak256, sha256
from piebridge.crypto.signature import address_of_private_key
from piebridge.crypto.threshold.ciphersuite import base_times, encode_element
from piebridge.crypto.threshold.signing import sign_single
from piebridge.evm_chain.genesis import GenesisAccount, evm_genesis
from piebridge.evm_chain.node import EvmNode, evm_genesis_document
from piebridge.gateway.config import ChainConfig, GatewayConfig, NotaryAddress, RelayConfig
from piebridge.gateway.forwarder import Flow, ForwarderSettings
from piebridge.protocol_stack.checkpoint import CometBftCheckpoint
from piebridge.protocol_stack.endorsement import EndorsementSet
from piebridge.protocol_stack.governor_hub_bodies import (
    HUB_WIDE_KINDS,
    HubBody,
    OpenDomain,
    Protocols,
    RegisterApplication,
    RegisterPeer,
    RegisterRelay,
    RelayLifeCycle,
    RelayState,
    SetRoutingPolicy,
    Verification,
)
from piebridge.protocol_stack.governor_messages import GovernorMessage, TargetKind
from piebridge.protocol_stack.governor_relay_bodies import (
    ClientKind,
    GatewayQuota,
    Gateways,
    Parameters,
    RegisterChain,
    ValidatorKeys,
    ValidatorSet,
)
from piebridge.protocol_stack.notary_statement import NotarySet
from piebridge.protocol_stack.relay_genesis import RelayGenesis
from piebridge.protocol_stack.routing import SLOT_COUNT, RoutingPolicy, SlotRange
from piebridge.protocol_stack.verification.base import Method
from piebridge.relay.app.application import RelayApplication
from piebridge.relay.app.state import MemoryBackend
from piebridge.relay.endorsement import EndorsementSigner, ValidatorQueries

DOMAIN = 7
TOKEN, RECORD_NOTARY = 2, 3
FUNDS_WEI = 10**24
TOKENS = 10**9
HANDLER_GAS_MAX = 2_000_000
FORWARDER_SETTINGS = ForwarderSettings(
    limits=tuple(
        (flow, replace(limits, age_seconds=1.0) if flow is Flow.ACKNOWLEDGE else limits)
        for flow, limits in ForwarderSettings().limits
    ),
    recheck_seconds=5.0,
    acknowledge_after_seconds=3.0,
)
"""As in production, but for shorter waits."""
GOVERNOR_SECRET = 0x1234567890ABCDEF


def key(name: str) -> bytes:
    """Return the private key of somebody in the tests."""
    return keccak256(b"gateway tests " + name.encode())


def address(name: str) -> bytes:
    """Return the address of somebody in the tests."""
    return address_of_private_key(key(name))


class SkewedClock:
    """A clock that is ahead of this machine's, or behind."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def __call__(self) -> int:
        return time.time_ns() + int(self.ahead_seconds * 10**9)


class MemorySigned:
    """What an endorser has signed."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}

    def get(self, name: bytes) -> bytes | None:
        return self._values.get(name)

    def put(self, name: bytes, value: bytes) -> None:
        self._values[name] = value


@dataclass
class Parachain:
    """An EVM chain with a hub and two applications, and a wallet on it."""

    registration: int
    evm_chain_id: int
    rpc_url: str
    websocket_url: str
    cometbft_urls: tuple[str, ...] = ()
    method: Method = Method.SPV
    depth: int = 0
    hub: bytes = b""
    token: bytes = b""
    record_notary: bytes = b""
    client: JsonRpcClient = field(init=False)
    _nonces: dict[str, int] = field(default_factory=dict)
    _counters: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client = JsonRpcClient(self.rpc_url)

    # transactions

    async def send(self, sender: str, to: bytes, data: bytes, *, gas: int = 1_500_000) -> bytes:
        """Send a transaction without waiting; return its hash."""
        if sender not in self._nonces:
            told = await self.client.call("eth_getTransactionCount", ["0x" + address(sender).hex(), "pending"])
            self._nonces[sender] = int(str(told), 16)
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": self.evm_chain_id,
            "nonce": self._nonces[sender],
            "value": 0,
            "data": data,
            "gas": gas,
            "maxFeePerGas": 20 * 10**9,
            "maxPriorityFeePerGas": 10**9,
        }
        if to:
            transaction["to"] = to
        signed = Account.sign_transaction(transaction, key(sender))
        self._nonces[sender] += 1
        answer = await self.client.call("eth_sendRawTransaction", ["0x" + bytes(signed.raw_transaction).hex()])
        return bytes.fromhex(str(answer)[2:])

    async def receipt(self, transaction_hash: bytes, *, succeeded: bool = True) -> dict[str, Any]:
        """Wait for a receipt."""
        async with asyncio.timeout(30):
            while True:
                found = await self.client.call("eth_getTransactionReceipt", ["0x" + transaction_hash.hex()])
                if isinstance(found, dict) and found.get("blockNumber"):
                    assert (found["status"] == "0x1") == succeeded, found
                    return found
                await asyncio.sleep(0.1)

    async def run(self, sender: str, to: bytes, data: bytes, *, gas: int = 1_500_000) -> dict[str, Any]:
        """Send a transaction and wait for it."""
        return await self.receipt(await self.send(sender, to, data, gas=gas))

    async def view(
        self, artifact: Artifact, to: bytes, function: str, *arguments: object, block: int | None = None
    ) -> tuple[Any, ...]:
        """Call a function that changes nothing."""
        request = {"to": "0x" + to.hex(), "data": "0x" + artifact.function_data(function, *arguments).hex()}
        answer = await self.client.call("eth_call", [request, "latest" if block is None else hex(block)])
        return artifact.decode_result(function, bytes.fromhex(str(answer)[2:]))

    # administration

    def governor_message(self, body: HubBody) -> bytes:
        domain = 0 if body.KIND in HUB_WIDE_KINDS else DOMAIN
        counter = self._counters[domain] = self._counters.get(domain, 0) + 1
        message = GovernorMessage(
            TargetKind.HUB, domain, self.registration, 1, body.KIND, self.hub, counter, body.encode()
        )
        return message.signed(lambda digest: sign_single(GOVERNOR_SECRET, digest, keccak256(digest))).encode()

    async def govern(self, *bodies: HubBody) -> None:
        """Have the hub execute governor messages; all of them must succeed."""
        hub = load("Hub")
        hashes = [
            await self.send("deployer", self.hub, hub.function_data("governor", self.governor_message(body)))
            for body in bodies
        ]
        for body, transaction_hash in zip(bodies, hashes, strict=True):
            for log in (await self.receipt(transaction_hash))["logs"]:
                topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
                event = hub.decode_event(topics, bytes.fromhex(log["data"][2:]))
                if event is not None and event.name == "GovernorMessageHandled":
                    reason = bytes(event.arguments["reason"])
                    assert event.arguments["done"], f"{body}: {hub.decode_error(reason)}"

    async def deploy(self, chains: int, *, queue: bool = False) -> None:
        """Deploy hub and applications."""
        hub, token, notary = load("Hub"), load("BridgeToken"), load("RecordNotary")
        binding = (self.registration, self.evm_chain_id, HANDLER_GAS_MAX, True, queue)
        group_key = encode_element(base_times(GOVERNOR_SECRET))
        created = await self.run("deployer", b"", hub.deployment_data(binding, group_key), gas=14_000_000)
        self.hub = bytes.fromhex(created["contractAddress"][2:])
        shown = "0x" + self.hub.hex()
        supply = chains * TOKENS
        first = await self.send(
            "deployer",
            b"",
            token.deployment_data(shown, "Token", "TOK", supply, "0x" + address("alice").hex(), TOKENS, supply, 3_600),
            gas=4_000_000,
        )
        second = await self.send("deployer", b"", notary.deployment_data(shown), gas=4_000_000)
        self.token = bytes.fromhex((await self.receipt(first))["contractAddress"][2:])
        self.record_notary = bytes.fromhex((await self.receipt(second))["contractAddress"][2:])

    # what users do and see

    async def transfer(
        self,
        destination: int,
        amount: int,
        *,
        relay: int,
        recipient: bytes | None = None,
        lifetime_seconds: int = 600,
        now: int | None = None,
    ) -> bytes:
        """Send tokens of alice to bob on another chain; return the transaction's hash.

        The lifetime is counted from `now`, or else from this chain's time.
        """
        now = await self.time() if now is None else now
        data = load("BridgeToken").function_data(
            "transferRemote",
            DOMAIN,
            destination,
            relay,
            "0x" + (recipient if recipient is not None else address("bob")).hex(),
            amount,
            now + lifetime_seconds,
            now + lifetime_seconds + 600,
        )
        return await self.send("alice", self.token, data)

    async def notarise(self, destination: int, record: bytes, value: bytes) -> bytes:
        """Send a record to another chain over a free lane; return the transaction's hash."""
        data = load("RecordNotary").function_data("notarise", DOMAIN, destination, record, value, 0)
        return await self.send("alice", self.record_notary, data)

    async def balance(self, name: str, *, block: int | None = None) -> int:
        """Tokens of somebody, at the newest block or another one."""
        artifact = load("BridgeToken")
        (amount,) = await self.view(artifact, self.token, "balanceOf", "0x" + address(name).hex(), block=block)
        return int(amount)

    async def record(self, record: bytes) -> tuple[Any, ...]:
        return await self.view(load("RecordNotary"), self.record_notary, "recordOf", record)

    async def status(self, relay: int, nonce: int) -> int:
        """Status bits of an own transaction."""
        (bits,) = await self.view(load("Hub"), self.hub, "statusOf", DOMAIN, 0, relay, 0, nonce)
        return int(bits)

    async def time(self) -> int:
        """The later of the chain's time and the clock."""
        block = await self.client.call("eth_getBlockByNumber", ["latest", False])
        assert isinstance(block, dict)
        return max(int(block["timestamp"], 16), int(time.time()))


@dataclass
class RelayChain:
    """A relay chain with four validators."""

    relay: int
    node: EmbeddedNode
    application: RelayApplication

    @property
    def chain_id(self) -> str:
        return f"piebridge-{DOMAIN}-{self.relay}"


class GatewayNetwork:
    """Use as ``async with GatewayNetwork() as network:``."""

    def __init__(
        self,
        *,
        parachains: int = 2,
        relays: tuple[int, ...] = (1,),
        gateways: int = 1,
        validators: int = 4,
        anvil_urls: tuple[str, ...] = (),
        notary_names: tuple[str, ...] = (),
        anvil_depth: int = 1,
    ) -> None:
        self._parachain_count = parachains
        self._relay_ids = relays
        self._gateway_count = gateways
        self._validator_count = validators
        self._anvil_urls = anvil_urls
        self._notary_names = notary_names
        self._anvil_depth = anvil_depth
        self._stack = AsyncExitStack()
        self.chains: dict[int, Parachain] = {}
        self.relays: dict[int, RelayChain] = {}
        self.notary_urls: list[str] = []
        """Set by tests that start notaries, once the hubs are deployed."""
        self._genesis_hashes: dict[int, bytes] = {}
        self.clocks: dict[str, SkewedClock] = {}
        """Clock of each chain of this process: `chain 1`, `relay 1` ..."""

    async def __aenter__(self) -> "GatewayNetwork":
        try:
            await self._build()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def gateway_config(self, directory: Path, index: int = 0, *, takeover_blocks: int = 3) -> GatewayConfig:
        """Configuration of one of the gateways."""
        return GatewayConfig(
            name=f"gateway-{index}",
            domain=DOMAIN,
            private_key=key(f"gateway {index}"),
            data_directory=directory,
            chains=tuple(
                ChainConfig(
                    name=f"chain-{chain.registration}",
                    registration=chain.registration,
                    evm_chain_id=chain.evm_chain_id,
                    hub_address=chain.hub,
                    rpc_url=chain.rpc_url,
                    websocket_url=chain.websocket_url,
                    cometbft_rpc_urls=chain.cometbft_urls,
                )
                for chain in self.chains.values()
            ),
            relays=tuple(
                RelayConfig(relay.relay, relay.chain_id, relay.node.rpc_addresses) for relay in self.relays.values()
            ),
            notaries=tuple(NotaryAddress(url, tuple(self.chains)) for url in self.notary_urls),
            takeover_blocks=takeover_blocks,
            forwarder=FORWARDER_SETTINGS,
        )

    @property
    def notary_set(self) -> NotarySet | None:
        if not self._notary_names:
            return None
        count = len(self._notary_names)
        return NotarySet(1, 2 * count // 3 + 1, tuple(address(name) for name in self._notary_names))

    async def _build(self) -> None:
        for number in range(1, self._parachain_count + 1):
            self.chains[number] = await self._start_parachain(number)
        for offset, url in enumerate(self._anvil_urls):
            number = self._parachain_count + offset + 1
            self.chains[number] = await self._use_anvil(number, url)
        await asyncio.gather(*(chain.deploy(len(self.chains)) for chain in self.chains.values()))
        for relay in self._relay_ids:
            self.relays[relay] = await self._start_relay(relay)
        await asyncio.gather(*(self._administer(chain) for chain in self.chains.values()))

    async def _start_parachain(self, number: int) -> Parachain:
        alloc = {address(name): GenesisAccount(balance=FUNDS_WEI) for name in self._funded}
        keys = [ValidatorKey(key(f"chain {number} validator"))]
        document = evm_genesis_document(
            f"gateway-test-{number}",
            time.time_ns() - 10**9,
            [item.public_key for item in keys],
            evm_genesis(31_000 + number, alloc),
        )
        clock = self.clocks[f"chain {number}"] = SkewedClock()
        node = EvmNode(None, document, keys, [0], 0, block_interval_seconds=0.5, now_ns=clock)
        await node.start()
        self._stack.push_async_callback(node.stop)
        url = node.eth_address
        chain = Parachain(number, 31_000 + number, url, "ws" + url.removeprefix("http"), node.rpc_addresses)
        self._stack.push_async_callback(chain.client.close)
        return chain

    async def _use_anvil(self, number: int, url: str) -> Parachain:
        chain = Parachain(
            number, 31_337, url, "ws" + url.removeprefix("http"), method=Method.NOTARY, depth=self._anvil_depth
        )
        self._stack.push_async_callback(chain.client.close)
        chain.evm_chain_id = int(str(await chain.client.call("eth_chainId", [])), 16)
        for name in self._funded:
            await chain.client.call("anvil_setBalance", ["0x" + address(name).hex(), hex(FUNDS_WEI)])
        return chain

    @property
    def _funded(self) -> list[str]:
        return ["deployer", "alice", "bob", *(f"gateway {index}" for index in range(self._gateway_count))]

    async def _start_relay(self, relay: int) -> RelayChain:
        consensus = [ValidatorKey(key(f"relay {relay} validator {i}")) for i in range(self._validator_count)]
        endorsers = [key(f"relay {relay} endorser {i}") for i in range(self._validator_count)]
        genesis = RelayGenesis(
            domain=DOMAIN,
            relay=relay,
            dev=True,
            governor_key=encode_element(base_times(GOVERNOR_SECRET)),
            parameters=Parameters(8_192, 3_600, 100),
            validator_set=ValidatorSet(
                1,
                2 * self._validator_count // 3 + 1,
                tuple(
                    ValidatorKeys(
                        ValidatorKey(key(f"relay {relay} validator {i}")).public_key.data,
                        address_of_private_key(endorsers[i]),
                    )
                    for i in range(self._validator_count)
                ),
            ),
            chains=tuple([await self._registration(chain) for chain in self.chains.values()]),
            gateways=Gateways(
                tuple(
                    GatewayQuota(item, 10_000)
                    for item in sorted(address(f"gateway {index}") for index in range(self._gateway_count))
                )
            ),
        )
        document = genesis.document(time.time_ns() - 10**9)
        self._genesis_hashes[relay] = sha256(document)
        clock = self.clocks[f"relay {relay}"] = SkewedClock()
        application = RelayApplication(MemoryBackend())
        handlers = [ValidatorQueries(application, EndorsementSigner(item, MemorySigned())) for item in endorsers]
        node = EmbeddedNode(
            application,
            GenesisDocument.from_json(document),
            consensus,
            None,
            [0] * self._validator_count,
            handlers,
            block_interval_seconds=0.2,
            now_ns=clock,
        )
        await node.start()
        self._stack.push_async_callback(node.stop)
        return RelayChain(relay, node, application)

    async def _registration(self, chain: Parachain) -> RegisterChain:
        checkpoint = None
        if chain.method is Method.SPV:
            rpc = CometBftRpc(chain.cometbft_urls[0])
            header = (await rpc.signed_header(1)).header
            await rpc.close()
            checkpoint = CometBftCheckpoint(
                86_400,
                10,
                header.chain_id,
                header.height,
                header.hash(),
                header.time_ns,
                header.app_hash,
                header.next_validators_hash,
            )
        return RegisterChain(
            registration=chain.registration,
            hub=chain.hub,
            evm_chain_id=chain.evm_chain_id,
            client_kind=ClientKind.COMETBFT if checkpoint else ClientKind.NONE,
            method=chain.method,
            depth=chain.depth,
            depth_max=max(16, chain.depth),
            handler_gas_max=HANDLER_GAS_MAX,
            checkpoint=checkpoint,
            notaries=None if checkpoint else self.notary_set,
        )

    async def _administer(self, chain: Parachain) -> None:
        bodies: list[HubBody] = [
            OpenDomain(8_192, 1, 30 * 86_400),
            Verification(chain.method, max(16, chain.depth), 0 if chain.method is Method.SPV else 1),
            RegisterApplication(TOKEN, chain.token, Protocols.ATP),
            RegisterApplication(RECORD_NOTARY, chain.record_notary, Protocols.FORWARD),
        ]
        bodies += [
            RegisterPeer(other.registration, other.evm_chain_id, HANDLER_GAS_MAX, member=True)
            for other in self.chains.values()
            if other is not chain
        ]
        for relay in self.relays.values():
            bodies.append(RegisterRelay(relay.relay, self._genesis_hashes[relay.relay], self._endorsers(relay.relay)))
            bodies.append(RelayState(relay.relay, RelayLifeCycle.ACTIVE))
        bodies.append(SetRoutingPolicy(RoutingPolicy(1, tuple(self._slots()))))
        await chain.govern(*bodies)

    def _endorsers(self, relay: int) -> EndorsementSet:
        validators = tuple(
            ValidatorKeys(
                ValidatorKey(key(f"relay {relay} validator {i}")).public_key.data,
                address(f"relay {relay} endorser {i}"),
            )
            for i in range(self._validator_count)
        )
        return ValidatorSet(1, 2 * self._validator_count // 3 + 1, validators).endorsers

    def _slots(self) -> list[SlotRange]:
        relays = sorted(self.relays)
        bounds = [SLOT_COUNT * number // len(relays) for number in range(len(relays) + 1)]
        return [
            SlotRange(relay, first, after - first)
            for relay, first, after in zip(relays, bounds[:-1], bounds[1:], strict=True)
        ]


async def eventually(condition: Callable[[], Awaitable[bool]], *, timeout_seconds: float = 30) -> None:
    """Wait until an asynchronous condition holds."""
    async with asyncio.timeout(timeout_seconds):
        while not await condition():  # noqa: ASYNC110 - chains are polled
            await asyncio.sleep(0.2)
