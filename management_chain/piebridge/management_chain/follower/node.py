"""One node of the management chain: CometBFT's RPC and the ``eth_*`` RPC of the same machine.

Nothing that it says is believed; what comes out of here was checked against a hash, or is called a claim.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError as AbiDecodingError

from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.chains.endpoint import Block, StorageProof
from piebridge.chains.errors import MissingStateError
from piebridge.chains.evm.header import block_from_json, octets, quantity
from piebridge.chains.evm.proof import proof_from_json
from piebridge.chains.jsonrpc import DEFAULT_TIMEOUT_SECONDS, JsonRpcClient
from piebridge.cometbft.verification import SignedHeader
from piebridge.crypto.errors import TransientChainError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.relay_messages import LightBlock

DECISION_MADE = keccak256(b"DecisionMade(bytes32,uint32,bytes32,bytes)")
"""Topic of the registry's event with a decision's record."""
LOG_BLOCKS_MAX = 2_000
"""Blocks asked for in one ``eth_getLogs``."""


@dataclass(frozen=True, slots=True)
class NodeAddresses:
    """Where one node of the management chain is reached."""

    cometbft_url: str
    """CometBFT's RPC."""
    eth_url: str
    """``eth_*`` JSON-RPC over HTTP."""


@dataclass(frozen=True, slots=True)
class ClaimedRecord:
    """A decision's record as a node's log tells it. A claim until its hash stands in proven storage."""

    request_id: bytes
    """32 bytes."""
    record: bytes
    """The record."""
    block_number: int
    """EVM block with the event."""


class ManagementNode:
    """Client of one node."""

    def __init__(self, addresses: NodeAddresses, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        """Remember where it is."""
        self._cometbft = CometBftRpc(addresses.cometbft_url, timeout_seconds=timeout_seconds)
        self._eth = JsonRpcClient(addresses.eth_url, timeout_seconds=timeout_seconds)

    @property
    def name(self) -> str:
        """What messages call it."""
        return self._cometbft.url

    async def close(self) -> None:
        """Close the connections."""
        await self._cometbft.close()
        await self._eth.close()

    async def height(self) -> int:
        """Return the newest height that it claims."""
        return (await self._cometbft.status()).height

    async def signed_header(self, height: int) -> SignedHeader:
        """Return header and commit of a height, not verified."""
        return await self._cometbft.signed_header(height)

    async def light_block(self, trusted_height: int, height: int) -> LightBlock:
        """Return a light block for whoever trusts an earlier height, not verified."""
        return LightBlock.decode(await self._cometbft.light_block(trusted_height, height))

    async def block(self, block_hash: bytes) -> Block:
        """Return the EVM block with a hash.

        Raises:
            MissingStateError: the node does not have it.
            VerificationError: it answers by another one.
        """
        fields = await self._eth.call("eth_getBlockByHash", ["0x" + block_hash.hex(), False])
        if fields is None:
            raise MissingStateError(f"{self._eth.url}: no EVM block 0x{block_hash.hex()}")
        block = block_from_json(fields, self._eth.url)
        if block.hash != block_hash:
            raise VerificationError(
                f"{self._eth.url}: another block than asked", expected=block_hash, actual=block.hash
            )
        return block

    async def prove(self, block: Block, contract: bytes, slots: Sequence[bytes]) -> StorageProof:
        """Return slots of a contract, proven under the state root of a block.

        Raises:
            VerificationError: the proof does not hold.
            MissingStateError: there is no such contract, or the node keeps that state no more.
        """
        keys = ["0x" + slot.hex() for slot in slots]
        answer = await self._eth.call("eth_getProof", ["0x" + contract.hex(), keys, hex(block.number)])
        return proof_from_json(answer, block, contract, slots, self._eth.url)

    async def call(self, contract: bytes, data: bytes) -> bytes:
        """Return the answer to a call of a contract at the newest block: a claim."""
        request = {"to": "0x" + contract.hex(), "data": "0x" + data.hex()}
        return octets(await self._eth.call("eth_call", [request, "latest"]), None, self._eth.url)

    async def records(
        self, registry: bytes, first_block: int, last_block: int, request_id: bytes | None = None
    ) -> list[ClaimedRecord]:
        """Return the records of decisions of a range of blocks, of one request or of all: claims."""
        topics = ["0x" + DECISION_MADE.hex()] + (["0x" + request_id.hex()] if request_id is not None else [])
        found: list[ClaimedRecord] = []
        for start in range(first_block, last_block + 1, LOG_BLOCKS_MAX):
            query = {
                "address": "0x" + registry.hex(),
                "fromBlock": hex(start),
                "toBlock": hex(min(last_block, start + LOG_BLOCKS_MAX - 1)),
                "topics": topics,
            }
            logs = await self._eth.call("eth_getLogs", [query])
            if not isinstance(logs, list):
                raise TransientChainError(f"{self._eth.url}: logs are not a list")
            found += [self._claimed(log) for log in logs]
        return found

    def _claimed(self, log: object) -> ClaimedRecord:
        where = self._eth.url
        if not isinstance(log, dict) or not isinstance(log.get("topics"), list) or len(log["topics"]) != 4:
            raise TransientChainError(f"{where}: a log is no decision")
        try:
            (record,) = decode(["bytes"], octets(log.get("data"), None, where))
        except (AbiDecodingError, OverflowError) as error:
            raise TransientChainError(f"{where}: data of a decision's log are malformed: {error}") from error
        return ClaimedRecord(octets(log["topics"][1], 32, where), record, quantity(log.get("blockNumber"), where))
