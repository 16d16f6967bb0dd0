import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from piebridge.cli import network_file
from piebridge.cli.local_network.describe import describe
from piebridge.cli.local_network.keys import NetworkKeys
from piebridge.cli.local_network.plan import ParachainKind, Wishes, make_plan
from piebridge.cli.network_file import NetworkFile, ProcessEntry
from piebridge.crypto.errors import ConfigurationError


def network(kind: ParachainKind = ParachainKind.EMBEDDED) -> NetworkFile:
    plan = make_plan(Wishes(parachain_kind=kind))
    keys = NetworkKeys({key.name: number.to_bytes(32, "big") for number, key in enumerate(plan.keys, start=1)})
    process = ProcessEntry("chain-1", "parachain", 123, 456, ("python", "-m"), "logs/chain-1.log")
    return describe(plan, keys, {1: (1, bytes(32))}, [process], created_at=1_700_000_000)


@pytest.mark.parametrize("kind", list(ParachainKind))
def test_what_is_written_is_read_again(tmp_path: Path, kind: ParachainKind) -> None:
    described = network(kind)
    path = network_file.save(described, tmp_path)
    assert path == tmp_path / "network.json"
    assert network_file.load(tmp_path) == described


def test_anvil_chains_have_a_second_endpoint_and_embedded_ones_light_blocks() -> None:
    for chain in network(ParachainKind.ANVIL).chains:
        assert (chain.verification, chain.finality_depth, chain.cometbft_rpc_urls) == ("notary", 1, ())
        assert chain.second_rpc_url is not None
    for chain in network().chains:
        assert (chain.verification, chain.finality_depth, chain.second_rpc_url) == ("spv", 0, None)
        assert len(chain.cometbft_rpc_urls) == 1


def test_no_private_key_and_no_passphrase_stands_in_the_file(tmp_path: Path) -> None:
    text = network_file.save(network(), tmp_path).read_text()
    plan = make_plan(Wishes())
    for number in range(1, len(plan.keys) + 1):
        assert number.to_bytes(32, "big").hex() not in text


def test_a_reader_never_finds_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network_file.save(network(), tmp_path)
    before = (tmp_path / "network.json").read_bytes()

    def crash(*_: object) -> None:
        raise OSError("power failure")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(OSError, match="power failure"):
        network_file.save(network(ParachainKind.ANVIL), tmp_path)
    assert (tmp_path / "network.json").read_bytes() == before


def test_a_missing_file_says_how_to_start_a_network(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Start one with `piebridge network up`, or name its folder"):
        network_file.load(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[1", "\x00"])
def test_a_file_that_is_no_json_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "network.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"network\.json cannot be read"):
        network_file.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda document: document.update(version=2), "version"),
        (lambda document: document.pop("chains"), "the document"),
        (lambda document: document.update(surprise=1), "the document"),
        (lambda document: document["chains"][0].update(hub="0x12"), "chains/0/hub"),
        (lambda document: document["processes"][0].update(role="king"), "processes/0/role"),
        (lambda document: document["relay_chains"][0].pop("k"), "relay_chains/0"),
    ],
)
def test_a_file_that_breaks_the_schema_is_refused_with_the_place(change: object, place: str) -> None:
    document = json.loads(json.dumps(asdict(network())))
    assert callable(change)
    change(document)
    with pytest.raises(ConfigurationError, match=f"no network file of version 1: {place}: "):
        network_file.from_document(document, "x")


def test_names_that_do_not_exist_are_answered_by_those_that_do() -> None:
    described = network()
    assert described.chain("2") is described.chain("chain-2")
    with pytest.raises(ConfigurationError, match="chain-1, chain-2, chain-3"):
        described.chain("chain-9")
    with pytest.raises(ConfigurationError, match="alice, bob, carol"):
        described.account("dave")
    assert described.account(described.accounts[1].address.lower()).name == "bob"
    with pytest.raises(ConfigurationError, match="it has: erc7786-door, token, record-notary"):
        described.chain("chain-1").application("casino")
