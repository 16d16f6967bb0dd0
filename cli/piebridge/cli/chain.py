"""``piebridge chain``: run a chain on this machine."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from piebridge.cli import passphrase, serving
from piebridge.crypto import keystore
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import KeyPurpose

if TYPE_CHECKING:
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
EngineOption = Annotated[Engine, typer.Option("--engine", help="embedded: all validator keys in this one process.")]
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
    engine: EngineOption = Engine.EMBEDDED,
    host: HostOption = "127.0.0.1",
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    dev: DevOption = False,
) -> None:
    """Run an EVM chain on ABCI: the eth_* JSON-RPC of an Ethereum node, blocks with CometBFT's finality."""
    document = _read_genesis(genesis or home / "config" / "genesis.json")
    secret = passphrase.read(passphrase_file, passphrase_fd, prompt="Passphrase of the validator keys")
    keys = _validator_keys(validator_key, secret, dev=dev)
    _same_length(validator_key, rpc_port, "--rpc-port")

    from piebridge.evm_chain.node import EvmNode

    async def main() -> None:
        node = EvmNode(
            home / "data", document, keys, rpc_port, eth_port, host=host, block_interval_seconds=block_interval
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
    engine: EngineOption = Engine.EMBEDDED,
    host: HostOption = "127.0.0.1",
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    dev: DevOption = False,
) -> None:
    """Run a relay chain: it verifies packets of its domain and endorses them."""
    document = _read_genesis(genesis or home / "config" / "genesis.json")
    secret = passphrase.read(passphrase_file, passphrase_fd, prompt="Passphrase of the validator and endorsement keys")
    keys = _validator_keys(validator_key, secret, dev=dev)
    _same_length(validator_key, endorsement_key, "--endorsement-key")
    _same_length(validator_key, rpc_port, "--rpc-port")
    endorsement_keys = [keystore.load(path, KeyPurpose.ENDORSEMENT, secret, dev=dev) for path in endorsement_key]

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
        )
        await serving.serve(
            node, lambda: f"{document.chain_id} serves CometBFT's RPC at {', '.join(node.rpc_addresses)}"
        )

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
