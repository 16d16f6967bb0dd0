"""``piebridge domain``: form relay domains, change them, and see where they are."""

import asyncio
import secrets
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.markup import escape

from piebridge.cli import output, passphrase, progress
from piebridge.cli.management import domain_reports, management_file
from piebridge.cli.management.acting import Secret, Session, open_management, open_reader, parse_address
from piebridge.cli.management.management_file import DEFAULT_DIRECTORY
from piebridge.cli.management.options import AccountOption, JsonOption, ManagementOption
from piebridge.cli.progress import Progress
from piebridge.crypto.errors import ConfigurationError
from piebridge.management_chain.chain.contracts import ContractName
from piebridge.management_chain.client.views import DomainState, RequestState
from piebridge.management_chain.domains import domain_file, lint, looking, requesting
from piebridge.management_chain.domains.domain_file import DomainFile
from piebridge.management_chain.domains.lint import Finding, Severity
from piebridge.management_chain.domains.standing import request_standing
from piebridge.management_chain.domains.template import domain_template
from piebridge.protocol_stack.governor_relay_bodies import GatewayQuota, Gateways
from piebridge.protocol_stack.management.digests import RepresentativeKind
from piebridge.protocol_stack.management.draw import first_draw_block
from piebridge.protocol_stack.management.parameters import Consensus
from piebridge.protocol_stack.management.request import DomainRequest
from piebridge.protocol_stack.management.request_bodies import (
    ChangeGateways,
    ChangeParameters,
    Dissolve,
    Form,
    Join,
    Leave,
    RequestBody,
    ScaleDown,
    ScaleUp,
)

app = typer.Typer(
    no_args_is_help=True,
    help="Form a relay domain, change it under traffic, and see where it is and who must act.\n\n"
    "The way of a new domain: [bold]template[/] → fill in → [bold]lint[/] → [bold]request[/] (one representative) → "
    "[bold]approve[/] (all others) → [bold]advance[/] (anybody) → [bold]approve[/] (all confirm the drawn nodes) → its nodes "
    "start. [bold]status[/] always says what comes next. See docs/guide/domains.md.",
)

RegistrationOption = Annotated[
    int,
    typer.Option("--registration", help="Number of the parachain for which you act.", min=1, show_default=False),
]
RequestOption = Annotated[
    str, typer.Option("--request", help="Id of the request, or its beginning, as `status` shows it.")
]
ExpiresOption = Annotated[int, typer.Option("--expires-in", help="Seconds after which the request dies.", min=1)]
SingleOperatorOption = Annotated[
    bool,
    typer.Option(
        "--single-operator",
        help="Yes, one operator shall hold all keys of the relay chains; every approval has to say so.",
    ),
]
DomainArgument = Annotated[int, typer.Argument(help="Number of the domain.", min=1, show_default=False)]

_WEEK_SECONDS = 7 * 24 * 3600
_T = TypeVar("_T")


@app.command()
def template(
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file instead of the screen.")] = None,
    json: JsonOption = False,
) -> None:
    """Print a commented domain.toml; what has to be filled in is marked with an arrow.

    Example: piebridge domain template --out domain.toml
    """
    text = domain_template()
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
        output.say(f"wrote {out}; fill in what is marked with <--, then: [bold]piebridge domain lint {out}[/]")


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
    findings = lint.lint(_read_file(file), single_operator=single_operator)
    bad = lint.refused(findings, dev=dev)
    if json:
        output.print_json({"accepted": not bad, "findings": [_finding(item) for item in findings]})
    else:
        _show_findings(findings, file)
        if bad:
            output.complain(f"{file} is refused for {len(bad)} reason(s)")
        else:
            output.say(
                f"{file} is accepted{' (--dev)' if dev else ''}; next: [bold]piebridge domain request --file {file}[/]"
            )
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
    binding = (registration, hub, hub_chain)
    if any(item is not None for item in binding) and any(item is None for item in binding):
        raise ConfigurationError("--registration, --hub and --hub-chain belong together: give all three, or none")

    async def act(session: Session, _shown: Progress) -> int:
        if registration is not None and hub is not None and hub_chain is not None:
            address = parse_address(hub, [])
            await session.send(ContractName.REGISTRY, "bindHub", registration, hub_chain, address)
            return registration
        events = await session.send(ContractName.REGISTRY, "register")
        return next(int(event.arguments["registration"]) for event in events if event.name == "Registered")

    number = _act(act, management, account, Secret(passphrase_file, passphrase_fd), silent=json)
    if json:
        output.print_json({"registration": number, "bound": registration is not None})
    elif registration is None:
        output.say(f"registration {number} is yours; make the hub with this number, then bind it:")
        output.say(f"  piebridge domain register --as {account} --registration {number} --hub 0x... --hub-chain ID")
    else:
        output.say(f"registration {number} is bound to {hub} on EVM chain {hub_chain}, for ever")


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
    wish = _read_file(file)

    async def act(session: Session, shown: Progress) -> bytes:
        governors = await session.reader.governors()
        findings = lint.lint(wish, single_operator=single_operator)
        findings += lint.lint_seats(wish, await looking.operators_on_offer(session.reader, wish.least_capacity))
        _refuse(findings, file, dev=governors.dev)
        shown.working("asking the endpoints of the parachains")
        body = await requesting.form_body(wish, session.reader)
        shown.done(f"the endpoints of {len(body.chains)} parachains agree")
        made = requesting.first_request(body, await _life(session, wish.expires_in_seconds))
        return await _file(session, made, registration, single_operator=single_operator)

    request_id = _act(act, management, account, Secret(passphrase_file, passphrase_fd), silent=json)
    _tell_request(request_id, management, as_json=json)


