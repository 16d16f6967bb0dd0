"""State of a relay chain at its genesis."""

from piebridge.crypto.errors import ConfigurationError, ProtocolError
from piebridge.protocol_stack.governor_hub_bodies import RelayLifeCycle
from piebridge.protocol_stack.relay_genesis import RelayGenesis
from piebridge.relay.app.context import Context
from piebridge.relay.app.handlers.governor import register_chain, set_gateways, write_validators
from piebridge.relay.app.records import RelayRecord


def write(ctx: Context, genesis: RelayGenesis) -> None:
    """Write the genesis state; the chain starts active.

    Raises:
        ConfigurationError: a part of the genesis cannot be executed.
    """
    ctx.store.set_relay(
        RelayRecord(
            domain=genesis.domain,
            relay=genesis.relay,
            dev=genesis.dev,
            life_cycle=RelayLifeCycle.ACTIVE,
            frozen=False,
            paused=False,
            life_cycle_number=1,
            governor_key=genesis.governor_key,
            key_epoch=1,
            governor_counter=0,
            body_bytes_max=genesis.parameters.max_body,
            retention_seconds=genesis.parameters.retention_seconds,
            stranger_quota=genesis.parameters.stranger_quota,
        )
    )
    write_validators(ctx, genesis.validator_set)
    try:
        for chain in genesis.chains:
            register_chain(ctx, chain)
        set_gateways(ctx, genesis.gateways)
    except ProtocolError as error:
        raise ConfigurationError(f"the genesis of the relay chain cannot be executed: {error}") from error
