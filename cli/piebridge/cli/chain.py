"""``piebridge chain``: run a chain, or one validator of a chain, on this machine."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from piebridge.cli import output, passphrase, serving
from piebridge.crypto import keystore
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import KeyPurpose

if TYPE_CHECKING:
    from collections.abc import Callable

    from piebridge.abci.cometbft.config import NodeSettings
    from piebridge.abci.cometbft.supervision import Unit
    from piebridge.abci.embedded.genesis import GenesisDocument
    from piebridge.abci.embedded.keys import ValidatorKey

app = typer.Typer(no_args_is_help=True, help="Run chains: relay chains and EVM chains on ABCI.")
run = typer.Typer(
    no_args_is_help=True,
    help="Run a chain until SIGTERM or Ctrl-C. Killed at any moment, it goes on from its last block at the next start.",
)
app.add_typer(run, name="run")


class Engine(StrEnum):
    """What drives the application."""

    EMBEDDED = "embedded"
    """All validator keys of the chain in this one process."""
    COMETBFT = "cometbft"
    """One validator, with a CometBFT node as child process."""


class Timing(StrEnum):
    """How far apart the validators of a chain on CometBFT are."""

    LOCAL = "local"
    WIDE = "wide"


HomeOption = Annotated[Path, typer.Option("--home", help="Folder of the node: blocks and state.", show_default=False)]
GenesisOption = Annotated[
    Path | None, typer.Option("--genesis", help="Genesis document. Default: config/genesis.json of the home.")
]
ValidatorKeyOption = Annotated[
    list[Path],
    typer.Option("--validator-key", help="Keystore with a consensus key; once for each validator.", show_default=False),
]
RpcPortOption = Annotated[
    list[int],
    typer.Option("--rpc-port", help="Port of CometBFT's RPC; once for each validator key.", show_default=False),
]
BlockIntervalOption = Annotated[
    float, typer.Option("--block-interval", min=0.01, help="Least time between two blocks, seconds.")
]
EngineOption = Annotated[
    Engine,
    typer.Option(
        "--engine",
        help="embedded: all validator keys in this one process, one operator. cometbft: one validator with a CometBFT "
        "node of its own.",
    ),
]
_COMETBFT = "With --engine cometbft"
P2pPortOption = Annotated[
    int | None, typer.Option("--p2p-port", help="Port for the other validators' nodes.", rich_help_panel=_COMETBFT)
]
P2pHostOption = Annotated[
    str | None,
    typer.Option(
        "--p2p-host", help="Address to listen on for the other validators. Default: --host.", rich_help_panel=_COMETBFT
    ),
]
P2pKeyOption = Annotated[
    Path | None,
    typer.Option("--p2p-key", help="Keystore with the node's identity.", rich_help_panel=_COMETBFT),
]
PeerOption = Annotated[
    list[str] | None,
    typer.Option("--peer", help="ID@HOST:PORT of another validator's node; each once.", rich_help_panel=_COMETBFT),
]
TimingOption = Annotated[
    Timing,
    typer.Option(
        "--timing", help="local: all validators in one place. wide: CometBFT's defaults.", rich_help_panel=_COMETBFT
    ),
]
RestartsOption = Annotated[
    int,
    typer.Option(
        "--restarts",
        envvar="PIEBRIDGE_RESTARTS",
        min=0,
        help="How often in ten minutes the node is started again after it ended unasked.",
        rich_help_panel=_COMETBFT,
    ),
]
EmptyIntervalOption = Annotated[
    float,
    typer.Option(
        "--empty-block-interval", min=0.0, help="Make a block at least this often, seconds; 0 only when one is due."
    ),
]
HostOption = Annotated[str, typer.Option("--host", help="Address to listen on.")]
DevOption = Annotated[bool, typer.Option("--dev", help="Accept keys of a local network, which have no value.")]


@run.command("evm")
def run_evm(
    home: HomeOption,
    validator_key: ValidatorKeyOption,
    rpc_port: RpcPortOption,
    eth_port: Annotated[int, typer.Option("--eth-port", help="Port of the eth_* JSON-RPC, HTTP and WebSocket.")],
    genesis: GenesisOption = None,
    block_interval: BlockIntervalOption = 1.0,
    empty_block_interval: EmptyIntervalOption = 5.0,
    engine: EngineOption = Engine.EMBEDDED,
    host: HostOption = "127.0.0.1",
    p2p_port: P2pPortOption = None,
    p2p_host: P2pHostOption = None,
    p2p_key: P2pKeyOption = None,
    peer: PeerOption = None,
    timing: TimingOption = Timing.LOCAL,
    restarts: RestartsOption = 5,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    dev: DevOption = False,
) -> None:
    """Run an EVM chain on ABCI: the eth_* JSON-RPC of an Ethereum node, blocks with CometBFT's finality."""
    document = _read_genesis(genesis or home / "config" / "genesis.json")
    node = _Node(
        engine, host, block_interval, empty_block_interval, p2p_port, p2p_host, p2p_key, tuple(peer or ()), timing
    )
    node.check(validator_key)
    secret = passphrase.read(passphrase_file, passphrase_fd, prompt="Passphrase of the validator keys")
    keys = _validator_keys(validator_key, secret, dev=dev)
    _same_length(validator_key, rpc_port, "--rpc-port")

    if engine is Engine.COMETBFT:
        from piebridge.evm_chain.node import EvmValidator

        seed, settings = node.seed(secret, dev=dev), node.settings(document.chain_id, rpc_port[0])
        _run_unit(
            lambda: EvmValidator(home, document, keys[0], seed, eth_port, settings, host=host),
            restarts,
            f"{document.chain_id} serves eth_* at http://{host}:{eth_port}",
        )
        return

    from piebridge.evm_chain.node import EvmNode

    async def main() -> None:
        node = EvmNode(
            home / "data",
            document,
            keys,
            rpc_port,
            eth_port,
            host=host,
            block_interval_seconds=block_interval,
            create_empty_blocks_interval_seconds=empty_block_interval,
        )
        await serving.serve(node, lambda: f"{document.chain_id} serves eth_* at {node.eth_address}")

    serving.run_until_told(main)