@app.command()
def approve(
    request_id: RequestOption,
    registration: RegistrationOption,
    account: AccountOption,
    single_operator: SingleOperatorOption = False,
    reject: Annotated[bool, typer.Option("--reject", help="Refuse the request, for good, instead.")] = False,
    management: ManagementOption = DEFAULT_DIRECTORY,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    json: JsonOption = False,
) -> None:
    """Approve a request as a representative; once its nodes are drawn, confirm them. --reject ends it.

    Before you approve: `piebridge domain show --request ID` shows what is asked for and which nodes were drawn.

    Example: piebridge domain approve --request 0x3f2a --registration 2 --as bob
    """

    async def act(session: Session, _shown: Progress) -> tuple[bytes, str]:
        found, content = await looking.find_request(session.reader, request_id)
        view = await session.reader.request(found)
        if reject:
            await session.send(ContractName.REGISTRY, "reject", found, registration, b"")
            return found, "rejected"
        if view.state is RequestState.FILED:
            kind = _approval(content, single_operator=single_operator)
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

    found, done = _act(act, management, account, Secret(passphrase_file, passphrase_fd), silent=json)
    _tell_request(found, management, as_json=json, done=done)


@app.command()
def advance(
    request_id: RequestOption,
    account: AccountOption,
    management: ManagementOption = DEFAULT_DIRECTORY,
    passphrase_file: passphrase.FileOption = None,
    passphrase_fd: passphrase.DescriptorOption = None,
    json: JsonOption = False,
) -> None:
    """Do for a request what anybody may: close it when it is approved, draw its nodes, end it when its time is over.

    Example: piebridge domain advance --request 0x3f2a --as carol
    """

    async def act(session: Session, shown: Progress) -> bytes:
        found, content = await looking.find_request(session.reader, request_id)
        await _advance(session, shown, found, content)
        return found

    found = _act(act, management, account, Secret(passphrase_file, passphrase_fd), silent=json)
    _tell_request(found, management, as_json=json, done="advanced")


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


@app.command()
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
    chains = domain_file.parse_chains(_read_text(file))

    async def body(session: Session) -> RequestBody:
        governors = await session.reader.governors()
        _refuse([item for chain in chains for item in lint.lint_chain(chain)], file, dev=governors.dev)
        return Join(await requesting.register_chains(chains, session.reader))

    _change(domain, body, registration, account, expires_in, management, Secret(passphrase_file, passphrase_fd), json)


@app.command()
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

    _change(domain, body, registration, account, expires_in, management, Secret(passphrase_file, passphrase_fd), json)


@app.command()
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
    chains = None if file is None else domain_file.parse_members(_read_text(file))

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

    _change(domain, body, registration, account, expires_in, management, Secret(passphrase_file, passphrase_fd), json)


@app.command()
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

    _change(domain, body, registration, account, expires_in, management, Secret(passphrase_file, passphrase_fd), json)


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

    _change(domain, body, registration, account, expires_in, management, Secret(passphrase_file, passphrase_fd), json)


# ---------------------------------------------------------------------------------------------------- what they share


def _change(
    domain: int,
    make: Callable[[Session], Coroutine[Any, Any, RequestBody]],
    registration: int,
    account: str,
    expires_in: int,
    management: Path,
    secret: Secret,
    as_json: bool,
) -> None:
    """File a request that changes a domain."""

    async def act(session: Session, shown: Progress) -> bytes:
        shown.working("putting the request together")
        view = await session.reader.domain(domain)
        if view.state is DomainState.NONE:
            raise ConfigurationError(f"there is no domain {domain}; `piebridge domain list` shows all")
        life = await _life(session, expires_in)
        made = requesting.change_request(view, await make(session), life)
        return await _file(session, made, registration, single_operator=False)

    _tell_request(_act(act, management, account, secret, silent=as_json), management, as_json=as_json)


