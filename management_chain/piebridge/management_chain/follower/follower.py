"""Follows the management chain through several nodes, of which one that is honest and up to date suffices.

The light client trusts headers, the header's app hash names an EVM block, Merkle-Patricia proofs under its state root
show storage of the contracts, and a record from a log counts where its hash stands in that storage. A node can keep
things back, for as long as it is the only one that is asked; it can forge nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from piebridge.chains.endpoint import Block
from piebridge.cometbft.verification import NotEnoughTrustError, TrustExpiredError
from piebridge.crypto.errors import ChainError, DecodingError, ProtocolError, TransientChainError, VerificationError
from piebridge.management_chain.follower.node import ClaimedRecord, ManagementNode
from piebridge.management_chain.follower.trust import ForkError, Trust
from piebridge.protocol_stack.codec import ZERO_HASH
from piebridge.protocol_stack.identifiers import KeyEpoch, RelayId
from piebridge.protocol_stack.management.decision import Decision, decision_hash
from piebridge.protocol_stack.management.storage import (
    RequestStatus,
    decision_slot,
    genesis_slot,
    key_epoch_slot,
    key_hash_slot,
    request_slot,
)
from piebridge.protocol_stack.management.tags import Place
from piebridge.protocol_stack.verification.light_clients.cometbft import ConsensusState

_BISECTIONS_MAX = 64
"""Headers in between that are fetched for one update; a chain that needs more has changed its validators at a run."""
_SLOTS_PER_PROOF = 64
"""Slots asked for in one ``eth_getProof``."""

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class FinalDecision:
    """A decision that is final under a trusted header."""

    decision: Decision
    """What was decided."""
    record: bytes
    """Its record, whose hash is proven."""
    status: RequestStatus
    """Where its request is, proven as well."""
    block_number: int
    """EVM block of its event, as a node claims."""


class ManagementFollower:
    """What the management chain has decided, proven."""

    def __init__(
        self,
        trust: Trust,
        nodes: Sequence[ManagementNode],
        *,
        registry: Place,
        board: bytes,
        now_ns: Callable[[], int],
    ) -> None:
        """Follow.

        Args:
            trust: what is trusted.
            nodes: of whom to ask, at least one; they are closed with the follower.
            registry: the DomainRegistry.
            board: address of the GovernorBoard, 20 bytes.
            now_ns: clock, nanoseconds since the Unix epoch.
        """
        self._trust, self._nodes, self._now_ns = trust, tuple(nodes), now_ns
        self._registry, self._board = registry, board

    @property
    def registry(self) -> Place:
        """The DomainRegistry that is followed."""
        return self._registry

    @property
    def board(self) -> bytes:
        """Address of the GovernorBoard, 20 bytes."""
        return self._board

    async def close(self) -> None:
        """Close the connections to all nodes."""
        for node in self._nodes:
            await node.close()

    async def view(self) -> "ManagementView":
        """Move trust on as far as it goes, and return the chain as it stands there.

        Raises:
            TransientChainError: no node helps; try again.
            TrustExpiredError: nothing was trusted for too long: a new trust root is needed.
            ForkError: two signed headers exclude each other.
        """
        self._trust.check()
        if self._trust.state is None:
            await self._first("header of the trust root", self._start)
        trusted = await self._advance()
        block = await self._first("EVM block", lambda node: node.block(trusted.app_hash))
        return ManagementView(self, trusted, block)

    async def _start(self, node: ManagementNode) -> ConsensusState:
        return self._trust.start(await node.signed_header(self._trust.root.height))

    async def _advance(self) -> ConsensusState:
        trusted = self._newest()
        heights = await asyncio.gather(*(node.height() for node in self._nodes), return_exceptions=True)
        claimed: dict[ManagementNode, int] = {}
        for node, height in zip(self._nodes, heights, strict=True):
            if isinstance(height, int):
                claimed[node] = height
            elif not isinstance(height, ChainError | ProtocolError):
                raise height
        if not claimed:
            raise TransientChainError(f"no node of the management chain answers: {heights[0]}")
        for node, height in sorted(claimed.items(), key=lambda item: item[1], reverse=True):
            if height <= trusted.height_on_source:
                break
            try:
                reached = await self._climb(node, trusted, height)
            except (TrustExpiredError, ForkError):
                raise
            except (ChainError, ProtocolError) as error:
                _log.warning("management node %s: %s", node.name, error)
                trusted = self._newest()  # what was verified on the way up stays trusted
                continue
            others = {other: height for other, height in claimed.items() if other is not node}
            await asyncio.gather(
                *(self._compare(node, other, trusted, min(told, height)) for other, told in others.items())
            )
            return reached
        return trusted

    def _newest(self) -> ConsensusState:
        assert self._trust.state is not None, "trust was started"
        return self._trust.state

    async def _climb(self, node: ManagementNode, trusted: ConsensusState, height: int) -> ConsensusState:
        """Verify a height from the trusted one, over heights in between where too few validators are the same."""
        targets = [height]
        for _ in range(_BISECTIONS_MAX):
            claim = await node.light_block(trusted.height_on_source, targets[-1])
            try:
                trusted = self._trust.update(claim, self._now_ns())
            except NotEnoughTrustError:
                targets.append((trusted.height_on_source + targets[-1]) // 2)
                continue
            targets.pop()
            if not targets:
                return trusted
        raise VerificationError(f"{node.name}: height {height} needs more than {_BISECTIONS_MAX} headers in between")

    async def _compare(
        self, told_by: ManagementNode, other: ManagementNode, before: ConsensusState, height: int
    ) -> None:
        """Compare two nodes at a height that both claim to have: two signed headers that differ are a fork."""
        if height <= before.height_on_source:
            return
        try:
            mine, theirs = await asyncio.gather(told_by.signed_header(height), other.signed_header(height))
            if mine.header.hash() == theirs.header.hash():
                return
            claims = [await node.light_block(before.height_on_source, height) for node in (told_by, other)]
            self._trust.compare(before, claims[0], claims[1], self._now_ns())
        except ForkError:
            raise
        except (ChainError, ProtocolError) as error:
            _log.warning("management node %s does not confirm height %d: %s", other.name, height, error)

    async def _first(self, what: str, ask: Callable[[ManagementNode], Awaitable[_T]]) -> _T:
        """Return the first answer that holds."""
        problems = []
        for node in self._nodes:
            try:
                return await ask(node)
            except (ChainError, ProtocolError) as error:
                problems.append(f"{node.name}: {error}")
        raise TransientChainError(f"no node of the management chain tells the {what}: {'; '.join(problems)}")

    async def prove(self, block: Block, contract: bytes, slots: Sequence[bytes]) -> list[bytes]:
        """Return slots of a contract, 32 bytes each, proven under a trusted block."""
        values: list[bytes] = []
        for at in range(0, len(slots), _SLOTS_PER_PROOF):
            values += await self._prove(block, contract, slots[at : at + _SLOTS_PER_PROOF])
        return values

    async def _prove(self, block: Block, contract: bytes, slots: Sequence[bytes]) -> tuple[bytes, ...]:
        return (await self._first("storage", lambda node: node.prove(block, contract, slots))).values

    async def records(self, first: int, last: int, request_id: bytes | None = None) -> list[ClaimedRecord]:
        """Return what all nodes together claim to have been decided, the oldest first.

        Raises:
            TransientChainError: no node answers.
        """
        answers = await asyncio.gather(
            *(node.records(self._registry.contract, first, last, request_id) for node in self._nodes),
            return_exceptions=True,
        )
        claims: dict[tuple[bytes, bytes], ClaimedRecord] = {}
        problems = []
        for answer in answers:
            if isinstance(answer, ChainError | ProtocolError):
                problems.append(str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                claims |= {(claim.request_id, claim.record): claim for claim in answer}
        if len(problems) == len(self._nodes):
            raise TransientChainError(f"no node of the management chain tells its logs: {'; '.join(problems)}")
        return sorted(claims.values(), key=lambda claim: (claim.block_number, claim.request_id))


class ManagementView:
    """The management chain under one trusted header."""

    def __init__(self, follower: ManagementFollower, trusted: ConsensusState, block: Block) -> None:
        """Look at the chain through a follower."""
        self._follower, self._block = follower, block
        self.trusted = trusted
        """The trusted header."""

    @property
    def block_number(self) -> int:
        """Number of the EVM block whose state is seen."""
        return self._block.number

    @property
    def time_seconds(self) -> int:
        """Time of that block, Unix seconds."""
        return self._block.timestamp

    async def status_of(self, request_id: bytes) -> RequestStatus | None:
        """Return where a request is; None where there is none."""
        (word,) = await self._registry(request_slot(request_id))
        return RequestStatus.decode(word)

    async def genesis_hash_of(self, relay: RelayId) -> bytes | None:
        """Return the genesis hash of a relay chain, 32 bytes; None until all of its seats have reported it."""
        (value,) = await self._registry(genesis_slot(relay))
        return None if value == ZERO_HASH else value

    async def decision_of(self, request_id: bytes, first_block: int = 0) -> FinalDecision | None:
        """Return the decision of a request if it is final; None if it is not, or not any more.

        Args:
            request_id: 32 bytes.
            first_block: first EVM block in which it may have been made.

        Raises:
            TransientChainError: it is final, and no node tells its record.
        """
        (stored,) = await self._registry(decision_slot(request_id))
        if stored == ZERO_HASH:
            return None
        claims = await self._follower.records(first_block, self._block.number, request_id)
        found = await self.prove_claims(claims)
        if not found:
            raise TransientChainError(f"no node tells the record of decision 0x{stored.hex()}, which is final")
        return found[0]

    async def decisions(self, first_block: int = 0) -> list[FinalDecision]:
        """Return all decisions made from a block on that are final, the oldest first."""
        return await self.prove_claims(await self._follower.records(first_block, self._block.number))

    async def governor_key_hash(self) -> tuple[KeyEpoch, bytes] | None:
        """Return the current epoch of the governor key and ``H(group key)``, 32 bytes; None before the first key."""
        (word,) = await self._follower.prove(self._block, self._follower.board, [key_epoch_slot()])
        epoch = int.from_bytes(word, "big")
        if epoch == 0:
            return None
        (key_hash,) = await self._follower.prove(self._block, self._follower.board, [key_hash_slot(epoch)])
        return epoch, key_hash

    async def is_governor_key(self, epoch: KeyEpoch, group_key_hash: bytes) -> bool:
        """Return whether the governor key of an epoch has this hash."""
        (stored,) = await self._follower.prove(self._block, self._follower.board, [key_hash_slot(epoch)])
        return stored == group_key_hash

    async def _registry(self, *slots: bytes) -> list[bytes]:
        return await self._follower.prove(self._block, self._follower.registry.contract, slots)

    async def prove_claims(self, claims: Sequence[ClaimedRecord]) -> list[FinalDecision]:
        """Return those of the claimed decisions that are final, in their order."""
        if not claims:
            return []
        requests = sorted({claim.request_id for claim in claims})
        words = await self._registry(*(slot(item) for item in requests for slot in (decision_slot, request_slot)))
        proven = {item: (words[2 * at], words[2 * at + 1]) for at, item in enumerate(requests)}
        found = []
        for claim in claims:
            stored, status_word = proven[claim.request_id]
            # A record that is not the proven one is an unfinal decision's, or somebody's invention.
            if stored == ZERO_HASH or decision_hash(claim.record) != stored:
                continue
            try:
                decision, status = Decision.decode(claim.record), RequestStatus.decode(status_word)
            except DecodingError as error:
                # One that this version does not understand must not hide the others.
                _log.error("decision of request 0x%s cannot be read: %s", claim.request_id.hex(), error)
                continue
            if (decision.registry, decision.request_id) != (self._follower.registry, claim.request_id) or not status:
                _log.error("decision of request 0x%s is of another place or request", claim.request_id.hex())
                continue
            found.append(FinalDecision(decision, claim.record, status, claim.block_number))
        return found