@run.command("relay")
def run_relay(
    home: HomeOption,
    validator_key: ValidatorKeyOption,
    endorsement_key: Annotated[
        list[Path],
        typer.Option("--endorsement-key", help="Keystore with an endorsement key, in the order of the validators."),
    ],
    rpc_port: RpcPortOption,
    genesis: GenesisOption = None,
    block_interval: BlockIntervalOption = 0.5,
    empty_block_interval: EmptyIntervalOption = 5.0,
    engine: EngineOption = Engine.EMBEDDED,
    host: HostOption = "127.0.0.1",
    p2p_port: P2pPortOption = None,
    p2p_host: P2pHostOption = None,
    p2p_key: P2pKeyOption = None,
    peer: PeerOption = None,
    timing: TimingOption = Timing.LOCAL,
    restarts: RestartsOption = 5,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    dev: DevOption = False,
) -> None:
    """Run a relay chain: it verifies packets of its domain and endorses them."""
    document = _read_genesis(genesis or home / "config" / "genesis.json")
    node = _Node(
        engine, host, block_interval, empty_block_interval, p2p_port, p2p_host, p2p_key, tuple(peer or ()), timing
    )
    node.check(validator_key)
    secret = passphrase.read(passphrase_file, passphrase_fd, prompt="Passphrase of the validator and endorsement keys")
    keys = _validator_keys(validator_key, secret, dev=dev)
    _same_length(validator_key, endorsement_key, "--endorsement-key")
    _same_length(validator_key, rpc_port, "--rpc-port")
    endorsement_keys = [keystore.load(path, KeyPurpose.ENDORSEMENT, secret, dev=dev) for path in endorsement_key]

    if engine is Engine.COMETBFT:
        from piebridge.relay.node import RelayValidator

        seed, settings = node.seed(secret, dev=dev), node.settings(document.chain_id, rpc_port[0])
        _run_unit(
            lambda: RelayValidator(home, document, keys[0], endorsement_keys[0], seed, settings),
            restarts,
            f"{document.chain_id} serves CometBFT's RPC at http://{host}:{rpc_port[0]}",
        )
        return

    from piebridge.relay.node import RelayNode

    async def main() -> None:
        node = RelayNode(
            home / "data",
            document,
            keys,
            endorsement_keys,
            rpc_port,
            host=host,
            block_interval_seconds=block_interval,
            create_empty_blocks_interval_seconds=empty_block_interval,
        )
        await serving.serve(
            node, lambda: f"{document.chain_id} serves CometBFT's RPC at {', '.join(node.rpc_addresses)}"
        )

    serving.run_until_told(main)