def _act(
    act: Callable[[Session, Progress], Coroutine[Any, Any, _T]],
    management: Path,
    account: str,
    secret: Secret,
    *,
    silent: bool,
) -> _T:
    """Do something as an account, and show that it goes on."""
    file = management_file.load(management)

    async def main() -> _T:
        async with open_management(file, management, account=account, secret=secret) as session:
            shown.working("waiting for the next block")
            return await act(session, shown)

    with progress.shown(silent=silent) as shown:
        return asyncio.run(main())


async def _life(session: Session, expires_in_seconds: int) -> requesting.Life:
    _, now = await session.reader.head()
    # An idle chain's newest block may be old; a request must not be dead when it arrives.
    return requesting.Life(max(now, int(time.time())), expires_in_seconds, secrets.randbits(64))


async def _file(session: Session, made: DomainRequest, registration: int, *, single_operator: bool) -> bytes:
    """File a request with the approval of its first party, and return its id."""
    kind = _approval(made, single_operator=single_operator)
    await session.send(ContractName.REGISTRY, "file", made.encode(), registration, kind, b"")
    return made.request_id(session.file.contracts.place(ContractName.REGISTRY))


def _approval(content: DomainRequest, *, single_operator: bool) -> RepresentativeKind:
    """Return the kind of approval that a request needs.

    Raises:
        ConfigurationError: one operator shall hold all keys, and the user has not said that this is meant.
    """
    if not _asks_for_single_operator(content):
        return RepresentativeKind.APPROVE
    if not single_operator:
        raise ConfigurationError(
            "this request gives all keys of the relay chains to one operator, who could endorse anything: if that is "
            "meant, say so with --single-operator"
        )
    return RepresentativeKind.APPROVE_SINGLE_OPERATOR


def _asks_for_single_operator(content: DomainRequest) -> bool:
    body = content.body
    return isinstance(body, Form | ChangeParameters) and body.parameters.consensus is Consensus.SINGLE_OPERATOR


async def _advance(session: Session, shown: Progress, request_id: bytes, content: DomainRequest) -> None:
    """Do what anybody may do for a request now.

    Raises:
        ConfigurationError: it waits for somebody else.
    """
    facts = await looking.look_at_request(session.reader, request_id, content)
    state, data = facts.view.state, content.encode()
    now = max(facts.now, int(time.time()))
    if not state.ended and state is not RequestState.EXECUTING and now >= facts.view.expires:
        await session.send(ContractName.REGISTRY, "expire", request_id)
        shown.done("ended: its time is over")
        return
    if state is RequestState.COSIGNED:
        await session.send(ContractName.REGISTRY, "close", data)
        shown.done("closed")
        view = await session.reader.request(request_id)
        if view.state is not RequestState.CLOSED:
            return
        state = view.state
    if state is not RequestState.CLOSED:
        standing = request_standing(facts)
        raise ConfigurationError(
            f"nothing that anybody could do: {standing.where}"
            + (f"; it waits for {standing.waits_for}" if standing.waits_for else "")
        )
    view = await session.reader.request(request_id)
    first = first_draw_block(view.closed_in_block)
    # The seed is the hash of a block after the closing; an idle chain makes none, so one is asked for.
    while (head := (await session.reader.head())[0]) < first - 1:
        shown.working(f"waiting for {first - 1 - head} more block(s) before the draw")
        await session.send(ContractName.REGISTRY, "tick")
    shown.working("drawing the nodes")
    await session.send(ContractName.REGISTRY, "draw", data, await session.reader.candidates(view))
    shown.done("the draw is made")


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}; `piebridge domain template --out {path}` makes one"
        ) from error


def _read_file(path: Path) -> DomainFile:
    return domain_file.parse(_read_text(path))


def _refuse(findings: list[Finding], file: Path, *, dev: bool) -> None:
    """Refuse a file that is not safe.

    Raises:
        ConfigurationError: it is not; every reason is told.
    """
    if bad := lint.refused(findings, dev=dev):
        reasons = "\n".join(f"  {item.place}: {item.problem}. Write: {item.advice}" for item in bad)
        raise ConfigurationError(f"{file} is refused:\n{reasons}")


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


def _tell_request(request_id: bytes, management: Path, *, as_json: bool, done: str = "filed") -> None:
    """Say what has become of a request, and what comes next."""

    async def look() -> dict[str, Any]:
        async with open_reader(management_file.load(management)) as reader:
            found, content = await looking.find_request(reader, request_id.hex())
            return await domain_reports.request_report(reader, found, content)

    document = asyncio.run(look())
    if as_json:
        output.print_json({"done": done, **document})
    else:
        output.say(f"{done}: request 0x{request_id.hex()}")
        domain_reports.show(document)
