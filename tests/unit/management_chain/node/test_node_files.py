"""Keys, homes and processes of an agent: made once, bound to one chain, one process at a time."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from piebridge.crypto.errors import ConfigurationError, TransientChainError
from piebridge.crypto.keystore import KeyPurpose
from piebridge.crypto.signature import address_of, recover_address
from piebridge.management_chain.node.agent import NodeAgent
from piebridge.management_chain.node.home import archive_home, build_home
from piebridge.management_chain.node.keys import OwnNode, load_node, make_node
from piebridge.management_chain.node.launch import LaunchSettings, LaunchSpec
from piebridge.management_chain.node.processes import LocalProcesses
from piebridge.management_chain.node.unit import Phase, Unit, UnitStore
from piebridge.protocol_stack.management.digests import OfferKey
from piebridge.protocol_stack.management.offer import NodeOffer
from piebridge.protocol_stack.management.parameters import Consensus
from piebridge.protocol_stack.management.tags import Place
from testkit.node_agent_world import OWN_NODE, RELAY, FileManagementChain, World, forming

SLEEPER = "import signal, sys; signal.sigwait([signal.SIGTERM])"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


@pytest.fixture
def node(tmp_path: Path) -> OwnNode:
    return make_node(tmp_path / "node", "word", rpc_port=20_001, p2p_port=20_002, dev=True)


def test_keys_are_made_once_and_kept_to_their_owner(tmp_path: Path, node: OwnNode) -> None:
    assert load_node(tmp_path / "node") == node
    for purpose in (KeyPurpose.CONSENSUS, KeyPurpose.ENDORSEMENT, KeyPurpose.P2P):
        assert node.key_file(purpose).stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigurationError):
        make_node(tmp_path / "node", "word", rpc_port=1, p2p_port=2, dev=True)
    with pytest.raises(ConfigurationError):
        load_node(tmp_path / "nowhere")
    (tmp_path / "node" / "node.json").write_text("[]")
    with pytest.raises(ConfigurationError):
        load_node(tmp_path / "node")


def test_an_offer_is_signed_by_both_keys(node: OwnNode) -> None:
    offer = node.offer(b"\x01" * 20, 100, 1, 2, "host:1", "http://host:2")
    assert NodeOffer.decode(offer.encode()) == offer
    market = Place(5, b"\x02" * 20)
    endorsement, consensus = node.sign_offer(offer, market, 3, "word", dev=True)
    assert recover_address(offer.digest(market, 3, OfferKey.ENDORSEMENT), endorsement) == node.endorsement_address
    assert recover_address(offer.digest(market, 3, OfferKey.CONSENSUS), consensus) == address_of(node.consensus_key)


def test_a_home_is_built_whole_and_for_one_chain(tmp_path: Path) -> None:
    home = tmp_path / "chains" / "one"
    home.parent.mkdir()
    half_built = home.with_name("one.new")
    half_built.mkdir()
    (half_built / "rubbish").touch()
    build_home(home, b"genesis")
    build_home(home, b"genesis")
    assert [path.name for path in home.iterdir()] == ["config"]
    with pytest.raises(ConfigurationError):
        build_home(home, b"another genesis")
    archive = tmp_path / "archive"
    assert archive_home(home, archive) == archive / "one"
    assert archive_home(home, archive) is None
    build_home(home, b"genesis")
    with pytest.raises(ConfigurationError):
        archive_home(home, archive)


def test_units_are_read_as_they_were_written(tmp_path: Path, node: OwnNode) -> None:
    store = UnitStore(tmp_path / "units")
    record = forming(node).encode()
    unit = Unit(RELAY, (OWN_NODE,), record, record, Phase.RUNNING, (OWN_NODE,))
    store.save(unit)
    store.save(replace(unit, phase=Phase.ENDING))
    assert store.load() == [unit.at(Phase.ENDING)]
    (file,) = (tmp_path / "units").glob("*.json")
    for bad in ("", "{}", file.read_text().replace('"version": 1', '"version": 2'), file.read_text()[:-9]):
        file.write_text(bad)
        with pytest.raises(ConfigurationError):
            store.load()


def spec_of(node: OwnNode, tmp_path: Path) -> LaunchSpec:
    return LaunchSpec(Consensus.COMETBFT, "chain", tmp_path, tmp_path / "genesis.json", (node,), (), 500)


def processes(tmp_path: Path, program: str) -> LocalProcesses:
    command = (sys.executable, "-I", "-S", "-c", program)
    return LocalProcesses(tmp_path / "processes", LaunchSettings(command, tmp_path / "passphrase"))


async def test_two_processes_of_one_unit_never_run(tmp_path: Path, node: OwnNode) -> None:
    first, second = processes(tmp_path, SLEEPER), processes(tmp_path, SLEEPER)
    spec = spec_of(node, tmp_path)
    await first.start("unit", spec)
    assert (await first.observe("unit")).running
    with pytest.raises(TransientChainError):
        await second.start("unit", spec)
    with pytest.raises(TransientChainError):
        await second.stop("unit")
    await first.stop("unit")
    assert not (await first.observe("unit")).running
    await second.start("unit", spec)
    await second.close()


async def test_a_process_that_ends_by_itself_is_seen_and_one_that_does_not_is_killed(
    tmp_path: Path, node: OwnNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = processes(tmp_path, "raise SystemExit(3)")
    await short.start("short", spec_of(node, tmp_path))
    async with asyncio.timeout(20):
        while (await short.observe("short")).running:  # noqa: ASYNC110 - a process is waited for
            await asyncio.sleep(0.05)
    monkeypatch.setattr("piebridge.management_chain.node.processes.STOP_TIMEOUT_SECONDS", 0.2)
    deaf = processes(tmp_path, DEAF)
    await deaf.start("deaf", spec_of(node, tmp_path))
    async with asyncio.timeout(20):
        while "deaf" not in deaf.log_of("deaf").read_text():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
    await deaf.stop("deaf")
    assert not (await deaf.observe("deaf")).running


def test_an_agents_folder_is_its_own(tmp_path: Path, node: OwnNode) -> None:
    def agent() -> NodeAgent:
        return NodeAgent(tmp_path / "agent", [node], FileManagementChain(World(tmp_path)), processes(tmp_path, SLEEPER))

    first = agent()
    with pytest.raises(ConfigurationError):
        agent()
    assert first.units == ()
    asyncio.run(first.stop())
    asyncio.run(agent().stop())