@app.command("node-id")
def node_id(
    p2p_key: Annotated[Path, typer.Argument(help="Keystore with a node's identity.", show_default=False)],
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    dev: DevOption = False,
) -> None:
    """Print the id of a CometBFT node: what other validators name in --peer ID@HOST:PORT."""
    from piebridge.abci.cometbft import config

    secret = passphrase.read(passphrase_file, passphrase_fd, prompt="Passphrase of the key")
    output.say(config.node_id(keystore.load(p2p_key, KeyPurpose.P2P, secret, dev=dev)))


@dataclass(frozen=True, slots=True)
class _Node:
    """The options that concern a CometBFT node."""

    engine: Engine
    host: str
    block_interval: float
    empty_block_interval: float
    p2p_port: int | None
    p2p_host: str | None
    p2p_key: Path | None
    peers: tuple[str, ...]
    timing: Timing

    def check(self, validator_keys: list[Path]) -> None:
        """Refuse options that do not belong to the engine.

        Raises:
            ConfigurationError: names the option.
        """
        if self.engine is Engine.EMBEDDED:
            given = {
                "--p2p-port": self.p2p_port,
                "--p2p-host": self.p2p_host,
                "--p2p-key": self.p2p_key,
                "--peer": self.peers,
            }
            for option, value in given.items():
                if value:
                    raise ConfigurationError(f"{option} belongs to --engine cometbft; the embedded engine has no peers")
            return
        if len(validator_keys) != 1:
            raise ConfigurationError(
                f"{len(validator_keys)} times --validator-key: with --engine cometbft a process is one validator; "
                "start one for each key"
            )
        if self.p2p_port is None or self.p2p_key is None:
            raise ConfigurationError(
                "--engine cometbft needs --p2p-port and --p2p-key (`piebridge keys generate --purpose p2p` makes it)"
            )
        from piebridge.abci.cometbft.binary import find_cometbft

        find_cometbft()

    def seed(self, secret: str, *, dev: bool) -> bytes:
        """Return the node's identity, 32 bytes."""
        assert self.p2p_key is not None, "checked before"
        return keystore.load(self.p2p_key, KeyPurpose.P2P, secret, dev=dev)

    def settings(self, chain_id: str, rpc_port: int) -> "NodeSettings":
        """Return what the node is to be."""
        from piebridge.abci.cometbft import config

        assert self.p2p_port is not None, "checked before"
        return config.NodeSettings(
            moniker=f"{chain_id}-{self.p2p_port}",
            rpc_port=rpc_port,
            p2p_port=self.p2p_port,
            peers=tuple(config.Peer.parse(peer) for peer in self.peers),
            rpc_host=self.host,
            p2p_host=self.p2p_host or self.host,
            block_interval_seconds=self.block_interval,
            create_empty_blocks_interval_seconds=self.empty_block_interval,
            timing=config.Timing(self.timing.value),
        )


def _run_unit(make_unit: "Callable[[], Unit]", restarts: int, announcement: str) -> None:
    from piebridge.abci.cometbft.supervision import RestartPolicy, Supervisor

    async def main() -> None:
        await serving.serve(Supervisor(make_unit, RestartPolicy(restarts)), lambda: announcement)

    serving.run_until_told(main)


def _read_genesis(path: Path) -> "GenesisDocument":
    from piebridge.abci.embedded.genesis import GenesisDocument

    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"genesis document {path} cannot be read: {error.strerror}") from error
    try:
        return GenesisDocument.from_json(data)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _validator_keys(paths: list[Path], secret: str, *, dev: bool) -> list["ValidatorKey"]:
    from piebridge.abci.embedded.keys import ValidatorKey

    return [ValidatorKey(keystore.load(path, KeyPurpose.CONSENSUS, secret, dev=dev)) for path in paths]


def _same_length(keys: list[Path], others: list[Path] | list[int], option: str) -> None:
    if len(keys) != len(others):
        raise ConfigurationError(
            f"{len(keys)} times --validator-key and {len(others)} times {option}: give both once for each validator"
        )
