"""UPDATE_CLIENT: new headers for the light client of a member chain."""

from piebridge.protocol_stack.relay_messages import LightBlock, UpdateClient
from piebridge.protocol_stack.verification.light_clients.cometbft import ConsensusState, verify_update
from piebridge.relay.app import clients
from piebridge.relay.app.context import Context, Events, RefusedError, RelayEvent, event
from piebridge.relay.app.proofs import chain_that_speaks


def validate(ctx: Context, message: UpdateClient) -> list[ConsensusState]:
    """Verify all light blocks, each from a trusted one or from an earlier one of the message.

    Raises:
        DecodingError: a part is not in its one encoding.
        VerificationError: a header may not be trusted.
        RefusedError: no such client, a frozen one, or a trusted height that it does not keep.
    """
    chain_that_speaks(ctx.store, message.registration)
    client = ctx.store.client(message.registration)
    if client is None or client.frozen:
        raise RefusedError(f"registration {message.registration} has no light client, or a frozen one")
    verified: dict[int, ConsensusState] = {}
    result = []
    for encoded in message.blocks:
        block = LightBlock.decode(encoded)
        trusted = verified.get(block.trusted_height) or ctx.store.consensus(message.registration, block.trusted_height)
        if trusted is None:
            raise RefusedError(
                f"light client of registration {message.registration} does not keep height {block.trusted_height}"
            )
        state = verify_update(client.parameters, trusted, block, ctx.time_ns)
        verified[state.height_on_source] = state
        result.append(state)
    return result


def execute(ctx: Context, message: UpdateClient, validated: list[ConsensusState]) -> tuple[int, Events]:
    """Trust the verified headers, or freeze the client where one contradicts what it trusts."""
    registration, news = message.registration, 0
    events: list[RelayEvent] = []
    for state in validated:
        client = ctx.store.client(registration)
        assert client is not None, "validated"
        if clients.contradicts(ctx.store, registration, client, state):
            clients.freeze(ctx.store, registration, client)
            events.append(event("client_frozen", registration=registration, height=state.height_on_source))
            return news + 1, events
        if state.height_on_source in client.heights:
            continue
        clients.trust(ctx.store, registration, client, state)
        events.append(event("client_updated", registration=registration, height=state.height_on_source))
        news += 1
    return news, events
