"""Authenticates slots of a hub for a relay chain, by the method of its registration (formats.md, section 11.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from piebridge.chains.endpoint import Block, ParachainEndpoint, StorageProof
from piebridge.crypto.errors import ConfigurationError, TransientChainError
from piebridge.failpoints import reach
from piebridge.gateway.notary_client import NotaryClient
from piebridge.gateway.relay_reader import Registration, RelayReader
from piebridge.protocol_stack.authentication import (
    Authentication,
    BothAuthentication,
    NotaryAuthentication,
    SlotProof,
    SpvAuthentication,
)
from piebridge.protocol_stack.relay_messages import UpdateClient
from piebridge.protocol_stack.verification.base import Method


@dataclass(frozen=True, slots=True)
class Shown:
    """What shows slots of a hub to a relay chain."""

    proof: StorageProof
    """The slots, ascending, with their values; verified here."""
    authentication: Authentication
    """The same for the relay chain."""
    update: bytes | None
    """Body of the UPDATE_CLIENT that the relay chain must execute first; None where none is needed."""


class Prover:
    """Proofs about one hub for one relay chain, with the update of its light client that they need."""

    def __init__(
        self,
        *,
        registration: int,
        endpoint: ParachainEndpoint,
        reader: RelayReader,
        notaries: NotaryClient,
    ) -> None:
        """Prove from a chain to a relay chain."""
        self._registration = registration
        self._endpoint = endpoint
        self._reader = reader
        self._notaries = notaries

    async def final_block(self, known: Registration) -> Block:
        """Return the newest block from which the relay chain can be shown anything."""
        if known.method is Method.NOTARY:
            return await self._endpoint.final_block(known.depth)
        return (await self._endpoint.light_client_target())[1]

    async def authenticate(self, known: Registration, slots: Sequence[bytes]) -> Shown:
        """Prove slots at a final block.

        Args:
            known: the hub's registration on the relay chain.
            slots: 1 to 16 slots of 32 bytes, in any order; they come back ascending.

        Raises:
            ChainError: a node, a notary or the relay chain fails or refuses.
            VerificationError: a node's answers contradict each other.
        """
        ordered = sorted(slots)
        if known.method is Method.NOTARY:
            block = await self._endpoint.final_block(known.depth)
            proof = await self._endpoint.prove(ordered, block.number)
            return Shown(proof, await self._notary(known, proof), None)
        client_height, block, update = await self._client_step()
        proof = await self._endpoint.prove(ordered, block.number)
        reach("gateway.prover.after_proof")
        spv = SpvAuthentication(
            client_height,
            proof.block.header,
            proof.account_proof,
            tuple(SlotProof(slot, nodes) for slot, nodes in zip(proof.slots, proof.proofs, strict=True)),
        )
        if known.method is Method.SPV:
            return Shown(proof, spv, update)
        return Shown(proof, BothAuthentication(spv, await self._notary(known, proof)), update)

    async def overdue_update(self) -> bytes | None:
        """Return the body of an UPDATE_CLIENT if more than half of the light client's time is over."""
        client = await self._reader.client(self._registration)
        if not client.is_ageing(await self._reader.endpoint.latest_time() * 1_000_000_000):
            return None
        height, _ = await self._endpoint.light_client_target()
        return await self._update(client.height, height) if height > client.height else None

    async def _notary(self, known: Registration, proof: StorageProof) -> NotaryAuthentication:
        if known.notary_set is None:
            raise TransientChainError(f"registration {self._registration} has no notary set on the relay chain")
        return await self._notaries.collect(known.notary_set, self._endpoint.hub_address, proof)

    async def _client_step(self) -> tuple[int, Block, bytes | None]:
        """Return a height that the light client trusts, or will after the update, and the EVM block of its app hash.

        Several updates from one trusted height do no harm: the light client takes them in any order.
        """
        if not self._endpoint.has_light_blocks:
            raise ConfigurationError(
                f"{self._endpoint.name} is verified by light client, but has no cometbft_rpc_urls in the configuration"
            )
        client = await self._reader.client(self._registration)
        height, block = await self._endpoint.light_client_target()
        if client.app_hash == block.hash:
            return client.height, block, None
        if height <= client.height:
            return client.height, await self._endpoint.app_block(client.height), None
        return height, block, await self._update(client.height, height)

    async def _update(self, trusted_height: int, height: int) -> bytes:
        reach("gateway.prover.before_light_block")
        light_block = await self._endpoint.light_block(trusted_height, height)
        reach("gateway.prover.after_light_block")
        return UpdateClient(self._registration, (light_block,)).encode()
