"""The JSON-RPC methods, one table: what Ethereum clients call, and ``piebridge_*``.

Finality is instant, so ``safe`` and ``finalized`` are ``latest``. ``pending`` reads the newest committed state,
simulates in the block that would follow, and counts this node's waiting transactions in eth_getTransactionCount.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from eth_abi.abi import decode as decode_abi
from eth_abi.exceptions import DecodingError as AbiDecodingError

from piebridge.crypto.hash import keccak256
from piebridge.evm_chain import rpc_parameters as read
from piebridge.evm_chain.errors import InvalidTransaction
from piebridge.evm_chain.execution.messages import CallResult
from piebridge.evm_chain.gas_estimation import EstimationFailed, estimate_gas
from piebridge.evm_chain.header import EvmHeader, next_base_fee
from piebridge.evm_chain.rpc_chain import RpcChain
from piebridge.evm_chain.rpc_errors import EXECUTION_REVERTED, SERVER_ERROR, RpcError, invalid_params
from piebridge.evm_chain.rpc_fees import PRIORITY_FEE_SUGGESTION_WEI, fee_history, gas_price
from piebridge.evm_chain.rpc_filters import Filters
from piebridge.evm_chain.rpc_format import (
    Document,
    block_document,
    hexadecimal,
    proof_document,
    receipt_document,
    transaction_document,
)
from piebridge.evm_chain.transaction import SignedTransaction

CLIENT_VERSION = "piebridge-evm/v0.1.0/python"
"""Answer of web3_clientVersion."""
_ERROR_SELECTOR = bytes.fromhex("08c379a0")
_PANIC_SELECTOR = bytes.fromhex("4e487b71")


@dataclass(frozen=True, slots=True)
class BroadcastResult:
    """What the mempool said to a transaction."""

    code: int
    """ABCI code of CheckTx; 0 accepts."""
    log: str
    """Reason for people."""


Broadcast = Callable[[bytes], Awaitable[BroadcastResult]]
"""Gives a transaction to the engine's mempool, like ``broadcast_tx_sync``."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method."""

    run: Callable[..., Any]
    """Takes the parameters in order; may be a coroutine function."""
    required: int = 0
    """Parameters that must be given."""
    optional: int = 0
    """Parameters that may follow."""
    heavy: bool = False
    """Whether it runs on a worker thread, from committed data alone."""


