"""Synthetic source chains for relay benchmarks: no EVM, but real headers, tries, signatures and proofs.

Everything that a relay chain checks is the real thing: CometBFT headers signed by four validators, an EVM header under
their app hash, Merkle-Patricia proofs of the hub's account and of its outbox head among many other slots.
"""

from dataclasses import dataclass, field

import rlp  # type: ignore[import-untyped]
from trie.hexary import HexaryTrie

from piebridge.crypto.hash import keccak256
from piebridge.crypto.patricia import EMPTY_CODE_HASH, EMPTY_TRIE_ROOT
from piebridge.crypto.signature import address_of_private_key, public_key_of, sign_recoverable
from piebridge.protocol_stack.governor_relay_bodies import (
    GatewayQuota,
    Gateways,
    Parameters,
    ValidatorKeys,
    ValidatorSet,
)
from piebridge.protocol_stack.receipts import Receipt, ReceiptBatch, ReceiptCode
from piebridge.protocol_stack.relay_genesis import RelayGenesis
from piebridge.protocol_stack.relay_messages import HubRange, TransactionBody, make_transaction
from piebridge.protocol_stack.transport.outbox import OutboxRange, ReceiptsEntry, open_hub_outbox
from testkit.hub_model import HubModel
from testkit.source_chain import NANOSECONDS, EvmBlock, SourceChain, evm_header, private_key

DOMAIN, RELAY = 1, 1
VALIDATORS = 4
FILLER_SLOTS = 2_000
"""Other slots in a hub's storage, so that proofs are as deep as those of a hub that has been used."""
FILLER_ACCOUNTS = 2_000
"""Other accounts of a chain, for the same reason."""
GATEWAY_KEY = private_key("bench gateway")


class DeepChain(SourceChain):
    """A source chain whose tries are kept from block to block and hold as much as those of a chain in use."""

    _nodes: dict[bytes, bytes]
    _storage: HexaryTrie
    _accounts: HexaryTrie
    _written: dict[bytes, int]

    def close_block(self, seconds: int = 1) -> EvmBlock:
        """Close the EVM block and the CometBFT header after it; only what has changed is written to the tries."""
        if not self.blocks:
            self._nodes, self._written = {}, {}
            self._storage, self._accounts = HexaryTrie(self._nodes), HexaryTrie(self._nodes)
            for index in range(FILLER_SLOTS):
                self._storage[keccak256(b"slot" + index.to_bytes(32, "big"))] = rlp.encode(index + 1)
            for index in range(FILLER_ACCOUNTS):
                account = rlp.encode([7, 10**18, EMPTY_TRIE_ROOT, EMPTY_CODE_HASH])
                self._accounts[keccak256(b"account" + index.to_bytes(4, "big"))] = account
        self.now_seconds += seconds
        for slot, value in self.storage.items():
            if self._written.get(slot) != value:
                self._storage[keccak256(slot)] = rlp.encode(value)
                self._written[slot] = value
        account = rlp.encode([1, 0, self._storage.root_hash, EMPTY_CODE_HASH])
        self._accounts[keccak256(self.contract)] = account
        number = len(self.blocks)
        parent = self.blocks[-1].hash if self.blocks else bytes(32)
        header = evm_header(parent, self._accounts.root_hash, number, self.now_seconds)
        state = HexaryTrie(self._nodes, self._accounts.root_hash)
        storage = HexaryTrie(self._nodes, self._storage.root_hash)
        block = EvmBlock(number, header, state, storage, {}, self.now_seconds)
        self.blocks.append(block)
        self._sign_header(number + 2, block.hash)
        return block


@dataclass(frozen=True, slots=True)
class RelayBlock:
    """Transactions that one block of the relay chain executes."""

    txs: tuple[bytes, ...]
    """Signed relay transactions, in order."""
    time_ns: int
    """Block time, nanoseconds since the Unix epoch."""
    packets: int
    """Packets in them."""
    receipts: int
    """Receipts in them."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A relay chain's whole life in a benchmark: the same bytes for every validator and every version of the code."""

    genesis: RelayGenesis
    """Genesis of the relay chain."""
    genesis_time_ns: int
    """Its time."""
    blocks: tuple[RelayBlock, ...]
    """Blocks from height 2 on; the first is empty."""

    @property
    def packets(self) -> int:
        """Packets in all blocks."""
        return sum(block.packets for block in self.blocks)


