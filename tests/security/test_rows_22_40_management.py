"""Rows 22 to 40 as far as the contracts of the management chain decide them."""

import pytest

from piebridge.contracts.loader import EVM_VERSIONS, load
from piebridge.protocol_stack.codec import ZERO_HASH, u8, u32, u64
from piebridge.protocol_stack.management.digests import RepresentativeKind
from piebridge.protocol_stack.management.request import DomainRequest
from piebridge.protocol_stack.management.request_bodies import Form
from testkit.management_world import ARTIFACTS, GOVERNORS, ManagementWorld, hub_of
from testkit.world.keys import Governor, address_of

PARTIES = {"representative 1": 1, "representative 2": 2}
MALLORY = address_of("mallory")


@pytest.fixture
def world() -> ManagementWorld:
    world = ManagementWorld()
    world.found_governors()
    for name in PARTIES:
        world.add_registration(name)
    return world


def roots(world: ManagementWorld) -> list[bytes]:
    """Equal exactly when nothing is changed in any of the contracts."""
    return [world.chain.storage_root(world.addresses[contract]) for contract in ARTIFACTS]


def test_row_30_shares_of_a_key_that_was_rotated_count_for_nothing(world: ManagementWorld) -> None:
    message = world.message("market", 0, 2, MALLORY)
    assert world.refusal(MALLORY, "market", world.data("market", "governor", message)) is None
    successor = Governor("successor")
    ceremony, signature = world.generate_key(successor, 2)
    world.govern("board", 0, 13, u64(ceremony) + successor.group_key + signature)
    before = roots(world)
    # Also what was signed before is void.
    assert world.attempt("mallory", "market", world.data("market", "governor", message)) == "WrongKeyEpoch(2, 1)"
    forged = world.message("market", 0, 2, MALLORY)
    error = world.attempt("mallory", "market", world.data("market", "governor", forged))
    assert error == "WrongGovernorSignature()"
    assert roots(world) == before
    world.governor = successor
    world.govern("market", 0, 2, MALLORY)


def test_row_30_one_operator_never_holds_a_quorum(world: ManagementWorld) -> None:
    world.add_operator("op a", 4)
    form = world.form((1, 2))
    world.file(form, PARTIES)
    world.draw(form, world.candidates_of(world.close(form)))
    assert world.read("registry", "requestOf", world.identifier(form))[0] == 8  # refused: both seats would be its own
    world.add_operator("op b", 1)
    form = world.form((1, 2))
    world.file(form, PARTIES)
    world.draw(form, world.candidates_of(world.close(form)))
    assert world.read("registry", "requestOf", world.identifier(form))[0] == 4


@pytest.mark.parametrize(("seats", "threshold"), [(1, 1), (3, 2), (4, 2), (4, 0), (6, 4)])
def test_row_31_a_low_threshold_is_refused(world: ManagementWorld, seats: int, threshold: int) -> None:
    form = world.form((1, 2), seats=4)
    assert isinstance(form.body, Form)
    data = bytearray(form.encode())
    data[26 + 11 : 26 + 13] = bytes([seats, threshold])
    call = world.data("registry", "file", bytes(data), 1, 1, b"")
    assert world.refusal(address_of("representative 1"), "registry", call) == "MalformedRequest(3)"
    call = world.data("registry", "file", form.encode(), 1, 1, b"")
    assert world.refusal(address_of("representative 1"), "registry", call) is None


def test_row_31_a_set_of_governors_with_a_low_threshold_is_refused(world: ManagementWorld) -> None:
    members = b"".join(address_of(f"governor {number}") for number in range(1, 4))
    governor = address_of(GOVERNORS[0])
    for size, threshold in ((1, 1), (2, 1), (3, 2), (3, 0)):
        call = world.data("board", "declareSet", u8(threshold) + u8(size) + members[: 20 * size])
        assert world.refusal(governor, "board", call) == "MalformedSet()"
    assert world.refusal(governor, "board", world.data("board", "declareSet", u8(3) + u8(3) + members)) is None


@pytest.mark.parametrize("evm_version", EVM_VERSIONS)
def test_row_33_and_35_there_is_no_owner_no_proxy_and_no_initialiser(evm_version: str) -> None:
    for name in (*ARTIFACTS.values(), "DomainRules", "DomainDesk"):
        artifact = load(name, evm_version)
        names = {entry["name"].lower() for entry in artifact.abi if entry["type"] == "function"}
        words = ("owner", "upgrade", "initiali", "implementation", "admin", "pause", "mint")
        assert not {found for found in names if any(word in found for word in words)}, name
        assert len(artifact.runtime_bytecode) <= 24_576, name


def test_row_35_what_is_set_once_is_never_set_again(world: ManagementWorld) -> None:
    before = roots(world)
    successor = Governor("successor")
    governor = world.governor.group_key
    calls: dict[str, tuple[str, str, tuple[object, ...]]] = {
        "KeyRegisteredBefore(1)": ("board", "registerFirstKey", (1, successor.group_key, bytes(65))),
        f"SetKnown(0x{world.set_hash.hex()})": ("board", "declareSet", (world.founding_set,)),
    }
    for error, (contract, function, arguments) in calls.items():
        assert world.attempt("mallory", contract, world.data(contract, function, *arguments)) == error
    hub = world.data("registry", "bindHub", 1, 5, hub_of(7))
    assert world.attempt("representative 1", "registry", hub) == "WrongHub(1)"
    assert world.read("board", "governorKey")[0] == governor
    assert roots(world) == before


