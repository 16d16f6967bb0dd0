"""A source chain in the form that a relay chain sees it: EVM state in real tries under byte-exact CometBFT headers.

There is no EVM here: whoever uses it writes storage slots of one account, closes blocks, and asks for header updates
and storage proofs. Everything is deterministic in its arguments.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import rlp  # type: ignore[import-untyped]
from trie.hexary import HexaryTrie

from piebridge.cometbft.block import consensus_params_hash, data_hash, evidence_hash, results_hash
from piebridge.cometbft.commit import BlockId, BlockIdFlag, Commit, CommitSig, PartSetHeader
from piebridge.cometbft.header import Header, Version
from piebridge.cometbft.keys import SECP256K1_ETH, PublicKey
from piebridge.cometbft.validator_set import Validator, ValidatorSet
from piebridge.cometbft.verification import minimal_commit
from piebridge.cometbft.vote import commit_sign_bytes
from piebridge.crypto.hash import keccak256, sha256
from piebridge.crypto.patricia import EMPTY_CODE_HASH
from piebridge.crypto.signature import public_key_of, sign_secp256k1eth
from piebridge.protocol_stack.authentication import SlotProof, SpvAuthentication
from piebridge.protocol_stack.relay_messages import LightBlock
from piebridge.protocol_stack.verification.light_clients.cometbft import ConsensusState

NANOSECONDS = 1_000_000_000
GENESIS_TIME_SECONDS = 1_700_000_000


def private_key(name: str) -> bytes:
    """Derive a key for tests from a name."""
    return sha256(b"testkit key " + name.encode())


@dataclass(slots=True)
class EvmBlock:
    """A closed block with the state that its proofs need."""

    number: int
    header: bytes
    state: HexaryTrie
    storage: HexaryTrie
    values: dict[bytes, int]
    time_seconds: int

    @property
    def hash(self) -> bytes:
        return keccak256(self.header)


@dataclass(slots=True)
class LightBlockData:
    """What a header update is made of."""

    header: Header
    commit: Commit
    validators: ValidatorSet


@dataclass(slots=True)
class SourceChain:
    """A CometBFT chain whose application is an EVM with one contract's storage."""

    name: str
    contract: bytes
    validator_count: int = 4
    now_seconds: int = GENESIS_TIME_SECONDS
    storage: dict[bytes, int] = field(default_factory=dict)
    blocks: list[EvmBlock] = field(default_factory=list)
    light_blocks: dict[int, LightBlockData] = field(default_factory=dict)
    powers: dict[str, int] = field(default_factory=dict)
    retired: list[str] = field(default_factory=list)
    _sets: dict[bytes, ValidatorSet] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.powers = {f"{self.name} validator {i}": 1 for i in range(self.validator_count)}
        self.close_block()

    # --- state ---

    def write(self, slot: bytes, value: int) -> None:
        """Change a storage slot in the block that is being made."""
        self.storage[slot] = value

    def read(self, slot: bytes) -> int:
        return self.storage.get(slot, 0)

    @property
    def next_number(self) -> int:
        """Number of the EVM block that is being made."""
        return len(self.blocks)

    @property
    def height(self) -> int:
        """Newest CometBFT height; its header carries the hash of the newest EVM block."""
        return len(self.blocks) + 1

    def close_block(self, seconds: int = 1) -> EvmBlock:
        """Close the EVM block and the CometBFT header after it."""
        self.now_seconds += seconds
        storage = HexaryTrie({})
        for slot, value in self.storage.items():
            if value:
                storage[keccak256(slot)] = rlp.encode(value)
        state = HexaryTrie({})
        state[keccak256(self.contract)] = rlp.encode([1, 0, storage.root_hash, EMPTY_CODE_HASH])
        state[keccak256(b"another account 0000")] = rlp.encode([7, 10**18, HexaryTrie({}).root_hash, EMPTY_CODE_HASH])
        parent = self.blocks[-1].hash if self.blocks else bytes(32)
        number = len(self.blocks)
        header = evm_header(parent, state.root_hash, number, self.now_seconds)
        block = EvmBlock(number, header, state, storage, dict(self.storage), self.now_seconds)
        self.blocks.append(block)
        self._sign_header(number + 2, block.hash)
        return block

    def _members(self) -> ValidatorSet:
        return ValidatorSet.ordered(
            Validator(PublicKey(SECP256K1_ETH, public_key_of(private_key(name))), power)
            for name, power in self.powers.items()
            if power
        )

    def _sign_header(self, height: int, app_hash: bytes) -> None:
        # Whoever changes ``powers`` changes the set that the header made next announces.
        header = self.header_at(height, app_hash, self.now_seconds * NANOSECONDS, next_validators=self._members())
        self.light_blocks[height] = self.signed(header)

    def header_at(
        self,
        height: int,
        app_hash: bytes,
        time_ns: int,
        next_validators: ValidatorSet,
    ) -> Header:
        previous = self.light_blocks.get(height - 1)
        validators = next_validators if previous is None else self._sets[previous.header.next_validators_hash]
        return Header(
            version=Version(),
            chain_id=self.chain_id,
            height=height,
            time_ns=time_ns,
            last_block_id=BlockId() if previous is None else previous.commit.block_id,
            last_commit_hash=sha256(b"") if previous is None else previous.commit.hash(),
            data_hash=data_hash([]),
            validators_hash=validators.hash(),
            next_validators_hash=next_validators.hash(),
            consensus_hash=consensus_params_hash(4_194_304, -1),
            app_hash=app_hash,
            last_results_hash=results_hash([]),
            evidence_hash=evidence_hash([]),
            proposer_address=validators.validators[0].address,
        )

    def signed(self, header: Header) -> LightBlockData:
        """Sign a header with all keys of its validators."""
        members = self._members()
        self._sets.setdefault(members.hash(), members)
        validators = self._sets[header.validators_hash]
        keys = {
            PublicKey(SECP256K1_ETH, public_key_of(private_key(name))).address: private_key(name)
            for name in (*self.powers, *self.retired)
        }
        block_id = BlockId(header.hash(), PartSetHeader(1, sha256(header.hash())))
        unsigned = Commit(
            header.height,
            0,
            block_id,
            tuple(
                CommitSig(BlockIdFlag.COMMIT, v.address, header.time_ns + 1 + i, bytes(65))
                for i, v in enumerate(validators.validators)
            ),
        )
        signatures = tuple(
            replace(
                signature,
                signature=sign_secp256k1eth(
                    commit_sign_bytes(self.chain_id, unsigned, i), keys[signature.validator_address]
                ),
            )
            for i, signature in enumerate(unsigned.signatures)
        )
        return LightBlockData(header, replace(unsigned, signatures=signatures), validators)

    @property
    def chain_id(self) -> str:
        return f"evm-{self.name}"

    # --- proofs ---

    def consensus_state(self, height: int) -> ConsensusState:
        """What a client trusts of a height."""
        header = self.light_blocks[height].header
        return ConsensusState(height, header.hash(), header.time_ns, header.app_hash, header.next_validators_hash)

    def update(self, trusted_height: int, height: int) -> LightBlock:
        """Build the update of a client from a trusted height."""
        return self.update_to(trusted_height, self.light_blocks[height])

    def update_to(self, trusted_height: int, block: LightBlockData) -> LightBlock:
        """Build the update of a client to any light block."""
        adjacent = block.header.height == trusted_height + 1
        trusted_set = self._sets[self.light_blocks[trusted_height].header.next_validators_hash]
        return LightBlock(
            trusted_height=trusted_height,
            header=block.header.encode(),
            commit=minimal_commit(block.validators, block.commit).encode(),
            validator_set=block.validators.encode(),
            trusted_validator_set=b"" if adjacent else trusted_set.encode(),
        )

    def block_at(self, height: int) -> EvmBlock:
        """EVM block whose hash the header of a CometBFT height carries."""
        return self.blocks[height - 2]

    def prove(self, slots: Sequence[bytes], height: int) -> SpvAuthentication:
        """Prove storage slots under the header of a CometBFT height."""
        block = self.block_at(height)
        return SpvAuthentication(
            client_height=height,
            block_header=block.header,
            account_proof=_nodes(block.state, keccak256(self.contract)),
            slots=tuple(SlotProof(slot, _nodes(block.storage, keccak256(slot))) for slot in sorted(slots)),
        )


def _nodes(trie: HexaryTrie, hashed_key: bytes) -> tuple[bytes, ...]:
    if trie.root_hash == HexaryTrie({}).root_hash:
        return ()
    encoded = [rlp.encode(node) for node in trie.get_proof(hashed_key)]  # type: ignore[no-untyped-call]
    # Nodes below 32 bytes stand inside their parent.
    return tuple(node for index, node in enumerate(encoded) if (index == 0 or len(node) >= 32) and node != b"\x80")


def evm_header(parent: bytes, state_root: bytes, number: int, time_seconds: int) -> bytes:
    """Encode a Prague header (21 fields)."""
    fields: list[bytes | int] = [
        parent,
        keccak256(rlp.encode([])),
        bytes(20),
        state_root,
        keccak256(b"\x80"),
        keccak256(b"\x80"),
        bytes(256),
        0,
        number,
        30_000_000,
        0,
        time_seconds,
        b"",
        bytes(32),
        bytes(8),
        7,
        keccak256(b"\x80"),
        0,
        0,
        bytes(32),
        sha256(b""),
    ]
    return bytes(rlp.encode(fields))
