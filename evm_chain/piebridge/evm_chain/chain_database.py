"""The chain in a key-value store: head, headers, transactions, outcomes, indexes, trie nodes.

Keys are one byte of kind and what identifies the entry; numbers are 8 bytes big endian, so that they sort:

====  ==========================  ==================================================================
kind  key                         value
====  ==========================  ==================================================================
H     number                      RLP of the header
X     number                      RLP list of the raw transactions
R     number                      outcomes (``block.encode_outcomes``)
C     number                      CometBFT height
B     block hash                  number
T     transaction hash            number, index in the block (4 bytes)
A     address, number             empty: the block has a log of that contract
P     topic, number               empty: the block has a log with that topic
N     node or code hash           trie node or contract code
M     "genesis"                   application state of the genesis document
M     "chain"                     CometBFT chain id, UTF-8
M     "head"                      CometBFT height of the last Commit, number of the last EVM block
====  ==========================  ==================================================================
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import rlp  # type: ignore[import-untyped]

from piebridge.evm_chain.block import EvmBlock, Outcome, decode_outcomes, encode_outcomes
from piebridge.evm_chain.header import EvmHeader, decode_header
from piebridge.evm_chain.store import KeyValueStore

_HEAD = b"Mhead"
_GENESIS = b"Mgenesis"
_CHAIN = b"Mchain"


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The newest committed state; replaced as a whole at each Commit."""

    cometbft_height: int
    """Height of the last Commit; 0 before the first."""
    header: EvmHeader
    """Header of the last EVM block at that height."""
    block_hash: bytes
    """Its hash, which is the app hash."""


