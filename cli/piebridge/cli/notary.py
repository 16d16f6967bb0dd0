"""``piebridge notary``: sign what a parachain's nodes agree on."""

from pathlib import Path
from typing import Annotated

import typer

from piebridge.cli import passphrase, serving
from piebridge.cli.network_file import DEFAULT_DIRECTORY, FILE_NAME
from piebridge.crypto import keystore
from piebridge.crypto.keystore import KeyPurpose

app = typer.Typer(
    no_args_is_help=True,
    help="Notaries verify parachains that have no light client: each reads at least two nodes and signs only what all "
    "of them prove.",
)


@app.callback()
def _group() -> None:
    """Keep ``run`` a word of its own."""


@app.command()
def run(
    index: Annotated[int, typer.Option("--index", help="Position in the notary set.", min=0, show_default=False)],
    key: Annotated[Path, typer.Option("--key", help="Keystore with its notary key.", show_default=False)],
    data: Annotated[Path, typer.Option("--data", help="Folder of its evidence log, which must be kept.")],
    network: Annotated[
        Path, typer.Option("--network", help="Network file with the chains that it reads.")
    ] = DEFAULT_DIRECTORY / FILE_NAME,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    dev: Annotated[bool, typer.Option("--dev", help="Accept a key of a local network, which has no value.")] = False,
) -> None:
    """Run a notary until SIGTERM or Ctrl-C."""
    secret = passphrase.read(passphrase_file, passphrase_fd, prompt=f"Passphrase of {key}")
    private_key = keystore.load(key, KeyPurpose.NOTARY, secret, dev=dev)

    from piebridge.gateway.config import notary_config_from_network
    from piebridge.gateway.notary_service import NotaryService

    config = notary_config_from_network(network, index, private_key, data)

    async def main() -> None:
        service = NotaryService(config)
        await serving.serve(service, lambda: f"notary {index} signs statements at http://{config.host}:{config.port}")

    serving.run_until_told(main)
