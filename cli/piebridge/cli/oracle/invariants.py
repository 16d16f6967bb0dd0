"""The invariants, each evaluated over chain state alone.

| id | what must hold |
|---|---|
| I1 | conservation: the balances of all chains and the transfers in flight add up to the token's supply |
| I2 | at most once: no packet has its effect twice |
| I3 | no invention: every effect belongs to a packet that its source hub sent, and says what the packet says |
| I4 | atomic outcome: source and destination end a transaction alike; an aborted one is undone exactly once |
| I6 | receipt truth: a receipt says what the destination did; exactly one for each packet that must have one |
| I15 | one road: a transaction has an outcome only in the lane of its own relay chain |
"""

from collections import Counter
from dataclasses import dataclass, field

from piebridge.cli.oracle.ledger import ABORTED, COMMITTED, ChainLedger, SentPacket, TokenMove

_EXECUTED = 1
_TOKEN_BODY_BYTES = 56


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise."""

    invariant: str
    """Id of the invariant."""
    chain: str
    """Chain where it shows."""
    what: str
    """What is wrong, with the values."""


@dataclass(slots=True)
class Verdict:
    """What the oracle found."""

    violations: list[Violation] = field(default_factory=list)
    sent: int = 0
    executed: int = 0
    aborted: int = 0
    pending: list[bytes] = field(default_factory=list)
    """Packets without an outcome, or whose outcome has not come home."""
    supply: int = 0
    balances: int = 0
    in_flight: int = 0

    @property
    def clean(self) -> bool:
        """True when no invariant is broken and at least one packet took effect: who saw nothing has checked nothing."""
        return not self.violations and self.executed > 0


@dataclass(frozen=True, slots=True)
class Applications:
    """Application ids of the domain."""

    token: int
    record_notary: int
    door: int


def check(ledgers: list[ChainLedger], applications: Applications) -> Verdict:
    """Check every invariant over all chains of a domain."""
    verdict = Verdict()
    by_registration = {ledger.registration: ledger for ledger in ledgers}
    packets = {packet.id: packet for ledger in ledgers for packet in ledger.sent}
    verdict.sent = len(packets)
    for ledger in ledgers:
        verdict.violations += [Violation("I3", ledger.name, fault) for fault in ledger.faults]
        _check_identity(ledger, verdict)
        _check_receipts(ledger, packets, verdict)
        _check_effects(ledger, packets, applications, verdict)
        _check_refunds(ledger, packets, verdict)
    for packet in packets.values():
        source, destination = by_registration[packet.source], by_registration.get(packet.destination)
        if destination is not None:
            _check_outcome(packet, source, destination, applications, verdict)
    _check_conservation(ledgers, by_registration, packets, applications, verdict)
    return verdict


def _check_identity(ledger: ChainLedger, verdict: Verdict) -> None:
    lanes = Counter((p.domain, p.destination, p.relay, p.channel, p.sequence) for p in ledger.sent)
    for lane, count in lanes.items():
        if count > 1:
            verdict.violations.append(Violation("I2", ledger.name, f"{count} packets share lane and sequence {lane}"))


def _check_receipts(ledger: ChainLedger, packets: dict[bytes, SentPacket], verdict: Verdict) -> None:
    for packet_id, count in Counter(item.packet_id for item in ledger.receipts).items():
        packet = packets.get(packet_id)
        if packet is None or packet.destination != ledger.registration:
            verdict.violations.append(
                Violation("I3", ledger.name, f"receipt for a packet nobody sent here: {_hex(packet_id)}")
            )
        if count > 1:
            verdict.violations.append(Violation("I6", ledger.name, f"{count} receipts for {_hex(packet_id)}"))


def _check_effects(
    ledger: ChainLedger, packets: dict[bytes, SentPacket], applications: Applications, verdict: Verdict
) -> None:
    effects: list[tuple[bytes, int]] = (
        [(move.packet_id, applications.token) for move in ledger.credits]
        + [(packet_id, applications.record_notary) for packet_id in ledger.notarised]
        + [(packet_id, applications.door) for packet_id in ledger.posted]
    )
    for (packet_id, application), count in Counter(effects).items():
        packet = packets.get(packet_id)
        if packet is None or packet.destination != ledger.registration or packet.application != application:
            verdict.violations.append(
                Violation("I3", ledger.name, f"effect without a packet sent here: {_hex(packet_id)}")
            )
        if count > 1:
            verdict.violations.append(Violation("I2", ledger.name, f"{_hex(packet_id)} took effect {count} times"))
    for move in ledger.credits:
        packet = packets.get(move.packet_id)
        if packet is not None and not _is_of(packet, move, recipient=True):
            verdict.violations.append(
                Violation("I3", ledger.name, f"credit of {move.amount} is not what {_hex(packet.id)} says")
            )


def _check_refunds(ledger: ChainLedger, packets: dict[bytes, SentPacket], verdict: Verdict) -> None:
    for packet_id, count in Counter(move.packet_id for move in ledger.refunds).items():
        if count > 1:
            verdict.violations.append(Violation("I2", ledger.name, f"{_hex(packet_id)} was refunded {count} times"))
    for move in ledger.refunds:
        packet = packets.get(move.packet_id)
        if packet is None or packet.source != ledger.registration or not _is_of(packet, move, recipient=False):
            verdict.violations.append(
                Violation("I3", ledger.name, f"refund of {move.amount} that belongs to no packet of this chain")
            )


def _check_outcome(
    packet: SentPacket, source: ChainLedger, destination: ChainLedger, applications: Applications, verdict: Verdict
) -> None:
    receipt = next((item for item in destination.receipts if item.packet_id == packet.id), None)
    ended = destination.reached_end(packet)
    effects = _effects_of(packet, destination, applications)
    executed = effects == 1 if effects is not None else receipt is not None and receipt.code == _EXECUTED
    if not ended:
        verdict.pending.append(packet.id)
        if receipt is not None or effects:
            verdict.violations.append(
                Violation("I2", destination.name, f"{_hex(packet.id)} has an effect or a receipt but no outcome")
            )
        if packet.bound and source.own_status(packet.domain, packet.relay, packet.nonce) == COMMITTED:
            verdict.violations.append(
                Violation("I4", source.name, f"{_hex(packet.id)} is committed here, unknown at {destination.name}")
            )
        return
    if executed:
        verdict.executed += 1
    else:
        verdict.aborted += 1
    if receipt is None and (packet.bound or packet.receipt_wanted) and not _tombstone(packet, destination):
        verdict.violations.append(Violation("I6", destination.name, f"{_hex(packet.id)} ended without a receipt"))
    if receipt is not None and (receipt.code == _EXECUTED) != executed:
        verdict.violations.append(
            Violation(
                "I6",
                destination.name,
                f"{_hex(packet.id)}: receipt code {receipt.code}, effect {'there' if executed else 'missing'}",
            )
        )
    if packet.receipt_wanted and receipt is not None and not source.receipt_home_taken(packet):
        verdict.pending.append(packet.id)
    if packet.bound:
        _check_transaction(packet, source, destination, executed, verdict)


def _check_transaction(
    packet: SentPacket, source: ChainLedger, destination: ChainLedger, executed: bool, verdict: Verdict
) -> None:
    there = destination.status(packet)
    here = source.own_status(packet.domain, packet.relay, packet.nonce)
    if (there == COMMITTED) != executed:
        verdict.violations.append(
            Violation(
                "I6",
                destination.name,
                f"{_hex(packet.id)}: status {there:02b}, effect {'there' if executed else 'missing'}",
            )
        )
    if here not in (0, there):
        verdict.violations.append(
            Violation("I4", source.name, f"{_hex(packet.id)}: {here:02b} here, {there:02b} at {destination.name}")
        )
    refunds = sum(move.packet_id == packet.id for move in source.refunds)
    settled = source.settled(packet.relay, packet.nonce)
    if here == 0 or (here == ABORTED and not settled):
        verdict.pending.append(packet.id)
        if refunds:
            verdict.violations.append(
                Violation("I4", source.name, f"{_hex(packet.id)} was refunded before it was aborted")
            )
    if here == COMMITTED and (refunds or settled):
        verdict.violations.append(Violation("I4", source.name, f"{_hex(packet.id)} was committed and refunded"))
    if here == ABORTED and settled and refunds != 1:
        verdict.violations.append(
            Violation("I4", source.name, f"{_hex(packet.id)} was aborted and settled with {refunds} refunds")
        )


def _check_conservation(
    ledgers: list[ChainLedger],
    by_registration: dict[int, ChainLedger],
    packets: dict[bytes, SentPacket],
    applications: Applications,
    verdict: Verdict,
) -> None:
    with_token = [ledger for ledger in ledgers if ledger.token is not None]
    supplies = {ledger.name: ledger.total_supply() for ledger in with_token}
    if len(set(supplies.values())) > 1:
        verdict.violations.append(Violation("I1", "all", f"the chains disagree about the supply: {supplies}"))
    verdict.supply = max(supplies.values(), default=0)
    verdict.balances = sum(ledger.balance(holder) for ledger in with_token for holder in ledger.holders if any(holder))
    for packet in packets.values():
        if packet.application != applications.token or len(packet.body) != _TOKEN_BODY_BYTES:
            continue
        source, destination = by_registration[packet.source], by_registration.get(packet.destination)
        arrived = destination is not None and destination.status(packet) == COMMITTED
        if not arrived and not source.settled(packet.relay, packet.nonce):
            verdict.in_flight += int.from_bytes(packet.body[:16], "big")
    if verdict.balances + verdict.in_flight != verdict.supply:
        verdict.violations.append(
            Violation(
                "I1", "all", f"balances {verdict.balances} + in flight {verdict.in_flight} != supply {verdict.supply}"
            )
        )


def _effects_of(packet: SentPacket, destination: ChainLedger, applications: Applications) -> int | None:
    """How often a packet took effect, or None where only a receipt can tell: the oracle does not know the application."""
    if packet.application == applications.token:
        return sum(move.packet_id == packet.id for move in destination.credits)
    if packet.application == applications.record_notary:
        return destination.notarised.count(packet.id)
    if packet.application == applications.door and packet.id in destination.posted:
        return destination.posted.count(
            packet.id
        )  # 0 is no answer: a recipient that it does not know may have taken it
    return None


def _tombstone(packet: SentPacket, destination: ChainLedger) -> bool:
    """An aborted packet that was never delivered leaves its status and no receipt."""
    return packet.bound and destination.status(packet) == ABORTED


def _is_of(packet: SentPacket, move: TokenMove, *, recipient: bool) -> bool:
    account = packet.body[36:56] if recipient else packet.body[16:36]
    return len(packet.body) == _TOKEN_BODY_BYTES and (account, int.from_bytes(packet.body[:16], "big")) == (
        move.account,
        move.amount,
    )


def _hex(value: bytes) -> str:
    return f"0x{value.hex()[:16]}..."
