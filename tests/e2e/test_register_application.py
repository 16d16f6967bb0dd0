"""A user's own application: deployed, registered by the command, and used between two chains."""

import asyncio
import os
import re
import secrets
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.cli.network_file import NetworkFile
from piebridge.cli.wallet import Call, Wallet
from piebridge.contracts.loader import load
from piebridge.crypto import keystore
from piebridge.crypto.keystore import KeyPurpose
from testkit.command_line import CommandLine, processes_that_mention
from testkit.toolchain import require_tool

pytestmark = [pytest.mark.real_chain, pytest.mark.slow]

APPLICATION = 100
GAS = 3_000_000
DELIVERY_SECONDS = 60.0


def account_key(network: NetworkFile, folder: Path) -> bytes:
    account = network.accounts[0]
    assert account.password_file is not None
    secret = (folder / account.password_file).read_text().strip()
    return keystore.load(folder / account.key_file, KeyPurpose.USER, secret, dev=True)


async def deploy(network: NetworkFile, key: bytes) -> dict[str, str]:
    """Deploy a record notary of the user's own on two chains; return its addresses."""
    addresses = {}
    for chain in network.chains[:2]:
        async with JsonRpcClient(chain.rpc_url) as client:
            wallet = Wallet(client, key, chain.evm_chain_id)
            creation = Call(load("RecordNotary").deployment_data(bytes.fromhex(chain.hub[2:])), gas=GAS)
            [receipt] = await wallet.execute([creation])
            addresses[chain.name] = str(receipt["contractAddress"])
    return addresses


async def notarise(network: NetworkFile, key: bytes, contract: str, record: bytes) -> None:
    source, destination = network.chains[:2]
    data = load("RecordNotary").function_data(
        "notarise", network.domain.id, destination.registration, record, b"\x07" * 32, int(time.time()) + 3600
    )
    async with JsonRpcClient(source.rpc_url) as client:
        await Wallet(client, key, source.evm_chain_id).execute([Call(data, bytes.fromhex(contract[2:]), GAS)])


async def arrives(network: NetworkFile, contract: str, record: bytes) -> bool:
    call = {"to": contract, "data": "0x" + load("RecordNotary").function_data("recordOf", record).hex()}
    async with JsonRpcClient(network.chains[1].rpc_url) as client:
        deadline = time.monotonic() + DELIVERY_SECONDS
        while time.monotonic() < deadline:
            if str(await client.call("eth_call", [call, "latest"]))[2:66] == "07" * 32:
                return True
            await asyncio.sleep(0.5)
    return False


def test_an_own_application_is_registered_and_its_packets_arrive(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    network = line.up("--parachains", 2)
    try:
        key = account_key(network, line.network_folder)
        absent = line.in_network("network", "register", APPLICATION, "chain-1=0x" + "ab" * 20)
        assert absent.exit_code == 1
        assert "there is no contract" in absent.errors
        malformed = line.in_network("network", "register", APPLICATION, "chain-1=0x12")
        assert malformed.exit_code == 1
        assert "20-byte address" in malformed.errors

        addresses = asyncio.run(deploy(network, key))
        contracts = [f"{name}={address}" for name, address in addresses.items()]
        done = line.in_network("network", "register", APPLICATION, *contracts, "--protocol", "forward", "--json")
        assert done.exit_code == 0, done.errors
        assert set(done.json()["transactions"]) == set(addresses)

        record = secrets.token_bytes(32)
        asyncio.run(notarise(network, key, addresses["chain-1"], record))
        assert asyncio.run(arrives(network, addresses["chain-2"], record))
    finally:
        assert line.in_network("network", "down").exit_code == 0
        assert processes_that_mention(line.folder) == []


ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guide" / "applications.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the code of the guide in a language."""
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def shell(text: str, names: dict[str, str]) -> str:
    """Run a command of the guide in the root of the repository, with a reader's own names; return what it prints."""
    for name, value in names.items():
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", value, text)
    done = subprocess.run(["sh", "-c", text], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


async def signed(network: NetworkFile, contract: str) -> bool:
    """Tell whether the guestbook has made its event."""
    wanted = {"fromBlock": "0x0", "toBlock": "latest", "address": contract}
    async with JsonRpcClient(network.chains[1].rpc_url) as client:
        deadline = time.monotonic() + DELIVERY_SECONDS
        while time.monotonic() < deadline:
            logs = await client.call("eth_getLogs", [wanted])
            if isinstance(logs, list) and any(b"hello".hex() in log["data"] for log in logs):
                return True
            await asyncio.sleep(0.5)
    return False


def test_the_guide_leads_to_an_application_that_works(tmp_path: Path) -> None:
    forge, cast = require_tool("forge"), require_tool("cast")
    contract, head = blocks("solidity")[0], blocks("solidity")[1]
    create, register, call = blocks("sh")
    folder = ROOT / "build" / f"guide-{os.getpid()}"
    folder.mkdir(parents=True)
    (folder / "Guestbook.sol").write_text(f"{head}\n{contract}", encoding="utf-8")
    line = CommandLine(tmp_path)
    network = line.up("--parachains", 2)
    names = {
        "apps/Guestbook.sol": f"{folder.relative_to(ROOT)}/Guestbook.sol",
        "--contracts apps": f"--contracts {folder.relative_to(ROOT)}",
        ".venv/bin/forge": str(forge),
        ".venv/bin/cast": str(cast),
        "piebridge-network": str(line.network_folder),
    }
    try:
        found = []
        for chain in network.chains[:2]:
            out = shell(create, names | {"RPC": chain.rpc_url, "HUB": chain.hub})
            found.append(re.findall(r"Deployed to: (0x[0-9a-fA-F]{40})", out)[0])
        words = register.split()
        assert words[:3] == ["piebridge", "network", "register"]
        contracts = [f"chain-1={found[0]}", f"chain-2={found[1]}"]
        done = line.in_network("network", "register", words[3], *contracts, *words[-2:])
        assert done.exit_code == 0, done.errors
        shell(call, names | {"GUESTBOOK": found[0], "RPC": network.chains[0].rpc_url})
        assert asyncio.run(signed(network, found[1]))
    finally:
        assert line.in_network("network", "down").exit_code == 0
        shutil.rmtree(folder)
        assert processes_that_mention(line.folder) == []
