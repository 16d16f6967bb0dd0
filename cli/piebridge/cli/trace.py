"""From facts to what a person wants to know: where a packet is, and what it waits for. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from piebridge.cli.facts import BlockFacts, PacketFacts, SignatureFacts
from piebridge.protocol_stack.receipts import ReceiptCode


class State(StrEnum):
    """Where a packet is."""

    SENT = "sent"
    """At its source only."""
    RECORDED = "recorded"
    """At a relay chain."""
    DELIVERED = "delivered"
    """It reached its end at the destination; the source does not know yet."""
    REFUNDABLE = "aborted"
    """The source knows that it was aborted; the effect is not undone yet."""
    COMPLETED = "completed"
    """It was executed, and the source knows if it wanted to."""
    REFUNDED = "refunded"
    """It was not executed, and the source has undone its effect."""
    FAILED = "failed"
    """It was not executed, and there is nothing to undo."""

    @property
    def final(self) -> bool:
        """Whether nothing will happen any more."""
        return self in (State.COMPLETED, State.REFUNDED, State.FAILED)


class Reason(StrEnum):
    """Why a packet waits."""

    NOT_FINAL = "not-final"
    TOO_FEW_SIGNATURES = "too-few-signatures"
    GATEWAY_DOWN = "gateway-down"
    GAS_TOO_LOW = "gas-too-low"
    EXPIRED = "expired"
    LANE_BLOCKED = "lane-blocked"
    PAUSED = "paused"
    RELAY_UNREACHABLE = "relay-unreachable"
    UNDER_WAY = "under-way"


@dataclass(frozen=True, slots=True)
class Wait:
    """One reason for waiting."""

    reason: Reason
    """Stable name."""
    text: str
    """In words, with the values, and what to do where something can be done."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One step on a packet's road."""

    place: str
    """Chain."""
    what: str
    """What happened."""
    block: int | None
    """Height."""
    time: float | None
    """Unix seconds; None where no node tells."""
    gas: int | None = None
    """Gas of the whole transaction."""
    messages: int | None = None
    """Messages that shared it."""
    proof_bytes: int | None = None
    """Size of the proof."""
    detail: str = ""
    """More in words."""

    @property
    def gas_per_message(self) -> int | None:
        """Share of one message in the gas."""
        return None if self.gas is None else self.gas // max(self.messages or 1, 1)


@dataclass(frozen=True, slots=True)
class Trace:
    """A packet's road."""

    state: State
    """Where it is."""
    hops: tuple[Hop, ...]
    """What happened, in order."""
    waits: tuple[Wait, ...]
    """What it waits for, the most telling first; empty when it is final."""


def trace(facts: PacketFacts) -> Trace:
    """Tell where a packet is and what it waits for."""
    state = _state(facts)
    waits = () if state.final else _waits(facts, state)
    return Trace(state, tuple(_hops(facts)), waits)


def _state(facts: PacketFacts) -> State:
    home, destination = facts.home, facts.destination
    executed = destination.code is ReceiptCode.EXECUTED
    if home.settled is not None:
        return State.REFUNDED
    if home.came is not None and home.committed is False:
        return State.REFUNDABLE
    if home.came is not None or (destination.ended is not None and not home.wanted):
        # A plain packet without a receipt has no code: its handler succeeded unless the hub told why it failed.
        unrecorded = destination.code is None and destination.reason is None
        return State.COMPLETED if executed or unrecorded else State.FAILED
    if destination.ended is not None:
        return State.DELIVERED
    return State.SENT if facts.recorder is None else State.RECORDED


# --- Hops -------------------------------------------------------------------------------------------------------------


def _hops(facts: PacketFacts) -> list[Hop]:
    hops = [_parachain_hop(facts.source.chain, "sent", facts.source.sent)]
    relay = facts.recorder
    if relay is not None:
        detail = f"entry {relay.entry_number} to {facts.destination.chain}" if relay.entry_number else ""
        hops.append(
            Hop(
                relay.name,
                "verified and recorded",
                relay.recorded_height,
                relay.recorded_time,
                proof_bytes=relay.proof_bytes,
                detail=detail,
            )
        )
    destination = facts.destination
    if destination.ended is not None:
        what = "reached its end" if destination.code is None else destination.code.name.lower().replace("_", " ")
        hops.append(_parachain_hop(destination.chain, what, destination.ended, destination.reason or ""))
    if relay is not None and relay.answer_height is not None:
        what = "verdict given" if facts.sent.packet.header.transaction.nonce else "receipt recorded"
        hops.append(Hop(relay.name, what, relay.answer_height, relay.answer_time, proof_bytes=relay.answer_proof_bytes))
    home = facts.home
    if home.came is not None:
        answers = {None: "receipt came home", True: "verdict COMMIT came home", False: "verdict ABORT came home"}
        hops.append(_parachain_hop(facts.source.chain, answers[home.committed], home.came))
    if home.settled is not None:
        hops.append(_parachain_hop(facts.source.chain, "settled: the application undid its effect", home.settled))
    return hops


