"""What the chains of a local network start with."""

import time
from pathlib import Path

from piebridge.chains.cometbft_rpc import CometBftRpc
from piebridge.cli.local_network.keys import NetworkKeys
from piebridge.cli.local_network.plan import DOMAIN, NetworkPlan, ParachainKind, ParachainPlan, RelayPlan
from piebridge.crypto.signature import public_key_of
from piebridge.protocol_stack.checkpoint import CometBftCheckpoint
from piebridge.protocol_stack.governor_relay_bodies import (
    ClientKind,
    GatewayQuota,
    Gateways,
    Parameters,
    RegisterChain,
    ValidatorKeys,
    ValidatorSet,
)
from piebridge.protocol_stack.header import MAX_BODY_DEFAULT
from piebridge.protocol_stack.notary_statement import NotarySet
from piebridge.protocol_stack.relay_genesis import RelayGenesis
from piebridge.protocol_stack.verification.base import Method

HANDLER_GAS_MAX = 8_000_000
"""Largest gas limit of a handler on every parachain."""
FUNDS_WEI = 10**24
"""Money for gas of every account on every parachain."""
TRUSTING_PERIOD_SECONDS = 14 * 24 * 3600
"""Age from which a header of a parachain is no longer trusted."""
CLOCK_DRIFT_SECONDS = 10
"""How far a parachain's header may lie in the future."""
DEPTH_MAX = 16
"""Largest finality depth that a packet may demand."""
GATEWAY_QUOTA = 10_000
"""Transactions of a gateway in 100 blocks of a relay chain."""
STRANGER_QUOTA = 100
"""Transactions of all others together."""
RETENTION_SECONDS = 7 * 24 * 3600
"""How long relay chains keep messages that were not acknowledged."""
FIRST_EPOCH = 1
"""Epoch of every first set."""


def funded(plan: NetworkPlan, keys: NetworkKeys) -> tuple[bytes, ...]:
    """Return the addresses that have money for gas on every parachain."""
    return tuple(
        keys.address(key) for key in (plan.deployer, *plan.accounts, *(gateway.key for gateway in plan.gateways))
    )


def write_evm_genesis(chain: ParachainPlan, plan: NetworkPlan, keys: NetworkKeys, directory: Path) -> None:
    """Write the genesis document of an embedded parachain into its home."""
    from piebridge.abci.embedded.keys import ValidatorKey
    from piebridge.evm_chain.genesis import GenesisAccount, evm_genesis
    from piebridge.evm_chain.node import evm_genesis_document

    alloc = {address: GenesisAccount(balance=FUNDS_WEI) for address in funded(plan, keys)}
    document = evm_genesis_document(
        chain.cometbft_chain_id,
        time.time_ns(),
        [ValidatorKey(keys.private(key)).public_key for key in chain.validator_keys],
        evm_genesis(chain.evm_chain_id, alloc),
    )
    _write_genesis(directory / chain.home, document.to_json())


def write_relay_genesis(genesis: RelayGenesis, relay: RelayPlan, directory: Path) -> bytes:
    """Write the genesis document of a relay chain into its home and return its bytes."""
    document = genesis.document(time.time_ns())
    _write_genesis(directory / relay.home, document)
    return document


def relay_genesis(
    relay: RelayPlan, plan: NetworkPlan, keys: NetworkKeys, hub: bytes, checkpoints: dict[int, CometBftCheckpoint]
) -> RelayGenesis:
    """Put together what a relay chain starts with.

    Args:
        relay: the relay chain.
        plan: the network.
        keys: its keys.
        hub: address of the hub, the same on every parachain.
        checkpoints: start of the light client by registration, of every embedded parachain.
    """
    return RelayGenesis(
        domain=DOMAIN,
        relay=relay.relay,
        dev=True,
        governor_key=keys.group_key(plan.governor),
        parameters=Parameters(MAX_BODY_DEFAULT, RETENTION_SECONDS, STRANGER_QUOTA),
        validator_set=validator_set(relay, keys),
        chains=tuple(_registration(chain, plan, keys, hub, checkpoints) for chain in plan.parachains),
        gateways=Gateways(
            tuple(
                GatewayQuota(address, GATEWAY_QUOTA)
                for address in sorted(keys.address(item.key) for item in plan.gateways)
            )
        ),
    )


def validator_set(relay: RelayPlan, keys: NetworkKeys) -> ValidatorSet:
    """Return the first validator set of a relay chain."""
    from coincurve import PublicKey

    return ValidatorSet(
        FIRST_EPOCH,
        relay.threshold,
        tuple(
            ValidatorKeys(
                PublicKey(public_key_of(keys.private(item.consensus_key))).format(compressed=True),
                keys.address(item.endorsement_key),
            )
            for item in relay.validators
        ),
    )


def notary_set(plan: NetworkPlan, keys: NetworkKeys) -> NotarySet | None:
    """Return the notaries of every parachain; None where light clients verify."""
    if not plan.notaries:
        return None
    return NotarySet(FIRST_EPOCH, plan.notary_threshold, tuple(keys.address(notary.key) for notary in plan.notaries))


async def read_checkpoint(chain: ParachainPlan, rpc: CometBftRpc) -> CometBftCheckpoint:
    """Return the first header of an embedded parachain as a start for light clients."""
    header = (await rpc.signed_header(1)).header
    return CometBftCheckpoint(
        trusting_period_seconds=TRUSTING_PERIOD_SECONDS,
        clock_drift_seconds=CLOCK_DRIFT_SECONDS,
        chain_id=chain.cometbft_chain_id,
        height=header.height,
        header_hash=header.hash(),
        time_ns=header.time_ns,
        app_hash=header.app_hash,
        next_validators_hash=header.next_validators_hash,
    )


def _registration(
    chain: ParachainPlan, plan: NetworkPlan, keys: NetworkKeys, hub: bytes, checkpoints: dict[int, CometBftCheckpoint]
) -> RegisterChain:
    embedded = chain.kind is ParachainKind.EMBEDDED
    return RegisterChain(
        registration=chain.registration,
        hub=hub,
        evm_chain_id=chain.evm_chain_id,
        client_kind=ClientKind.COMETBFT if embedded else ClientKind.NONE,
        method=Method.SPV if embedded else Method.NOTARY,
        depth=chain.finality_depth,
        depth_max=DEPTH_MAX,
        handler_gas_max=HANDLER_GAS_MAX,
        checkpoint=checkpoints[chain.registration] if embedded else None,
        notaries=None if embedded else notary_set(plan, keys),
    )


def _write_genesis(home: Path, document: bytes) -> None:
    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config" / "genesis.json").write_bytes(document)
