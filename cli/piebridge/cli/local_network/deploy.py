"""Hub and applications of a parachain, and the governor messages that join it to the domain.

Everything of a chain is signed in advance, with fixed gas limits and the addresses that the nonces give, and handed in
at once, so that it takes one block or two.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.cli.local_network.genesis import (
    DEPTH_MAX,
    HANDLER_GAS_MAX,
    notary_set,
    validator_set,
)
from piebridge.cli.local_network.keys import NetworkKeys
from piebridge.cli.local_network.plan import DOMAIN, NetworkPlan, ParachainKind, ParachainPlan
from piebridge.cli.wallet import Call, Wallet, contract_address
from piebridge.contracts.loader import load
from piebridge.crypto.errors import PermanentChainError
from piebridge.crypto.threshold.signing import sign_single
from piebridge.protocol_stack.application.door import DOOR
from piebridge.protocol_stack.application.record_notary import RECORD_NOTARY
from piebridge.protocol_stack.application.token import TOKEN
from piebridge.protocol_stack.governor_hub_bodies import (
    HUB_WIDE_KINDS,
    HubBody,
    OpenDomain,
    Protocols,
    RegisterApplication,
    RegisterPeer,
    RegisterRelay,
    RelayLifeCycle,
    RelayState,
    SetRoutingPolicy,
    Verification,
)
from piebridge.protocol_stack.governor_messages import GovernorMessage, TargetKind
from piebridge.protocol_stack.header import MAX_BODY_DEFAULT
from piebridge.protocol_stack.routing import SLOT_COUNT, RoutingPolicy, SlotRange
from piebridge.protocol_stack.verification.base import Method

TOKEN_UNIT = 10**18
"""Smallest units of one token."""
TOKENS_PER_CHAIN = 10_000_000
"""Part of a chain in the supply of the token."""
TOKENS_PER_ACCOUNT = 100_000
"""What each user account holds of it at first; the deployer keeps the rest."""
CAP_TOKENS = 1_000_000
"""Most tokens credited from other chains in a window."""
CAP_WINDOW_SECONDS = 3_600
"""Length of that window."""
MIN_DELTA_SECONDS = 1
"""Least time from a send to its expiry."""
MAX_DELTA_SECONDS = 30 * 24 * 3600
"""Most time from a send to its deadline."""

_KEY_EPOCH = 1
_POLICY_EPOCH = 1
_HUB_NONCE, _DOOR_NONCE, _TOKEN_NONCE, _RECORD_NOTARY_NONCE, _MESSAGE_BOARD_NONCE = range(5)
_GAS_OF_HUB = 14_000_000
_GAS_OF_APPLICATION = 4_000_000
_GAS_OF_MESSAGE = 900_000
_GAS_OF_TRANSFER = 120_000


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the contracts of a parachain stand; the same on every chain, for the deployer does the same on each."""

    hub: bytes
    """20 bytes."""
    door: bytes
    """20 bytes."""
    token: bytes
    """20 bytes."""
    record_notary: bytes
    """20 bytes."""
    message_board: bytes
    """20 bytes."""

    @classmethod
    def of(cls, deployer: bytes) -> "Addresses":
        """Return the addresses that a deployer's first transactions give."""
        return cls(
            contract_address(deployer, _HUB_NONCE),
            contract_address(deployer, _DOOR_NONCE),
            contract_address(deployer, _TOKEN_NONCE),
            contract_address(deployer, _RECORD_NOTARY_NONCE),
            contract_address(deployer, _MESSAGE_BOARD_NONCE),
        )


class Governor:
    """The local --dev governor key and the counters of one hub."""

    def __init__(
        self, private_key: bytes, registration: int, hub: bytes, counters: dict[int, int] | None = None
    ) -> None:
        """Sign for one hub: from its first message on, or after the last counters that it took, by domain."""
        self._secret = int.from_bytes(private_key, "big")
        self._registration, self._hub = registration, hub
        self._counters = dict(counters or {})

    def message(self, body: HubBody) -> bytes:
        """Return the next message, signed and encoded."""
        domain = 0 if body.KIND in HUB_WIDE_KINDS else DOMAIN
        counter = self._counters[domain] = self._counters.get(domain, 0) + 1
        message = GovernorMessage(
            target_kind=TargetKind.HUB,
            domain=domain,
            target=self._registration,
            key_epoch=_KEY_EPOCH,
            kind=body.KIND,
            contract=self._hub,
            counter=counter,
            body=body.encode(),
        )
        return message.signed(lambda digest: sign_single(self._secret, digest, secrets.token_bytes(32))).encode()