def _parachain_hop(chain: str, what: str, block: BlockFacts, reason: str = "") -> Hop:
    parts = [reason] if reason else []
    if block.signatures is not None:
        parts.append(f"{block.signatures} endorsements of relay-{block.relay}")
    if block.messages is not None and block.messages > 1:
        parts.append(f"one of {block.messages} messages for {block.gas_used} gas")
    return Hop(
        chain, what, block.number, block.time, block.gas_used, block.messages, block.proof_bytes, ", ".join(parts)
    )


# --- Waiting ----------------------------------------------------------------------------------------------------------


def _waits(facts: PacketFacts, state: State) -> tuple[Wait, ...]:
    if state is State.SENT:
        waits = [*_not_recorded(facts), *_carriers(facts, facts.source.chain, at_source=False)]
    elif state is State.RECORDED:
        waits = [*_not_delivered(facts), *_carriers(facts, facts.destination.chain, at_source=False)]
    else:
        waits = [*_not_home(facts, state), *_carriers(facts, facts.source.chain, at_source=True)]
    return tuple(waits) or (Wait(Reason.UNDER_WAY, _under_way(facts, state)),)


def _not_recorded(facts: PacketFacts) -> list[Wait]:
    waits = _expired(facts)
    source = facts.source
    depth = max(source.finality_depth, facts.sent.packet.header.verification.depth)
    above = source.head - source.sent.number
    if above < depth:
        waits.append(
            Wait(
                Reason.NOT_FINAL,
                f"block {source.sent.number} of {source.chain} has {above} blocks above it; {depth} are demanded, so "
                f"it is final at block {source.sent.number + depth}",
            )
        )
    elif facts.notaries is not None and not facts.notaries.enough:
        waits.append(Wait(Reason.TOO_FEW_SIGNATURES, _missing(facts.notaries, "notaries", f"{source.chain}'s outbox")))
    return waits + _relay_trouble(facts)


def _not_delivered(facts: PacketFacts) -> list[Wait]:
    waits = _expired(facts)
    destination, header = facts.destination, facts.sent.packet.header
    if destination.paused:
        waits.append(Wait(Reason.PAUSED, f"at {destination.chain}: {', '.join(destination.paused)}"))
    expected = destination.next_sequence
    if expected is not None and expected < header.transport.sequence:
        waits.append(
            Wait(
                Reason.LANE_BLOCKED,
                f"its lane is ordered and {destination.chain} waits for sequence {expected}; this is "
                f"{header.transport.sequence}. Find the one that it waits for: piebridge packet list --pending",
            )
        )
    maximum = destination.handler_gas_max
    if maximum is not None and header.transaction.handler_gas > maximum:
        waits.append(
            Wait(
                Reason.GAS_TOO_LOW,
                f"the handler is promised {header.transaction.handler_gas} gas, {destination.chain} gives at most "
                f"{maximum}: it will fail",
            )
        )
    if facts.endorsements is not None and not facts.endorsements.enough:
        recorder = facts.recorder
        what = f"entry {recorder.entry_number} of {recorder.name}" if recorder else "its entry"
        waits.append(Wait(Reason.TOO_FEW_SIGNATURES, _missing(facts.endorsements, "validators", what)))
    return waits


