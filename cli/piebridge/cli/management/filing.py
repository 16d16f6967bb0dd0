"""Filing requests and carrying them on: what the commands of domains share."""

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from piebridge.cli import output, progress
from piebridge.cli.management import domain_reports, management_file
from piebridge.cli.management.acting import Secret, Session, open_management, open_reader
from piebridge.cli.progress import Progress
from piebridge.crypto.errors import ConfigurationError
from piebridge.management_chain.chain.contracts import ContractName
from piebridge.management_chain.client.views import DomainState, RequestState
from piebridge.management_chain.domains import domain_file, lint, looking, requesting
from piebridge.management_chain.domains.domain_file import DomainFile
from piebridge.management_chain.domains.lint import Finding
from piebridge.management_chain.domains.standing import request_standing
from piebridge.protocol_stack.management.digests import RepresentativeKind
from piebridge.protocol_stack.management.draw import first_draw_block
from piebridge.protocol_stack.management.parameters import Consensus, DomainParameters
from piebridge.protocol_stack.management.request import DomainRequest
from piebridge.protocol_stack.management.request_bodies import ChangeParameters, Form, RequestBody

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks for a change of a domain, and where."""

    domain: int
    """The domain."""
    registration: int
    """Parachain for which the account acts."""
    account: str
    """Name of a local account, or keystore."""
    expires_in: int
    """Seconds after which the request dies."""
    management: Path
    """Folder with management.json, or that file."""
    secret: Secret
    """Where the passphrase is."""
    as_json: bool
    """Whether machines listen."""


def change(applicant: Applicant, make: Callable[[Session], Coroutine[Any, Any, RequestBody]]) -> None:
    """File a request that changes a domain, and say what comes next.

    Raises:
        ConfigurationError: there is no such domain, or it cannot be changed now.
    """

    async def doing(session: Session, shown: Progress) -> bytes:
        shown.working("putting the request together")
        view = await session.reader.domain(applicant.domain)
        if view.state is DomainState.NONE:
            raise ConfigurationError(f"there is no domain {applicant.domain}; `piebridge domain list` shows all")
        made = requesting.change_request(view, await make(session), await life(session, applicant.expires_in))
        return await file_request(session, made, applicant.registration, single_operator=False)

    found = act(doing, applicant.management, applicant.account, applicant.secret, silent=applicant.as_json)
    tell_request(found, applicant.management, as_json=applicant.as_json)


def act(
    doing: Callable[[Session, Progress], Coroutine[Any, Any, _T]],
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
            return await doing(session, shown)

    with progress.shown(silent=silent) as shown:
        return asyncio.run(main())


async def life(session: Session, expires_in_seconds: int) -> requesting.Life:
    """Return when a request that is made now dies, and what tells it from others."""
    _, now = await session.reader.head()
    # An idle chain's newest block may be old; a request must not be dead when it arrives.
    return requesting.Life(max(now, int(time.time())), expires_in_seconds, secrets.randbits(64))


async def file_request(session: Session, made: DomainRequest, registration: int, *, single_operator: bool) -> bytes:
    """File a request with the approval of its first party, and return its id."""
    kind = await approval(session, made, single_operator=single_operator)
    await session.send(ContractName.REGISTRY, "file", made.encode(), registration, kind, b"")
    return made.request_id(session.file.contracts.place(ContractName.REGISTRY))


async def approval(session: Session, content: DomainRequest, *, single_operator: bool) -> RepresentativeKind:
    """Return the kind of approval that a request needs.

    Raises:
        ConfigurationError: one operator shall get all keys, and the user has not said that this is meant.
    """
    body = content.body
    if isinstance(body, Form | ChangeParameters):
        parameters = body.parameters
    else:
        parameters = DomainParameters.decode((await session.reader.domain(content.domain)).parameters)
    if parameters.consensus is not Consensus.SINGLE_OPERATOR:
        return RepresentativeKind.APPROVE
    if isinstance(body, Form) and not single_operator:
        raise ConfigurationError(
            "this request gives all keys of the relay chains to one operator, who could endorse anything: if that is "
            "meant, say so with --single-operator"
        )
    return RepresentativeKind.APPROVE_SINGLE_OPERATOR


async def advance(session: Session, shown: Progress, request_id: bytes, content: DomainRequest) -> None:
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


def read_text(path: Path) -> str:
    """Read a file of the user.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}; `piebridge domain template --out {path}` makes one"
        ) from error


def read_file(path: Path) -> DomainFile:
    """Read a domain file.

    Raises:
        ConfigurationError: it cannot be read, or is none.
    """
    return domain_file.parse(read_text(path))


def refuse(findings: list[Finding], file: Path, *, dev: bool) -> None:
    """Refuse a file that is not safe.

    Raises:
        ConfigurationError: it is not; every reason is told.
    """
    if bad := lint.refused(findings, dev=dev):
        reasons = "\n".join(f"  {item.place}: {item.problem}. Write: {item.advice}" for item in bad)
        raise ConfigurationError(f"{file} is refused:\n{reasons}")


def tell_request(request_id: bytes, management: Path, *, as_json: bool, done: str = "filed") -> None:
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
