"""``piebridge domain``: form relay domains, change them, and see where they are."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from piebridge.cli import domain_changes, network_file, output, passphrase
from piebridge.cli.management import domain_reports, filing, local_domain, management_file
from piebridge.cli.management.acting import Secret, Session, open_reader
from piebridge.cli.management.management_file import DEFAULT_DIRECTORY
from piebridge.cli.management.options import (
    AccountOption,
    JsonOption,
    ManagementOption,
    RegistrationOption,
    RequestOption,
    SingleOperatorOption,
)
from piebridge.cli.progress import Progress
from piebridge.crypto.errors import ConfigurationError
from piebridge.management_chain.chain.contracts import ContractName
from piebridge.management_chain.client.views import RequestState
from piebridge.management_chain.domains import lint, looking, requesting
from piebridge.management_chain.domains.lint import Finding, Severity
from piebridge.management_chain.domains.template import domain_template

app = typer.Typer(
    no_args_is_help=True,
    help="Form a relay domain, change it under traffic, and see where it is and who must act.\n\n"
    "The way of a new domain: [bold]template[/] → fill in → [bold]lint[/] → [bold]request[/] (one representative) → "
    "[bold]approve[/] (all others) → [bold]advance[/] (anybody) → [bold]approve[/] (all confirm the drawn nodes) → "
    "its nodes start. [bold]status[/] always says what comes next. See docs/guide/domains.md.",
)


@app.command()
def template(
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file instead of the screen.")] = None,
    network: Annotated[
        Path | None,
        typer.Option("--network", help="Folder of a local network, whose chains are filled in.", show_default=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print a commented domain.toml; what has to be filled in is marked with an arrow.

    Examples: piebridge domain template --out domain.toml

    piebridge domain template --network piebridge-network --out domain.toml
    """
    text = domain_template() if network is None else local_domain.filled_template(network_file.load(network))
    if out is None:
        output.print_json({"template": text}) if json else sys.stdout.write(text)
        return
    try:
        with out.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written: {error.strerror}; nothing is ever overwritten") from error
    if json:
        output.print_json({"file": str(out)})
    else:
        todo = "fill in what is marked with <--, then" if network is None else "look it through, then"
        output.say(f"wrote {out}; {todo}: [bold]piebridge domain lint {out}[/]")


@app.command("lint")
def lint_file(
    file: Annotated[Path, typer.Argument(help="Domain file.", show_default=False)],
    dev: Annotated[bool, typer.Option("--dev", help="For one machine and no value: unsafe settings pass.")] = False,
    single_operator: SingleOperatorOption = False,
    json: JsonOption = False,
) -> None:
    """Say what is missing or dangerous in a domain file, and why. Exit code 1 if it would be refused.

    Example: piebridge domain lint domain.toml
    """
    findings = lint.lint(filing.read_file(file), single_operator=single_operator)
    bad = lint.refused(findings, dev=dev)
    if json:
        output.print_json({"accepted": not bad, "findings": [_finding(item) for item in findings]})
    else:
        _show_findings(findings, file)
        if bad:
            output.complain(f"{file} is refused for {len(bad)} reason(s)")
        else:
            with_dev = " (--dev)" if dev else ""
            output.say(f"{file} is accepted{with_dev}; next: [bold]piebridge domain request --file {file}[/]")
    if bad:
        raise typer.Exit(1)


