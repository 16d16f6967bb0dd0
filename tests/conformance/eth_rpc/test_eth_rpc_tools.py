"""cast and ethers v6 work with our EVM chain as with any other node."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.eth_endpoint import OUR_KEY, PROBE
from testkit.evm_chain_node import running_node
from testkit.toolchain import MissingToolError, require_tool

pytestmark = pytest.mark.real_chain

HERE = Path(__file__).parent
RECIPIENT = "0x" + "2a" * 20


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_node() as node:
        yield node.eth_address


def cast(url: str, *arguments: str) -> str:
    name, *rest = arguments  # --create takes the rest of the line, so the URL comes first
    command: list[str] = [str(require_tool("cast")), name, "--rpc-url", url, *rest]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def send(url: str, *arguments: str) -> dict[str, object]:
    receipt: dict[str, object] = json.loads(cast(url, "send", "--json", "--private-key", OUR_KEY, *arguments))
    assert receipt["status"] == "0x1"
    return receipt


@pytest.mark.parametrize("options", [(), ("--legacy",)])
def test_cast_transfers(url: str, options: tuple[str, ...]) -> None:
    before = int(cast(url, "balance", RECIPIENT))
    send(url, RECIPIENT, "--value", "5", *options)
    assert int(cast(url, "balance", RECIPIENT)) == before + 5


def test_cast_deploys_sends_and_reads(url: str) -> None:
    address = str(send(url, "--create", PROBE["bytecode"] + f"{9:064x}")["contractAddress"])
    assert cast(url, "call", address, "number()(uint256)") == "9"
    send(url, address, "set(uint256,bytes)", "77", "0x1234")
    assert cast(url, "call", address, "number()(uint256)") == "77"
    assert int(cast(url, "storage", address, "0"), 16) == 77
    logs = json.loads(cast(url, "logs", "--json", "--address", address))
    assert [int(log["topics"][2], 16) for log in logs] == [77]
    assert int(cast(url, "estimate", address, "set(uint256,bytes)", "78", "0x")) > 21_000
    assert json.loads(cast(url, "proof", address, "0"))["storageProof"][0]["value"] == hex(77)


def test_cast_reads_the_chain(url: str) -> None:
    send(url, RECIPIENT, "--value", "1")
    assert cast(url, "chain-id") == "4242"
    assert int(cast(url, "block-number")) >= 1
    block = json.loads(cast(url, "block", "--json", "finalized"))
    assert json.loads(cast(url, "receipt", "--json", block["transactions"][0]))["blockHash"] == block["hash"]
    height = json.loads(cast(url, "rpc", "piebridge_cometbftHeight", block["number"]))
    assert int(height, 16) == int(block["extraData"], 16)
    assert int(cast(url, "gas-price")) > 0


def test_ethers(url: str) -> None:
    roots = [Path(path) for path in os.environ.get("NODE_PATH", "").split(os.pathsep) if path]
    roots.append(Path(__file__).parents[3] / "node_modules")
    modules = next((root for root in roots if (root / "ethers").is_dir()), None)
    if modules is None:
        line = "ethers is missing: `make test` installs it if the registries answer"
        if os.environ.get("CI") == "true":
            raise MissingToolError(line)
        pytest.skip(line)
    done = subprocess.run(
        [require_tool("node"), HERE / "ethers_client.cjs", url, OUR_KEY, HERE / "probe.json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"NODE_PATH": str(modules)},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "deployed": 7,
        "status": 1,
        "number": 42,
        "events": [42],
        "reason": "not today",
        "custom": "Refused",
        "prefetched": 1,
        "pendingIsNext": True,
        "fees": True,
        "heard": True,
    }
