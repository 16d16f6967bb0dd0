"""A client in a hundred lines, from network.json, docs/protocol/formats.md and the ABI alone: it imports no PieBridge.

It moves tokens to the second chain and waits for the packet's status bits there, proven against the state root.
"""

import json
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from trie.hexary import HexaryTrie

COMMITTED, ABORTED = 2, 3  # formats.md, section 6.3


def call(url: str, method: str, *parameters: Any) -> Any:  # noqa: ANN401 - JSON
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    answer = json.load(urllib.request.urlopen(request, timeout=10))
    if "error" in answer:
        raise RuntimeError(f"{method}: {answer['error']}")
    return answer["result"]


def function(signature: str, *arguments: object) -> str:
    types = signature[signature.index("(") + 1 : -1].split(",")
    return "0x" + (keccak(text=signature)[:4] + encode(types, arguments)).hex()


def send(chain: dict[str, Any], account: LocalAccount, to: str, data: str) -> dict[str, Any]:
    url = chain["rpc_url"]
    fee = 2 * int(call(url, "eth_gasPrice"), 16)
    transaction = {"type": 2, "chainId": chain["evm_chain_id"], "to": to, "data": data, "value": 0, "gas": 300_000}
    transaction |= {"maxFeePerGas": fee, "maxPriorityFeePerGas": min(fee, 10**9)}
    transaction["nonce"] = int(call(url, "eth_getTransactionCount", account.address, "pending"), 16)
    sent = call(url, "eth_sendRawTransaction", "0x" + account.sign_transaction(transaction).raw_transaction.hex())
    while not (receipt := dict(call(url, "eth_getTransactionReceipt", sent) or {})):
        time.sleep(0.2)
    return receipt


def packet_of(receipt: dict[str, Any], hub: str) -> bytes:
    topic = "0x" + keccak(text="PacketSent(uint256)").hex()  # section 14
    logs = [log for log in receipt["logs"] if log["address"].lower() == hub.lower() and log["topics"][0] == topic]
    return bytes.fromhex(logs[0]["data"][2:])


def status_slot(packet: bytes) -> tuple[bytes, int]:
    """Storage slot and shift of a packet's status bits at its destination: section 7, base 2."""
    domain, source, relay, channel = (int.from_bytes(packet[at : at + 4], "big") for at in (4, 8, 16, 20))
    sequence = int.from_bytes(packet[24:32], "big")
    key = domain << 160 | source << 128 | relay << 96 | channel << 64 | sequence >> 7
    return keccak(key.to_bytes(32, "big") + (2).to_bytes(32, "big")), 2 * (sequence & 127)


def proven_value(url: str, hub: str, slot: bytes) -> int:
    """Value of a slot, checked against the newest block's state root (EIP-1186)."""
    block = call(url, "eth_getBlockByNumber", "latest", False)
    proof = call(url, "eth_getProof", hub, ["0x" + slot.hex()], block["number"])

    def leaf(root: bytes, key: bytes, nodes: list[str]) -> bytes:
        decoded = [rlp.decode(bytes.fromhex(node[2:])) for node in nodes]
        return bytes(HexaryTrie.get_from_proof(root, keccak(key), decoded))  # type: ignore[no-untyped-call]

    account = leaf(bytes.fromhex(block["stateRoot"][2:]), bytes.fromhex(hub[2:]), proof["accountProof"])
    value = leaf(rlp.decode(account)[2], slot, proof["storageProof"][0]["proof"])
    return int.from_bytes(rlp.decode(value), "big") if value else 0


def main(path: Path, amount: int = 10**18) -> int:
    network = json.loads(path.read_text())
    source, destination = network["chains"][:2]
    entry = network["accounts"][0]
    password, key = ((path.parent / entry[name]).read_text().strip() for name in ("password_file", "key_file"))
    account = Account.from_key(Account.decrypt(key, password))
    token = next(item for item in source["applications"] if item["name"] == "token")
    domain, to = network["domain"]["id"], destination["registration"]
    question = function("route(uint32,uint32,uint32)", domain, to, token["id"])
    relay = int(call(source["rpc_url"], "eth_call", {"to": source["hub"], "data": question}, "latest"), 16)
    expiry = int(time.time()) + 3600
    signature = "transferRemote(uint32,uint32,uint32,address,uint128,uint40,uint40)"
    data = function(signature, domain, to, relay, account.address, amount, expiry, expiry + 600)
    packet = packet_of(send(source, account, token["address"], data), source["hub"])
    print(f"sent packet {int.from_bytes(packet[24:32], 'big')} to {destination['name']} over relay chain {relay}")
    slot, shift = status_slot(packet)
    while not (status := proven_value(destination["rpc_url"], destination["hub"], slot) >> shift & 3):
        time.sleep(0.5)
    print({COMMITTED: "executed", ABORTED: "aborted"}[status])
    return 0 if status == COMMITTED else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *map(int, sys.argv[2:])) if sys.argv[1:] else "usage: NETWORK.JSON [UNITS]")
