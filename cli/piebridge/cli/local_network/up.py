"""Starts a local network: parachains first, then relay chains and contracts together, gateways last."""

import asyncio
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import aiohttp

from piebridge.abci.cometbft.binary import find_cometbft
from piebridge.abci.cometbft.config import node_id
from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.cli import network_file, processes, serving
from piebridge.cli.local_network import anvil, folder, genesis, redis_server
from piebridge.cli.local_network.deploy import Addresses, deploy
from piebridge.cli.local_network.describe import describe
from piebridge.cli.local_network.keys import NetworkKeys, make_keys
from piebridge.cli.local_network.launching import Launcher
from piebridge.cli.local_network.plan import (
    HOST,
    REDIS_NAME,
    Engine,
    KeyPlan,
    NetworkPlan,
    ParachainKind,
    ParachainPlan,
    RelayPlan,
    ValidatorPlan,
    Wishes,
    make_plan,
)
from piebridge.cli.network_file import NetworkFile, ProcessEntry
from piebridge.cli.progress import Progress
from piebridge.crypto.errors import ConfigurationError, TransientChainError
from piebridge.protocol_stack.checkpoint import CometBftCheckpoint
from piebridge.protocol_stack.relay_genesis import genesis_hash

RELAY_BLOCK_INTERVAL_SECONDS = 0.25
"""Least time between two blocks of a relay chain."""
PARACHAIN_BLOCK_INTERVAL_SECONDS = 1.0
"""Least time between two blocks of an embedded parachain."""


async def up(wishes: Wishes, directory: Path, progress: Progress, *, replace: bool = False) -> NetworkFile:
    """Start a network in a folder (absolute path) and return its description, which is also written there.

    Whatever goes wrong, also an interruption, everything that was started is ended again.

    Raises:
        ConfigurationError: a wish, a port or the folder cannot be used, or a process ended; its last words are told.
        ChainError: a chain does not do what it should.
    """
    plan = make_plan(wishes)
    if wishes.engine is Engine.COMETBFT:
        find_cometbft()
    folder.require_idle(directory)
    folder.probe_ports(plan.ports)
    folder.prepare(directory, replace_old=replace)
    start = _Start(plan, directory, progress)
    try:
        return await start.run()
    except BaseException:
        processes.stop(start.launcher.journal.entries)
        (directory / network_file.FILE_NAME).unlink(missing_ok=True)  # it would promise a network that can go on
        raise


