"""The files of a CometBFT node: their exact text, and what a home refuses."""

import base64
import json
import stat
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from piebridge.abci.cometbft import binary
from piebridge.abci.cometbft.binary import find_cometbft
from piebridge.abci.cometbft.config import (
    NodeSettings,
    Peer,
    Timing,
    config_toml,
    node_id,
    node_key_json,
    validator_key_json,
)
from piebridge.abci.cometbft.errors import CometBftMissingError
from piebridge.abci.cometbft.home import HomeLock, NodeHome
from piebridge.crypto.errors import ConfigurationError
from testkit.validators import genesis_for, validator_keys

SEED = bytes(range(32))
PEER = Peer(node_id(bytes(32)), "127.0.0.1", 20_011)
SETTINGS = NodeSettings("relay-1", 20_000, 20_001, (PEER,), block_interval_seconds=0.25)
KEYS = validator_keys(2)

EXPECTED = """\
# Written by PieBridge at every start of the node; change the options of `piebridge chain run` instead.
moniker = "relay-1"
proxy_app = "unix://abci.sock"
abci = "socket"
log_level = "main:info,*:error"
log_format = "plain"

[rpc]
laddr = "tcp://127.0.0.1:20000"
grpc_laddr = ""
pprof_laddr = ""
unsafe = false
max_request_batch_size = 100
max_body_bytes = 8388608

[p2p]
laddr = "tcp://127.0.0.1:20001"
persistent_peers = "PEER@127.0.0.1:20011"
unconditional_peer_ids = "PEER"
pex = false
addr_book_strict = false
allow_duplicate_ip = true
persistent_peers_max_dial_period = "2s"
flush_throttle_timeout = "5ms"
send_rate = 52428800
recv_rate = 52428800

[mempool]
type = "flood"
recheck = true

[statesync]
enable = false

[consensus]
timeout_commit = "250ms"
skip_timeout_commit = false
create_empty_blocks = false
create_empty_blocks_interval = "5000ms"
timeout_propose = "500ms"
timeout_propose_delta = "500ms"
timeout_prevote = "200ms"
timeout_prevote_delta = "200ms"
timeout_precommit = "200ms"
timeout_precommit_delta = "200ms"
peer_gossip_sleep_duration = "10ms"

[storage]
discard_abci_responses = false

[tx_index]
indexer = "kv"

[instrumentation]
prometheus = false
"""


def test_the_configuration_to_the_letter() -> None:
    assert config_toml(SETTINGS) == EXPECTED.replace("PEER", PEER.node_id)


@pytest.mark.parametrize(
    ("host", "reached_at"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]"), ("node-1", "node-1")],
)
def test_a_node_that_listens_everywhere_is_reached_on_its_own_machine(host: str, reached_at: str) -> None:
    assert replace(SETTINGS, rpc_host=host).own_rpc_address == f"http://{reached_at}:20000"


def test_validators_that_are_far_apart_have_cometbfts_own_times() -> None:
    parsed = tomllib.loads(config_toml(replace(SETTINGS, timing=Timing.WIDE)))
    assert not {"timeout_propose", "timeout_prevote", "peer_gossip_sleep_duration"} & set(parsed["consensus"])
    assert parsed["consensus"]["timeout_commit"] == "250ms"


@pytest.mark.parametrize(
    "wrong",
    [
        {"moniker": 'a"b'},
        {"moniker": ""},
        {"rpc_port": 0},
        {"p2p_port": 65_536},
        {"rpc_host": "127.0.0.1\npex = true"},
        {"p2p_host": ""},
        {"block_interval_seconds": 0},
        {"create_empty_blocks_interval_seconds": -1},
        {"log_level": 'info"'},
    ],
)
def test_settings_that_would_break_the_file_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        replace(SETTINGS, **wrong)  # type: ignore[arg-type]


def test_peers() -> None:
    assert Peer.parse(str(PEER)) == PEER
    for text in (
        "",
        "abc@host:1",
        f"{PEER.node_id}@host",
        f"{PEER.node_id}@:1",
        f"{PEER.node_id}@h:0",
        f"{'A' * 40}@h:1",
    ):
        with pytest.raises(ConfigurationError):
            Peer.parse(text)


def test_node_keys_hold_seed_and_public_key() -> None:
    value = base64.b64decode(json.loads(node_key_json(SEED))["priv_key"]["value"])
    assert value[:32] == SEED
    assert len(value) == 64
    assert len(bytes.fromhex(node_id(SEED))) == 20


def test_validator_keys_are_of_the_type_that_ethereum_knows() -> None:
    document = json.loads(validator_key_json(KEYS[0]))
    assert document["pub_key"]["type"] == "tendermint/PubKeySecp256k1eth"
    assert document["priv_key"]["type"] == "tendermint/PrivKeySecp256k1eth"
    assert base64.b64decode(document["priv_key"]["value"]) == KEYS[0].private_key
    assert document["address"] == KEYS[0].address.hex().upper()


