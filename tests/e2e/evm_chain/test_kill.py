"""kill -9 at any moment loses nothing that a client was told, and the chain goes on."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from piebridge.evm_chain.app import EvmApplication
from piebridge.evm_chain.store import RocksStore
from testkit.eth_endpoint import Endpoint, our_endpoint

pytestmark = [pytest.mark.slow, pytest.mark.real_chain]

LIVES = 6
RECIPIENT = "0x" + "3c" * 20


def start(home: Path, address_file: Path) -> tuple[subprocess.Popen[bytes], Endpoint]:
    script = Path(__file__).parent / "node_process.py"
    process = subprocess.Popen(
        [sys.executable, script, home, address_file], env={"PYTHONPATH": ":".join(sys.path), "PATH": ""}
    )
    for _ in range(600):
        if address_file.exists() and (text := address_file.read_text()):
            return process, our_endpoint(text)
        assert process.poll() is None, "the node ended at its start"
        time.sleep(0.05)
    raise AssertionError("the node did not start")


def raw_transfers(first: int, count: int) -> list[str]:
    from testkit.evm_chain_driver import ALICE, GWEI

    fields = {"to": bytes.fromhex(RECIPIENT[2:]), "value": 1, "gas": 21_000, "maxFeePerGas": 50 * GWEI}
    return ["0x" + ALICE.sign(nonce=first + index, **fields).hex() for index in range(count)]


def test_killed_at_any_moment(tmp_path: Path) -> None:
    moments = random.Random(5)
    told: dict[str, str] = {}
    """Transaction hash and the block hash that a receipt named."""
    for life in range(LIVES):
        process, endpoint = start(tmp_path / "home", tmp_path / f"address.{life}")
        try:
            for transaction_hash, block_hash in told.items():
                receipt = endpoint.ask("eth_getTransactionReceipt", transaction_hash)["result"]
                assert receipt is not None, f"life {life} lost a transaction that had a receipt"
                assert receipt["blockHash"] == block_hash
            nonce = int(endpoint.ask("eth_getTransactionCount", endpoint.account.address, "latest")["result"], 16)
            assert nonce >= len(told)
            assert int(endpoint.ask("eth_getBalance", RECIPIENT, "latest")["result"], 16) == nonce
            end = time.monotonic() + moments.uniform(0.2, 1.2)
            hashes = []
            for raw in raw_transfers(nonce, 400):
                answer = endpoint.ask("eth_sendRawTransaction", raw)
                hashes.append(answer["result"])
                if time.monotonic() > end:
                    break
            for transaction_hash in hashes:
                receipt = endpoint.ask("eth_getTransactionReceipt", transaction_hash)["result"]
                if receipt is not None:
                    told[transaction_hash] = receipt["blockHash"]
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
    assert len(told) > 20, "the campaign must have committed something"
    store = RocksStore(tmp_path / "home" / "evm")
    app = EvmApplication(store)
    head = app.database.head
    assert head is not None
    assert app.info().last_block_app_hash == head.header.hash
    store.close()


def test_second_process_on_one_home_is_refused(tmp_path: Path) -> None:
    process, endpoint = start(tmp_path / "home", tmp_path / "address.0")
    try:
        script = Path(__file__).parent / "node_process.py"
        second = subprocess.run(
            [sys.executable, script, tmp_path / "home", tmp_path / "address.1"],
            env={"PYTHONPATH": ":".join(sys.path), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode != 0
        assert "cannot open the chain database" in second.stderr
        assert requests.post(endpoint.url, json={"id": 1, "method": "eth_chainId"}, timeout=5).json()["result"]
    finally:
        process.kill()
        process.wait(10)