def test_row_36_what_is_signed_for_one_contract_counts_at_no_other(world: ManagementWorld) -> None:
    message = world.message("market", 0, 1, b"")
    for contract in ARTIFACTS:
        error = world.refusal(MALLORY, contract, world.data(contract, "governor", message))
        assert error == (None if contract == "market" else "MalformedMessage()")
    # The same bytes, with number and address of another contract written over them.
    for contract in set(ARTIFACTS) - {"market"}:
        other = world.message(contract, 0, 1, b"")
        changed = other[:-65] + message[-65:]
        error = world.refusal(MALLORY, contract, world.data(contract, "governor", changed))
        assert error == "WrongGovernorSignature()"


def test_row_37_a_signature_for_one_purpose_serves_no_other(world: ManagementWorld) -> None:
    form = world.form((1, 2))
    identifier = world.file(form, PARTIES)
    approval = world.voice("representative 1", 1, form, RepresentativeKind.APPROVE)
    rejection = world.voice("representative 1", 1, form, RepresentativeKind.REJECT)
    before = roots(world)
    error = world.attempt("mallory", "registry", world.data("registry", "reject", identifier, 1, approval))
    assert error is not None
    assert error.startswith("NotTheRepresentative(1")
    assert roots(world) == before
    assert world.refusal(MALLORY, "registry", world.data("registry", "reject", identifier, 1, rejection)) is None


def test_row_39_nobody_registers_himself_as_somebody(world: ManagementWorld) -> None:
    offer = _stolen_offer(world)
    before = roots(world)
    calls: dict[str, tuple[str, str, tuple[object, ...]]] = {
        "NotTheRepresentative(1": ("registry", "bindHub", (1, 5, hub_of(7))),
        "NotAnOperator(": ("market", "offerNode", offer),
        "NotThePublisher(": ("directory", "acceptPublisher", (1024,)),
        "NoApplication(": ("directory", "proposePlacement", (1024, 1, hub_of(9), 1)),
        "NotAGovernor(": ("board", "openCeremony", (1, world.set_hash, ZERO_HASH, 5, 10)),
    }
    for error, (contract, function, arguments) in calls.items():
        refused = world.attempt("mallory", contract, world.data(contract, function, *arguments))
        assert refused is not None
        assert refused.startswith(error)
    assert roots(world) == before


def test_row_39_a_front_runner_takes_nobodys_keys(world: ManagementWorld) -> None:
    world.add_operator("op a", 1)
    world.add_operator("op b", 1)
    offer = world.offer("op a", "mine")
    # Another operator sees the offer on its way and sends it first: the keys have signed for op a.
    call = world.data("market", "offerNode", *offer)
    assert world.refusal(address_of("op b"), "market", call) == "WrongPossession(1)"
    assert world.refusal(address_of("op a"), "market", call) is None


def _stolen_offer(world: ManagementWorld) -> tuple[bytes, bytes, bytes]:
    world.govern("market", 0, 2, address_of("op z"))
    return world.offer("op z", "stolen")


def test_row_40_absence_never_shrinks_a_set(world: ManagementWorld) -> None:
    nodes = [*world.add_operator("op a", 1), *world.add_operator("op b", 1)]
    form = world.form((1, 2))
    identifier = world.file(form, PARTIES)
    outcome = world.draw(form, world.candidates_of(world.close(form)))
    world.confirm(form, world.event(outcome, "registry", "DecisionMade")["decisionHash"], PARTIES)
    for node in nodes:
        world.send(f"agent {node.name}", "registry", "reportGenesis", identifier, 1, node.number, b"\1" * 32)
    world.govern("registry", 1, 2, form.encode())
    seats = world.read("registry", "relayOf", 1)
    for period in range(1, 6):
        world.send("carrier", "registry", "tick")
        for node in nodes:
            world.send(f"agent {node.name}", "registry", "reportUptime", 1, period, node.number, 1)
    assert world.read("registry", "uptimeOf", 1)[0] == 5
    assert world.read("registry", "relayOf", 1) == seats


def test_o09_a_request_for_an_older_state_and_a_draw_before_its_block_are_refused(world: ManagementWorld) -> None:
    world.add_operator("op a", 1)
    world.add_operator("op b", 1)
    form = world.form((1, 2))
    world.file(form, PARTIES)
    candidates = world.candidates_of(world.close(form))
    call = world.data("registry", "draw", form.encode(), candidates)
    error = world.refusal(MALLORY, "registry", call)
    assert error is not None
    assert error.startswith("TooEarly(")
    world.wait_for_seed()
    less = world.data("registry", "draw", form.encode(), candidates[20:])
    assert world.refusal(MALLORY, "registry", less) == "WrongCandidates()"
    assert world.refusal(MALLORY, "registry", call) is None
    stale = DomainRequest(0, 0, form.expires, 99, form.body).encode()
    forged = stale[:6] + u32(5) + stale[10:]
    call = world.data("registry", "file", forged, 1, 1, b"")
    assert world.refusal(address_of("representative 1"), "registry", call) == "StaleRequest(0, 5)"
