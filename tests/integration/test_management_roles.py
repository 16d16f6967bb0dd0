"""Who may call what: every function that the ABI of the management contracts has, as every role.

Rows are played on one chain while a domain is formed, each at a moment at which the right caller succeeds. A call is
tried in a simulation and leaves no trace, so all roles find the same state. What a stranger may do stands in
``ANYBODY``, with the reason; a function that is in no row fails the test.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.codec import ZERO_HASH
from piebridge.protocol_stack.management.digests import RepresentativeKind
from piebridge.protocol_stack.management.request import DomainRequest
from piebridge.protocol_stack.signing import endorsement_digest
from testkit.management_world import ARTIFACTS, GOVERNORS, ManagementWorld, Node, hub_of
from testkit.world.keys import Governor, address_of, sign

OPERATOR, OTHER_OPERATOR = "op a", "op b"
PARTIES = {"representative 1": 1, "representative 2": 2}
PUBLISHER = "publisher"

ANYBODY = {
    ("board", "declareSet"): "only the founding set, whose hash is immutable",
    ("board", "registerFirstKey"): "the members have confirmed the key, and it has signed for itself",
    ("market", "reportEquivocation"): "evidence",
    ("registry", "register"): "a number is worth nothing by itself",
    ("registry", "file"): "carries the signature of a party",
    ("registry", "cosign"): "carries the signature of a party",
    ("registry", "close"): "a rule",
    ("registry", "draw"): "a rule",
    ("registry", "confirm"): "carries the signature of a party",
    ("registry", "reject"): "carries the signature of a party",
    ("registry", "expire"): "a rule",
    ("registry", "tick"): "does nothing",
    ("directory", "createApplication"): "a number is worth nothing by itself",
    **{(contract, "governor"): "carries the governors' signature" for contract in ARTIFACTS},
}
"""Functions that succeed for a stranger, and why that is right."""


@dataclass(frozen=True)
class Row:
    """A call and the roles for which it succeeds."""

    contract: str
    function: str
    arguments: tuple[object, ...]
    allowed: frozenset[str]
    value: int = 0


def row(contract: str, function: str, allowed: set[str], *arguments: object, value: int = 0) -> Row:
    return Row(contract, function, arguments, frozenset(allowed), value)


class Table:
    """Plays rows, and remembers which functions were played."""

    def __init__(self) -> None:
        self.world = ManagementWorld()
        self.played: set[tuple[str, str]] = set()
        self.roles: dict[str, bytes] = {
            "stranger": address_of("mallory"),
            "operator": address_of(OPERATOR),
            "other operator": address_of(OTHER_OPERATOR),
            "agent": address_of(f"agent {OPERATOR} 0"),
            "representative": address_of("representative 1"),
            "other representative": address_of("representative 2"),
            "governor": address_of(GOVERNORS[0]),
            "publisher": address_of(PUBLISHER),
            "registry": self.world.addresses["registry"],
        }

    def everybody(self) -> set[str]:
        return {*self.roles, "self"}

    def play(self, *rows: Row) -> None:
        for item in rows:
            self.played.add((item.contract, item.function))
            data = self.world.data(item.contract, item.function, *item.arguments)
            accounts = {**self.roles, "self": self.world.addresses[item.contract]}
            if item.contract == "registry":
                del accounts["registry"]
            for role, account in accounts.items():
                where = f"{item.contract}.{item.function} as {role}"
                error = self.world.refusal(account, item.contract, data, item.value)
                if role in item.allowed:
                    assert error is None, f"{where} is refused: {error}"
                else:
                    assert error is not None, f"{where} is taken"
                    assert not error.startswith(("no error", "Panic")), f"{where}: {error}"
            if "stranger" in item.allowed:
                assert (item.contract, item.function) in ANYBODY, f"{item.contract}.{item.function} by a stranger"


@pytest.mark.slow
def test_row_23_every_function_of_the_management_contracts_as_every_role() -> None:
    table = Table()
    _board(table)
    _market(table)
    _registry(table)
    _directory(table)
    expected = {
        (contract, entry["name"])
        for contract in ARTIFACTS
        for entry in table.world.artifact(contract).abi
        if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
    }
    assert table.played == expected


@pytest.mark.slow
def test_no_contract_takes_money_or_unknown_calls() -> None:
    world = ManagementWorld()
    for contract in ARTIFACTS:
        assert world.refusal(address_of("alice"), contract, b"", 1) is not None, contract
        assert world.refusal(address_of("alice"), contract, b"") is not None, contract
        assert world.refusal(address_of("alice"), contract, bytes.fromhex("deadbeef")) is not None, contract


def _board(table: Table) -> None:
    world, everybody = table.world, table.everybody()
    table.play(row("board", "declareSet", everybody, world.founding_set))
    world.send("carrier", "board", "declareSet", world.founding_set)
    table.play(row("board", "openCeremony", {"governor"}, 1, world.set_hash, ZERO_HASH, 5, 100))
    opened = world.send(GOVERNORS[0], "board", "openCeremony", 1, world.set_hash, ZERO_HASH, 5, 100)
    ceremony = world.event(opened, "board", "CeremonyOpened")["ceremony"]
    table.play(
        row("board", "post", {"governor"}, ceremony, 1, 1, b"payload"),
        row("board", "confirmKey", {"governor"}, ceremony, world.governor.group_key),
    )
    ceremony, signature = world.generate_key(world.governor, 1)
    first = (ceremony, world.governor.group_key, signature)
    table.play(row("board", "registerFirstKey", everybody, *first))
    world.send("carrier", "board", "registerFirstKey", *first)
    forger = Governor("forger")
    for contract in ARTIFACTS:
        table.play(
            row(contract, "governor", everybody, world.message(contract, 0, 1, b"")),
            row(contract, "executeGovernorMessage", {"self"}, 0, 1, b""),
        )
        genuine, world.governor = world.governor, forger
        forged = world.message(contract, 0, 1, b"")
        world.governor = genuine
        table.play(row(contract, "governor", set(), forged))


def _market(table: Table) -> None:
    world = table.world
    (node, *_) = world.add_operator(OPERATOR, 6)
    world.add_operator(OTHER_OPERATOR, 6)
    offered = world.offer(OPERATOR, "another")
    peer = bytes(20) + b"h:1"
    table.play(
        row("market", "postBond", {"operator", "other operator"}, value=1),
        row("market", "requestWithdrawal", {"operator", "other operator"}, 1),
        row("market", "offerNode", {"operator"}, *offered),
        row("market", "withdrawNode", {"operator"}, node.number),
        row("market", "setPeer", {"operator", "agent"}, node.number, peer, b""),
        row("market", "heartbeat", {"operator", "agent"}, node.number),
        row("market", "beginDraw", {"registry"}, 1, 1),
        row("market", "reserve", {"registry"}, node.number, 77),
        row("market", "recordNoShow", {"registry"}, node.number),
        row("market", "release", {"registry"}, [node.number]),
        row("market", "seat", {"registry"}, [node.number]),
        row("market", "unseat", {"registry"}, 77, [node.number], True),
        row("market", "recordPeriod", {"registry"}, 77, [node.number], 1),
    )
    world.send(OPERATOR, "market", "requestWithdrawal", 1)
    for _ in range(11):
        world.send("carrier", "registry", "tick")
    table.play(row("market", "claimWithdrawal", {"operator"}))


def _registry(table: Table) -> None:
    world, everybody = table.world, table.everybody()
    table.play(row("registry", "register", everybody))
    number = world.event(world.send("representative 1", "registry", "register"), "registry", "Registered")
    assert number["registration"] == 1
    table.play(
        row("registry", "bindHub", {"representative"}, 1, 5, bytes(19) + b"\1"),
        row("registry", "proposeRepresentative", {"representative"}, 1, address_of("carol")),
    )
    world.send("representative 1", "registry", "proposeRepresentative", 1, address_of("representative 2"))
    table.play(row("registry", "acceptRepresentative", {"other representative"}, 1))
    world.send("representative 1", "registry", "proposeRepresentative", 1, address_of("representative 1"))

    _bind_registrations(world)
    requests = _requests(table)
    form = next(requests)
    approval = world.voice("representative 1", 1, form, RepresentativeKind.APPROVE)
    table.play(
        row("registry", "file", everybody, form.encode(), 1, 1, approval),
        row("registry", "file", {"representative"}, form.encode(), 1, 1, b""),
    )
    world.send("carrier", "registry", "file", form.encode(), 1, 1, approval)
    identifier = world.identifier(form)
    second = world.voice("representative 2", 2, form, RepresentativeKind.APPROVE)
    rejection = world.voice("representative 2", 2, form, RepresentativeKind.REJECT)
    table.play(
        row("registry", "cosign", everybody, identifier, 2, 1, second),
        row("registry", "cosign", {"other representative"}, identifier, 2, 1, b""),
        row("registry", "reject", everybody, identifier, 2, rejection),
        row("registry", "reject", {"other representative"}, identifier, 2, b""),
        row("registry", "tick", everybody),
    )
    world.send("carrier", "registry", "cosign", identifier, 2, 1, second)
    table.play(row("registry", "close", everybody, form.encode()))
    candidates = world.candidates_of(world.close(form))
    table.play(row("market", "endDraw", {"registry"}))
    world.wait_for_seed()
    table.play(row("registry", "draw", everybody, form.encode(), candidates))
    decision = world.event(
        world.send("carrier", "registry", "draw", form.encode(), candidates), "registry", "DecisionMade"
    )["decisionHash"]
    first = world.voice("representative 1", 1, form, RepresentativeKind.CONFIRM, decision)
    table.play(
        row("registry", "confirm", everybody, identifier, decision, 1, first),
        row("registry", "confirm", {"representative"}, identifier, decision, 1, b""),
    )
    world.confirm(form, decision, PARTIES)
    seats = [int(number) for number in world.read("registry", "relayOf", 1)[5]]
    mine = next(number for number in seats if number <= 6)
    table.roles["agent"] = address_of(_node(mine).name_of_agent)
    value = keccak256(b"genesis")
    table.play(row("registry", "reportGenesis", {"operator", "agent"}, identifier, 1, mine, value))
    for seat in seats:
        world.send(_node(seat).name_of_agent, "registry", "reportGenesis", identifier, 1, seat, value)
    world.govern("registry", 1, 2, form.encode())
    world.send("carrier", "registry", "tick")
    table.play(
        row("registry", "reportUptime", {"operator", "agent"}, 1, 1, mine, 3),
        row("market", "leaveSeat", {"operator"}, mine),
        row("market", "exitSeat", {"operator"}, mine),
        row("market", "reportEquivocation", everybody, *_evidence(_node(mine))),
    )
    world.send(OPERATOR, "market", "exitSeat", mine)
    world.send(OPERATOR, "market", "postBond", value=10**18)
    table.play(row("market", "renewNode", {"operator"}, mine, *world.offer(OPERATOR, "renewed")))

    short = next(requests)
    world.file(short, PARTIES)
    world.clock.tick(700_000)
    world.send("carrier", "registry", "tick")
    table.play(row("registry", "expire", everybody, world.identifier(short)))


@dataclass(frozen=True)
class _SeatedNode(Node):
    @property
    def name_of_agent(self) -> str:
        return f"agent {self.name}"


def _node(number: int) -> _SeatedNode:
    """Nodes 1 to 6 are the operator's, 7 to 12 those of the other one."""
    owner = OPERATOR if number <= 6 else OTHER_OPERATOR
    return _SeatedNode(number, f"{owner} {(number - 1) % 6}")