def deployment_calls(
    chain: ParachainPlan, plan: NetworkPlan, keys: NetworkKeys, genesis_hashes: dict[int, bytes]
) -> list[Call]:
    """Return every transaction of a chain's deployment, in the order of their nonces.

    Args:
        chain: the parachain.
        plan: the network.
        keys: its keys.
        genesis_hashes: SHA-256 of the genesis document by relay id.
    """
    deployer = keys.address(plan.deployer)
    addresses = Addresses.of(deployer)
    hub, token = load("Hub"), load("BridgeToken")
    binding = (chain.registration, chain.evm_chain_id, HANDLER_GAS_MAX, True, False)
    supply = len(plan.parachains) * TOKENS_PER_CHAIN * TOKEN_UNIT
    creations = [
        Call(hub.deployment_data(binding, keys.group_key(plan.governor)), gas=_GAS_OF_HUB),
        Call(load("ERC7786Door").deployment_data(addresses.hub, DOMAIN), gas=_GAS_OF_APPLICATION),
        Call(
            token.deployment_data(
                addresses.hub,
                "Example Token",
                "EXT",
                supply,
                deployer,
                TOKENS_PER_CHAIN * TOKEN_UNIT,
                CAP_TOKENS * TOKEN_UNIT,
                CAP_WINDOW_SECONDS,
            ),
            gas=_GAS_OF_APPLICATION,
        ),
        Call(load("RecordNotary").deployment_data(addresses.hub), gas=_GAS_OF_APPLICATION),
        Call(load("MessageBoard").deployment_data(addresses.door), gas=_GAS_OF_APPLICATION),
    ]
    governor = Governor(keys.private(plan.governor), chain.registration, addresses.hub)
    messages = [
        Call(hub.function_data("governor", governor.message(body)), addresses.hub, _GAS_OF_MESSAGE)
        for body in _bodies(chain, plan, keys, addresses, genesis_hashes)
    ]
    gifts = [
        Call(
            token.function_data("transfer", keys.address(account), TOKENS_PER_ACCOUNT * TOKEN_UNIT),
            addresses.token,
            _GAS_OF_TRANSFER,
        )
        for account in plan.accounts
    ]
    return [*creations, *messages, *gifts]


async def deploy(chain: ParachainPlan, plan: NetworkPlan, keys: NetworkKeys, genesis_hashes: dict[int, bytes]) -> None:
    """Deploy a chain's contracts, join it to the domain, and check that every step took effect.

    Raises:
        PermanentChainError: a transaction reverted, or the hub did not execute a governor message.
        TransientChainError: the node does not answer, or makes no blocks.
    """
    async with JsonRpcClient(chain.rpc_url) as client:
        wallet = Wallet(client, keys.private(plan.deployer), chain.evm_chain_id)
        receipts = await wallet.execute(deployment_calls(chain, plan, keys, genesis_hashes))
    check_messages(chain.name, receipts)


def _bodies(
    chain: ParachainPlan,
    plan: NetworkPlan,
    keys: NetworkKeys,
    addresses: Addresses,
    genesis_hashes: dict[int, bytes],
) -> Iterator[HubBody]:
    yield OpenDomain(MAX_BODY_DEFAULT, MIN_DELTA_SECONDS, MAX_DELTA_SECONDS)
    notaries = notary_set(plan, keys)
    method = Method.SPV if chain.kind is ParachainKind.EMBEDDED else Method.NOTARY
    yield Verification(method, DEPTH_MAX, notaries.epoch if notaries else 0)
    yield RegisterApplication(DOOR, addresses.door, Protocols.NONE)
    yield RegisterApplication(TOKEN, addresses.token, Protocols.ATP)
    yield RegisterApplication(RECORD_NOTARY, addresses.record_notary, Protocols.FORWARD)
    for other in plan.parachains:
        if other != chain:
            yield RegisterPeer(other.registration, other.evm_chain_id, HANDLER_GAS_MAX, member=True)
    for relay in plan.relays:
        yield RegisterRelay(relay.relay, genesis_hashes[relay.relay], validator_set(relay, keys).endorsers)
        yield RelayState(relay.relay, RelayLifeCycle.ACTIVE)
    yield SetRoutingPolicy(_equal_shares([relay.relay for relay in plan.relays]))


def _equal_shares(relays: list[int]) -> RoutingPolicy:
    bounds = [SLOT_COUNT * number // len(relays) for number in range(len(relays) + 1)]
    ranges = (
        SlotRange(relay, first, after - first) for relay, first, after in zip(relays, bounds, bounds[1:], strict=False)
    )
    return RoutingPolicy(_POLICY_EPOCH, tuple(ranges))


def check_messages(chain_name: str, receipts: list[dict[str, Any]]) -> None:
    """Check that the hub executed every governor message of some transactions.

    Raises:
        PermanentChainError: it did not execute one; the message says why.
    """
    hub = load("Hub")
    for receipt in receipts:
        for log in receipt["logs"]:
            topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
            event = hub.decode_event(topics, bytes.fromhex(log["data"][2:]))
            if event is not None and event.name == "GovernorMessageHandled" and not event.arguments["done"]:
                reason = bytes(event.arguments["reason"])
                raise PermanentChainError(
                    f"{chain_name}: the hub did not execute governor message {event.arguments['counter']} of kind "
                    f"{event.arguments['kind']}: {hub.decode_error(reason) or reason.hex()}"
                )