def written(path: Path) -> NodeHome:
    home = NodeHome(path)
    home.write(SETTINGS, genesis_for(KEYS), KEYS[0], SEED)
    return home


def test_a_home_holds_what_the_node_reads_and_is_its_owners(tmp_path: Path) -> None:
    home = written(tmp_path / "node")
    names = {str(path.relative_to(home.path)) for path in home.path.rglob("*") if path.is_file()}
    assert names == {
        *(f"config/{name}" for name in ("config.toml", "genesis.json", "node_key.json", "priv_validator_key.json")),
        "data/priv_validator_state.json",
    }
    for path in (home.path, *home.path.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert json.loads(home.validator_state.read_text()) == {"height": "0", "round": 0, "step": 0}
    assert home.genesis.read_bytes() == genesis_for(KEYS).to_json()


def test_settings_may_change_but_what_was_signed_is_never_written_again(tmp_path: Path) -> None:
    home = written(tmp_path)
    home.validator_state.write_text('{"height": "7", "round": 1, "step": 3}')
    home.write(replace(SETTINGS, rpc_port=20_002), genesis_for(KEYS), KEYS[0], SEED)
    assert json.loads(home.validator_state.read_text())["height"] == "7"
    assert "20002" in (home.path / "config" / "config.toml").read_text()


def test_another_key_or_another_chain_is_refused(tmp_path: Path) -> None:
    home = written(tmp_path)
    with pytest.raises(ConfigurationError, match="each validator has a home"):
        home.write(SETTINGS, genesis_for(KEYS), KEYS[1], SEED)
    with pytest.raises(ConfigurationError, match="another chain"):
        home.write(SETTINGS, genesis_for(KEYS, "relay-2"), KEYS[0], SEED)
    assert home.genesis.read_bytes() == genesis_for(KEYS).to_json()


def test_a_validator_that_forgot_what_it_signed_does_not_start(tmp_path: Path) -> None:
    home = written(tmp_path)
    home.validator_state.unlink()
    with pytest.raises(ConfigurationError, match="second block"):
        written(tmp_path)
    assert not home.validator_state.exists()


def test_a_home_is_held_by_one_and_given_back(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path / "node")
    with pytest.raises(ConfigurationError, match="in use by another process"):
        HomeLock(tmp_path / "node")
    lock.release()
    lock.release()
    HomeLock(tmp_path / "node").release()


def test_long_logs_are_put_aside(tmp_path: Path) -> None:
    home = written(tmp_path)
    home.log.write_text("".join(f"line {number}\n" for number in range(100)))
    home.rotate_log(keep_bytes=10_000)
    assert home.log_tail(2) == "line 98\nline 99"
    home.rotate_log(keep_bytes=100)
    assert not home.log.exists()
    assert home.log.with_suffix(".log.1").exists()
    assert "no log" in home.log_tail()


def program(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def module_info(version: bytes) -> bytes:
    """What `go build` writes into a program, between bytes that mean nothing here."""
    name = b"github.com/cometbft/cometbft"
    return b"\x7fELF\x00" + b"\npath\t" + name + b"/cmd/cometbft\nmod\t" + name + b"\t" + version + b"\th1:x=\n\x00"


def test_the_program_is_found_and_its_version_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary.sys, "executable", str(tmp_path / "bin" / "python"))  # type: ignore[attr-defined]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(binary.VARIABLE, raising=False)
    good = program(tmp_path / "cometbft", module_info(b"v0.40.0"))
    assert find_cometbft() == good
    named = program(tmp_path / "other", module_info(b"(devel)"))
    monkeypatch.setenv(binary.VARIABLE, str(named))
    assert find_cometbft() == named


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (module_info(b"v0.38.25"), "is CometBFT v0.38.25; v0.40 or later"),
        (b"#!/bin/sh\n", "is not CometBFT"),
        (b"", "cannot be read"),
    ],
)
def test_another_program_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
) -> None:
    monkeypatch.setenv(binary.VARIABLE, str(program(tmp_path / "cometbft", content)))
    with pytest.raises(CometBftMissingError, match=words) as caught:
        find_cometbft()
    assert "make cometbft" in str(caught.value)


def test_a_missing_program_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary.sys, "executable", str(tmp_path / "python"))  # type: ignore[attr-defined]
    monkeypatch.setattr(binary, "__file__", str(tmp_path / "a" / "binary.py"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(binary.VARIABLE, raising=False)
    with pytest.raises(CometBftMissingError, match="make cometbft"):
        find_cometbft()
    monkeypatch.setenv(binary.VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(CometBftMissingError, match="is no program"):
        find_cometbft()
