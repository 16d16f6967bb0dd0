"""The same transactions on our EVM chain and on anvil: same status, gas, logs, addresses, code and storage."""

# ruff: noqa: ANN401 - receipts have no static types
from collections.abc import Iterator
from typing import Any

import pytest

from testkit.eth_endpoint import Endpoint, our_endpoint, running_anvil
from testkit.evm_chain_node import running_node

pytestmark = pytest.mark.real_chain


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Endpoint, Endpoint]]:
    with running_node() as node, running_anvil() as anvil:
        ours = our_endpoint(node.eth_address)
        funded = Endpoint("anvil", anvil.url, ours.key)  # the same key on both, or addresses in calldata differ
        anvil.send({"to": funded.account.address, "value": 10**20})
        yield ours, funded


def outcome(receipt: Any) -> tuple[Any, ...]:
    logs = [(log["address"], [bytes(topic) for topic in log["topics"]], bytes(log["data"])) for log in receipt["logs"]]
    return receipt["status"], receipt["gasUsed"], receipt["contractAddress"], bytes(receipt["logsBloom"]), logs


def history(endpoint: Endpoint) -> Iterator[tuple[str, Any]]:
    probe = endpoint.deploy()
    steps = {
        "set": probe.functions.set(5, b"note"),
        "set again": probe.functions.set(6, b""),
        "same value": probe.functions.set(6, b""),
        "clear with refund": probe.functions.clear(),
        "clear what is clear": probe.functions.clear(),
        "large zeros": probe.functions.set(1, bytes(20_000)),
        "large bytes": probe.functions.set(1, b"\x9c" * 20_000),
        "text": probe.functions.refuseWithText(),
        "error": probe.functions.refuseWithError(3),
        "panic": probe.functions.panic(0),
        "create": probe.functions.makeChild(),
        "deep": probe.functions.setDeep(30, 8),
        "precompiles": probe.functions.precompiles(b"\x01" * 32, 27, b"\x02" * 32, b"\x03" * 32, b"abc" * 500),
    }
    for name, function in steps.items():
        yield name, outcome(endpoint.transact(function, gas=3_000_000))
    yield "out of gas", outcome(endpoint.transact(probe.functions.set(9, b"x" * 50), gas=30_000))
    yield "spin", outcome(endpoint.transact(probe.functions.spin(), gas=200_000))
    yield "code", bytes(endpoint.web3.eth.get_code(probe.address))
    proof = endpoint.ask("eth_getProof", probe.address, [f"0x{slot:064x}" for slot in range(3)], "latest")["result"]
    yield "storage", (proof["storageHash"], proof["codeHash"], proof["nonce"], proof["balance"])
    for name, function in steps.items():
        call = {"from": endpoint.account.address, "to": probe.address, "data": function._encode_transaction_data()}
        yield f"call {name}", endpoint.ask("eth_call", call, "latest").get("result")


def test_histories_are_equal(pair: tuple[Endpoint, Endpoint]) -> None:
    ours, anvils = pair
    offset = anvils.web3.eth.get_transaction_count(anvils.account.address)
    assert offset == ours.web3.eth.get_transaction_count(ours.account.address)
    for (name, our_outcome), (_, anvil_outcome) in zip(history(ours), history(anvils), strict=True):
        assert our_outcome == anvil_outcome, name


# Programs for opcodes and precompiles that Solidity does not make: name -> runtime code that stores what it finds.
PROGRAMS = {
    "transient storage": "602a5f5d5f5c5f5500",
    "mcopy": "60aa5f5360205f60205e6020515f5500",
    "blob base fee": "4a5f5500",
    "sha256": "60205f60205f60025afa505f515f5500",
    "ripemd": "60205f5f5f60035afa505f515f5500",
    "identity": "60ff5f5360205f60205f60045afa505f515f5500",
    "modexp": "60015f5260016020526001604052600360605360056061536007606253602060a060635f60055afa5060a0515f5500",
    "bn128 addition of nothing": "60405f60805f60065afa505f515f5500",
    "ecrecover of nothing": "60205f60805f60015afa3d5f5500",
    "code hash of nothing": "61dead3f5f5500",
    "own balance": "475f5500",
    "create2": "5f5f5f5ff55f5500",
    "selfdestruct to self": "30ff",
    "selfdestruct to another": "61beefff",
    "write in a static call": "5f5f5f5f305afa5f5500",
    "return data out of range": "60015f5f3e00",
    "stack underflow": "50",
    "invalid opcode": "fe",
    "jump to nowhere": "6063565b00",
    "four topics": "600160026003600460205fa400",
    "huge memory": "5f63ffffffff5200",
    "exponent": "60ff61ffff0a5f5500",
    "signed arithmetic": "60055f19600405600360020b5f5500",
    "call to nobody": "5f5f5f5f5f61dead5af15f5500",
    "call with value to nobody": "5f5f5f5f600161dead5af15f5500",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_equal(pair: tuple[Endpoint, Endpoint], name: str) -> None:
    code = bytes.fromhex(PROGRAMS[name])
    init = bytes.fromhex(f"61{len(code):04x}80600a5f395ff3") + code
    results = []
    for endpoint in pair:
        address = endpoint.send({"data": init, "gas": 1_000_000})["contractAddress"]
        assert bytes(endpoint.web3.eth.get_code(address)) == code
        receipt = endpoint.send({"to": address, "gas": 500_000, "value": 3, "data": b"\x01\x02"})
        storage = bytes(endpoint.web3.eth.get_storage_at(address, 0))
        results.append((outcome(receipt), storage, endpoint.web3.eth.get_balance(address)))
    assert results[0] == results[1]
