"""An Ethereum JSON-RPC endpoint as clients see it, our EVM chain or anvil, and the contract that tests call."""

# ruff: noqa: ANN401 - contracts and JSON have no static types
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from eth_account import Account
from web3 import Web3

from testkit.toolchain import require_tool

PROBE: Any = json.loads((Path(__file__).parents[1] / "conformance/eth_rpc/probe.json").read_text())
"""ABI and init code of Probe.sol."""
ANVIL_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""First of anvil's accounts with money, public knowledge."""
OUR_KEY = "0x" + "11" * 32
"""The first account with money of our test chains."""


@dataclass
class Endpoint:
    kind: str
    url: str
    key: str

    @property
    def web3(self) -> Any:
        return Web3(Web3.HTTPProvider(self.url))

    @property
    def account(self) -> Any:
        return Account.from_key(self.key)

    def ask(self, method: str, *params: Any) -> Any:
        return self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})

    def post(self, body: Any) -> Any:
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = requests.post(self.url, data=encoded, headers={"Content-Type": "application/json"}, timeout=30)
        return answer.json()

    def send(self, transaction: dict[str, Any]) -> Any:
        """Sign and send, wait for the receipt. Left-out fields are filled in by web3."""
        web3 = self.web3
        full: dict[str, Any] = {
            "from": self.account.address,
            "nonce": web3.eth.get_transaction_count(self.account.address, "pending"),
            "chainId": web3.eth.chain_id,
            "value": 0,
        } | transaction
        if "gasPrice" not in full:
            full = {
                "maxFeePerGas": 2 * web3.eth.gas_price,
                "maxPriorityFeePerGas": web3.eth.max_priority_fee,
            } | full
        if "gas" not in full:
            full["gas"] = web3.eth.estimate_gas(full)
        del full["from"]
        signed = self.account.sign_transaction(full)
        return web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(signed.raw_transaction), 5, 0.02)

    def deploy(self, start: int = 7, value: int = 0) -> Any:
        factory = self.web3.eth.contract(abi=PROBE["abi"], bytecode=PROBE["bytecode"])
        receipt = self.send({"data": factory.constructor(start).data_in_transaction, "value": value})
        assert receipt["status"] == 1
        return self.web3.eth.contract(address=receipt["contractAddress"], abi=PROBE["abi"])

    def transact(self, function: Any, **fields: Any) -> Any:
        return self.send({"to": function.address, "data": function._encode_transaction_data()} | fields)


def our_endpoint(url: str) -> Endpoint:
    """Endpoint of an EVM chain of ours."""
    return Endpoint("evm_chain", url, OUR_KEY)


@contextmanager
def running_anvil() -> Iterator[Endpoint]:
    """Start anvil and stop it at the end; skips where it is not installed (fails in CI)."""
    program = require_tool("anvil")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [program, "--port", str(port), "--order", "fifo", "--hardfork", "prague", "--silent"],
        stdout=subprocess.DEVNULL,
    )
    endpoint = Endpoint("anvil", f"http://127.0.0.1:{port}", ANVIL_KEY)
    try:
        for _ in range(100):
            try:
                endpoint.ask("eth_chainId")
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield endpoint
    finally:
        process.terminate()
        process.wait(10)