@app.command()
def register(
    account: AccountOption,
    registration: Annotated[
        int | None, typer.Option("--registration", help="Bind this registration to its hub instead of making one.")
    ] = None,
    hub: Annotated[str | None, typer.Option("--hub", help="Address of the hub, with --registration.")] = None,
    hub_chain: Annotated[
        int | None, typer.Option("--hub-chain", help="EVM chain id of the hub's chain, with --registration.")
    ] = None,
    network: Annotated[
        Path | None,
        typer.Option("--network", help="Folder of a local network that says both of --chain.", show_default=False),
    ] = None,
    chain: Annotated[str | None, typer.Option("--chain", help="Name of a chain of --network.")] = None,
    management: ManagementOption = DEFAULT_DIRECTORY,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    json: JsonOption = False,
) -> None:
    """Get a registration number for a parachain's hub, whose representative you are then; later bind the hub to it.

    A hub is made with its number, so: register, deploy the hub, bind it. Both happen once.

    Examples: piebridge domain register --as alice

    piebridge domain register --as alice --registration 1 --hub 0x12... --hub-chain 91001
    """
    target = local_domain.hub_of(hub, hub_chain, network, chain)
    if (registration is None) != (target is None):
        raise ConfigurationError(
            "to bind a hub, give --registration together with --hub and --hub-chain (or --network and --chain); to get "
            "a number, give none of them"
        )

    async def doing(session: Session, _shown: Progress) -> int:
        if registration is not None and target is not None:
            await session.send(ContractName.REGISTRY, "bindHub", registration, *target)
            return registration
        events = await session.send(ContractName.REGISTRY, "register")
        return next(int(event.arguments["registration"]) for event in events if event.name == "Registered")

    number = filing.act(doing, management, account, Secret(passphrase_file, passphrase_fd), silent=json)
    if json:
        output.print_json({"registration": number, "bound": registration is not None})
    elif target is None:
        output.say(f"registration {number} is yours; make the hub with this number, then bind it:")
        output.say(f"  piebridge domain register --as {account} --registration {number} --hub 0x... --hub-chain ID")
    else:
        output.say(f"registration {number} is bound to 0x{target[1].hex()} on EVM chain {target[0]}, for ever")


@app.command()
def request(
    file: Annotated[Path, typer.Option("--file", help="Domain file.", show_default=False)],
    registration: RegistrationOption,
    account: AccountOption,
    single_operator: SingleOperatorOption = False,
    management: ManagementOption = DEFAULT_DIRECTORY,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    json: JsonOption = False,
) -> None:
    """Ask for a new domain, as the representative of one of its parachains. The others approve it afterwards.

    The file is linted first, and its endpoints are asked: those of one chain must agree.

    Example: piebridge domain request --file domain.toml --registration 1 --as alice
    """
    wish = filing.read_file(file)

    async def doing(session: Session, shown: Progress) -> bytes:
        governors = await session.reader.governors()
        findings = lint.lint(wish, single_operator=single_operator)
        findings += lint.lint_seats(wish, await looking.operators_on_offer(session.reader, wish.least_capacity))
        filing.refuse(findings, file, dev=governors.dev)
        shown.working("asking the endpoints of the parachains")
        body = await requesting.form_body(wish, session.reader)
        shown.done(f"the endpoints of {len(body.chains)} parachains agree")
        made = requesting.first_request(body, await filing.life(session, wish.expires_in_seconds))
        return await filing.file_request(session, made, registration, single_operator=single_operator)

    request_id = filing.act(doing, management, account, Secret(passphrase_file, passphrase_fd), silent=json)
    filing.tell_request(request_id, management, as_json=json)


@app.command()
def approve(
    registration: RegistrationOption,
    account: AccountOption,
    request_id: RequestOption = None,
    single_operator: SingleOperatorOption = False,
    reject: Annotated[bool, typer.Option("--reject", help="Refuse the request, for good, instead.")] = False,
    management: ManagementOption = DEFAULT_DIRECTORY,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    json: JsonOption = False,
) -> None:
    """Approve a request as a representative; once its nodes are drawn, confirm them. --reject ends it.

    Before you approve: `piebridge domain show --request ID` shows what is asked for and which nodes were drawn.

    Example: piebridge domain approve --registration 2 --as bob
    """

    async def doing(session: Session, _shown: Progress) -> tuple[bytes, str]:
        found, content = await looking.find_request(session.reader, request_id)
        view = await session.reader.request(found)
        if reject:
            await session.send(ContractName.REGISTRY, "reject", found, registration, b"")
            return found, "rejected"
        if view.state is RequestState.FILED:
            kind = await filing.approval(session, content, single_operator=single_operator)
            await session.send(ContractName.REGISTRY, "cosign", found, registration, kind, b"")
            return found, "approved"
        if view.state is RequestState.DRAWN:
            decision = await session.reader.decision(view)
            if decision.body != content.body or decision.request_id != found:
                raise ConfigurationError("the decision is about something else than the request: do not confirm it")
            await session.send(ContractName.REGISTRY, "confirm", found, view.decision_hash, registration, b"")
            return found, "confirmed"
        standing = await looking.standing_of(session.reader, found, content)
        raise ConfigurationError(
            f"there is nothing to approve: {standing.where}"
            + (f"; it waits for {standing.waits_for}" if standing.waits_for else "")
        )

    found, done = filing.act(doing, management, account, Secret(passphrase_file, passphrase_fd), silent=json)
    filing.tell_request(found, management, as_json=json, done=done)