class EthMethods:
    """The methods on one chain."""

    def __init__(self, chain: RpcChain, filters: Filters, broadcast: Broadcast, call_gas_max: int) -> None:
        """Serve a chain.

        Args:
            chain: what is read.
            filters: filters of the server.
            broadcast: where transactions go.
            call_gas_max: gas that eth_call and eth_estimateGas may use.
        """
        self._chain = chain
        self._filters = filters
        self._broadcast = broadcast
        self._call_gas_max = call_gas_max

    def table(self) -> dict[str, Method]:
        """Methods by name."""
        return {
            "web3_clientVersion": Method(lambda: CLIENT_VERSION),
            "web3_sha3": Method(lambda value: hexadecimal(keccak256(read.data(value, "data"))), 1),
            "net_version": Method(lambda: str(self._chain.app.genesis.chain_id)),
            "net_listening": Method(lambda: True),
            "eth_chainId": Method(lambda: hex(self._chain.app.genesis.chain_id)),
            "eth_syncing": Method(lambda: False),
            "eth_accounts": Method(lambda: []),
            "eth_blockNumber": Method(lambda: hex(self._chain.head.header.number)),
            "eth_gasPrice": Method(lambda: hex(gas_price(self._chain))),
            "eth_maxPriorityFeePerGas": Method(lambda: hex(PRIORITY_FEE_SUGGESTION_WEI)),
            "eth_blobBaseFee": Method(lambda: "0x1"),
            "eth_feeHistory": Method(self._fee_history, 2, 1, heavy=True),
            "eth_getBalance": Method(self._balance, 1, 1, heavy=True),
            "eth_getCode": Method(self._code, 1, 1, heavy=True),
            "eth_getStorageAt": Method(self._storage, 2, 1, heavy=True),
            "eth_getTransactionCount": Method(self._transaction_count, 1, 1),
            "eth_getProof": Method(self._proof, 2, 1, heavy=True),
            "eth_call": Method(self._call, 1, 2, heavy=True),
            "eth_estimateGas": Method(self._estimate, 1, 2, heavy=True),
            "eth_sendRawTransaction": Method(self._send, 1),
            "eth_getBlockByNumber": Method(self._block_by_number, 1, 1, heavy=True),
            "eth_getBlockByHash": Method(self._block_by_hash, 1, 1, heavy=True),
            "eth_getBlockReceipts": Method(self._block_receipts, 1, heavy=True),
            "eth_getBlockTransactionCountByNumber": Method(self._count_by_number, 1),
            "eth_getBlockTransactionCountByHash": Method(self._count_by_hash, 1),
            "eth_getUncleCountByBlockNumber": Method(
                lambda name: None if self._chain.find_header(read.block_name(name)) is None else "0x0", 1
            ),
            "eth_getUncleCountByBlockHash": Method(
                lambda name: None if self._chain.find_header(_block_hash(name)) is None else "0x0", 1
            ),
            "eth_getTransactionByHash": Method(self._transaction_by_hash, 1),
            "eth_getTransactionByBlockNumberAndIndex": Method(self._transaction_by_number, 2, heavy=True),
            "eth_getTransactionByBlockHashAndIndex": Method(self._transaction_by_block_hash, 2, heavy=True),
            "eth_getTransactionReceipt": Method(self._receipt, 1, heavy=True),
            "eth_getLogs": Method(lambda value: self._chain.logs(read.log_filter(value)), 1, heavy=True),
            "eth_newFilter": Method(lambda value: self._filters.add_log_filter(read.log_filter(value)), 1),
            "eth_newBlockFilter": Method(self._filters.add_block_filter),
            "eth_newPendingTransactionFilter": Method(self._filters.add_transaction_filter),
            "eth_getFilterChanges": Method(lambda key: self._filters.changes(_text(key)), 1),
            "eth_getFilterLogs": Method(lambda key: self._filters.logs(_text(key)), 1),
            "eth_uninstallFilter": Method(lambda key: self._filters.remove(_text(key)), 1),
            "piebridge_cometbftHeight": Method(self._cometbft_height, 1),
        }

    # State

    def _balance(self, address: object, block: object = "latest") -> str:
        return hex(self._chain.reader(read.block_name(block)).account(read.address(address)).balance)

    def _code(self, address: object, block: object = "latest") -> str:
        return hexadecimal(self._chain.reader(read.block_name(block)).code(read.address(address)))

    def _storage(self, address: object, slot: object, block: object = "latest") -> str:
        reader = self._chain.reader(read.block_name(block))
        return f"0x{reader.storage(read.address(address), read.quantity(slot, 'slot')):064x}"

    def _transaction_count(self, address: object, block: object = "latest") -> str:
        name, sender = read.block_name(block), read.address(address)
        if name == "pending":
            return hex(self._chain.app.pending.next_nonce(sender))
        return hex(self._chain.reader(name).account(sender).nonce)

    def _proof(self, address: object, keys: object, block: object = "latest") -> Document:
        account, slots = read.address(address), read.storage_keys(keys)
        proof = self._chain.reader(read.block_name(block)).proof(account, [slot for _, slot in slots])
        return proof_document(account, [text for text, _ in slots], proof)

    # Simulation

    def _call(self, call: object, block: object = "latest", overrides: object = None) -> str:
        request = self._chain.call_request(read.call(call), self._call_gas_max)
        view = self._chain.view(read.block_name(block))
        try:
            result = self._chain.simulation(view, read.overrides(overrides)).run(request)
        except InvalidTransaction as invalid:
            raise RpcError(SERVER_ERROR, f"err: {invalid}") from invalid
        if not result.succeeded:
            raise _failure(result)
        return hexadecimal(result.output)

    def _estimate(self, call: object, block: object = "pending", overrides: object = None) -> str:
        request = self._chain.call_request(read.call(call), self._call_gas_max)
        simulation = self._chain.simulation(self._chain.view(read.block_name(block)), read.overrides(overrides))
        if request.gas_price:
            spendable = simulation.balance(request.sender) - request.value
            request = replace(request, gas_limit=min(request.gas_limit, max(spendable, 0) // request.gas_price))
        try:
            return hex(estimate_gas(simulation, request))
        except InvalidTransaction as invalid:
            raise RpcError(SERVER_ERROR, str(invalid)) from invalid
        except EstimationFailed as failed:
            if failed.result.out_of_gas:
                raise RpcError(SERVER_ERROR, f"gas required exceeds allowance ({request.gas_limit})") from failed
            raise _failure(failed.result) from failed

    # Transactions

    async def _send(self, raw: object) -> str:
        encoded = read.data(raw, "transaction")
        try:
            transaction = self._chain.app.decoder.decode(encoded)
        except InvalidTransaction as invalid:
            raise RpcError(SERVER_ERROR, str(invalid)) from invalid
        if self._chain.app.database.transaction_position(transaction.hash) is not None:
            raise RpcError(SERVER_ERROR, "already known")
        result = await self._broadcast(encoded)
        if result.code:
            raise RpcError(SERVER_ERROR, result.log or f"refused by the mempool with code {result.code}")
        return hexadecimal(transaction.hash)

    def _transaction_by_hash(self, value: object) -> Document | None:
        transaction_hash = _transaction_hash(value)
        position = self._chain.app.database.transaction_position(transaction_hash)
        if position is not None:
            return self._transaction(self._chain.header(position[0]), position[1])
        waiting = self._chain.app.pending.get(transaction_hash)
        return None if waiting is None else transaction_document(waiting, None, None)

    def _transaction_by_number(self, block: object, index: object) -> Document | None:
        return self._transaction(self._chain.find_header(read.block_name(block)), read.quantity(index, "index"))

    def _transaction_by_block_hash(self, block: object, index: object) -> Document | None:
        return self._transaction(self._chain.find_header(_block_hash(block)), read.quantity(index, "index"))

    def _transaction(self, header: EvmHeader | None, index: int) -> Document | None:
        transaction = None if header is None else self._chain.transaction(header, index)
        return None if transaction is None else transaction_document(transaction, header, index)

    def _receipt(self, value: object) -> Document | None:
        position = self._chain.app.database.transaction_position(_transaction_hash(value))
        if position is None:
            return None
        header = self._chain.header(position[0])
        transaction = self._chain.transaction(header, position[1])
        assert transaction is not None, "the index names a transaction that its block has"
        outcomes = self._chain.app.database.outcomes(header.number)
        return receipt_document(header, transaction, outcomes, position[1])

    # Blocks

    def _block_by_number(self, block: object, full: object = False) -> Document | None:
        name, with_transactions = read.block_name(block), read.boolean(full, "full transactions")
        if name == "pending":
            return self._pending_block(full=with_transactions)
        return self._block(self._chain.find_header(name), full=with_transactions)

    def _block_by_hash(self, block: object, full: object = False) -> Document | None:
        return self._block(self._chain.find_header(_block_hash(block)), full=read.boolean(full, "full transactions"))

    def _block(self, header: EvmHeader | None, *, full: bool) -> Document | None:
        if header is None:
            return None
        raws = self._chain.app.database.raw_transactions(header.number)
        transactions: list[Any] = (
            [transaction_document(item, header, index) for index, item in enumerate(self._chain.transactions(header))]
            if full
            else [hexadecimal(keccak256(raw)) for raw in raws]
        )
        return block_document(header, raws, transactions)

    def _pending_block(self, *, full: bool) -> Document:
        """The block that would follow, with what waits at this node. Its hash, roots and bloom do not exist yet."""
        head = self._chain.head.header
        waiting = self._chain.app.pending.all()
        transactions: list[Any] = [
            transaction_document(transaction, None, None) if full else hexadecimal(transaction.hash)
            for transaction in waiting
        ]
        draft = replace(
            head,
            parent_hash=head.hash,
            number=head.number + 1,
            timestamp=head.timestamp + 1,
            base_fee_per_gas=next_base_fee(head),
            gas_used=0,
            extra_data=b"",
        )
        return block_document(draft, (), transactions) | {"hash": None, "nonce": None, "miner": None}

    def _block_receipts(self, block: object) -> list[Document] | None:
        header = self._chain.find_header(_name_or_hash(block))
        return None if header is None else self._receipts(header)

    def _receipts(self, header: EvmHeader) -> list[Document]:
        outcomes = self._chain.app.database.outcomes(header.number)
        return [
            receipt_document(header, transaction, outcomes, index)
            for index, transaction in enumerate(self._chain.transactions(header))
        ]

    def _count_by_number(self, block: object) -> str | None:
        name = read.block_name(block)
        if name == "pending":
            return hex(len(self._chain.app.pending.all()))
        return self._count(self._chain.find_header(name))

    def _count_by_hash(self, block: object) -> str | None:
        return self._count(self._chain.find_header(_block_hash(block)))

    def _count(self, header: EvmHeader | None) -> str | None:
        return None if header is None else hex(len(self._chain.app.database.raw_transactions(header.number)))

    def _fee_history(self, count: object, newest: object, percentiles: object = None) -> Document:
        wanted = count if isinstance(count, int) and not isinstance(count, bool) else read.quantity(count, "blocks")
        if wanted < 1:
            raise invalid_params("block count must be positive")
        return fee_history(self._chain, wanted, read.block_name(newest), read.percentiles(percentiles))

    def _cometbft_height(self, number: object) -> str:
        """Height of the CometBFT block that carried an EVM block; the header of the next height has its hash."""
        name = read.block_name(number)
        header = self._chain.header(name)
        height = self._chain.app.database.cometbft_height(header.number)
        assert height is not None, f"EVM block {header.number} has no CometBFT height"
        return hex(height)


def subscription_transaction(transaction: SignedTransaction, *, full: bool) -> Document | str:
    """What the ``newPendingTransactions`` subscription sends."""
    return transaction_document(transaction, None, None) if full else hexadecimal(transaction.hash)


def _failure(result: CallResult) -> RpcError:
    if not result.reverted:
        return RpcError(SERVER_ERROR, result.error)
    reason = _revert_reason(result.output)
    message = f"execution reverted: {reason}" if reason else "execution reverted"
    return RpcError(EXECUTION_REVERTED, message, hexadecimal(result.output))


def _revert_reason(output: bytes) -> str:
    """Text of Solidity's Error(string) and Panic(uint256); empty for other revert data."""
    try:
        if output[:4] == _ERROR_SELECTOR:
            return str(decode_abi(["string"], output[4:])[0])
        if output[:4] == _PANIC_SELECTOR:
            return f"panic code 0x{decode_abi(['uint256'], output[4:])[0]:02x}"
    except (AbiDecodingError, OverflowError, UnicodeDecodeError):
        pass  # a contract may revert with any bytes: those that only look like a reason have none
    return ""


def _name_or_hash(value: object) -> read.BlockName:
    """eth_getBlockReceipts takes a number, a tag or a hash in one parameter."""
    if isinstance(value, str) and len(value) == 66:
        return _block_hash(value)
    return read.block_name(value)


def _block_hash(value: object) -> bytes:
    return read.data(value, "block hash", 32)


def _transaction_hash(value: object) -> bytes:
    return read.data(value, "transaction hash", 32)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise invalid_params("filter id must be a string")
    return value
