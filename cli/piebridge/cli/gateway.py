"""``piebridge gateway``: carry packets between the chains of a domain."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlsplit

import typer

from piebridge.cli import domain_changes, passphrase, serving
from piebridge.cli.network_file import DEFAULT_DIRECTORY, FILE_NAME
from piebridge.crypto import keystore
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import KeyPurpose

if TYPE_CHECKING:
    from piebridge.gateway.config import BrokerConfig

_BROKER_TIMEOUT_SECONDS = 2.0
_REDIS_PORT = 6379

app = typer.Typer(
    no_args_is_help=True,
    help="Gateways carry packets, receipts and proofs. Nobody has to trust them: chains check all that they bring.",
)
app.command("authorise")(domain_changes.authorise_gateway)


@app.command()
def run(
    name: Annotated[str, typer.Option("--name", help="Which gateway of the network file this is.", show_default=False)],
    key: Annotated[Path, typer.Option("--key", help="Keystore with its gateway key.", show_default=False)],
    network: Annotated[
        Path, typer.Option("--network", help="Network file with the chains and relay chains to serve.")
    ] = DEFAULT_DIRECTORY / FILE_NAME,
    broker: Annotated[
        str | None,
        typer.Option(
            "--broker",
            help="Redis for the tasks of worker processes, redis://HOST:PORT. Without, this one process does all.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Worker processes, with --broker.")] = 1,
    broker_password_file: Annotated[
        Path | None,
        typer.Option(
            "--broker-password-file",
            help="File with the password of Redis. Only its owner may be able to read it.",
            show_default=False,
        ),
    ] = None,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    dev: Annotated[bool, typer.Option("--dev", help="Accept a key of a local network, which has no value.")] = False,
) -> None:
    """Run a gateway until SIGTERM or Ctrl-C. Killed at any moment, it loses nothing: chains remember for it."""
    settings = _broker(broker, workers, broker_password_file)
    secret = passphrase.read(passphrase_file, passphrase_fd, prompt=f"Passphrase of {key}")
    private_key = keystore.load(key, KeyPurpose.GATEWAY, secret, dev=dev)

    from piebridge.gateway.config import gateway_config_from_network
    from piebridge.gateway.service import Gateway

    config = gateway_config_from_network(network, name, private_key, settings)

    async def main() -> None:
        asked = [chain.name for chain in config.chains] + [f"relay-{relay.relay}" for relay in config.relays]
        redis = [] if settings is None else [_without_password(settings.url)]
        serving.say(f"starting: gateway {name} asks {', '.join([*asked, *redis])}")
        silent = [] if settings is None or await _answers(settings.url) else redis
        gateway = Gateway(config)
        await serving.serve(
            gateway, lambda: announcement(name, config.domain, (*gateway.unreachable_at_start, *silent))
        )

    serving.run_until_told(main)


def announcement(name: str, domain: int, silent: Sequence[str]) -> str:
    """Return what a gateway says once it runs: that it carries packets, or whose answer it still waits for."""
    if not silent:
        return f"gateway {name} carries packets of domain {domain}"
    return f"gateway {name} runs for domain {domain} and waits for an answer of {', '.join(silent)}"


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


async def _answers(url: str) -> bool:
    """Tell whether anything takes connections at the address of a Redis."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(_BROKER_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or _REDIS_PORT)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _broker(url: str | None, workers: int, password_file: Path | None) -> "BrokerConfig | None":
    """Return what the options say about Redis and workers.

    Raises:
        ConfigurationError: they do not fit together, or a password stands where other users can read it.
    """
    from piebridge.gateway.config import BrokerConfig

    if url is None:
        if workers > 1 or password_file is not None:
            raise ConfigurationError("--workers and --broker-password-file need --broker redis://HOST:PORT")
        return None
    parts = urlsplit(url)
    if parts.password is not None:
        raise ConfigurationError(
            "a password on the command line can be read by every user of this machine: use --broker-password-file"
        )
    if password_file is not None:
        password = quote(passphrase.read(password_file, None, prompt=""), safe="")
        user = parts.username or ""
        url = parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()
    return BrokerConfig(url, workers)
