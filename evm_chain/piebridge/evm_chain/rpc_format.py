"""Blocks, transactions, receipts, logs and proofs as the JSON that Ethereum clients expect."""

from collections.abc import Sequence
from typing import Any

from piebridge.evm_chain.block import Log, Outcome, block_size_bytes, logs_bloom
from piebridge.evm_chain.header import EvmHeader
from piebridge.evm_chain.state_reader import AccountProof
from piebridge.evm_chain.transaction import SignedTransaction, TransactionType

Document = dict[str, Any]
"""A JSON object."""


def hexadecimal(value: bytes) -> str:
    """Bytes as 0x and two digits for each."""
    return f"0x{value.hex()}"


def header_document(header: EvmHeader) -> Document:
    """Header fields, as the ``newHeads`` subscription sends them."""
    return {
        "number": hex(header.number),
        "hash": hexadecimal(header.hash),
        "parentHash": hexadecimal(header.parent_hash),
        "nonce": hexadecimal(header.nonce),
        "mixHash": hexadecimal(header.prev_randao),
        "sha3Uncles": hexadecimal(header.ommers_hash),
        "logsBloom": hexadecimal(header.logs_bloom),
        "transactionsRoot": hexadecimal(header.transactions_root),
        "stateRoot": hexadecimal(header.state_root),
        "receiptsRoot": hexadecimal(header.receipts_root),
        "miner": hexadecimal(header.fee_recipient),
        "difficulty": hex(header.difficulty),
        "extraData": hexadecimal(header.extra_data),
        "gasLimit": hex(header.gas_limit),
        "gasUsed": hex(header.gas_used),
        "timestamp": hex(header.timestamp),
        "baseFeePerGas": hex(header.base_fee_per_gas),
        "withdrawalsRoot": hexadecimal(header.withdrawals_root),
        "blobGasUsed": hex(header.blob_gas_used),
        "excessBlobGas": hex(header.excess_blob_gas),
        "parentBeaconBlockRoot": hexadecimal(header.parent_beacon_block_root),
        "requestsHash": hexadecimal(header.requests_hash),
    }


def block_document(header: EvmHeader, raws: Sequence[bytes], transactions: list[Any]) -> Document:
    """A block.

    Args:
        header: its header.
        raws: its transactions as they are encoded.
        transactions: the same as documents, or their hashes.
    """
    return header_document(header) | {
        "totalDifficulty": "0x0",
        "size": hex(block_size_bytes(header, raws)),
        "uncles": [],
        "withdrawals": [],
        "transactions": transactions,
    }


def transaction_document(transaction: SignedTransaction, header: EvmHeader | None, index: int | None) -> Document:
    """A transaction in a block, or a waiting one where header and index are None."""
    dynamic = transaction.type is TransactionType.DYNAMIC_FEE
    price = transaction.fee_per_gas_max if header is None else transaction.effective_gas_price(header.base_fee_per_gas)
    document: Document = {
        "hash": hexadecimal(transaction.hash),
        "type": hex(transaction.type),
        "chainId": hex(transaction.chain_id),
        "nonce": hex(transaction.nonce),
        "blockHash": None if header is None else hexadecimal(header.hash),
        "blockNumber": None if header is None else hex(header.number),
        "transactionIndex": None if index is None else hex(index),
        "from": hexadecimal(transaction.sender),
        "to": hexadecimal(transaction.to) if transaction.to else None,
        "value": hex(transaction.value),
        "gas": hex(transaction.gas_limit),
        "gasPrice": hex(price),
        "input": hexadecimal(transaction.data),
        "v": hex(transaction.v),
        "r": hex(transaction.r),
        "s": hex(transaction.s),
    }
    if dynamic:
        document["maxFeePerGas"] = hex(transaction.fee_per_gas_max)
        document["maxPriorityFeePerGas"] = hex(transaction.priority_fee_per_gas_max)
    if transaction.type is not TransactionType.LEGACY:
        document["yParity"] = hex(transaction.y_parity)
        document["accessList"] = [
            {"address": hexadecimal(address), "storageKeys": [f"0x{slot:064x}" for slot in slots]}
            for address, slots in transaction.access_list
        ]
    return document


def receipt_document(
    header: EvmHeader, transaction: SignedTransaction, outcomes: Sequence[Outcome], index: int
) -> Document:
    """Receipt of a block's transaction by its index, from the outcomes of the whole block."""
    outcome = outcomes[index]
    first_log_index = sum(len(before.logs) for before in outcomes[:index])
    return {
        "transactionHash": hexadecimal(transaction.hash),
        "transactionIndex": hex(index),
        "blockHash": hexadecimal(header.hash),
        "blockNumber": hex(header.number),
        "from": hexadecimal(outcome.sender),
        "to": hexadecimal(transaction.to) if transaction.to else None,
        "cumulativeGasUsed": hex(sum(before.gas_used for before in outcomes[: index + 1])),
        "gasUsed": hex(outcome.gas_used),
        "effectiveGasPrice": hex(outcome.effective_gas_price),
        "contractAddress": hexadecimal(outcome.contract_address) if outcome.contract_address else None,
        "logs": [
            log_document(log, header, transaction.hash, index, first_log_index + offset)
            for offset, log in enumerate(outcome.logs)
        ],
        "logsBloom": hexadecimal(logs_bloom(outcome.logs)),
        "type": hex(transaction.type),
        "status": "0x1" if outcome.succeeded else "0x0",
    }


def log_document(
    log: Log, header: EvmHeader, transaction_hash: bytes, transaction_index: int, log_index: int
) -> Document:
    """A log with its place in the chain. ``log_index`` counts through the block."""
    return {
        "address": hexadecimal(log.address),
        "topics": [hexadecimal(topic) for topic in log.topics],
        "data": hexadecimal(log.data),
        "blockHash": hexadecimal(header.hash),
        "blockNumber": hex(header.number),
        "blockTimestamp": hex(header.timestamp),
        "transactionHash": hexadecimal(transaction_hash),
        "transactionIndex": hex(transaction_index),
        "logIndex": hex(log_index),
        "removed": False,
    }


def block_logs(
    header: EvmHeader, transaction_hashes: Sequence[bytes], outcomes: Sequence[Outcome]
) -> list[tuple[Log, Document]]:
    """All logs of a block, each with its document."""
    found: list[tuple[Log, Document]] = []
    for index, (transaction_hash, outcome) in enumerate(zip(transaction_hashes, outcomes, strict=True)):
        first = len(found)
        found += [
            (log, log_document(log, header, transaction_hash, index, first + offset))
            for offset, log in enumerate(outcome.logs)
        ]
    return found


def proof_document(address: bytes, keys: Sequence[str], proof: AccountProof) -> Document:
    """EIP-1186 answer. ``keys`` are the slots as they were asked."""
    account = proof.account
    return {
        "address": hexadecimal(address),
        "balance": hex(account.balance),
        "nonce": hex(account.nonce),
        "codeHash": hexadecimal(account.code_hash),
        "storageHash": hexadecimal(account.storage_root),
        "accountProof": [hexadecimal(node) for node in proof.nodes],
        "storageProof": [
            {"key": key, "value": hex(entry.value), "proof": [hexadecimal(node) for node in entry.nodes]}
            for key, entry in zip(keys, proof.storage, strict=True)
        ],
    }