class _Start:
    """One start of a network."""

    def __init__(self, plan: NetworkPlan, directory: Path, progress: Progress) -> None:
        self.launcher = Launcher(directory)
        self._plan, self._directory, self._progress = plan, directory, progress
        self._keys = NetworkKeys({})
        self._created_at = int(time.time())

    async def run(self) -> NetworkFile:
        plan = self._plan
        self._progress.working("making keys")
        self._keys = make_keys(plan.keys, self._directory)
        self._progress.working(f"starting {len(plan.parachains)} parachains")
        checkpoints = await self._start_parachains()
        self._progress.done(f"{len(plan.parachains)} parachains of kind {plan.wishes.parachain_kind} make blocks")

        self._progress.working("deploying hubs and applications, starting relay chains")
        hashes = self._start_relays(checkpoints)
        relay_headers = asyncio.gather(*(self._relay_ready(relay) for relay in plan.relays))
        deployments = asyncio.gather(*(deploy(chain, plan, self._keys, hashes) for chain in plan.parachains))
        trusted, _ = await asyncio.gather(relay_headers, deployments)
        network = describe(plan, self._keys, dict(trusted), self.launcher.journal.entries, self._created_at)
        network_file.save(network, self._directory)
        self._progress.done(
            f"{len(plan.relays)} relay chain(s) with {plan.wishes.validators} validators each on engine "
            f"{plan.wishes.engine}; hub and "
            "3 applications on every parachain, joined by governor messages"
        )

        self._progress.working("starting gateways")
        await self._start_carriers()
        network = network.with_processes(tuple(self.launcher.journal.entries))
        network_file.save(network, self._directory)
        notaries = f" and {len(plan.notaries)} notaries" if plan.notaries else ""
        gateways = "1 gateway" if len(plan.gateways) == 1 else f"{len(plan.gateways)} gateways"
        self._progress.done(f"{gateways}{notaries} carry packets")
        return network

    # Parachains

    async def _start_parachains(self) -> dict[int, CometBftCheckpoint]:
        found = await asyncio.gather(*(self._start_parachain(chain) for chain in self._plan.parachains))
        return {registration: checkpoint for registration, checkpoint in found if checkpoint is not None}

    async def _start_parachain(self, chain: ParachainPlan) -> tuple[int, CometBftCheckpoint | None]:
        if chain.kind is ParachainKind.ANVIL:
            await self._start_anvil(chain)
            return chain.registration, None
        genesis.write_evm_genesis(chain, self._plan, self._keys, self._directory)
        started = self._launch_evm_nodes(chain) if chain.nodes else [self._launch_evm_chain(chain)]
        checkpoints = await asyncio.gather(
            *(
                self.launcher.at_rpc(process, url, lambda rpc: genesis.read_checkpoint(chain, rpc))
                for process, url in zip(started, chain.cometbft_urls, strict=True)
            )
        )
        return chain.registration, checkpoints[0]

    def _launch_evm_chain(self, chain: ParachainPlan) -> ProcessEntry:
        assert chain.validator_key is not None
        return self.launcher.launch(
            chain.name,
            "parachain",
            [
                *("chain", "run", "evm", "--dev"),
                *("--home", str(self._directory / chain.home)),
                *("--validator-key", str(self._directory / chain.validator_key.file)),
                *("--rpc-port", str(chain.cometbft_port)),
                *("--eth-port", str(chain.rpc_port)),
                *("--block-interval", str(PARACHAIN_BLOCK_INTERVAL_SECONDS)),
                *self.launcher.passphrase(),
            ],
        )

    def _launch_evm_nodes(self, chain: ParachainPlan) -> list[ProcessEntry]:
        identities = self._identities((node.p2p_key, node.p2p_port) for node in chain.nodes)
        return [
            self.launcher.launch(
                node.name,
                "parachain",
                [
                    *("chain", "run", "evm", "--dev", "--engine", "cometbft"),
                    *("--home", str(self._directory / node.home)),
                    *("--genesis", str(self._directory / chain.home / "config" / "genesis.json")),
                    *("--validator-key", str(self._directory / node.consensus_key.file)),
                    *("--rpc-port", str(node.cometbft_port)),
                    *("--eth-port", str(node.eth_port)),
                    *self.launcher.peer_options(index, identities),
                    *("--block-interval", str(PARACHAIN_BLOCK_INTERVAL_SECONDS)),
                    *self.launcher.passphrase(),
                ],
            )
            for index, node in enumerate(chain.nodes)
        ]

    async def _start_anvil(self, chain: ParachainPlan) -> None:
        program = anvil.find_anvil()
        genesis_file = anvil.write_anvil_genesis(chain, self._plan, self._keys, self._directory)
        command = anvil.anvil_command(program, chain, genesis_file)
        process = self.launcher.journal.start(chain.name, "parachain", command)
        proxy = self.launcher.launch(
            f"{chain.name}-proxy",
            "proxy",
            ["network", "proxy", "--port", str(chain.proxy_port), "--target-port", str(chain.rpc_port)],
        )
        await self._answers(process, chain.rpc_url, chain.evm_chain_id, anvil.READY)
        await self._answers(proxy, f"http://{HOST}:{chain.proxy_port}", chain.evm_chain_id, serving.READY)

    async def _answers(self, process: ProcessEntry, url: str, evm_chain_id: int, announcement: str) -> None:
        async with JsonRpcClient(url, timeout_seconds=2.0) as client:
            answer = await self.launcher.ready(process, lambda: client.call("eth_chainId"), announcement)
        if int(str(answer), 16) != evm_chain_id:
            raise ConfigurationError(f"{process.name}: {url} is EVM chain {answer}, not {evm_chain_id}")

    # Relay chains

    def _start_relays(self, checkpoints: dict[int, CometBftCheckpoint]) -> dict[int, bytes]:
        hub = Addresses.of(self._keys.address(self._plan.deployer)).hub
        hashes = {}
        for relay in self._plan.relays:
            content = genesis.relay_genesis(relay, self._plan, self._keys, hub, checkpoints)
            document = genesis.write_relay_genesis(content, relay, self._directory)
            hashes[relay.relay] = genesis_hash(document)
            self._launch_relay(relay)
        return hashes

    def _launch_relay(self, relay: RelayPlan) -> None:
        if self._plan.wishes.engine is Engine.EMBEDDED:
            command = ["chain", "run", "relay", "--dev", "--home", str(self._directory / relay.home)]
            for item in relay.validators:
                command += self._validator_options(item)
            self.launcher.launch(relay.name, "relay", [*command, *self._relay_options()])
            return
        identities = self._identities((item.p2p_key, item.p2p_port) for item in relay.validators)
        for item in relay.validators:
            command = ["chain", "run", "relay", "--dev", "--engine", "cometbft"]
            command += ["--home", str(self._directory / relay.home_of(item))]
            command += ["--genesis", str(self._directory / relay.home / "config" / "genesis.json")]
            command += [*self._validator_options(item), *self.launcher.peer_options(item.index, identities)]
            self.launcher.launch(item.process, "relay", [*command, *self._relay_options()])

    def _validator_options(self, validator: ValidatorPlan) -> list[str]:
        return [
            *("--validator-key", str(self._directory / validator.consensus_key.file)),
            *("--endorsement-key", str(self._directory / validator.endorsement_key.file)),
            *("--rpc-port", str(validator.rpc_port)),
        ]

    def _relay_options(self) -> list[str]:
        return ["--block-interval", str(RELAY_BLOCK_INTERVAL_SECONDS), *self.launcher.passphrase()]

    async def _relay_ready(self, relay: RelayPlan) -> tuple[int, tuple[int, bytes]]:
        """Return the relay id with height and hash of its first header, once every validator has it."""
        headers = await asyncio.gather(
            *(
                self.launcher.at_rpc(
                    self.launcher.process(item.process), item.rpc_url, lambda rpc: rpc.signed_header(1)
                )
                for item in relay.validators
            )
        )
        return relay.relay, (headers[0].header.height, headers[0].header.hash())

    # Gateways and notaries

    async def _start_carriers(self) -> None:
        file = str(self._directory / network_file.FILE_NAME)
        urls: list[tuple[ProcessEntry, str]] = []
        for notary in self._plan.notaries:
            command = ["notary", "run", "--dev", "--network", file, "--index", str(notary.index)]
            command += ["--key", str(self._directory / notary.key.file)]
            command += ["--data", str(self._directory / notary.data_directory), *self.launcher.passphrase()]
            urls.append((self.launcher.launch(notary.name, "notary", command), f"http://{HOST}:{notary.port}/health"))
        await self._start_redis()
        for gateway in self._plan.gateways:
            command = ["gateway", "run", "--dev", "--network", file, "--name", gateway.name]
            command += ["--key", str(self._directory / gateway.key.file), *self.launcher.passphrase()]
            if self._plan.broker_url is not None:
                command += ["--broker", self._plan.broker_url, "--workers", str(self._plan.wishes.workers)]
            urls.append(
                (self.launcher.launch(gateway.name, "gateway", command), f"http://{HOST}:{gateway.status_port}/health")
            )
        await asyncio.gather(*(self.launcher.ready(process, partial(_http_answers, url)) for process, url in urls))

    async def _start_redis(self) -> None:
        if self._plan.redis_port is None:
            return
        folder_of_redis = self._directory / REDIS_NAME
        folder_of_redis.mkdir(exist_ok=True)
        command = redis_server.redis_command(redis_server.find_redis_server(), self._plan.redis_port, folder_of_redis)
        process = self.launcher.journal.start(REDIS_NAME, "broker", command)
        await self.launcher.ready(process, partial(_port_answers, self._plan.redis_port), redis_server.READY)

    def _identities(self, nodes: Iterable[tuple[KeyPlan | None, int | None]]) -> list[tuple[str, str, int]]:
        """Return keystore, node id and p2p port of the nodes of a mesh."""
        return [
            (key.file, node_id(self._keys.private(key)), port)
            for key, port in nodes
            if key is not None and port is not None
        ]


async def _port_answers(port: int) -> None:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError as error:
        raise TransientChainError(f"port {port}: {error}") from error
    writer.close()
    await writer.wait_closed()


async def _http_answers(url: str) -> None:
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session, session.get(url):
            return
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise TransientChainError(f"{url}: {error}") from error
