"""What web3.py 8 needs of an Ethereum node, asked of our EVM chain and of anvil alike."""

# ruff: noqa: ANN401 - contracts and JSON have no static types
import asyncio
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]
from eth_account import Account
from trie.hexary import HexaryTrie
from web3 import AsyncWeb3, WebSocketProvider
from web3.exceptions import (
    ContractCustomError,
    ContractLogicError,
    ContractPanicError,
    TransactionNotFound,
    Web3RPCError,
)

from piebridge.crypto.hash import keccak256
from testkit.eth_endpoint import Endpoint, our_endpoint, running_anvil
from testkit.evm_chain_node import running_node

ETHER = 10**18


@pytest.fixture(scope="module", params=["evm_chain", pytest.param("anvil", marks=pytest.mark.real_chain)])
def endpoint(request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    if request.param == "evm_chain":
        with running_node() as node:
            yield our_endpoint(node.eth_address)
    else:
        with running_anvil() as anvil:
            yield anvil


@pytest.fixture(scope="module")
def probe(endpoint: Endpoint) -> Any:
    return endpoint.deploy()


def test_node_introduces_itself(endpoint: Endpoint) -> None:
    web3 = endpoint.web3
    assert web3.is_connected()
    assert web3.net.version == str(web3.eth.chain_id)
    assert web3.eth.syncing is False
    assert "/" in web3.client_version
    assert endpoint.ask("web3_sha3", "0x616263")["result"] == "0x" + keccak256(b"abc").hex()
    if endpoint.kind == "evm_chain":
        assert list(web3.eth.accounts) == []


@pytest.mark.parametrize("kind", ["legacy", "access list", "dynamic fee"])
def test_transfer_of_each_type(endpoint: Endpoint, kind: str) -> None:
    web3 = endpoint.web3
    to = web3.to_checksum_address("0x" + {"legacy": "a1", "access list": "a2", "dynamic fee": "a3"}[kind] * 20)
    fields: dict[str, Any] = {"to": to, "value": 5}
    if kind != "dynamic fee":
        fields["gasPrice"] = web3.eth.gas_price
    if kind == "access list":
        fields |= {"type": 1, "accessList": [{"address": to, "storageKeys": ["0x" + "00" * 32]}]}
    before = web3.eth.get_balance(endpoint.account.address)
    receipt = endpoint.send(fields)
    assert receipt["status"] == 1
    assert receipt["type"] == {"legacy": 0, "access list": 1, "dynamic fee": 2}[kind]
    assert web3.eth.get_balance(to) == 5
    paid = receipt["gasUsed"] * receipt["effectiveGasPrice"]
    assert web3.eth.get_balance(endpoint.account.address) == before - 5 - paid
    transaction = web3.eth.get_transaction(receipt["transactionHash"])
    assert (transaction["from"], transaction["to"], transaction["value"]) == (endpoint.account.address, to, 5)
    assert transaction["gasPrice"] == receipt["effectiveGasPrice"]
    assert transaction["blockHash"] == receipt["blockHash"]
    assert ("accessList" in transaction) == (kind != "legacy")
    block = web3.eth.get_block(receipt["blockNumber"])
    assert receipt["transactionHash"] in block["transactions"]
    by_index = web3.eth.get_transaction_by_block(receipt["blockHash"], receipt["transactionIndex"])
    assert by_index["hash"] == receipt["transactionHash"]


def test_deploy_call_and_events(endpoint: Endpoint) -> None:
    probe = endpoint.deploy(41, value=3)
    web3 = endpoint.web3
    assert probe.functions.number().call() == 41
    assert web3.eth.get_balance(probe.address) == 3
    assert len(web3.eth.get_code(probe.address)) > 500
    receipt = endpoint.transact(probe.functions.set(42, b"note"))
    event = probe.events.Changed().process_receipt(receipt)[0]
    assert (event["args"]["by"], event["args"]["value"], event["args"]["note"]) == (
        endpoint.account.address,
        42,
        b"note",
    )
    assert event["logIndex"] == 0
    assert probe.functions.number().call() == 42
    assert probe.functions.number().call(block_identifier=receipt["blockNumber"] - 1) == 41
    assert int.from_bytes(web3.eth.get_storage_at(probe.address, 0), "big") == 42
    receipt = endpoint.transact(probe.functions.makeChild())
    child = probe.functions.child().call()
    assert web3.eth.get_transaction_count(probe.address) == 2
    assert len(web3.eth.get_code(child)) > 0


def test_failed_transaction_has_a_receipt_and_no_logs(endpoint: Endpoint, probe: Any) -> None:
    receipt = endpoint.transact(probe.functions.refuseWithText(), gas=100_000)
    assert (receipt["status"], receipt["logs"]) == (0, [])
    assert 21_000 < receipt["gasUsed"] < 100_000


def test_reverts_tell_their_reason(endpoint: Endpoint, probe: Any) -> None:
    with pytest.raises(ContractLogicError, match="not today"):
        probe.functions.refuseWithText().call()
    with pytest.raises(ContractLogicError, match="not today"):
        probe.functions.refuseWithText().estimate_gas()
    with pytest.raises(ContractPanicError):
        probe.functions.panic(0).call()
    with pytest.raises(ContractCustomError) as caught:
        probe.functions.refuseWithError(77).call()
    assert int.from_bytes(bytes.fromhex(str(caught.value.data)[2:])[4:], "big") == 77
    answer = endpoint.ask("eth_call", {"to": probe.address, "data": probe.encode_abi("refuseWithText")}, "latest")
    assert answer["error"]["code"] == 3
    assert answer["error"]["data"].startswith("0x08c379a0")


def test_precompiles_of_the_hub(probe: Any) -> None:
    account = Account.from_key("0x" + "42" * 32)
    digest = keccak256(b"statement")
    signed = account.unsafe_sign_hash(digest)
    data = bytes(range(256)) * 4
    signer, hashed = probe.functions.precompiles(
        digest, signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big"), data
    ).call()
    assert signer == account.address
    assert hashed == hashlib.sha256(data).digest()


@pytest.mark.parametrize("depth", [0, 1, 20])
def test_estimate_covers_gas_that_calls_keep_back(endpoint: Endpoint, probe: Any, depth: int) -> None:
    call = probe.functions.setDeep(depth, 1_000 + depth)
    estimate = call.estimate_gas({"from": endpoint.account.address})
    assert endpoint.transact(call, gas=estimate)["status"] == 1
    assert endpoint.transact(call, gas=estimate * 96 // 100)["status"] == 0


def test_estimate_of_a_plain_transfer_is_exact_and_of_refunds_is_enough(endpoint: Endpoint, probe: Any) -> None:
    web3 = endpoint.web3
    to = web3.to_checksum_address("0x" + "b1" * 20)
    assert web3.eth.estimate_gas({"from": endpoint.account.address, "to": to, "value": 1}) == 21_000
    endpoint.transact(probe.functions.set(5, b""))
    clear = probe.functions.clear()
    estimate = clear.estimate_gas({"from": endpoint.account.address})
    receipt = endpoint.transact(clear, gas=estimate)
    assert receipt["status"] == 1
    assert receipt["gasUsed"] < estimate, "the refund comes after the gas was needed"


def test_estimate_names_the_allowance_and_the_lack_of_funds(endpoint: Endpoint, probe: Any) -> None:
    data = probe.encode_abi("set", args=[1, b""])
    if endpoint.kind == "anvil":
        pytest.skip("anvil estimates above the allowance and without funds")
    low = endpoint.ask("eth_estimateGas", {"to": probe.address, "data": data, "gas": hex(25_000)})
    assert "allowance (25000)" in low["error"]["message"]
    poor = endpoint.ask("eth_estimateGas", {"from": "0x" + "77" * 20, "to": "0x" + "78" * 20, "value": "0x1"})
    assert "insufficient funds" in poor["error"]["message"].lower()


def test_large_calldata_pays_the_floor(endpoint: Endpoint, probe: Any) -> None:
    data = b"\xff" * 60_000
    call = probe.functions.set(1, data)
    receipt = endpoint.transact(call)
    encoded = bytes.fromhex(call._encode_transaction_data()[2:])
    zeros = encoded.count(0)
    assert receipt["gasUsed"] >= 21_000 + 10 * (zeros + 4 * (len(encoded) - zeros))
    assert endpoint.web3.eth.get_transaction(receipt["transactionHash"])["input"] == encoded


def test_surroundings_of_the_newest_block(endpoint: Endpoint, probe: Any) -> None:
    web3 = endpoint.web3
    endpoint.transact(probe.functions.set(8, b""))
    head = web3.eth.get_block("latest")
    number, seconds, base_fee, chain_id, randao, coinbase, gas_limit, parent = probe.functions.surroundings().call(
        block_identifier=head["number"]
    )
    assert (number, seconds, chain_id) == (head["number"], head["timestamp"], web3.eth.chain_id)
    if endpoint.kind == "evm_chain":  # anvil leaves the base fee out of calls without a price
        assert base_fee == head["baseFeePerGas"]
        assert randao == int.from_bytes(head["mixHash"], "big")
    assert (coinbase, gas_limit, parent) == (head["miner"], head["gasLimit"], bytes(head["parentHash"]))


def test_header_hashes_to_the_block_hash(endpoint: Endpoint, probe: Any) -> None:
    endpoint.transact(probe.functions.set(9, b""))
    for number in (0, endpoint.web3.eth.block_number):
        block = endpoint.ask("eth_getBlockByNumber", hex(number), False)["result"]
        assert keccak256(header_rlp(block)) == bytes.fromhex(block["hash"][2:])


def proven(root: bytes, key: bytes, nodes: Any) -> bytes:
    """Value of a key by a proof; empty where the proof shows that there is none. Raises where the proof is wrong."""
    decoded = [rlp.decode(node) for node in nodes]
    return bytes(HexaryTrie.get_from_proof(root, keccak256(key), decoded))  # type: ignore[no-untyped-call]


def header_rlp(block: dict[str, Any]) -> bytes:
    names = [
        "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom", "difficulty",
        "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce", "baseFeePerGas",
        "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash",
    ]  # fmt: skip
    numbers = {
        "difficulty",
        "number",
        "gasLimit",
        "gasUsed",
        "timestamp",
        "baseFeePerGas",
        "blobGasUsed",
        "excessBlobGas",
    }
    return bytes(
        rlp.encode([int(block[name], 16) if name in numbers else bytes.fromhex(block[name][2:]) for name in names])
    )


def test_proof_holds_against_the_state_root_of_the_header(endpoint: Endpoint, probe: Any) -> None:
    web3 = endpoint.web3
    receipt = endpoint.transact(probe.functions.set(0xABCDEF, b""))
    number = receipt["blockNumber"]
    counts = int.from_bytes(
        keccak256(bytes(12) + bytes.fromhex(endpoint.account.address[2:]) + (1).to_bytes(32, "big")), "big"
    )
    endpoint.transact(probe.functions.set(1, b""))  # the proof must be of the old block
    block = web3.eth.get_block(number)
    keys = [0, counts, 99]
    proof = web3.eth.get_proof(probe.address, [f"0x{key:064x}" for key in keys], number)
    account = proven(bytes(block["stateRoot"]), bytes.fromhex(probe.address[2:]), proof["accountProof"])
    nonce, balance, storage_root, code_hash = rlp.decode(account)
    assert int.from_bytes(nonce, "big") == proof["nonce"] >= 1
    assert int.from_bytes(balance, "big") == proof["balance"]
    assert (storage_root, code_hash) == (bytes(proof["storageHash"]), bytes(proof["codeHash"]))
    assert code_hash == keccak256(bytes(web3.eth.get_code(probe.address)))
    values = []
    for key, entry in zip(keys, proof["storageProof"], strict=True):
        stored = proven(storage_root, key.to_bytes(32, "big"), entry["proof"])
        value = int.from_bytes(rlp.decode(stored), "big") if stored else 0
        assert value == int.from_bytes(entry["value"], "big")
        values.append(value)
    assert values[0] == 0xABCDEF
    assert values[1] >= 1
    assert values[2] == 0
    absent = web3.eth.get_proof(web3.to_checksum_address("0x" + "99" * 20), [], number)
    assert proven(bytes(block["stateRoot"]), b"\x99" * 20, absent["accountProof"]) == b""


def test_logs_by_range_address_and_topics(endpoint: Endpoint) -> None:
    web3 = endpoint.web3
    probe, other = endpoint.deploy(), endpoint.deploy()
    receipts = [endpoint.transact(probe.functions.set(value, b"x")) for value in (10, 11, 12)]
    endpoint.transact(other.functions.set(11, b"y"))
    first, last = receipts[0]["blockNumber"], web3.eth.block_number
    everything = {"fromBlock": hex(first), "toBlock": hex(last)}

    def values(**criteria: Any) -> list[int]:
        answer = endpoint.ask("eth_getLogs", everything | criteria)
        return [int(log["topics"][2], 16) for log in answer["result"]]

    signature = "0x" + keccak256(b"Changed(address,uint256,bytes)").hex()
    topic = {value: f"0x{value:064x}" for value in (10, 11, 12, 13)}
    assert values(address=probe.address) == [10, 11, 12]
    assert values(address=[probe.address, other.address]) == [10, 11, 12, 11]
    assert values(address=probe.address, topics=[signature, None, [topic[10], topic[12]]]) == [10, 12]
    assert values(topics=[None, None, topic[11]]) == [11, 11]
    assert values(address=probe.address, topics=[None, None, topic[13]]) == []
    assert values(address=probe.address, topics=[None, None, None, topic[10]]) == []
    assert values(address=probe.address, toBlock=hex(receipts[1]["blockNumber"])) == [10, 11]
    by_hash = endpoint.ask("eth_getLogs", {"blockHash": receipts[1]["blockHash"].to_0x_hex()})["result"]
    assert [int(log["topics"][2], 16) for log in by_hash] == [11]
    found = probe.events.Changed().get_logs(from_block=first, argument_filters={"value": 12})
    assert [event["args"]["value"] for event in found] == [12]


def test_filters_report_each_change_once(endpoint: Endpoint, probe: Any) -> None:
    web3 = endpoint.web3
    logs = web3.eth.filter({"address": probe.address})
    blocks = web3.eth.filter("latest")
    receipts = [endpoint.transact(probe.functions.set(value, b"")) for value in (70, 71)]
    assert [log["transactionHash"] for log in logs.get_new_entries()] == [r["transactionHash"] for r in receipts]
    assert logs.get_new_entries() == []
    assert list(blocks.get_new_entries()) == [receipt["blockHash"] for receipt in receipts]
    assert web3.eth.uninstall_filter(logs.filter_id)
    assert not web3.eth.uninstall_filter(logs.filter_id)
    with pytest.raises(Web3RPCError, match="filter not found"):
        web3.eth.get_filter_changes(logs.filter_id)


def test_block_receipts_are_those_of_the_transactions(endpoint: Endpoint, probe: Any) -> None:
    web3 = endpoint.web3
    receipt = endpoint.transact(probe.functions.set(5, b""))
    block_receipts = web3.eth.get_block_receipts(receipt["blockNumber"])
    assert [dict(item) for item in block_receipts] == [dict(receipt)]
    number = hex(receipt["blockNumber"])
    assert endpoint.ask("eth_getBlockTransactionCountByNumber", number)["result"] == "0x1"
    block_hash = receipt["blockHash"].to_0x_hex()
    assert endpoint.ask("eth_getBlockTransactionCountByHash", block_hash)["result"] == "0x1"
    full = web3.eth.get_block(receipt["blockHash"], full_transactions=True)
    assert full["transactions"][0]["hash"] == receipt["transactionHash"]


def test_block_tags(endpoint: Endpoint) -> None:
    endpoint.send({"to": endpoint.account.address})
    web3 = endpoint.web3
    latest = web3.eth.get_block("latest")
    assert web3.eth.get_block("earliest")["number"] == 0
    pending = web3.eth.get_block("pending")
    assert pending["number"] == latest["number"] + 1
    assert pending["parentHash"] == latest["hash"]
    if endpoint.kind == "evm_chain":
        for tag in ("safe", "finalized"):
            assert web3.eth.get_block(tag)["hash"] == latest["hash"]
    assert endpoint.ask("eth_getBlockByNumber", "0xffffff", False)["result"] is None
    assert endpoint.ask("eth_getBlockByHash", "0x" + "12" * 32, False)["result"] is None


def test_fees(endpoint: Endpoint) -> None:
    web3 = endpoint.web3
    endpoint.send({"to": endpoint.account.address})
    history = web3.eth.fee_history(3, "latest", [10, 90])
    blocks = min(3, web3.eth.block_number + 1)
    assert len(history["baseFeePerGas"]) == blocks + 1
    assert len(history["gasUsedRatio"]) == len(history["reward"]) == blocks
    latest = web3.eth.get_block("latest")
    assert history["baseFeePerGas"][-2] == latest["baseFeePerGas"]
    assert history["gasUsedRatio"][-1] == pytest.approx(latest["gasUsed"] / latest["gasLimit"])
    assert web3.eth.gas_price >= history["baseFeePerGas"][-1]
    following = endpoint.send({"to": endpoint.account.address})
    base_fee = web3.eth.get_block(following["blockNumber"])["baseFeePerGas"]
    assert base_fee == history["baseFeePerGas"][-1]


def test_unknown_transactions_have_no_receipt(endpoint: Endpoint) -> None:
    for method in ("eth_getTransactionReceipt", "eth_getTransactionByHash"):
        assert endpoint.ask(method, "0x" + "34" * 32)["result"] is None
    with pytest.raises(TransactionNotFound):
        endpoint.web3.eth.get_transaction("0x" + "34" * 32)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"5", -32600),
        ({"jsonrpc": "2.0", "id": 1}, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "eth_unknown", "params": []}, -32601),
        ({"jsonrpc": "2.0", "id": 1, "method": "eth_getBalance", "params": []}, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "eth_getBalance", "params": ["0x12", "latest"]}, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "eth_getBalance", "params": ["0x" + "12" * 20, "soon"]}, -32602),
    ],
)
def test_error_codes(endpoint: Endpoint, body: Any, code: int) -> None:
    if endpoint.kind == "anvil" and code in (-32700, -32600):
        pytest.skip("anvil answers these with other codes")
    assert endpoint.post(body)["error"]["code"] == code


