"""The management chain as an agent sees it: proven by the follower, spoken to over JSON-RPC."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

from piebridge.chains.evm.header import octets
from piebridge.chains.jsonrpc import DEFAULT_TIMEOUT_SECONDS, JsonRpcClient
from piebridge.contracts.loader import load
from piebridge.crypto.errors import ChainError, DecodingError, PermanentChainError, TransientChainError
from piebridge.management_chain.follower.follower import FinalDecision, ManagementFollower, ManagementView
from piebridge.management_chain.follower.node import ClaimedRecord
from piebridge.management_chain.node.account import AgentAccount
from piebridge.management_chain.node.ports import ChainFacts
from piebridge.protocol_stack.codec import ZERO_HASH
from piebridge.protocol_stack.identifiers import DomainId, RelayId
from piebridge.protocol_stack.management.decision import Decision
from piebridge.protocol_stack.management.offer import Peer

RESCAN_VIEWS: Final = 600
"""After so many looks all logs are read again: a node may have kept something back."""

_log = logging.getLogger(__name__)


class LiveManagementChain:
    """See :class:`~piebridge.management_chain.node.ports.ManagementChain`."""

    def __init__(
        self,
        follower: ManagementFollower,
        eth_urls: Sequence[str],
        market: bytes,
        private_key: bytes,
        *,
        first_block: int = 0,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        """See the chain through a follower, which is closed with this.

        Args:
            follower: of the chain.
            eth_urls: ``eth_*`` of its nodes.
            market: address of the NodeMarket, 20 bytes.
            private_key: of the agent's account, 32 bytes.
            first_block: first EVM block with the contracts.
            timeout_seconds: deadline of a request.
        """
        self._follower, self._market = follower, market
        self._clients = [JsonRpcClient(url, timeout_seconds=timeout_seconds) for url in eth_urls]
        self._account = AgentAccount(self._clients, private_key, follower.registry.chain_id)
        self._first_block = first_block
        self._claims: dict[tuple[bytes, bytes], ClaimedRecord] = {}
        self._decoded: dict[bytes, Decision | None] = {}
        self._scanned_to = first_block - 1
        self._views_left = RESCAN_VIEWS
        self._peers: dict[int, Peer] = {}

    async def facts(self, nodes: Sequence[bytes], units: Sequence[tuple[bytes, RelayId]]) -> ChainFacts:
        """Return what there is to know about these nodes and units."""
        view = await self._follower.view()
        await self._scan(view)
        final = await view.prove_claims(self._relevant(frozenset(nodes), units))
        requests = {item.decision.request_id: item.status for item in final}
        for request_id, _ in units:
            if request_id not in requests and (status := await view.status_of(request_id)) is not None:
                requests[request_id] = status
        hashes = {relay: found for _, relay in units if (found := await view.genesis_hash_of(relay)) is not None}
        return ChainFacts(tuple(final), requests, hashes, await self._find_peers(frozenset(nodes), final))

    async def report_genesis(self, request_id: bytes, relay: RelayId, node: int, genesis_hash: bytes) -> None:
        """State a genesis hash, unless every node that answers says that it stands already."""
        registry = load("DomainRegistry")
        if await self._stands(request_id, relay, node, genesis_hash):
            return
        data = registry.function_data("reportGenesis", request_id, relay, node, genesis_hash)
        await self._account.execute(self._follower.registry.contract, data)
        if not await self._stands(request_id, relay, node, genesis_hash):
            raise TransientChainError("not every node of the management chain has the genesis report yet")

    async def close(self) -> None:
        """Close all connections."""
        await self._follower.close()
        for client in self._clients:
            await client.close()

    # --- decisions

    async def _scan(self, view: ManagementView) -> None:
        self._views_left -= 1
        if self._views_left <= 0:
            self._views_left, self._scanned_to = RESCAN_VIEWS, self._first_block - 1
        if self._scanned_to >= view.block_number:
            return
        for claim in await self._follower.records(self._scanned_to + 1, view.block_number):
            self._claims[claim.request_id, claim.record] = claim
        self._scanned_to = view.block_number

    def _relevant(self, nodes: frozenset[bytes], units: Sequence[tuple[bytes, RelayId]]) -> list[ClaimedRecord]:
        """Return the claims about domains in which a node has or had a seat, or a unit runs."""
        known = [(claim, decision) for claim in self._claims.values() if (decision := self._decode(claim))]
        requests = {request_id for request_id, _ in units}
        domains: set[DomainId] = {
            decision.domain
            for _, decision in known
            if decision.request_id in requests
            or any(seat.consensus_key in nodes for relay in decision.relays for seat in relay.seats)
        }
        found = [claim for claim, decision in known if decision.domain in domains]
        return sorted(found, key=lambda claim: (claim.block_number, claim.request_id))

    def _decode(self, claim: ClaimedRecord) -> Decision | None:
        if claim.record not in self._decoded:
            try:
                self._decoded[claim.record] = Decision.decode(claim.record)
            except DecodingError as error:
                _log.warning("claimed decision of request 0x%s cannot be read: %s", claim.request_id.hex(), error)
                self._decoded[claim.record] = None
        return self._decoded[claim.record]

    # --- the market

    async def _find_peers(self, nodes: frozenset[bytes], final: Sequence[FinalDecision]) -> Mapping[int, Peer]:
        """Return where the nodes are reached that share a set with ours; what nobody tells stays as it was."""
        wanted = {
            seat.node
            for item in final
            for relay in item.decision.relays
            if any(seat.consensus_key in nodes for seat in relay.seats)
            for seat in relay.seats
        }
        for node in sorted(wanted):
            peer = await self._peer_of(node)
            if peer is not None:
                self._peers[node] = peer
        return dict(self._peers)

    async def _peer_of(self, node: int) -> Peer | None:
        market = load("NodeMarket")
        for client in self._clients:
            try:
                answer = await self._call(client, self._market, market.function_data("nodeOf", node))
                (fields,) = market.decode_result("nodeOf", answer)
                return Peer.decode(dict(zip(_node_fields(), fields, strict=True))["peer"])
            except (ChainError, DecodingError) as error:
                _log.info("%s does not tell where node %d is reached: %s", client.url, node, error)
        return None

    async def _stands(self, request_id: bytes, relay: RelayId, node: int, genesis_hash: bytes) -> bool:
        """Return whether every node that answers says that a report stands.

        Raises:
            PermanentChainError: another hash was reported.
            TransientChainError: no node answers.
        """
        registry = load("DomainRegistry")
        data = registry.function_data("genesisReportOf", request_id, relay, node)
        answers = await asyncio.gather(
            *(self._call(client, self._follower.registry.contract, data) for client in self._clients),
            return_exceptions=True,
        )
        stored = []
        for answer in answers:
            if isinstance(answer, bytes):
                stored.append(registry.decode_result("genesisReportOf", answer)[0])
            elif not isinstance(answer, ChainError):
                raise answer
        if not stored:
            raise TransientChainError(f"no node of the management chain answers: {answers[0]!r}")
        if all(value not in (ZERO_HASH, genesis_hash) for value in stored):
            raise PermanentChainError(
                f"another genesis hash was reported for node {node}: 0x{stored[0].hex()} instead of "
                f"0x{genesis_hash.hex()}; whoever has this agent's or operator's account has done it"
            )
        return all(value == genesis_hash for value in stored)

    async def _call(self, client: JsonRpcClient, contract: bytes, data: bytes) -> bytes:
        request = {"to": "0x" + contract.hex(), "data": "0x" + data.hex()}
        return octets(await client.call("eth_call", [request, "latest"]), None, client.url)


def _node_fields() -> list[str]:
    """Return the names of the fields of NodeView, as the market's interface has them."""
    (entry,) = [item for item in load("NodeMarket").abi if item["type"] == "function" and item["name"] == "nodeOf"]
    return [component["name"] for component in entry["outputs"][0]["components"]]
