"""Requests that change a domain: commands of ``piebridge domain``, and ``piebridge gateway authorise``."""

from pathlib import Path
from typing import Annotated

import typer

from piebridge.cli import passphrase
from piebridge.cli.management import filing
from piebridge.cli.management.acting import Secret, Session
from piebridge.cli.management.filing import Applicant
from piebridge.cli.management.management_file import DEFAULT_DIRECTORY
from piebridge.cli.management.options import (
    AccountOption,
    DomainArgument,
    ExpiresOption,
    JsonOption,
    ManagementOption,
    RegistrationOption,
)
from piebridge.crypto.errors import ConfigurationError
from piebridge.management_chain.domains import domain_file, lint, looking, requesting
from piebridge.protocol_stack.governor_relay_bodies import GatewayQuota, Gateways
from piebridge.protocol_stack.management.request_bodies import (
    ChangeGateways,
    Dissolve,
    Join,
    Leave,
    RequestBody,
    ScaleDown,
    ScaleUp,
)

_WEEK_SECONDS = 7 * 24 * 3600


def join(
    domain: DomainArgument,
    file: Annotated[Path, typer.Option("--file", help="TOML file with the [[chain]] tables of the newcomers.")],
    registration: RegistrationOption,
    account: AccountOption,
    expires_in: ExpiresOption = _WEEK_SECONDS,
    management: ManagementOption = DEFAULT_DIRECTORY,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    json: JsonOption = False,
) -> None:
    """Ask that parachains join a domain. All members and the newcomers have to approve.

    Example: piebridge domain join 1 --file chain-3.toml --registration 3 --as carol
    """
    chains = domain_file.parse_chains(filing.read_text(file))

    async def body(session: Session) -> RequestBody:
        governors = await session.reader.governors()
        filing.refuse([item for chain in chains for item in lint.lint_chain(chain)], file, dev=governors.dev)
        return Join(await requesting.register_chains(chains, session.reader))

    secret = Secret(passphrase_file, passphrase_fd)
    filing.change(Applicant(domain, registration, account, expires_in, management, secret, json), body)


def leave(
    domain: DomainArgument,
    registration: RegistrationOption,
    account: AccountOption,
    exclude: Annotated[
        int | None, typer.Option("--exclude", help="Another parachain that shall go; all others have to approve.")
    ] = None,
    expires_in: ExpiresOption = _WEEK_SECONDS,
    management: ManagementOption = DEFAULT_DIRECTORY,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    json: JsonOption = False,
) -> None:
    """Leave a domain: your parachain alone decides. What is on its way finishes or rolls back first.

    Example: piebridge domain leave 1 --registration 3 --as carol
    """

    async def body(_session: Session) -> RequestBody:
        return Leave(registration, excluded=False) if exclude is None else Leave(exclude, excluded=True)

    secret = Secret(passphrase_file, passphrase_fd)
    filing.change(Applicant(domain, registration, account, expires_in, management, secret, json), body)


def scale(
    domain: DomainArgument,
    to: Annotated[int, typer.Option("--to", help="Number of relay chains that it shall have.", min=1, max=16)],
    registration: RegistrationOption,
    account: AccountOption,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            help="Domain file with all members, from whose endpoints fresh checkpoints are read; needed to grow.",
        ),
    ] = None,
    expires_in: ExpiresOption = _WEEK_SECONDS,
    management: ManagementOption = DEFAULT_DIRECTORY,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    json: JsonOption = False,
) -> None:
    """Ask for more relay chains, or for one less, under traffic. All members have to approve.

    Growing is one request; shrinking is one for each relay chain, of which this files the first.

    Example: piebridge domain scale 1 --to 2 --file domain.toml --registration 1 --as alice
    """
    chains = None if file is None else domain_file.parse_members(filing.read_text(file))

    async def body(session: Session) -> RequestBody:
        view = await session.reader.domain(domain)
        now = len(view.relays)
        if to == now:
            raise ConfigurationError(f"domain {domain} has {now} relay chain(s) already")
        if to < now:
            return ScaleDown(max(view.relays))
        if chains is None:
            raise ConfigurationError(
                "--file is missing: new relay chains start from fresh checkpoints of all members, which are read from "
                "the endpoints in the domain file"
            )
        members = {chain.registration for chain in chains}
        if members != set(view.members):
            raise ConfigurationError(
                f"the file names the parachains {sorted(members)}, but the members of domain {domain} are "
                f"{sorted(view.members)}: all of them, and nobody else, must stand there"
            )
        return ScaleUp(
            to - now,
            await requesting.register_chains(chains, session.reader),
            await looking.authorised_gateways(session.reader, domain),
        )

    secret = Secret(passphrase_file, passphrase_fd)
    filing.change(Applicant(domain, registration, account, expires_in, management, secret, json), body)


def dissolve(
    domain: DomainArgument,
    registration: RegistrationOption,
    account: AccountOption,
    expires_in: ExpiresOption = _WEEK_SECONDS,
    management: ManagementOption = DEFAULT_DIRECTORY,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    json: JsonOption = False,
) -> None:
    """Ask for the end of a domain. All members have to approve; what is on its way finishes first.

    Example: piebridge domain dissolve 1 --registration 1 --as alice
    """

    async def body(_session: Session) -> RequestBody:
        return Dissolve()

    secret = Secret(passphrase_file, passphrase_fd)
    filing.change(Applicant(domain, registration, account, expires_in, management, secret, json), body)


def authorise_gateway(
    domain: DomainArgument,
    gateway: Annotated[str, typer.Argument(help="Address of the gateway's key.", show_default=False)],
    registration: RegistrationOption,
    account: AccountOption,
    quota: Annotated[
        int, typer.Option("--quota", help="Transactions per 100 blocks of a relay chain; 0 takes it back.", min=0)
    ] = 10_000,
    expires_in: ExpiresOption = _WEEK_SECONDS,
    management: ManagementOption = DEFAULT_DIRECTORY,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    json: JsonOption = False,
) -> None:
    """Ask that a gateway may bring more than strangers may. All members of the domain have to approve.

    Example: piebridge gateway authorise 1 0x12... --quota 10000 --registration 1 --as alice
    """

    async def body(session: Session) -> RequestBody:
        return ChangeGateways(Gateways((GatewayQuota(session.address_of(gateway), quota),)))

    secret = Secret(passphrase_file, passphrase_fd)
    filing.change(Applicant(domain, registration, account, expires_in, management, secret, json), body)
