"""Starts a management chain: processes first, then, where one local governor founds it, the governor key."""

import time
from pathlib import Path

from eth_utils.address import to_checksum_address

from piebridge.abci.cometbft.binary import find_cometbft
from piebridge.abci.cometbft.config import node_id
from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.cli import processes
from piebridge.cli.local_network.folder import probe_ports
from piebridge.cli.local_network.keys import NetworkKeys, make_keys
from piebridge.cli.local_network.launching import Launcher
from piebridge.cli.local_network.plan import HOST, PASSWORD_FILE, Engine, quorum
from piebridge.cli.management import folder, management_file
from piebridge.cli.management.first_key import first_key_calls
from piebridge.cli.management.management_file import ManagementFile
from piebridge.cli.management.plan import CHAIN_NAME, ManagementPlan, ManagementWishes, make_plan
from piebridge.cli.network_file import AccountEntry, ProcessEntry
from piebridge.cli.progress import Progress
from piebridge.cli.wallet import Wallet
from piebridge.crypto.errors import ConfigurationError
from piebridge.management_chain.chain.contracts import ManagementRules
from piebridge.management_chain.chain.founders import Founders
from piebridge.management_chain.chain.genesis import genesis_contracts, management_genesis

ROLE = "management"
"""Role of the chain's processes."""
FUNDS_WEI = 10**24
"""Money of every local account and every founder."""
BLOCK_INTERVAL_SECONDS = 1.0
"""Least time between two blocks; there is at most one EVM block a second anyway."""
BOND_PER_NODE_WEI = 10**18
"""Bond of a local chain, whose money is of no value."""
WITHDRAWAL_DELAY_SECONDS = 60
"""How long a bond waits on a local chain."""
PERIOD_SECONDS = 10
"""Least time between two periods of uptime on a local chain."""


async def up(wishes: ManagementWishes, directory: Path, progress: Progress, *, replace: bool = False) -> ManagementFile:
    """Start a management chain in a folder (absolute path); one that lies there and is down goes on.

    Whatever goes wrong, also an interruption, everything that was started is ended again.

    Raises:
        ConfigurationError: a wish, a port or the folder cannot be used, or a process ended; its last words are told.
        ChainError: the chain does not do what it should.
    """
    folder.require_idle(directory)
    if folder.holds_chain(directory) and not replace:
        return await _go_on(directory, progress)
    plan = make_plan(wishes)
    if wishes.engine is Engine.COMETBFT:
        find_cometbft()
    probe_ports(plan.ports)
    folder.prepare(directory, replace_old=replace)
    start = _Start(plan, directory, progress)
    try:
        return await start.run()
    except BaseException:
        processes.stop(start.launcher.journal.entries)
        (directory / management_file.FILE_NAME).unlink(missing_ok=True)  # it would promise a chain that can go on
        raise