def test_refused_transactions_say_why(endpoint: Endpoint) -> None:
    web3, account = endpoint.web3, endpoint.account
    endpoint.send({"to": account.address})
    base = {
        "to": account.address, "gas": 21_000, "chainId": web3.eth.chain_id, "value": 0,
        "maxFeePerGas": 2 * web3.eth.gas_price, "maxPriorityFeePerGas": 1,
    }  # fmt: skip
    nonce = web3.eth.get_transaction_count(account.address)

    def refusal(signer: Any, **fields: Any) -> str:
        raw = signer.sign_transaction(base | {"nonce": nonce} | fields).raw_transaction
        answer = endpoint.ask("eth_sendRawTransaction", raw.to_0x_hex())
        assert answer["error"]["code"] < 0
        return str(answer["error"]["message"]).lower()

    assert "nonce too low" in refusal(account, nonce=0)
    assert "chain id" in refusal(account, chainId=999)
    assert "insufficient funds" in refusal(Account.from_key("0x" + "66" * 32), nonce=0)
    assert "intrinsic gas" in refusal(account, gas=20_000)
    assert "error" in endpoint.ask("eth_sendRawTransaction", "0x1234")


def test_batches_answer_each_request(endpoint: Endpoint) -> None:
    requests_ = [
        {"jsonrpc": "2.0", "id": "a", "method": "eth_chainId", "params": []},
        {"jsonrpc": "2.0", "id": 2, "method": "eth_unknown", "params": []},
        {"jsonrpc": "2.0", "id": 3, "method": "eth_blockNumber", "params": []},
    ]
    answers = {answer["id"]: answer for answer in endpoint.post(requests_)}
    assert set(answers) == {"a", 2, 3}
    assert int(answers["a"]["result"], 16) == endpoint.web3.eth.chain_id
    assert answers[2]["error"]["code"] == -32601
    if endpoint.kind == "evm_chain":
        assert endpoint.post([])["error"]["code"] == -32600