@dataclass(slots=True)
class WorkloadMaker:
    """Makes the blocks of a workload: in each, every source sends as many packets, to the others in turn."""

    sources: int = 4
    packets_per_range: int = 250
    body_bytes: int = 96
    with_receipts: bool = False
    hubs: list[HubModel] = field(init=False)
    _salt: int = 0
    _carried: dict[int, int] = field(default_factory=dict)
    _trusted: dict[int, int] = field(default_factory=dict)
    _unanswered: dict[int, list[bytes]] = field(default_factory=dict)
    _starts: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start the chains."""
        self.hubs = [
            HubModel(registration, domain=DOMAIN, relays=(RELAY,), chain_type=DeepChain)
            for registration in range(10, 10 + self.sources)
        ]
        self._trusted = {hub.registration: hub.chain.height for hub in self.hubs}

    def make(self, blocks: int) -> Workload:
        """Make a workload of so many blocks."""
        genesis = self._genesis()
        genesis_time_ns = (self.hubs[0].chain.now_seconds + 10) * NANOSECONDS
        made = tuple(self._block(2 + index, genesis_time_ns + (2 + index) * NANOSECONDS) for index in range(blocks))
        return Workload(genesis, genesis_time_ns, made)

    def _genesis(self) -> RelayGenesis:
        keys = tuple(
            ValidatorKeys(public_key_of(consensus_key(index)), address_of_private_key(endorsement_key(index)))
            for index in range(VALIDATORS)
        )
        gateway = GatewayQuota(address_of_private_key(GATEWAY_KEY), 1_000_000)
        return RelayGenesis(
            domain=DOMAIN,
            relay=RELAY,
            dev=False,
            governor_key=public_key_of(private_key("governor")),
            parameters=Parameters(max_body=8_192, retention_seconds=86_400, stranger_quota=20),
            validator_set=ValidatorSet(1, 2 * VALIDATORS // 3 + 1, keys),
            chains=tuple(hub.registration_message() for hub in self.hubs),
            gateways=Gateways((gateway,)),
        )

    def _block(self, height: int, time_ns: int) -> RelayBlock:
        txs: list[bytes] = []
        receipts = 0
        for position, hub in enumerate(self.hubs):
            if self.with_receipts and (ids := self._unanswered.pop(hub.registration, [])):
                batch = ReceiptBatch(RELAY, tuple(Receipt(item, ReceiptCode.EXECUTED) for item in ids))
                hub.append(0, ReceiptsEntry(hub.chain.next_number, batch))
                receipts += len(ids)
            for number in range(self.packets_per_range):
                other = self.hubs[(position + 1 + number % (len(self.hubs) - 1)) % len(self.hubs)]
                body = number.to_bytes(self.body_bytes, "big")
                packet = hub.send_free(other.registration, body, receipt_wanted=self.with_receipts)
                self._unanswered.setdefault(other.registration, []).append(packet.packet_id)
            hub.chain.close_block()
            txs += [self._sign(body, height) for body in self._carry(hub)]
        return RelayBlock(tuple(txs), time_ns, self.packets_per_range * len(self.hubs), receipts)

    def _carry(self, hub: HubModel) -> list[TransactionBody]:
        """Return header update and range of everything that the hub has made since the last time."""
        before = self._trusted[hub.registration]
        self._trusted[hub.registration] = hub.chain.height
        first = self._carried.get(hub.registration, 0) + 1
        entries = tuple(hub.log[0])
        start = self._start(hub)
        hub.log[0].clear()
        self._carried[hub.registration] = first + len(entries) - 1
        carried = OutboxRange(hub.maker, first, start, entries)
        return [hub.update_message(before), HubRange(hub.registration, 0, hub.head_proof(0), carried)]

    def _start(self, hub: HubModel) -> bytes:
        """Return the chain value before the entries that were not carried yet."""
        known = self._starts.get(hub.registration)
        self._starts[hub.registration] = hub.outboxes[0].value
        return known if known is not None else _opening(hub)

    def _sign(self, body: TransactionBody, height: int) -> bytes:
        self._salt += 1
        return make_transaction(
            body, DOMAIN, RELAY, height + 100, self._salt, lambda digest: sign_recoverable(digest, GATEWAY_KEY)
        ).encode()


def consensus_key(validator: int) -> bytes:
    """Return the consensus key of a validator."""
    return private_key(f"bench consensus {validator}")


def endorsement_key(validator: int) -> bytes:
    """Return the endorsement key of a validator."""
    return private_key(f"bench endorsement {validator}")


def _opening(hub: HubModel) -> bytes:
    return open_hub_outbox(hub.registration, hub.address, hub.domain, 0)
