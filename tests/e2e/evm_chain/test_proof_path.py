"""The proof path of a light client, through public interfaces only: CometBFT's commit to a storage slot of the EVM."""

import base64
import time
from typing import Any

import requests

from piebridge.cometbft.json_format import signed_header_from_json, validator_from_json
from piebridge.cometbft.validator_set import ValidatorSet
from piebridge.cometbft.verification import LightBlock, TrustedState, VerificationOptions, verify_light_block
from piebridge.crypto.hash import keccak256
from piebridge.crypto.patricia import verify_account, verify_storage
from piebridge.evm_chain.header import EvmHeader, decode_header
from testkit.eth_endpoint import our_endpoint
from testkit.evm_chain_node import running_node

HEADER_SECONDS = 20.0
OPTIONS = VerificationOptions(trusting_period_ns=10**18, max_clock_drift_ns=10**9)


def comet(url: str, path: str) -> Any:  # noqa: ANN401
    answer = requests.get(f"{url}/{path}", timeout=10).json()
    assert "error" not in answer, answer
    return answer["result"]


def wait_for_height(url: str, height: int) -> None:
    """Wait for the header that carries an app hash: the next one, which the chain makes an interval later."""
    deadline = time.monotonic() + HEADER_SECONDS
    while int(comet(url, "status")["sync_info"]["latest_block_height"]) < height:
        assert time.monotonic() < deadline, f"no header {height} within {HEADER_SECONDS} s"
        time.sleep(0.05)


def light_block(url: str, height: int) -> LightBlock:
    wait_for_height(url, height)
    signed = signed_header_from_json(comet(url, f"commit?height={height}")["signed_header"])
    members = comet(url, f"validators?height={height}&per_page=100")["validators"]
    return LightBlock(signed, ValidatorSet(tuple(validator_from_json(member) for member in members)).without_rotation())


def test_storage_slot_is_proven_from_a_cometbft_commit() -> None:
    with running_node() as node:
        endpoint = our_endpoint(node.eth_address)
        comet_url = node.node.rpc_addresses[0]
        probe = endpoint.deploy(start=5)
        receipt = endpoint.transact(probe.functions.set(0xFEED, b""))
        number = receipt["blockNumber"]
        endpoint.transact(probe.functions.set(0xBEEF, b""))  # the chain goes on

        height = int(endpoint.ask("piebridge_cometbftHeight", hex(number))["result"], 16)
        trusted = light_block(comet_url, 2)
        proven = light_block(comet_url, height + 1)
        now_ns = proven.header.time_ns
        verify_light_block(TrustedState.of(trusted.header), trusted.validators, proven, OPTIONS, now_ns)

        query = comet(comet_url, f'abci_query?path="/evm/header"&data=0x{number:016x}')["response"]
        header: EvmHeader = decode_header(base64.b64decode(query["value"]))
        assert header.hash == proven.header.app_hash
        assert int.from_bytes(header.extra_data, "big") == height
        assert header.prev_randao == light_block(comet_url, height).header.hash()

        proof = endpoint.ask("eth_getProof", probe.address, ["0x" + "00" * 32], hex(number))["result"]
        account = verify_account(
            header.state_root,
            bytes.fromhex(probe.address[2:]),
            [bytes.fromhex(node[2:]) for node in proof["accountProof"]],
        )
        assert account is not None
        slot_nodes = [bytes.fromhex(node[2:]) for node in proof["storageProof"][0]["proof"]]
        assert verify_storage(account.storage_root, 0, slot_nodes) == 0xFEED
        assert account.code_hash == keccak256(bytes(endpoint.web3.eth.get_code(probe.address)))


def test_only_the_next_headers_carry_the_block() -> None:
    with running_node() as node:
        endpoint = our_endpoint(node.eth_address)
        comet_url = node.node.rpc_addresses[0]
        first = endpoint.send({"to": endpoint.account.address})
        second = endpoint.send({"to": endpoint.account.address})
        heights = [
            int(endpoint.ask("piebridge_cometbftHeight", hex(receipt["blockNumber"]))["result"], 16)
            for receipt in (first, second)
        ]
        hashes = [bytes(receipt["blockHash"]) for receipt in (first, second)]
        carried = {
            height: light_block(comet_url, height).header.app_hash for height in range(heights[0], heights[1] + 2)
        }
        assert carried[heights[0]] != hashes[0]
        assert all(carried[height] == hashes[0] for height in range(heights[0] + 1, heights[1] + 1))
        assert carried[heights[1] + 1] == hashes[1]
