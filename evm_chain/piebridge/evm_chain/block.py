"""What a block holds besides its header: logs, outcomes of transactions, their roots, their stored form."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_bloom.bloom import BloomFilter
from trie.hexary import HexaryTrie

from piebridge.crypto.errors import DecodingError
from piebridge.crypto.hash import keccak256
from piebridge.evm_chain.header import EvmHeader
from piebridge.evm_chain.transaction import SignedTransaction, TransactionType

_RLP_LIST = 0xC0
"""First byte of a legacy transaction is at least this, of a typed one below."""


@dataclass(frozen=True, slots=True)
class Log:
    """An event of a contract."""

    address: bytes
    """Emitting contract, 20 bytes."""
    topics: tuple[bytes, ...]
    """Up to four, 32 bytes each."""
    data: bytes
    """Unindexed part, ABI encoded."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of an included transaction; everything of its receipt that does not follow from the transaction."""

    succeeded: bool
    """False where execution reverted or ran out of gas; fee and nonce are used all the same."""
    gas_used: int
    """Gas of this transaction alone, after refunds and EIP-7623's floor."""
    effective_gas_price: int
    """Wei per gas that the sender paid."""
    sender: bytes
    """20 bytes."""
    contract_address: bytes
    """Created contract, 20 bytes; empty where none was created."""
    logs: tuple[Log, ...]
    """In order of emission; empty where execution failed."""
    output: bytes = b""
    """Return or revert data. Not stored, not part of any hash."""


@dataclass(frozen=True, slots=True)
class EvmBlock:
    """A block with its transactions and outcomes."""

    header: EvmHeader
    """Header."""
    transactions: tuple[SignedTransaction, ...]
    """Included transactions."""
    outcomes: tuple[Outcome, ...]
    """One for each transaction."""
    cometbft_height: int
    """Height of the CometBFT block that carried it. The header of the next height has this block's hash as app hash."""


def logs_bloom(logs: Iterable[Log]) -> bytes:
    """Bloom filter over addresses and topics, 256 bytes."""
    bloom = BloomFilter.from_iterable(item for log in logs for item in (log.address, *log.topics))
    return int(bloom).to_bytes(256, "big")


def encode_receipt(kind: TransactionType, outcome: Outcome, cumulative_gas_used: int) -> bytes:
    """Receipt as it stands in the receipts trie (EIP-658, EIP-2718)."""
    body = rlp.encode(
        [
            b"\x01" if outcome.succeeded else b"",
            cumulative_gas_used,
            logs_bloom(outcome.logs),
            [_log_fields(log) for log in outcome.logs],
        ]
    )
    return bytes(body) if kind is TransactionType.LEGACY else bytes([kind]) + bytes(body)


def receipts_root(transactions: Sequence[SignedTransaction], outcomes: Sequence[Outcome]) -> bytes:
    """Root of the receipts trie, 32 bytes."""
    receipts = []
    cumulative = 0
    for transaction, outcome in zip(transactions, outcomes, strict=True):
        cumulative += outcome.gas_used
        receipts.append(encode_receipt(transaction.type, outcome, cumulative))
    return ordered_trie_root(receipts)


def transactions_root(transactions: Sequence[SignedTransaction]) -> bytes:
    """Root of the transactions trie, 32 bytes."""
    return ordered_trie_root([transaction.raw for transaction in transactions])


def ordered_trie_root(items: Sequence[bytes]) -> bytes:
    """Root of the Merkle-Patricia trie from RLP of the index to item, 32 bytes."""
    trie = HexaryTrie({})
    with trie.squash_changes() as batch:
        for index, item in enumerate(items):
            batch[rlp.encode(index)] = item
    return bytes(trie.root_hash)


def encode_outcomes(outcomes: Sequence[Outcome]) -> bytes:
    """Bytes in which the outcomes of a block are stored."""
    return bytes(
        rlp.encode(
            [
                [
                    b"\x01" if outcome.succeeded else b"",
                    outcome.gas_used,
                    outcome.effective_gas_price,
                    outcome.sender,
                    outcome.contract_address,
                    [_log_fields(log) for log in outcome.logs],
                ]
                for outcome in outcomes
            ]
        )
    )


def decode_outcomes(encoded: bytes) -> tuple[Outcome, ...]:
    """Read what ``encode_outcomes`` wrote.

    Raises:
        DecodingError: the stored bytes are damaged.
    """
    try:
        return tuple(_outcome(item) for item in rlp.decode(encoded))
    except (rlp.exceptions.RLPException, ValueError, TypeError) as error:
        raise DecodingError(f"stored outcomes are damaged: {error}") from error


def block_size_bytes(header: EvmHeader, raws: Sequence[bytes]) -> int:
    """Length of the block's RLP as Ethereum's network protocol would carry it; ``raws`` are its transactions."""
    bodies = [rlp.decode(raw) if raw[0] >= _RLP_LIST else raw for raw in raws]
    return len(rlp.encode([rlp.decode(header.encode()), bodies, [], []]))


def create_address(sender: bytes, nonce: int) -> bytes:
    """Address of the contract that a creating transaction makes, 20 bytes."""
    return bytes(keccak256(rlp.encode([sender, nonce]))[12:])


def _log_fields(log: Log) -> list[Any]:
    return [log.address, list(log.topics), log.data]


def _outcome(item: list[Any]) -> Outcome:
    succeeded, gas_used, price, sender, contract_address, logs = item
    return Outcome(
        succeeded=succeeded == b"\x01",
        gas_used=int.from_bytes(gas_used, "big"),
        effective_gas_price=int.from_bytes(price, "big"),
        sender=sender,
        contract_address=contract_address,
        logs=tuple(Log(address, tuple(topics), data) for address, topics, data in logs),
    )