def test_state_overrides(endpoint: Endpoint, probe: Any) -> None:
    overrides = {probe.address: {"stateDiff": {"0x" + "00" * 32: f"0x{123:064x}"}}}
    call = {"to": probe.address, "data": probe.encode_abi("number")}
    assert int(endpoint.ask("eth_call", call, "latest", overrides)["result"], 16) == 123
    code = {"0x" + "cc" * 20: {"code": "0x" + "60ff60005260206000f3"}}
    assert int(endpoint.ask("eth_call", {"to": "0x" + "cc" * 20}, "latest", code)["result"], 16) == 255
    rich = {"0x" + "77" * 20: {"balance": hex(ETHER)}}
    paid = {"from": "0x" + "77" * 20, "to": "0x" + "78" * 20, "value": hex(ETHER)}
    assert endpoint.ask("eth_call", paid, "latest", rich)["result"] == "0x"
    assert "error" in endpoint.ask("eth_call", paid, "latest")


def test_pending_nonce_counts_waiting_transactions(endpoint: Endpoint) -> None:
    web3, account = endpoint.web3, endpoint.account
    start = web3.eth.get_transaction_count(account.address)
    hashes = []
    for offset in range(5):
        assert web3.eth.get_transaction_count(account.address, "pending") == start + offset
        transaction = {
            "to": account.address, "gas": 21_000, "chainId": web3.eth.chain_id, "value": 0, "nonce": start + offset,
            "maxFeePerGas": 2 * web3.eth.gas_price, "maxPriorityFeePerGas": 1,
        }  # fmt: skip
        hashes.append(web3.eth.send_raw_transaction(account.sign_transaction(transaction).raw_transaction))
    for transaction_hash in hashes:
        assert web3.eth.wait_for_transaction_receipt(transaction_hash, 30, 0.02)["status"] == 1
    assert web3.eth.get_transaction_count(account.address) == start + 5


async def test_subscriptions(endpoint: Endpoint, probe: Any) -> None:
    async with AsyncWeb3(WebSocketProvider(endpoint.url.replace("http", "ws"))) as web3:
        heads = await web3.eth.subscribe("newHeads")
        logs = await web3.eth.subscribe("logs", {"address": probe.address})
        pending = await web3.eth.subscribe("newPendingTransactions")
        receipt = await asyncio.to_thread(endpoint.transact, probe.functions.set(31, b"z"))
        seen: dict[str, Any] = {}
        async with asyncio.timeout(20):
            async for message in web3.socket.process_subscriptions():
                seen[str(message["subscription"])] = message["result"]
                if len(seen) == 3:
                    break
        assert seen[heads]["hash"] == receipt["blockHash"]
        assert seen[heads]["number"] == receipt["blockNumber"]
        assert seen[logs]["transactionHash"] == receipt["transactionHash"]
        assert seen[pending] == receipt["transactionHash"]
        for subscription in (heads, logs, pending):
            assert await web3.eth.unsubscribe(subscription)
        assert await web3.eth.block_number >= receipt["blockNumber"]
