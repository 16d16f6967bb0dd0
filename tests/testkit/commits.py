"""Blocks of a relay chain that its validators have really signed: header, commit, and the state that they prove."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from piebridge.cometbft.commit import BlockId, BlockIdFlag, Commit, CommitSig, PartSetHeader
from piebridge.cometbft.header import Header, Version
from piebridge.cometbft.keys import SECP256K1_ETH, PublicKey
from piebridge.cometbft.validator_set import Validator, ValidatorSet
from piebridge.cometbft.verification import SignedHeader
from piebridge.cometbft.vote import VoteType, vote_sign_bytes
from piebridge.crypto import simple_map
from piebridge.crypto.hash import sha256
from piebridge.crypto.signature import public_key_of, sign_secp256k1eth
from piebridge.protocol_stack.commit_proof import CommitProof, commit_proof, relay_chain_id
from piebridge.protocol_stack.commitment import endorsed_head_key
from piebridge.protocol_stack.endorsement import EndorsementMethod, EndorsementSet

SECOND = 1_000_000_000


@dataclass(frozen=True)
class Committee:
    """Validators of a relay chain, each with power 1."""

    domain: int
    """Relay domain."""
    relay: int
    """Relay chain."""
    private_keys: tuple[bytes, ...]
    """Consensus keys, 32 bytes each, in any order."""

    @property
    def validators(self) -> ValidatorSet:
        """The set as CometBFT keeps it."""
        keys = (PublicKey(SECP256K1_ETH, public_key_of(key)) for key in self.private_keys)
        return ValidatorSet.ordered(Validator(key, 1) for key in keys)

    @property
    def members(self) -> tuple[bytes, ...]:
        """Addresses in set order."""
        return tuple(validator.address for validator in self.validators.validators)

    def signers(self, epoch: int, threshold: int | None = None) -> EndorsementSet:
        """The endorsement set of a hub that accepts the chain's commits."""
        size = len(self.private_keys)
        keys = (*self.members, self.validators.hash())
        return EndorsementSet(epoch, EndorsementMethod.COMMIT, threshold or 2 * size // 3 + 1, size, keys)

    def decide(
        self,
        app_hash: bytes,
        *,
        height: int = 77,
        round_: int = 0,
        parts: int = 1,
        time_ns: int = 1_800_000_000 * SECOND + 123_456_789,
        absent: Sequence[int] = (),
        chain_id: str | None = None,
        vote_type: VoteType = VoteType.PRECOMMIT,
    ) -> SignedHeader:
        """A block with this app hash that everybody but the ``absent`` members has voted for."""
        chain_id = chain_id or relay_chain_id(self.domain, self.relay)
        validators = self.validators
        some = [sha256(b"field %d" % i) for i in range(7)]
        header = Header(
            version=Version(),
            chain_id=chain_id,
            height=height,
            time_ns=time_ns,
            last_block_id=BlockId(some[0], PartSetHeader(1, some[1])),
            last_commit_hash=some[2],
            data_hash=some[3],
            validators_hash=validators.hash(),
            next_validators_hash=validators.hash(),
            consensus_hash=some[4],
            app_hash=app_hash,
            last_results_hash=some[5],
            evidence_hash=sha256(b""),
            proposer_address=self.members[0],
        )
        block_id = BlockId(header.hash(), PartSetHeader(parts, some[6]))
        key_of = {PublicKey(SECP256K1_ETH, public_key_of(key)).address: key for key in self.private_keys}
        signatures = []
        for index, member in enumerate(self.members):
            if index in absent:
                signatures.append(CommitSig.absent())
                continue
            # Times of all lengths: whole seconds, a few nanoseconds, nearly a second.
            voted_ns = time_ns // SECOND * SECOND + (0, 5, 1_000_000, 999_999_999)[index % 4]
            message = vote_sign_bytes(chain_id, vote_type, height, round_, block_id, voted_ns)
            signatures.append(
                CommitSig(BlockIdFlag.COMMIT, member, voted_ns, sign_secp256k1eth(message, key_of[member]))
            )
        return SignedHeader(header, Commit(height, round_, block_id, tuple(signatures)))


@dataclass(frozen=True)
class EndorsedState:
    """The state of a relay chain: outbox heads, and a root of everything else."""

    heads: Mapping[int, tuple[int, bytes]]
    """Destination to number and chain value."""
    more: Mapping[bytes, bytes]
    """Other pairs of the store ``endorsed``."""

    @property
    def _endorsed(self) -> dict[bytes, bytes]:
        heads = {endorsed_head_key(to): number.to_bytes(8, "big") + value for to, (number, value) in self.heads.items()}
        return {**heads, **self.more}

    @property
    def _stores(self) -> dict[bytes, bytes]:
        return {b"endorsed": simple_map.root(self._endorsed), b"state": sha256(b"everything else")}

    @property
    def app_hash(self) -> bytes:
        """App hash."""
        return simple_map.root(self._stores)

    def prove(self, signed: SignedHeader, committee: Committee, destination: int, threshold: int = 0) -> CommitProof:
        """The proof of an outbox head."""
        return commit_proof(
            signed,
            committee.members,
            threshold or committee.signers(1).threshold,
            simple_map.prove(self._endorsed, endorsed_head_key(destination)),
            simple_map.prove(self._stores, b"endorsed"),
        )