class ChainDatabase:
    """Typed access to the committed chain. Reading is safe from any thread."""

    def __init__(self, store: KeyValueStore) -> None:
        """Read the head from a store, which may be empty."""
        self._store = store
        self._head = self._load_head()

    @property
    def head(self) -> ChainHead | None:
        """Newest committed state; None before ``write_genesis``."""
        return self._head

    @property
    def genesis_state(self) -> bytes | None:
        """Application state of the genesis document; None before ``write_genesis``."""
        return self._store.get(_GENESIS)

    @property
    def cometbft_chain_id(self) -> str | None:
        """Chain id of the genesis document; None before ``write_genesis``."""
        stored = self._store.get(_CHAIN)
        return None if stored is None else stored.decode()

    def node(self, node_hash: bytes) -> bytes | None:
        """Trie node or contract code by its hash."""
        return self._store.get(b"N" + node_hash)

    def header(self, number: int) -> EvmHeader | None:
        """Header by EVM number."""
        encoded = self._store.get(b"H" + _number(number))
        return None if encoded is None else decode_header(encoded)

    def number_of_hash(self, block_hash: bytes) -> int | None:
        """EVM number of a block hash."""
        return _optional_integer(self._store.get(b"B" + block_hash))

    def raw_transactions(self, number: int) -> tuple[bytes, ...]:
        """Encoded transactions of a block that exists."""
        encoded = self._store.get(b"X" + _number(number))
        return () if encoded is None else tuple(rlp.decode(encoded))

    def outcomes(self, number: int) -> tuple[Outcome, ...]:
        """Outcomes of a block's transactions."""
        encoded = self._store.get(b"R" + _number(number))
        return () if encoded is None else decode_outcomes(encoded)

    def transaction_position(self, transaction_hash: bytes) -> tuple[int, int] | None:
        """EVM number and index of an included transaction."""
        position = self._store.get(b"T" + transaction_hash)
        if position is None:
            return None
        number, index = int.from_bytes(position[:8], "big"), int.from_bytes(position[8:], "big")
        # A reader on another thread may see what the store has written just before the head moves to it.
        head = self._head
        return None if head is None or number > head.header.number else (number, index)

    def cometbft_height(self, number: int) -> int | None:
        """Height of the CometBFT block that carried an EVM block."""
        return _optional_integer(self._store.get(b"C" + _number(number)))

    def number_at_cometbft_height(self, height: int) -> int | None:
        """Number of the newest EVM block at a committed CometBFT height; its hash is the app hash of ``height + 1``.

        None where the height is not committed yet.
        """
        head = self._head
        if head is None or not 0 <= height <= head.cometbft_height:
            return None
        low, high = 0, head.header.number
        while low < high:
            middle = (low + high + 1) // 2
            carried = self.cometbft_height(middle)
            assert carried is not None, f"EVM block {middle} has no CometBFT height"
            low, high = (middle, high) if carried <= height else (low, middle - 1)
        return low

    def blocks_with_log(self, address_or_topic: bytes, first: int, last: int) -> Iterator[int]:
        """Numbers of the blocks in ``first..last`` with a log of an address (20 bytes) or topic (32), ascending."""
        prefix = _log_key(address_or_topic)
        for key in self._store.keys(prefix + _number(first), prefix):
            number = int.from_bytes(key[len(prefix) :], "big")
            if number > last:
                return
            yield number

    def has_log(self, address_or_topic: bytes, number: int) -> bool:
        """Whether a block has a log of an address (20 bytes) or topic (32)."""
        return self._store.get(_log_key(address_or_topic) + _number(number)) is not None

    def ancestor_hashes(self, number: int) -> Iterator[bytes]:
        """Hashes of block ``number`` and its ancestors, newest first (BLOCKHASH)."""
        while number >= 0:
            header = self.header(number)
            if header is None:
                return
            yield header.hash
            number -= 1

    def write_genesis(
        self, block: EvmBlock, nodes: Mapping[bytes, bytes], genesis_state: bytes, cometbft_chain_id: str
    ) -> None:
        """Store block 0. The head stays at height 0, so InitChain may come again."""
        entries = self._block_entries(block, nodes)
        entries[_GENESIS] = genesis_state
        entries[_CHAIN] = cometbft_chain_id.encode()
        self._write_with_head(entries, 0, block.header)

    def commit(self, height: int, block: EvmBlock | None, nodes: Mapping[bytes, bytes]) -> ChainHead:
        """Store what one CometBFT block did, atomically and durably, and move the head.

        Args:
            height: CometBFT height.
            block: EVM block that it carried, if any.
            nodes: new trie nodes and codes by hash.
        """
        assert self._head is not None, "commit before genesis"
        entries = {} if block is None else self._block_entries(block, nodes)
        return self._write_with_head(entries, height, self._head.header if block is None else block.header)

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _write_with_head(self, entries: dict[bytes, bytes], height: int, header: EvmHeader) -> ChainHead:
        entries[_HEAD] = _number(height) + _number(header.number)
        self._store.write(entries)
        self._head = ChainHead(height, header, header.hash)
        return self._head

    def _block_entries(self, block: EvmBlock, nodes: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        number = _number(block.header.number)
        entries = {b"N" + node_hash: node for node_hash, node in nodes.items()}
        entries[b"H" + number] = block.header.encode()
        entries[b"X" + number] = rlp.encode([transaction.raw for transaction in block.transactions])
        entries[b"R" + number] = encode_outcomes(block.outcomes)
        entries[b"C" + number] = _number(block.cometbft_height)
        entries[b"B" + block.header.hash] = number
        for index, transaction in enumerate(block.transactions):
            entries[b"T" + transaction.hash] = number + index.to_bytes(4, "big")
        for outcome in block.outcomes:
            for log in outcome.logs:
                for item in (log.address, *log.topics):
                    entries[_log_key(item) + number] = b""
        return entries

    def _load_head(self) -> ChainHead | None:
        stored = self._store.get(_HEAD)
        if stored is None:
            return None
        header = self.header(int.from_bytes(stored[8:], "big"))
        assert header is not None, "the head names a block that is not stored"
        return ChainHead(int.from_bytes(stored[:8], "big"), header, header.hash)


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _log_key(address_or_topic: bytes) -> bytes:
    return (b"A" if len(address_or_topic) == 20 else b"P") + address_or_topic


def _optional_integer(stored: bytes | None) -> int | None:
    return None if stored is None else int.from_bytes(stored, "big")