def _not_home(facts: PacketFacts, state: State) -> list[Wait]:
    waits = []
    destination, ended = facts.destination, facts.destination.ended
    relay = facts.recorder
    answered = relay is not None and relay.answer_height is not None
    if state is State.DELIVERED and not answered:
        if ended is not None and destination.head - ended.number < destination.finality_depth:
            waits.append(
                Wait(
                    Reason.NOT_FINAL,
                    f"its receipt is in block {ended.number} of {destination.chain}, which has "
                    f"{destination.head - ended.number} blocks above it; {destination.finality_depth} are demanded",
                )
            )
        elif facts.notaries is not None and not facts.notaries.enough:
            what = f"{destination.chain}'s outbox"
            waits.append(Wait(Reason.TOO_FEW_SIGNATURES, _missing(facts.notaries, "notaries", what)))
        waits += [wait for wait in _relay_trouble(facts) if wait.reason is Reason.RELAY_UNREACHABLE]
    elif state is State.DELIVERED and facts.endorsements is not None and not facts.endorsements.enough:
        what = f"the answer to {facts.source.chain}"
        waits.append(Wait(Reason.TOO_FEW_SIGNATURES, _missing(facts.endorsements, "validators", what)))
    return waits


def _expired(facts: PacketFacts) -> list[Wait]:
    expiry = facts.sent.packet.header.transaction.execution_expiry
    destination = facts.destination
    if not expiry or destination.now < expiry:
        return []
    return [
        Wait(
            Reason.EXPIRED,
            f"its expiry passed {destination.now - expiry} s ago on {destination.chain}'s "
            "clock; once delivered it ends EXPIRED, and what it did at the source is undone",
        )
    ]


def _relay_trouble(facts: PacketFacts) -> list[Wait]:
    """Tell what keeps all relay chains that may take the packet from taking it."""
    if not facts.relays:
        return [Wait(Reason.RELAY_UNREACHABLE, "the network file names no relay chain that may carry it")]
    unreachable = [relay for relay in facts.relays if relay.problem is not None]
    if len(unreachable) == len(facts.relays):
        text = "; ".join(f"{relay.name} does not answer: {relay.problem}" for relay in unreachable)
        return [Wait(Reason.RELAY_UNREACHABLE, text)]
    halted = [relay for relay in facts.relays if relay.problem is None and relay.halted is not None]
    if len(unreachable) + len(halted) == len(facts.relays):
        text = "; ".join(f"{relay.name} makes no blocks: {relay.halted}" for relay in halted)
        return [Wait(Reason.RELAY_UNREACHABLE, text)]
    stopped = [
        relay for relay in facts.relays if relay.problem is None and (relay.paused or relay.life_cycle != "ACTIVE")
    ]
    if len(stopped) + len(unreachable) == len(facts.relays):
        states = ", ".join(
            f"{relay.name} is {'paused' if relay.paused else relay.life_cycle.lower()}" for relay in stopped
        )
        return [Wait(Reason.PAUSED, f"{states}: it takes no new packets")]
    return []


def _carriers(facts: PacketFacts, chain: str, *, at_source: bool) -> list[Wait]:
    """Tell whether anybody is there to take the packet on."""
    working = [gateway for gateway in facts.gateways if gateway.problem is None]
    if not working:
        text = "; ".join(f"{gateway.name}: {gateway.problem}" for gateway in facts.gateways) or "there is none"
        return [
            Wait(
                Reason.GATEWAY_DOWN,
                f"no gateway works ({text}); start one again with: piebridge network start "
                f"{facts.gateways[0].name if facts.gateways else 'NAME'}",
            )
        ]
    balances = {
        gateway.name: gateway.source_balance_wei if at_source else gateway.destination_balance_wei
        for gateway in working
    }
    if facts.recorder is not None and facts.delivery_cost_wei and max(balances.values()) < facts.delivery_cost_wei:
        poor = ", ".join(f"{name} has {balance} wei" for name, balance in balances.items())
        return [
            Wait(
                Reason.GAS_TOO_LOW,
                f"no working gateway can pay about {facts.delivery_cost_wei} wei for a transaction on {chain}: {poor}; "
                "send it money for gas",
            )
        ]
    return []


def _missing(signatures: SignatureFacts, who: str, what: str) -> str:
    present = len(signatures.signers) - len(signatures.missing)
    problems = "; ".join(f"{signer.name} ({signer.address}): {signer.problem}" for signer in signatures.missing)
    return f"{present} of {signatures.needed} signatures that {what} needs of the {who}. Missing: {problems}"


def _under_way(facts: PacketFacts, state: State) -> str:
    if state is State.SENT:
        return "final at its source; waits for a gateway to bring it to a relay chain"
    if state is State.RECORDED:
        return f"endorsed; waits for a gateway to bring it to {facts.destination.chain}"
    if state is State.REFUNDABLE:
        return f"waits for a gateway to settle it at {facts.source.chain}"
    return f"waits for its receipt to come back to {facts.source.chain}"
