"""Endpoint of an EVM chain with a hub, over one node's `eth_*` JSON-RPC.

Nothing that the node says is taken for granted where a hash can decide: headers are rebuilt and hashed, proofs are
verified against the header's state root before they leave this module. What stays a claim (logs, unproven storage,
receipts of our own transactions) is named so in :mod:`piebridge.chains.endpoint`.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.chains.endpoint import Block, Fees, HubEntry, Receipt, StorageProof
from piebridge.chains.errors import CallRevertedError, MissingStateError
from piebridge.chains.evm.header import block_from_json, octets, quantity
from piebridge.chains.evm.hub import FORM_OF_TOPIC, decode_log, decode_queued, log_position, message_data
from piebridge.chains.evm.proof import proof_from_json
from piebridge.chains.jsonrpc import DEFAULT_TIMEOUT_SECONDS, Call, JsonRpcClient, Subscription
from piebridge.crypto.errors import ConfigurationError, TransientChainError, VerificationError

LOG_BLOCKS_MAX = 2_000
"""Blocks asked for in one ``eth_getLogs``; many nodes refuse more."""
_PRIORITY_FEE_WEI = 1_000_000_000
_BASE_FEE_FACTOR = 2
"""The base fee can at most double in six full blocks; a transaction that waits longer is replaced."""


class EvmEndpoint:
    """A :class:`~piebridge.chains.endpoint.ParachainEndpoint` over JSON-RPC."""

    def __init__(
        self,
        *,
        name: str,
        rpc_url: str,
        hub_address: bytes,
        evm_chain_id: int,
        websocket_url: str | None = None,
        cometbft_rpc_urls: Sequence[str] = (),
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        """Describe the chain; nothing is sent yet.

        Args:
            name: for people.
            rpc_url: ``eth_*`` over HTTP.
            hub_address: 20 bytes.
            evm_chain_id: EIP-155 chain id that the node must tell.
            websocket_url: ``eth_*`` over WebSocket, for wake-ups; None polls only.
            cometbft_rpc_urls: CometBFT RPC of the validators of an EVM-on-ABCI chain; empty elsewhere.
            timeout_seconds: deadline of a request.
        """
        self._name = name
        self._hub_address = hub_address
        self._evm_chain_id = evm_chain_id
        self._client = JsonRpcClient(rpc_url, timeout_seconds=timeout_seconds)
        self._websocket_url = websocket_url
        self._cometbft = [CometBftRpc(url, timeout_seconds=timeout_seconds) for url in cometbft_rpc_urls]
        self._where = f"{name} ({rpc_url})"

    @property
    def name(self) -> str:
        """Name for people."""
        return self._name

    @property
    def hub_address(self) -> bytes:
        """Address of the hub, 20 bytes."""
        return self._hub_address

    # Life cycle

    async def check(self) -> None:
        """Check chain id and the hub's presence; see the protocol."""
        chain_id = await self.chain_id()
        if chain_id != self._evm_chain_id:
            raise ConfigurationError(
                f"{self._where} is EVM chain {chain_id}, not {self._evm_chain_id} as configured: correct rpc_url or "
                "evm_chain_id"
            )
        code = octets(await self._client.call("eth_getCode", [_hex(self._hub_address), "latest"]), None, self._where)
        if not code:
            raise ConfigurationError(
                f"{self._where}: no contract at the hub's address 0x{self._hub_address.hex()}: correct hub, or wait "
                "until it is deployed"
            )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()
        for node in self._cometbft:
            await node.close()

    # Blocks and finality

    async def latest_block(self) -> Block:
        """Return the newest block."""
        return block_from_json(await self._client.call("eth_getBlockByNumber", ["latest", False]), self._where)

    async def block(self, number: int) -> Block:
        """Return a block by number."""
        fields = await self._client.call("eth_getBlockByNumber", [hex(number), False])
        if fields is None:
            raise MissingStateError(f"{self._where}: no block {number}")
        block = block_from_json(fields, self._where)
        if block.number != number:
            raise VerificationError(f"{self._where}: another block than asked", expected=number, actual=block.number)
        return block

    async def final_block(self, depth: int) -> Block:
        """Return the newest block with ``depth`` blocks above it."""
        latest = await self.latest_block()
        return latest if depth == 0 else await self.block(max(0, latest.number - depth))

    async def finalized_block(self) -> Block:
        """Return the block that the node itself calls finalized.

        Raises:
            PermanentChainError: the node knows no such tag.
        """
        return block_from_json(await self._client.call("eth_getBlockByNumber", ["finalized", False]), self._where)

    async def wakes(self) -> AsyncIterator[None]:
        """Yield at each new head; never without a WebSocket address."""
        if self._websocket_url is not None:
            request = {"method": "eth_subscribe", "params": ["newHeads"]}
            async for wake in Subscription(self._websocket_url, request).wakes():
                yield wake

    # The hub's outboxes

    async def outbox_entries(self, domain: int, first_block: int, last_block: int) -> list[HubEntry]:
        """Return the entries that a range of blocks made, from logs of the hub alone."""
        entries: list[HubEntry] = []
        for start in range(first_block, last_block + 1, LOG_BLOCKS_MAX):
            end = min(last_block, start + LOG_BLOCKS_MAX - 1)
            entries += await self._entries(domain, start, end)
        return entries

    async def queued_entry(self, domain: int, relay: int, number: int) -> HubEntry | None:
        """Return an entry from the hub's queue; None on a hub that collects by event."""
        try:
            answer = await self.call(message_data(domain, relay, number), sender=bytes(20), gas=_CALL_GAS)
        except CallRevertedError:
            return None
        return decode_queued(domain, relay, number, answer, self._where)

    # State and proofs

    async def storage(self, slots: Sequence[bytes], block_number: int | None = None) -> list[bytes]:
        """Return slots of the hub, unproven."""
        tag = "latest" if block_number is None else hex(block_number)
        calls: list[Call] = [("eth_getStorageAt", [_hex(self._hub_address), _hex(slot), tag]) for slot in slots]
        return [octets(value, 32, self._where) for value in await self._client.batch(calls)]

    async def prove(self, slots: Sequence[bytes], block_number: int) -> StorageProof:
        """Return slots of the hub with verified proofs; all of them cost one request."""
        calls: list[Call] = [
            ("eth_getBlockByNumber", [hex(block_number), False]),
            ("eth_getProof", [_hex(self._hub_address), [_hex(slot) for slot in slots], hex(block_number)]),
        ]
        fields, proof = await self._client.batch(calls)
        if fields is None:
            raise MissingStateError(f"{self._where}: no block {block_number}")
        block = block_from_json(fields, self._where)
        if block.number != block_number:
            raise VerificationError(
                f"{self._where}: another block than asked", expected=block_number, actual=block.number
            )
        return proof_from_json(proof, block, self._hub_address, slots, self._where)

    # Accounts and transactions

    async def chain_id(self) -> int:
        """Return the EIP-155 chain id."""
        return quantity(await self._client.call("eth_chainId", []), self._where)

    async def nonce(self, address: bytes, *, pending: bool = False) -> int:
        """Return the account's next nonce."""
        tag = "pending" if pending else "latest"
        return quantity(await self._client.call("eth_getTransactionCount", [_hex(address), tag]), self._where)

    async def balance(self, address: bytes) -> int:
        """Return the account's balance, wei."""
        return quantity(await self._client.call("eth_getBalance", [_hex(address), "latest"]), self._where)

    async def fees(self) -> Fees:
        """Return fees from the newest block's base fee and the node's advice for the priority fee."""
        block = await self.latest_block()
        try:
            priority = quantity(await self._client.call("eth_maxPriorityFeePerGas", []), self._where)
        except TransientChainError:
            raise
        except Exception as error:  # the method is younger than some nodes
            if not _is_unknown_method(error):
                raise
            priority = _PRIORITY_FEE_WEI
        return Fees(_BASE_FEE_FACTOR * block.base_fee_per_gas + priority, priority)

    async def call(self, data: bytes, *, sender: bytes, gas: int) -> bytes:
        """Run a call of the hub on the newest state."""
        request = {"from": _hex(sender), "to": _hex(self._hub_address), "data": _hex(data), "gas": hex(gas)}
        return octets(await self._client.call("eth_call", [request, "latest"]), None, self._where)

    async def send(self, raw_transaction: bytes) -> bytes:
        """Hand a signed transaction to the node."""
        return octets(await self._client.call("eth_sendRawTransaction", [_hex(raw_transaction)]), 32, self._where)

    async def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """Return what became of a transaction."""
        fields = await self._client.call("eth_getTransactionReceipt", [_hex(transaction_hash)])
        if fields is None:
            return None
        if not isinstance(fields, dict) or fields.get("blockHash") is None:
            return None
        return Receipt(
            transaction_hash=octets(fields.get("transactionHash"), 32, self._where),
            block_number=quantity(fields.get("blockNumber"), self._where),
            block_hash=octets(fields.get("blockHash"), 32, self._where),
            succeeded=quantity(fields.get("status"), self._where) == 1,
            gas_used=quantity(fields.get("gasUsed"), self._where),
        )

    # Light client

    @property
    def has_light_blocks(self) -> bool:
        """Whether CometBFT RPC addresses were given."""
        return bool(self._cometbft)

    async def light_client_target(self) -> tuple[int, Block]:
        """Return the newest committed CometBFT height and the EVM block of its header's app hash."""
        node = await self._live_node()
        status = await node.status()
        return status.height, await self._app_block(node, status.height)

    async def app_block(self, height: int) -> Block:
        """Return the EVM block that the app hash in the header of a CometBFT height names."""
        return await self._app_block(await self._live_node(), height)

    async def light_block(self, trusted_height: int, height: int) -> bytes:
        """Return the light block of a height, formats.md section 11.1."""
        node = await self._live_node()
        return await node.light_block(trusted_height, height)

    # Internal

    async def _entries(self, domain: int, first_block: int, last_block: int) -> list[HubEntry]:
        query = {
            "address": _hex(self._hub_address),
            "fromBlock": hex(first_block),
            "toBlock": hex(last_block),
            "topics": [[_hex(topic) for topic in FORM_OF_TOPIC]],
        }
        logs = await self._client.call("eth_getLogs", [query])
        if not isinstance(logs, list):
            raise TransientChainError(f"{self._where}: logs are not a list")
        entries = []
        position = (-1, -1)
        for log in logs:
            entry = decode_log(log, self._hub_address, self._where)
            if entry is None:
                continue
            before, position = position, log_position(log, self._where)
            if position <= before or not first_block <= entry.height <= last_block:
                raise TransientChainError(f"{self._where}: logs are out of order or outside of the blocks asked for")
            if entry.domain == domain:
                entries.append(entry)
        return entries

    async def _live_node(self) -> CometBftRpc:
        """Return the first CometBFT node that answers; light blocks are verified by whoever uses them."""
        if not self._cometbft:
            raise ConfigurationError(f"{self._where} has no cometbft_rpc_urls, so it has no light blocks")
        last: TransientChainError | None = None
        for node in self._cometbft:
            try:
                await node.status()
            except TransientChainError as error:
                last = error
            else:
                return node
        raise TransientChainError(f"{self._where}: no CometBFT node answers") from last

    async def _app_block(self, node: CometBftRpc, height: int) -> Block:
        app_hash = (await node.signed_header(height)).header.app_hash
        fields: Any = await self._client.call("eth_getBlockByHash", [_hex(app_hash), False])
        if fields is None:
            raise MissingStateError(f"{self._where}: no EVM block with the app hash of height {height}")
        block = block_from_json(fields, self._where)
        if block.hash != app_hash:
            raise VerificationError(f"{self._where}: another block than asked", expected=app_hash, actual=block.hash)
        return block


_CALL_GAS = 3_000_000


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _is_unknown_method(error: Exception) -> bool:
    text = str(error).lower()
    return "not found" in text or "not supported" in text or "unknown method" in text or "does not exist" in text
