"""`piebridge chain`: which options belong to which engine, and what is said when something is missing."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from piebridge.abci.cometbft.config import node_id
from piebridge.cli import chain
from piebridge.crypto import keystore
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import KeyPurpose
from testkit.validators import genesis_for, validator_keys

runner = CliRunner()
PASSPHRASE = "correct horse"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Keys, a passphrase file and a genesis document, as a validator has them before its first start."""
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "genesis.json").write_bytes(genesis_for(validator_keys(1)).to_json())
    for name, purpose in (
        ("consensus", KeyPurpose.CONSENSUS),
        ("second", KeyPurpose.CONSENSUS),
        ("endorsement", KeyPurpose.ENDORSEMENT),
        ("p2p", KeyPurpose.P2P),
    ):
        keystore.generate(tmp_path / f"{name}.json", purpose, PASSPHRASE, dev=True)
    return tmp_path


def run_relay(home: Path, *options: object) -> None:
    arguments = ["run", "relay", "--dev", "--home", home, "--passphrase-file", home / "passphrase"]
    arguments += ["--validator-key", home / "consensus.json", "--endorsement-key", home / "endorsement.json"]
    arguments += ["--rpc-port", 20_000, *options]
    runner.invoke(chain.app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.mark.parametrize("option", [("--p2p-port", 1), ("--p2p-key", "p2p.json"), ("--peer", "x"), ("--p2p-host", "h")])
def test_options_of_a_node_are_refused_on_the_embedded_engine(home: Path, option: tuple[object, ...]) -> None:
    with pytest.raises(ConfigurationError, match=f"{option[0]} belongs to --engine cometbft"):
        run_relay(home, *option)


def test_a_process_on_cometbft_is_one_validator(home: Path) -> None:
    with pytest.raises(ConfigurationError, match="a process is one validator"):
        run_relay(home, "--engine", "cometbft", "--validator-key", home / "second.json")


def test_a_node_needs_a_port_and_an_identity(home: Path) -> None:
    with pytest.raises(ConfigurationError, match="needs --p2p-port and --p2p-key"):
        run_relay(home, "--engine", "cometbft", "--p2p-port", 20_001)


def test_a_missing_cometbft_is_told_before_anything_else_with_the_way_out(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIEBRIDGE_COMETBFT", str(home / "nothing"))
    with pytest.raises(ConfigurationError, match="make cometbft"):
        run_relay(home, "--engine", "cometbft", "--p2p-port", 20_001, "--p2p-key", home / "p2p.json")
    assert not (home / "cometbft").exists()


def test_the_id_that_others_name_as_peer_is_printed(home: Path) -> None:
    result = runner.invoke(
        chain.app,
        ["node-id", str(home / "p2p.json"), "--dev", "--passphrase-file", str(home / "passphrase")],
        catch_exceptions=False,
    )
    seed = keystore.load(home / "p2p.json", KeyPurpose.P2P, PASSPHRASE, dev=True)
    assert result.output.strip() == node_id(seed)
