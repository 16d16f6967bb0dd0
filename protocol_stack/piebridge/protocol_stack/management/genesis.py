"""Genesis of the relay chains that a decision makes (``docs/protocol/management.md``, section 6).

A pure function of the decision: any two agents write the same bytes, and their hash on the management chain shows it.
"""

from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.identifiers import RelayId
from piebridge.protocol_stack.management.decision import Decision
from piebridge.protocol_stack.management.request_bodies import Form, ScaleUp
from piebridge.protocol_stack.relay_genesis import RelayGenesis

_NANOSECONDS_PER_SECOND = 1_000_000_000


def relay_genesis(decision: Decision, relay: RelayId) -> RelayGenesis:
    """Return what a relay chain starts with that a decision makes.

    Args:
        decision: of kind FORM or SCALE_UP.
        relay: one of its relay chains.

    Raises:
        FormatError: ``DECISION``, the decision does not make this relay chain.
    """
    decided = next((item for item in decision.relays if item.relay == relay), None)
    if decided is None or not isinstance(decision.body, Form | ScaleUp):
        raise FormatError(
            ErrorCode.DECISION,
            f"a decision of kind {decision.kind.name} does not make relay chain {relay}",
            expected=[item.relay for item in decision.relays],
            actual=relay,
        )
    return RelayGenesis(
        decision.domain,
        relay,
        decision.dev,
        decision.governor_key,
        decision.parameters.caps,
        decided.validator_set,
        decision.body.chains,
        decision.body.gateways,
    )


def genesis_document(decision: Decision, relay: RelayId) -> bytes:
    """Return CometBFT's genesis document of a relay chain that a decision makes.

    Raises:
        FormatError: the decision does not make this relay chain.
    """
    return relay_genesis(decision, relay).document(
        decision.time_seconds * _NANOSECONDS_PER_SECOND, decision.parameters.block_bytes_max
    )
