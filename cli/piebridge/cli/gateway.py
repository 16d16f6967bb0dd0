"""``piebridge gateway``: carry packets between the chains of a domain."""

from pathlib import Path
from typing import Annotated

import typer

from piebridge.cli import passphrase, serving
from piebridge.cli.network_file import DEFAULT_DIRECTORY, FILE_NAME
from piebridge.crypto import keystore
from piebridge.crypto.keystore import KeyPurpose

app = typer.Typer(
    no_args_is_help=True,
    help="Gateways carry packets, receipts and proofs. Nobody has to trust them: chains check all that they bring.",
)


@app.callback()
def _group() -> None:
    """Keep ``run`` a word of its own."""


@app.command()
def run(
    name: Annotated[str, typer.Option("--name", help="Which gateway of the network file this is.", show_default=False)],
    key: Annotated[Path, typer.Option("--key", help="Keystore with its gateway key.", show_default=False)],
    network: Annotated[
        Path, typer.Option("--network", help="Network file with the chains and relay chains to serve.")
    ] = DEFAULT_DIRECTORY / FILE_NAME,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    dev: Annotated[bool, typer.Option("--dev", help="Accept a key of a local network, which has no value.")] = False,
) -> None:
    """Run a gateway until SIGTERM or Ctrl-C. Killed at any moment, it loses nothing: chains remember for it."""
    secret = passphrase.read(passphrase_file, passphrase_fd, prompt=f"Passphrase of {key}")
    private_key = keystore.load(key, KeyPurpose.GATEWAY, secret, dev=dev)

    from piebridge.gateway.config import gateway_config_from_network
    from piebridge.gateway.service import Gateway

    config = gateway_config_from_network(network, name, private_key)

    async def main() -> None:
        await serving.serve(Gateway(config), lambda: f"gateway {name} carries packets of domain {config.domain}")

    serving.run_until_told(main)