class _Start:
    """One first start."""

    def __init__(self, plan: ManagementPlan, directory: Path, progress: Progress) -> None:
        self.launcher = Launcher(directory)
        self._plan, self._directory, self._progress = plan, directory, progress
        self._keys = NetworkKeys({})

    async def run(self) -> ManagementFile:
        plan = self._plan
        self._progress.working("making keys and running the contracts' constructors")
        self._keys = make_keys(plan.keys, self._directory)
        rules = self._rules()
        self._write_genesis(rules)
        self._progress.done("genesis with the contracts of the management chain is written")

        self._progress.working("starting the chain")
        started = self._launch()
        headers = [
            await self.launcher.at_rpc(process, url, lambda rpc: rpc.signed_header(1))
            for process, url in zip(started, plan.cometbft_urls, strict=True)
        ]
        self._progress.done(f"{len(plan.nodes)} validator(s) on engine {plan.wishes.engine} make blocks")
        management = self._describe(rules, headers[0].header.height, headers[0].header.hash())
        if plan.founder is not None and plan.governor is not None:
            self._progress.working("registering the governor key of this --dev chain")
            await self._register_key(management)
            self._progress.done("the local governor key is registered (1 of 1, --dev)")
        management_file.save(management, self._directory)
        return management

    def _rules(self) -> ManagementRules:
        wishes = self._plan.wishes
        if self._plan.founder is not None:
            founders = Founders(1, (self._keys.address(self._plan.founder),))
        else:
            founders = Founders(wishes.founder_threshold or quorum(len(wishes.founders)), wishes.founders)
        return ManagementRules(
            founders=founders,
            dev=True,
            bond_per_node_wei=BOND_PER_NODE_WEI,
            withdrawal_delay_seconds=WITHDRAWAL_DELAY_SECONDS,
            period_seconds=PERIOD_SECONDS,
        )

    def _write_genesis(self, rules: ManagementRules) -> None:
        from piebridge.abci.embedded.keys import ValidatorKey
        from piebridge.evm_chain.node import evm_genesis_document

        plan = self._plan
        rich = (*(self._keys.address(key) for key in plan.funded), *plan.wishes.founders)
        document = evm_genesis_document(
            plan.cometbft_chain_id,
            time.time_ns(),
            [ValidatorKey(self._keys.private(node.consensus_key)).public_key for node in plan.nodes],
            management_genesis(plan.wishes.evm_chain_id, rules, dict.fromkeys(rich, FUNDS_WEI)),
        )
        path = self._directory / "chain" / "config" / "genesis.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(document.to_json())

    def _launch(self) -> list[ProcessEntry]:
        """Start the chain; return the process of each validator."""
        plan, launcher = self._plan, self.launcher
        common = ["chain", "run", "evm", "--dev", "--genesis", str(self._directory / "chain/config/genesis.json")]
        common += ["--block-interval", str(BLOCK_INTERVAL_SECONDS), *launcher.passphrase()]
        if plan.wishes.engine is Engine.EMBEDDED:
            command = [*common, "--home", str(self._directory / plan.nodes[0].home)]
            command += ["--eth-port", str(plan.nodes[0].eth_port)]
            for node in plan.nodes:
                command += ["--validator-key", str(self._directory / node.consensus_key.file)]
                command += ["--rpc-port", str(node.cometbft_port)]
            return [launcher.launch(CHAIN_NAME, ROLE, command)] * len(plan.nodes)
        mesh = [
            (key.file, node_id(self._keys.private(key)), port)
            for node in plan.nodes
            if node.p2p
            for key, port in [node.p2p]
        ]
        return [
            launcher.launch(
                node.name,
                ROLE,
                [
                    *common,
                    *("--engine", "cometbft", "--home", str(self._directory / node.home)),
                    *("--validator-key", str(self._directory / node.consensus_key.file)),
                    *("--rpc-port", str(node.cometbft_port), "--eth-port", str(node.eth_port)),
                    *launcher.peer_options(index, mesh),
                ],
            )
            for index, node in enumerate(plan.nodes)
        ]

    async def _register_key(self, management: ManagementFile) -> None:
        assert self._plan.founder is not None
        assert self._plan.governor is not None
        calls = first_key_calls(
            management.contracts, management.rules.founders, self._keys.private(self._plan.governor)
        )
        async with JsonRpcClient(management.rpc_urls[0]) as client:
            await Wallet(client, self._keys.private(self._plan.founder), management.evm_chain_id).execute(calls)

    def _describe(self, rules: ManagementRules, trusted_height: int, trusted_hash: bytes) -> ManagementFile:
        plan = self._plan
        return ManagementFile(
            name="local",
            created_at=int(time.time()),
            dev=True,
            engine=plan.wishes.engine.value,
            cometbft_chain_id=plan.cometbft_chain_id,
            rpc_urls=plan.rpc_urls,
            websocket_urls=tuple(url.replace("http://", "ws://", 1) for url in plan.rpc_urls),
            cometbft_rpc_urls=plan.cometbft_urls,
            trusted_height=trusted_height,
            trusted_hash=f"0x{trusted_hash.hex()}",
            deployed_in_block=0,
            contracts=genesis_contracts(plan.wishes.evm_chain_id),
            rules=rules,
            governor_key_file=None if plan.governor is None else plan.governor.file,
            accounts=tuple(
                AccountEntry(key.name, to_checksum_address(self._keys.address(key)), key.file, PASSWORD_FILE)
                for key in plan.funded
            ),
            processes=tuple(self.launcher.journal.entries),
        )


async def _go_on(directory: Path, progress: Progress) -> ManagementFile:
    """Start the processes of a chain that is down again, by the same commands."""
    management = management_file.load(directory)
    if not management.processes:
        raise ConfigurationError(
            f"the management chain of {directory} is run by others: there is nothing to start. "
            "`piebridge management status` tells whether it answers"
        )
    launcher = Launcher(directory)
    progress.working("starting the chain where it was")
    started = []
    try:
        for process in management.processes:
            # A log of the last time says that it serves; this time has to say so again.
            (directory / process.log_file).rename(directory / f"{process.log_file}.before")
            again = processes.start_again(process, directory)
            launcher.journal.add(again)
            started.append(again)
        management = management.with_processes(tuple(started))
        owners = started * len(management.cometbft_rpc_urls) if len(started) == 1 else started
        for process, url in zip(owners, management.cometbft_rpc_urls, strict=False):
            await launcher.at_rpc(process, url, lambda rpc: rpc.status())
    except BaseException:
        processes.stop(started)
        raise
    management_file.save(management, directory)
    progress.done(f"the chain goes on, {HOST}, {len(started)} process(es)")
    return management