def _bind_registrations(world: ManagementWorld) -> None:
    """Bind the first registration as the requests name it, and make the second one."""
    world.send("representative 1", "registry", "bindHub", 1, 9_001, hub_of(1))
    assert world.add_registration("representative 2") == 2


def _requests(table: Table) -> Iterator[DomainRequest]:
    while True:
        yield table.world.form((1, 2))


def _evidence(node: Node) -> tuple[bytes, bytes]:
    def statement(value: bytes) -> bytes:
        digest = endorsement_digest(1, 1, 22, 1, 5, value)
        head = b"".join(number.to_bytes(4, "big") for number in (1, 1, 22, 1))
        return head + (5).to_bytes(8, "big") + value + sign(f"endorsement {node.name}", digest)

    return statement(keccak256(b"one")), statement(keccak256(b"two"))


def _directory(table: Table) -> None:
    world, everybody = table.world, table.everybody()
    table.play(row("directory", "createApplication", everybody, "swap"))
    world.send(PUBLISHER, "directory", "createApplication", "swap")
    code = keccak256(b"code")[:20]
    table.play(
        row("directory", "proposePublisher", {"publisher"}, 1024, address_of("carol")),
        row("directory", "describeFunction", {"publisher"}, 1024, 1, b"\1\2\3\4", "swap", "uint128", "bool"),
        row("directory", "proposePlacement", {"publisher"}, 1024, 1, code, 1),
        row("directory", "setQuota", {"representative"}, 1024, 1, 1, 1, 1, 1),
    )
    world.send(PUBLISHER, "directory", "proposePublisher", 1024, address_of("representative 2"))
    world.send(PUBLISHER, "directory", "proposePlacement", 1024, 1, code, 1)
    table.play(
        row("directory", "acceptPublisher", {"other representative"}, 1024),
        row("directory", "acceptPlacement", {"representative"}, 1024, 1, code, 1),
        row("directory", "removePlacement", {"publisher", "representative"}, 1024, 1),
    )