@app.command()
def advance(
    account: AccountOption,
    request_id: RequestOption = None,
    management: ManagementOption = DEFAULT_DIRECTORY,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    json: JsonOption = False,
) -> None:
    """Do for a request what anybody may: close it when it is approved, draw its nodes, end it when its time is over.

    Example: piebridge domain advance --as carol
    """

    async def doing(session: Session, shown: Progress) -> bytes:
        found, content = await looking.find_request(session.reader, request_id)
        await filing.advance(session, shown, found, content)
        return found

    found = filing.act(doing, management, account, Secret(passphrase_file, passphrase_fd), silent=json)
    filing.tell_request(found, management, as_json=json, done="advanced")


@app.command()
def status(
    domain: Annotated[int | None, typer.Argument(help="Number of a domain; none for all that is under way.")] = None,
    request_id: Annotated[str | None, typer.Option("--request", help="A request, by the beginning of its id.")] = None,
    management: ManagementOption = DEFAULT_DIRECTORY,
    json: JsonOption = False,
) -> None:
    """Say where a domain or request is in its life, what it waits for, and who must act.

    Examples: piebridge domain status

    piebridge domain status 1
    """

    async def look() -> list[dict[str, Any]]:
        async with open_reader(management_file.load(management)) as reader:
            if request_id is not None:
                found, content = await looking.find_request(reader, request_id)
                return [await domain_reports.request_report(reader, found, content)]
            if domain is not None:
                return [await domain_reports.domain_report(reader, domain)]
            return await domain_reports.everything_under_way(reader)

    documents = asyncio.run(look())
    if json:
        output.print_json(documents)
        return
    if not documents:
        output.say("no domain and no request yet; begin with: [bold]piebridge domain template --out domain.toml[/]")
    for document in documents:
        domain_reports.show(document)


@app.command("list")
def list_domains(
    management: ManagementOption = DEFAULT_DIRECTORY,
    all_requests: Annotated[bool, typer.Option("--all", help="Requests that have ended as well.")] = False,
    json: JsonOption = False,
) -> None:
    """List the domains, and the requests that are under way."""

    async def look() -> dict[str, list[dict[str, Any]]]:
        async with open_reader(management_file.load(management)) as reader:
            return await domain_reports.listing(reader, all_requests=all_requests)

    document = asyncio.run(look())
    if json:
        output.print_json(document)
    else:
        domain_reports.show_listing(document)


@app.command()
def show(
    domain: Annotated[int | None, typer.Argument(help="Number of the domain.")] = None,
    request_id: Annotated[str | None, typer.Option("--request", help="Show a request instead.")] = None,
    management: ManagementOption = DEFAULT_DIRECTORY,
    json: JsonOption = False,
) -> None:
    """Show all of a domain, or all of a request: parachains, parameters, and the nodes that were drawn.

    Examples: piebridge domain show 1

    piebridge domain show --request 0x3f2a
    """
    if (domain is None) == (request_id is None):
        raise ConfigurationError("give either the number of a domain, or --request")

    async def look() -> dict[str, Any]:
        async with open_reader(management_file.load(management)) as reader:
            if request_id is not None:
                found, content = await looking.find_request(reader, request_id)
                return await domain_reports.request_details(reader, found, content)
            assert domain is not None
            return await domain_reports.domain_details(reader, domain)

    document = asyncio.run(look())
    if json:
        output.print_json(document)
    else:
        domain_reports.show_details(document)


for _command in (domain_changes.join, domain_changes.leave, domain_changes.scale, domain_changes.dissolve):
    app.command()(_command)


def _finding(item: Finding) -> dict[str, str]:
    return {
        "rule": item.rule,
        "severity": item.severity.value,
        "place": item.place,
        "problem": item.problem,
        "advice": item.advice,
    }


def _show_findings(findings: Sequence[Finding], file: Path) -> None:
    colours = {Severity.BROKEN: "red", Severity.UNSAFE: "red", Severity.REMARK: "yellow"}
    for item in findings:
        output.say(f"[{colours[item.severity]}]{item.severity.value}[/] {escape(item.place)}  ({item.rule})")
        output.say(f"    {escape(item.problem)}")
        output.say(f"    [bold]write:[/] {escape(item.advice)}")
    if not findings:
        output.say(f"nothing is wrong with {file}")
