"""GOVERNOR: the only administration there is.

A message that is signed and has its number is taken: its number is used up whether its execution works or not, and a
failure is an event. FREEZE and PAUSE stand outside the order and carry the life-cycle number they were signed for.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from piebridge.crypto.errors import ProtocolError, VerificationError
from piebridge.crypto.threshold.verification import verify as verify_threshold_signature
from piebridge.protocol_stack import governor_relay_bodies as bodies
from piebridge.protocol_stack.checkpoint import CometBftCheckpoint
from piebridge.protocol_stack.governor_hub_bodies import RelayLifeCycle
from piebridge.protocol_stack.governor_messages import GovernorMessage, TargetKind
from piebridge.protocol_stack.relay_messages import CarriedGovernorMessage
from piebridge.protocol_stack.verification.light_clients.cometbft import ClientParameters, ConsensusState
from piebridge.relay.app import clients, keys, proofs
from piebridge.relay.app.context import Context, Events, RefusedError, event
from piebridge.relay.app.outbox import open_outbox
from piebridge.relay.app.records import ChainRecord, RelayRecord


def validate(ctx: Context, message: CarriedGovernorMessage) -> GovernorMessage:
    """Check target, number and signature.

    Raises:
        RefusedError: for another target, or its number is not the one that is due.
        VerificationError: not signed by the governor key of the current epoch.
    """
    governor, relay = message.message, ctx.relay
    if (governor.target_kind, governor.domain, governor.target) != (TargetKind.RELAY, relay.domain, relay.relay):
        raise RefusedError("governor message is for another target")
    if governor.key_epoch != relay.key_epoch:
        raise RefusedError("governor message of another key epoch", expected=relay.key_epoch, actual=governor.key_epoch)
    due = relay.governor_counter + 1 if governor.ordered else relay.life_cycle_number
    if governor.counter != due:
        raise RefusedError(
            "governor message does not have the number that is due", expected=due, actual=governor.counter
        )
    verify_threshold_signature(governor.signature, governor.digest, relay.governor_key)
    return governor


def is_in_force(relay: RelayRecord, message: GovernorMessage) -> bool:
    """Tell whether a message outside the order has had its effect already, so that it would change nothing."""
    return (message.kind == bodies.Pause.KIND and relay.paused) or (message.kind == bodies.Freeze.KIND and relay.frozen)


def execute(ctx: Context, message: CarriedGovernorMessage, validated: GovernorMessage) -> tuple[int, Events]:
    """Use up the number, then do what the message says, or tell why it cannot be done."""
    store, relay = ctx.store, ctx.relay
    if validated.ordered:
        store.set_relay(replace(relay, governor_counter=validated.counter))
    attempt = ctx.attempt()
    try:
        body = validated.decode_body()
        told: Events = list(_ACTIONS[type(body)](attempt, body))
    except ProtocolError as error:
        told = []
        outcome = event(
            "governor_message", counter=validated.counter, kind=validated.kind, done="false", reason=str(error)
        )
    else:
        ctx.keep(attempt)
        outcome = event("governor_message", counter=validated.counter, kind=validated.kind, done="true")
    return 1, [outcome, *told]


# --- what the kinds do ------------------------------------------------------------------------------------------------


def register_chain(ctx: Context, body: bodies.RegisterChain) -> Events:
    """Take up a hub: its registration, the start of its light client, an outbox toward it.

    Raises:
        RefusedError: the number was given out before, or its notaries are no byzantine quorum.
    """
    if ctx.store.chain(body.registration) is not None:
        raise RefusedError(f"registration {body.registration} was given out before")
    if body.notaries is not None:
        _check_safe(ctx, safe=body.notaries.safe)
    ctx.store.set_chain(
        ChainRecord(
            registration=body.registration,
            hub=body.hub,
            evm_chain_id=body.evm_chain_id,
            client_kind=body.client_kind,
            method=body.method,
            depth=body.depth,
            depth_max=body.depth_max,
            handler_gas_max=body.handler_gas_max,
            closed_at=None,
            notary_set=b"" if body.notaries is None else body.notaries.encode(),
        )
    )
    if body.checkpoint is not None:
        _start_client(ctx, body.registration, body.checkpoint)
    open_outbox(ctx.store, body.registration)
    return [event("chain_registered", registration=body.registration)]


def set_validators(ctx: Context, body: bodies.ValidatorSet) -> Events:
    """Replace the consensus set (in force two heights later) and the endorsement set (at once).

    Raises:
        RefusedError: not the next epoch, or no byzantine quorum.
    """
    due = ctx.store.validators.epoch + 1
    if body.epoch != due:
        raise RefusedError("validator set has not the next epoch", expected=due, actual=body.epoch)
    _check_safe(ctx, safe=body.safe)
    write_validators(ctx, body)
    return [event("validators_changed", epoch=body.epoch)]


def write_validators(ctx: Context, body: bodies.ValidatorSet) -> None:
    """Write the validator set and publish the hash of its endorsers."""
    relay = ctx.relay
    ctx.store.set(keys.VALIDATORS, body.encode())
    set_hash = body.endorsers.set_hash(relay.domain, relay.relay)
    ctx.store.set(keys.ENDORSED_SET, body.epoch.to_bytes(4, "big") + set_hash)


def set_gateways(ctx: Context, body: bodies.Gateways) -> Events:
    """Authorise gateways, change their quotas, or remove them."""
    for item in body.quotas:
        ctx.store.set(keys.gateway(item.address), item.quota.to_bytes(4, "big") if item.quota else None)
    return [event("gateways_changed", count=len(body.quotas))]


def _no_op(ctx: Context, body: bodies.NoOp) -> Events:
    return []


def _close_chain(ctx: Context, body: bodies.CloseChain) -> Events:
    chain = _chain(ctx, body.registration)
    if not chain.is_open:
        raise RefusedError(f"registration {body.registration} is closed already", actual=chain.closed_at)
    ctx.store.set_chain(replace(chain, closed_at=body.closing_height))
    return [event("chain_closed", registration=body.registration, closing_height=body.closing_height)]


def _set_notaries(ctx: Context, body: bodies.SetNotaries) -> Events:
    chain = _chain(ctx, body.registration)
    if not chain.notary_set:
        raise RefusedError(f"registration {body.registration} is not verified by notaries")
    if body.notaries.epoch != chain.notary_epoch + 1:
        raise RefusedError(
            "notary set has not the next epoch", expected=chain.notary_epoch + 1, actual=body.notaries.epoch
        )
    _check_safe(ctx, safe=body.notaries.safe)
    ctx.store.set_chain(replace(chain, notary_set=body.notaries.encode()))
    proofs.restart_trust(ctx.store, body.registration, spv=False)
    return [event("notaries_changed", registration=body.registration, epoch=body.notaries.epoch)]


def _set_parameters(ctx: Context, body: bodies.Parameters) -> Events:
    ctx.store.set_relay(
        replace(
            ctx.relay,
            body_bytes_max=body.max_body,
            retention_seconds=body.retention_seconds,
            stranger_quota=body.stranger_quota,
        )
    )
    return [event("parameters_changed")]


def _new_checkpoint(ctx: Context, body: bodies.NewCheckpoint) -> Events:
    if ctx.store.client(_chain(ctx, body.registration).registration) is None:
        raise RefusedError(f"registration {body.registration} has no light client")
    _start_client(ctx, body.registration, body.checkpoint)
    proofs.restart_trust(ctx.store, body.registration, spv=True)
    return [event("client_restarted", registration=body.registration, height=body.checkpoint.height)]


_LIFE_CYCLE_STEPS: Final = frozenset(
    {
        (RelayLifeCycle.ACTIVE, RelayLifeCycle.DRAINING),
        (RelayLifeCycle.DRAINING, RelayLifeCycle.ACTIVE),
        (RelayLifeCycle.DRAINING, RelayLifeCycle.TERMINATED),
    }
)


def _move_life_cycle(ctx: Context, body: bodies.LifeCycle) -> Events:
    relay = ctx.relay
    # A frozen relay chain is past draining; whatever it still held the governors have resolved.
    ends_frozen = relay.frozen and body.state is RelayLifeCycle.TERMINATED
    if (relay.life_cycle, body.state) not in _LIFE_CYCLE_STEPS and not ends_frozen:
        raise RefusedError(f"a relay chain that is {relay.life_cycle.name} does not become {body.state.name}")
    ctx.store.set_relay(replace(relay, life_cycle=body.state))
    return [event("life_cycle", state=body.state.name)]


def _freeze(ctx: Context, body: bodies.Freeze) -> Events:
    ctx.store.set_relay(replace(ctx.relay, frozen=True))
    return [event("frozen")]


def _pause(ctx: Context, body: bodies.Pause) -> Events:
    ctx.store.set_relay(replace(ctx.relay, paused=True))
    return [event("paused")]


def _unpause(ctx: Context, body: bodies.Unpause) -> Events:
    relay = ctx.relay
    ctx.store.set_relay(replace(relay, paused=False, life_cycle_number=relay.life_cycle_number + 1))
    return [event("unpaused")]


def _rotate(ctx: Context, body: bodies.Rotate) -> Events:
    relay = ctx.relay
    ctx.store.set_relay(replace(relay, governor_key=body.group_key, key_epoch=relay.key_epoch + 1))
    return [event("governor_rotated", key_epoch=relay.key_epoch + 1)]


_ACTIONS: Final[Mapping[type, Callable[[Context, Any], Events]]] = MappingProxyType(
    {
        bodies.NoOp: _no_op,
        bodies.RegisterChain: register_chain,
        bodies.CloseChain: _close_chain,
        bodies.ValidatorSet: set_validators,
        bodies.SetNotaries: _set_notaries,
        bodies.Gateways: set_gateways,
        bodies.Parameters: _set_parameters,
        bodies.NewCheckpoint: _new_checkpoint,
        bodies.LifeCycle: _move_life_cycle,
        bodies.Freeze: _freeze,
        bodies.Pause: _pause,
        bodies.Unpause: _unpause,
        bodies.Rotate: _rotate,
    }
)


def _chain(ctx: Context, registration: int) -> ChainRecord:
    chain = ctx.store.chain(registration)
    if chain is None:
        raise RefusedError(f"registration {registration} is not known")
    return chain


def _check_safe(ctx: Context, *, safe: bool) -> None:
    if not safe and not ctx.relay.dev:
        raise VerificationError("a set of one, or one whose k is not above 2n/3, is accepted by a --dev chain only")


def _start_client(ctx: Context, registration: int, checkpoint: CometBftCheckpoint) -> None:
    clients.start(
        ctx.store,
        registration,
        ClientParameters(checkpoint.chain_id, checkpoint.trusting_period_seconds, checkpoint.clock_drift_seconds),
        ConsensusState(
            checkpoint.height,
            checkpoint.header_hash,
            checkpoint.time_ns,
            checkpoint.app_hash,
            checkpoint.next_validators_hash,
        ),
    )
