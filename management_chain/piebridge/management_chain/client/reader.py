"""Reads the contracts of a management chain over a node's JSON-RPC.

What a node says is its word. Requests, candidates and decisions come back only if they hash to what their contract
says; who must not trust a node's word about that either follows the chain by light client.
"""

from collections.abc import Sequence
from typing import Any

from piebridge.chains.errors import CallRevertedError
from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.contracts.loader import Event
from piebridge.crypto.errors import PermanentChainError, TransientChainError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.management_chain.chain.contracts import ContractName, ManagementContracts, artifact
from piebridge.management_chain.client.errors import refusal
from piebridge.management_chain.client.views import (
    Counts,
    DomainState,
    DomainView,
    GovernorsView,
    NodeState,
    NodeView,
    OperatorView,
    RegistrationView,
    RelayChainState,
    RelayView,
    RequestState,
    RequestView,
)
from piebridge.protocol_stack.management.decision import Decision
from piebridge.protocol_stack.management.request import DomainRequest

LOG_BLOCKS_MAX = 2_000
"""Blocks asked for in one ``eth_getLogs``; many nodes refuse more."""
_ZERO_HASH = bytes(32)


class ManagementReader:
    """The contracts of one management chain, read through one node."""

    def __init__(self, client: JsonRpcClient, contracts: ManagementContracts, first_block: int = 0) -> None:
        """Read through a node; nothing is sent yet.

        Args:
            client: the node.
            contracts: where they stand.
            first_block: first EVM block with the contracts.
        """
        self.client = client
        self.contracts = contracts
        self._first_block = first_block

    async def check(self) -> None:
        """Check that the node serves this chain, and that the contracts are there.

        Raises:
            PermanentChainError: it is another chain, or one of the contracts is missing.
        """
        chain_id = int(str(await self.client.call("eth_chainId")), 16)
        if chain_id != self.contracts.chain_id:
            raise PermanentChainError(f"{self.client.url} is EVM chain {chain_id}, not {self.contracts.chain_id}")
        names = list(ContractName)
        codes = await self.client.batch(
            [("eth_getCode", [f"0x{self.contracts.address(name).hex()}", "latest"]) for name in names]
        )
        for name, code in zip(names, codes, strict=True):
            if code in (None, "0x"):
                raise PermanentChainError(
                    f"{self.client.url}: no {name} at 0x{self.contracts.address(name).hex()}: this is another chain of "
                    "the same number, or the node has not caught up"
                )

    # Blocks

    async def head(self) -> tuple[int, int]:
        """Return number and time (Unix seconds) of the newest block."""
        block = await self.client.call("eth_getBlockByNumber", ["latest", False])
        if not isinstance(block, dict):
            raise TransientChainError(f"{self.client.url}: no newest block")
        return int(str(block["number"]), 16), int(str(block["timestamp"]), 16)

    # Governors

    async def governors(self) -> GovernorsView:
        """Return the governor key and who holds it."""
        key, epoch = await self._call(ContractName.BOARD, "governorKey")
        (set_hash,) = await self._call(ContractName.BOARD, "currentSet")
        threshold, size = await self._call(ContractName.BOARD, "setOf", set_hash)
        (dev,) = await self._call(ContractName.BOARD, "DEV")
        return GovernorsView(bytes(key), epoch, bytes(set_hash), threshold, size, dev)

    async def counter(self, name: ContractName, domain: int) -> int:
        """Return the counter of the last governor message to a contract for a domain."""
        (counter,) = await self._call(name, "counterOf", domain)
        return int(counter)

    # Market

    async def operator_number(self, account: bytes) -> int:
        """Return the number of an operator's account, 0 if it is none."""
        (number,) = await self._call(ContractName.MARKET, "operatorIdOf", account)
        return int(number)

    async def operator(self, number: int) -> OperatorView:
        """Return an operator."""
        account, *rest = await self._call(ContractName.MARKET, "operatorOf", number)
        return OperatorView(number, _address(account), *rest)

    async def node(self, number: int) -> NodeView:
        """Return a node of the market."""
        (fields,) = await self._call(ContractName.MARKET, "nodeOf", number)
        return NodeView(
            number,
            operator=fields[0],
            state=NodeState(fields[1]),
            reputation=fields[2],
            served=fields[3],
            absences=fields[4],
            relay=fields[5],
            capacity=fields[6],
            available_from=fields[7],
            available_until=fields[8],
            last_seen=fields[9],
            consensus_key=bytes(fields[10]),
            endorsement=_address(fields[11]),
            agent=_address(fields[12]),
            peer=bytes(fields[13]),
            endpoint=bytes(fields[14]).decode("ascii", "replace"),
        )

    async def offered_nodes(self) -> tuple[int, ...]:
        """Return the nodes that are on offer now."""
        (nodes,) = await self._call(ContractName.MARKET, "offeredNodes")
        return tuple(nodes)

    async def bond_per_node(self) -> int:
        """Return what an operator has to post for each node, wei."""
        (bond,) = await self._call(ContractName.MARKET, "BOND_PER_NODE")
        return int(bond)

    # Registry

    async def counts(self) -> Counts:
        """Return the highest numbers given out."""
        registrations, domains, relays = await self._call(ContractName.REGISTRY, "counts")
        operators, nodes = await self._call(ContractName.MARKET, "counts")
        return Counts(registrations, domains, relays, operators, nodes)

    async def registration(self, number: int) -> RegistrationView:
        """Return a registration."""
        representative, epoch, proposed, chain_id, hub, closed = await self._call(
            ContractName.REGISTRY, "registrationOf", number
        )
        return RegistrationView(
            number, _address(representative), epoch, _address(proposed), chain_id, _address(hub), closed
        )

    async def request(self, request_id: bytes) -> RequestView:
        """Return a request; its state is NONE if there is none."""
        state, kind, domain, expires, closed, parties, cosigned, confirmed, candidates, decision = await self._call(
            ContractName.REGISTRY, "requestOf", request_id
        )
        return RequestView(
            request_id,
            RequestState(state),
            kind,
            domain,
            expires,
            closed,
            tuple(parties),
            _chosen(parties, cosigned),
            _chosen(parties, confirmed),
            bytes(candidates),
            bytes(decision),
        )

    async def relays_of(self, request_id: bytes) -> tuple[int, ...]:
        """Return the relay chains that a request makes or changes."""
        (relays,) = await self._call(ContractName.REGISTRY, "relaysOf", request_id)
        return tuple(relays)

    async def domain(self, number: int) -> DomainView:
        """Return a domain; its state is NONE if there is none."""
        state, decisions, policy, request, parameters, members, relays = await self._call(
            ContractName.REGISTRY, "domainOf", number
        )
        return DomainView(
            number,
            DomainState(state),
            decisions,
            policy,
            bytes(request),
            bytes(parameters),
            tuple(members),
            tuple(relays),
        )

    async def relay(self, number: int) -> RelayView:
        """Return a relay chain."""
        domain, state, epoch, threshold, genesis_hash, nodes = await self._call(
            ContractName.REGISTRY, "relayOf", number
        )
        return RelayView(number, domain, RelayChainState(state), epoch, threshold, bytes(genesis_hash), tuple(nodes))

    async def genesis_report(self, request_id: bytes, relay: int, node: int) -> bytes:
        """Return what a seat has reported as the genesis hash, zero if nothing."""
        (reported,) = await self._call(ContractName.REGISTRY, "genesisReportOf", request_id, relay, node)
        return bytes(reported)

    async def gateway_quota(self, domain: int, gateway: bytes) -> int:
        """Return the quota of a gateway in a domain, 0 if it is not authorised."""
        (quota,) = await self._call(ContractName.REGISTRY, "gatewayQuota", domain, gateway)
        return int(quota)

    # What the contracts keep as hashes only

    async def requests(self, domain: int | None = None) -> list[tuple[bytes, DomainRequest]]:
        """Return every request that was filed, the oldest first, with its id.

        Args:
            domain: only requests for this domain (0: those that ask for a new one); None for all.
        """
        topics: list[bytes | None] = [None] if domain is None else [None, _word(domain)]
        found = await self.events(ContractName.REGISTRY, "RequestFiled", topics)
        return [self._request_of(event) for event in found]

    async def request_content(self, request_id: bytes) -> DomainRequest:
        """Return what a request asks for.

        Raises:
            PermanentChainError: no such request was filed.
            VerificationError: the node tells another one.
        """
        event = await self._one(ContractName.REGISTRY, "RequestFiled", request_id)
        return self._request_of(event)[1]

    async def candidates(self, request: RequestView) -> bytes:
        """Return the candidates that were fixed when a request was closed, 20 bytes each.

        Raises:
            PermanentChainError: the request was not closed.
            VerificationError: the node tells others.
        """
        event = await self._one(ContractName.REGISTRY, "RequestClosed", request.request_id)
        candidates = bytes(event.arguments["candidates"])
        if keccak256(candidates) != request.candidates_hash:
            raise VerificationError(
                f"{self.client.url}: other candidates than those that were fixed",
                expected=request.candidates_hash,
                actual=keccak256(candidates),
            )
        return candidates

    async def decision(self, request: RequestView) -> Decision:
        """Return the decision about a request, final or not.

        Raises:
            PermanentChainError: there is none.
            VerificationError: the node tells another one.
        """
        event = await self._one(ContractName.REGISTRY, "DecisionMade", request.request_id)
        decision = Decision.decode(bytes(event.arguments["record"]))
        if decision.hash != request.decision_hash:
            raise VerificationError(
                f"{self.client.url}: another decision than the registry has made",
                expected=request.decision_hash,
                actual=decision.hash,
            )
        return decision

    async def events(
        self, name: ContractName, event: str, topics: Sequence[bytes | None] = (), *, since: int | None = None
    ) -> list[Event]:
        """Return the events of a kind that a contract has made, the oldest first.

        Args:
            name: the contract.
            event: name of the event.
            topics: values of its indexed parameters, None for any.
            since: first block; None for all that there is.
        """
        compiled = artifact(name)
        wanted = [f"0x{compiled.event_topic(event).hex()}", *(None if t is None else f"0x{t.hex()}" for t in topics)]
        latest, _ = await self.head()
        found: list[Event] = []
        for start in range(self._first_block if since is None else since, latest + 1, LOG_BLOCKS_MAX):
            query = {
                "address": f"0x{self.contracts.address(name).hex()}",
                "fromBlock": hex(start),
                "toBlock": hex(min(latest, start + LOG_BLOCKS_MAX - 1)),
                "topics": wanted,
            }
            logs = await self.client.call("eth_getLogs", [query])
            if not isinstance(logs, list):
                raise TransientChainError(f"{self.client.url}: logs are not a list")
            for log in logs:
                decoded = compiled.decode_event(
                    [bytes.fromhex(topic[2:]) for topic in log["topics"]], bytes.fromhex(log["data"][2:])
                )
                if decoded is not None and decoded.name == event:
                    found.append(decoded)
        return found

    def _request_of(self, event: Event) -> tuple[bytes, DomainRequest]:
        request_id = bytes(event.arguments["requestId"])
        request = DomainRequest.decode(bytes(event.arguments["request"]))
        actual = request.request_id(self.contracts.place(ContractName.REGISTRY))
        if actual != request_id:
            raise VerificationError(
                f"{self.client.url}: a request that does not hash to its id", expected=request_id, actual=actual
            )
        return request_id, request

    async def _one(self, name: ContractName, event: str, request_id: bytes) -> Event:
        found = await self.events(name, event, [request_id])
        if not found:
            raise PermanentChainError(f"request 0x{request_id.hex()}: there is no event {event} of it on this chain")
        return found[-1]

    async def _call(self, name: ContractName, function: str, *arguments: object) -> tuple[Any, ...]:
        compiled = artifact(name)
        call = {
            "to": f"0x{self.contracts.address(name).hex()}",
            "data": f"0x{compiled.function_data(function, *arguments).hex()}",
        }
        try:
            answer = await self.client.call("eth_call", [call, "latest"])
        except CallRevertedError as error:
            raise refusal(f"{name}.{function}", error.data) from error
        if not isinstance(answer, str) or not answer.startswith("0x"):
            raise TransientChainError(f"{self.client.url}: no answer of {name}.{function}")
        return compiled.decode_result(function, bytes.fromhex(answer[2:]))


def _address(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _chosen(parties: Sequence[int], bits: int) -> frozenset[int]:
    return frozenset(party for index, party in enumerate(parties) if bits >> index & 1)
