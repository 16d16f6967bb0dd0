"""The invariants, each evaluated over chain state alone.

| id | what must hold |
|---|---|
| I1 | conservation: the balances of all chains and the transfers in flight add up to the token's supply; balances are what the token's transfers make of them, and nobody else holds any |
| I2 | at most once: no packet has its effect twice, no number is given out twice, nothing has an effect that can come again |
| I3 | no invention: every effect and every outcome belongs to a packet that its source hub sent; a hub's outboxes are what its logs say |
| I4 | atomic outcome: source and destination end a transaction alike; an aborted one is undone exactly once, a committed one never |
| I5 | locks: no amount of an account is locked, for no protocol of today locks any |
| I6 | receipt truth: receipt, status and effect say the same; exactly one receipt for each packet that must have one; the sender is told what the destination did |
| I10 | binding: an effect is the one that its packet names: amount, account, record, message, and time |
| I15 | one road: a packet of a bound lane is in the outbox, and brought by the relay chain, of its lane only |
"""  # noqa: E501 - rows of a table

from collections import Counter
from dataclasses import dataclass, field

from piebridge.cli.oracle import decoding
from piebridge.cli.oracle.decoding import EXECUTED, EXPIRED, ReceiptItem, SentPacket, keccak, tag
from piebridge.cli.oracle.ledger import ABORTED, COMMITTED, PREPARED, ChainLedger

_NOBODY = bytes(20)
_SETTLED = 1


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
    """Packets without an outcome, or whose outcome has not come home, once each."""
    unjudged: list[bytes] = field(default_factory=list)
    """Packets of which chain state does not tell whether they took effect: no receipt, and an application or a
    destination that the oracle does not know."""
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
    return _Judge(ledgers, applications).judge()


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a destination says of a packet."""

    ended: bool
    receipts: list[ReceiptItem]
    effects: int | None
    """How often it took effect; None where the oracle cannot tell."""
    failed: bool
    """Whether the hub says that the handler reverted."""

    @property
    def receipt(self) -> ReceiptItem | None:
        return self.receipts[0] if self.receipts else None


class _Judge:
    def __init__(self, ledgers: list[ChainLedger], applications: Applications) -> None:
        self._ledgers, self._applications = ledgers, applications
        self._by_registration = {ledger.registration: ledger for ledger in ledgers}
        self._source_of = {packet.id: ledger for ledger in ledgers for packet in ledger.sent}
        self._packets = {packet.id: packet for ledger in ledgers for packet in ledger.sent}
        self._receipts: dict[int, dict[bytes, list[ReceiptItem]]] = {}
        self._effects: dict[int, Counter[bytes]] = {}
        self._refunds: dict[int, Counter[bytes]] = {}
        self._verdict = Verdict(sent=len(self._packets))

    def judge(self) -> Verdict:
        for ledger in self._ledgers:
            receipts = self._receipts.setdefault(ledger.registration, {})
            for item in ledger.receipts:
                receipts.setdefault(item.packet_id, []).append(item)
            self._effects[ledger.registration] = Counter(
                [move.packet_id for move in (ledger.token.credits if ledger.token else [])]
                + [item.packet_id for item in ledger.notary.notarised]
                + [item.packet_id for item in ledger.posted]
            )
            self._refunds[ledger.registration] = Counter(
                move.packet_id for move in (ledger.token.refunds if ledger.token else [])
            )
        for ledger in self._ledgers:
            self._verdict.violations += [Violation(invariant, ledger.name, what) for invariant, what in ledger.faults]
            self._check_receipts(ledger)
            self._check_credits(ledger)
            self._check_refunds(ledger)
            self._check_records(ledger)
            self._check_posts(ledger)
            self._check_accounts(ledger)
        for packet in self._packets.values():
            self._check_packet(packet, self._source_of[packet.id])
        self._check_conservation()
        self._verdict.pending = list(dict.fromkeys(self._verdict.pending))
        return self._verdict

    def _break(self, invariant: str, ledger: ChainLedger, what: str) -> None:
        self._verdict.violations.append(Violation(invariant, ledger.name, what))

    # --- Each chain by itself -----------------------------------------------------------------------------------------

    def _check_receipts(self, ledger: ChainLedger) -> None:
        for item in ledger.receipts_by_cut():
            packet = self._packet_to(ledger, item.packet_id)
            if packet is None:
                self._break("I3", ledger, f"receipt for a packet that nobody sent here: {_hex(item.packet_id)}")
                continue
            if packet.bound and item.endorsing_relay != packet.relay:
                self._break(
                    "I15",
                    ledger,
                    f"{_hex(packet.id)} of relay {packet.relay} was brought by {item.endorsing_relay}",
                )
            over = packet.expiry != 0 and ledger.block_times[item.block] >= packet.expiry
            if item.code == EXECUTED and over:
                self._break("I10", ledger, f"{_hex(packet.id)} was executed after it had expired")
            if item.code == EXPIRED and not over:
                self._break("I6", ledger, f"{_hex(packet.id)} is said to have expired before its time was over")
            if item.returned and item.code != EXECUTED:
                self._break("I6", ledger, f"{_hex(packet.id)} returned data and was not executed")
        for packet_id, count in Counter(item.packet_id for item in ledger.receipts_by_cut()).items():
            if count > 1:
                self._break("I6", ledger, f"{count} receipts for {_hex(packet_id)}")

    def _check_effect(self, ledger: ChainLedger, packet_id: bytes, application: int) -> SentPacket | None:
        """Return the packet that an effect belongs to; without one it is invented."""
        packet = self._packet_to(ledger, packet_id)
        if packet is None or packet.application != application:
            self._break("I3", ledger, f"effect of a packet that nobody sent here: {_hex(packet_id)}")
            return None
        return packet

    def _check_credits(self, ledger: ChainLedger) -> None:
        for move in ledger.token.credits if ledger.token else []:
            packet = self._check_effect(ledger, move.packet_id, self._applications.token)
            if packet is not None and (move.account, move.amount) != (packet.recipient, packet.amount):
                self._break("I10", ledger, f"credit of {move.amount} is not what {_hex(packet.id)} says")

    def _check_refunds(self, ledger: ChainLedger) -> None:
        for move in ledger.token.refunds if ledger.token else []:
            packet = self._packets.get(move.packet_id)
            if packet is None or self._source_of[packet.id] is not ledger:
                self._break("I3", ledger, f"refund of {move.amount} that belongs to no packet of this chain")
            elif (move.account, move.amount) != (packet.sender, packet.amount):
                self._break("I10", ledger, f"refund of {move.amount} is not what {_hex(packet.id)} says")

    def _check_records(self, ledger: ChainLedger) -> None:
        notary = ledger.notary
        if not notary.complete:
            self._break("I3", ledger, "the record notary stores what no event tells of")
        known: set[bytes] = set()
        for item in notary.notarised:
            packet = self._check_effect(ledger, item.packet_id, self._applications.record_notary)
            stored = notary.records[item.key]
            if packet is not None and (item.key + item.value, item.source) != (packet.body, packet.source):
                self._break("I10", ledger, f"the record of {_hex(packet.id)} is not what it says")
            if item.existing != (item.key in known):
                self._break("I10", ledger, f"{_hex(item.packet_id)} misjudges whether its key was taken")
            if item.key not in known and (stored.value, stored.source) != (item.value, item.source):
                self._break("I10", ledger, f"the record of {_hex(item.packet_id)} is not what is stored")
            known.add(item.key)
            for receipt in self._receipts[ledger.registration].get(item.packet_id, []):
                answer = bytes([item.existing]) + stored.value + stored.source.to_bytes(4, "big")
                if receipt.returned != answer + stored.time.to_bytes(8, "big"):
                    self._break("I6", ledger, f"the receipt of {_hex(item.packet_id)} does not return what is stored")

    def _check_posts(self, ledger: ChainLedger) -> None:
        for item in ledger.posted:
            packet = self._check_effect(ledger, item.packet_id, self._applications.door)
            if packet is not None and decoding.decode_message(packet.body) != (item.sender, item.board, item.payload):
                self._break("I10", ledger, f"the message of {_hex(packet.id)} is not what it says")

    def _check_accounts(self, ledger: ChainLedger) -> None:
        """Check that balances are what the transfers make of them, and that value comes and goes with packets only."""
        token = ledger.token
        if token is None:
            return
        if not token.complete:
            self._break("I1", ledger, "the token's storage holds what none of its events tells of")
        expected: Counter[bytes] = Counter()
        for item in token.transfers:
            expected[item.sender] -= item.amount
            expected[item.recipient] += item.amount
        for account, cell in token.cells.items():
            if cell >> 128:
                self._break("I5", ledger, f"tokens of 0x{account.hex()} are locked")
            balance = token.balance(account)
            if balance != (0 if account == _NOBODY else expected[account]):
                self._break("I1", ledger, f"0x{account.hex()} holds {balance}, its transfers make {expected[account]}")
        own = [packet for packet in ledger.sent_by_cut() if packet.application == self._applications.token]
        taken = Counter((item.block, item.sender, item.amount) for item in token.transfers if item.recipient == _NOBODY)
        if taken != Counter((packet.block, packet.sender, packet.amount) for packet in own):
            self._break("I1", ledger, "what left the accounts toward other chains is not what the packets carry")
        given = Counter((item.block, item.recipient, item.amount) for item in token.transfers if item.sender == _NOBODY)
        moves = Counter((move.block, move.account, move.amount) for move in (*token.credits, *token.refunds))
        first = min((item.block for item in token.transfers), default=0)
        if moves - given or any(block != first for block, _, _ in given - moves):
            self._break("I1", ledger, "what came into the accounts from other chains is not what packets brought")

    # --- Each packet at both ends -------------------------------------------------------------------------------------

    def _check_packet(self, packet: SentPacket, source: ChainLedger) -> None:
        if packet.application == self._applications.token and (
            not packet.bound or len(packet.body) != decoding.TOKEN_BODY_BYTES
        ):
            self._break("I15", source, f"{_hex(packet.id)} of the token is no transfer in a bound lane")
            return
        destination = self._by_registration.get(packet.destination)
        if destination is None:
            self._verdict.unjudged.append(packet.id)
        else:
            self._check_outcome(packet, destination)
        if packet.bound:
            self._check_transaction(packet, source, destination)
        self._check_receipt_home(packet, source, destination)

    def _check_outcome(self, packet: SentPacket, destination: ChainLedger) -> None:
        """Compare status, receipt and effect, which are made in one block of one chain."""
        found = self._outcome(packet, destination)
        name = _hex(packet.id)
        if found.effects is not None and found.effects > 1:
            self._break("I2", destination, f"{name} took effect {found.effects} times")
        if not found.ended:
            self._verdict.pending.append(packet.id)
            if found.receipts or found.effects or found.failed:
                self._break("I2", destination, f"{name} has an effect or a receipt but no outcome: it may come again")
            return
        status = destination.status(packet) if packet.bound else None
        if status == PREPARED:
            self._break("I4", destination, f"{name} is prepared, which nothing does yet")
        says = {
            "status": None if status is None else status == COMMITTED,
            "receipt": None if found.receipt is None else found.receipt.code == EXECUTED,
            "effect": None if found.effects is None else found.effects > 0,
        }
        told = {what: value for what, value in says.items() if value is not None}
        if len(set(told.values())) > 1:
            words = ", ".join(f"{what}: {'executed' if value else 'not executed'}" for what, value in told.items())
            self._break("I6", destination, f"{name}: {words}")
        if found.failed and any(told[what] for what in told):
            self._break("I6", destination, f"{name} was executed although its handler reverted")
        # A tombstone is what a verdict leaves of a packet that never came: no handler ran and there is no receipt.
        tombstone = status == ABORTED and not found.failed and not found.effects
        if found.receipt is None and (packet.bound or packet.receipt_wanted) and not tombstone:
            self._break("I6", destination, f"{name} ended without a receipt")
        self._count(packet, destination, found, told)

    def _count(self, packet: SentPacket, destination: ChainLedger, found: _Outcome, told: dict[str, bool]) -> None:
        silent = not found.failed and found.receipt is None and not packet.bound
        if silent and found.effects is None:
            self._verdict.unjudged.append(packet.id)
        elif silent and not found.effects and not packet.expiry and packet.gas_limit <= destination.handler_gas_max:
            self._break("I6", destination, f"{_hex(packet.id)} ended, and neither an effect nor a failure is there")
        elif any(told.values()):
            self._verdict.executed += 1
        else:
            self._verdict.aborted += 1

    def _check_transaction(self, packet: SentPacket, source: ChainLedger, destination: ChainLedger | None) -> None:
        """Compare how the source ended a transaction with what the destination did, and whether it was undone."""
        name = _hex(packet.id)
        here, claim = source.own_status(packet), source.settlement(packet)
        refunds = self._refunds[source.registration][packet.id]
        undone = packet.application != self._applications.token or refunds == 1
        there = None if destination is None else destination.status(packet, later=True)
        if here == PREPARED:
            self._break("I4", source, f"{name} is prepared, which nothing does yet")
        if here == COMMITTED and there not in (None, COMMITTED):
            self._break("I4", source, f"{name} is committed here, {there:02b} at its destination")
        if here == ABORTED and there == COMMITTED:
            self._break("I4", source, f"{name} is aborted here and committed at its destination")
        if here != ABORTED and (claim or refunds):
            self._break("I4", source, f"{name} was given back and is not aborted (status {here:02b})")
        if refunds > 1:
            self._break("I2", source, f"{name} was refunded {refunds} times")
        if here == ABORTED:
            if claim not in (_SETTLED, int.from_bytes(keccak(tag("PACKETS") + packet.id), "big")):
                self._break("I4", source, f"{name} is aborted, but nothing can give back what it took")
            if claim == _SETTLED and not undone:
                self._break("I4", source, f"{name} was aborted and settled with {refunds} refunds")
            if claim != _SETTLED and refunds:
                self._break("I4", source, f"{name} was refunded and can be again")
        if here == 0 or (here == ABORTED and claim != _SETTLED):
            self._verdict.pending.append(packet.id)

    def _check_receipt_home(self, packet: SentPacket, source: ChainLedger, destination: ChainLedger | None) -> None:
        """Check that the sender was told what the destination did, and nothing else."""
        name = _hex(packet.id)
        taken = source.receipt_home_taken(packet)
        receipts = [] if destination is None else self._receipts[destination.registration].get(packet.id, [])
        if taken and not packet.receipt_wanted:
            self._break("I6", source, f"{name} has a receipt that it did not want")
        if taken and destination is not None and not receipts:
            self._break("I6", source, f"{name} has a receipt that its destination did not make")
        if packet.receipt_wanted and not taken and not self._has_no_receipt(packet, source, destination, receipts):
            self._verdict.pending.append(packet.id)
        if packet.application != self._applications.record_notary:
            return
        told = [item for item in source.notary.confirmations if item.packet_id == packet.id]
        if len(told) > 1 or (told and not taken):
            self._break("I6", source, f"{name} was confirmed {len(told)} times")
        if taken and packet.callback and not told and packet.id not in source.callbacks_failed:
            self._break("I6", source, f"{name} has its receipt, and its sender was not told")
        for item in told:
            if receipts and (item.code, item.returned) != (receipts[0].code, receipts[0].returned):
                self._break("I6", source, f"{name} was confirmed with another outcome than its destination's")

    @staticmethod
    def _has_no_receipt(
        packet: SentPacket, source: ChainLedger, destination: ChainLedger | None, receipts: list[ReceiptItem]
    ) -> bool:
        """Tell whether no receipt will ever come: the relay chain aborted the packet, which left a tombstone alone."""
        return (
            packet.bound
            and destination is not None
            and source.own_status(packet) == ABORTED
            and destination.status(packet, later=True) == ABORTED
            and not receipts
        )

    # --- All chains together ------------------------------------------------------------------------------------------

    def _check_conservation(self) -> None:
        """Every term belongs to one block of one chain and, but for balances, to what the hubs say, not the token."""
        tokens = {ledger.name: ledger.token for ledger in self._ledgers if ledger.token is not None}
        supplies = {name: token.supply for name, token in tokens.items()}
        verdict = self._verdict
        if len(set(supplies.values())) > 1:
            verdict.violations.append(Violation("I1", "all", f"the chains disagree about the supply: {supplies}"))
        verdict.supply = max(supplies.values(), default=0)
        verdict.balances = sum(token.balance(account) for token in tokens.values() for account in token.cells)
        for packet in self._packets.values():
            if packet.application != self._applications.token or not packet.bound:
                continue
            source, destination = self._source_of[packet.id], self._by_registration.get(packet.destination)
            left = packet.block <= source.cut
            arrived = destination is not None and destination.status(packet) == COMMITTED
            verdict.in_flight += packet.amount * (left - arrived - (source.settlement(packet) == _SETTLED))
        if verdict.balances + verdict.in_flight != verdict.supply:
            verdict.violations.append(
                Violation(
                    "I1",
                    "all",
                    f"balances {verdict.balances} + in flight {verdict.in_flight} != supply {verdict.supply}",
                )
            )

    # --- Look-ups -----------------------------------------------------------------------------------------------------

    def _packet_to(self, ledger: ChainLedger, packet_id: bytes) -> SentPacket | None:
        packet = self._packets.get(packet_id)
        return packet if packet is not None and packet.destination == ledger.registration else None

    def _outcome(self, packet: SentPacket, destination: ChainLedger) -> _Outcome:
        receipts = self._receipts[destination.registration].get(packet.id, [])
        counted = self._effects[destination.registration][packet.id]
        return _Outcome(
            ended=destination.reached_end(packet),
            receipts=[item for item in receipts if item.block <= destination.cut],
            effects=counted if self._is_known(packet, destination) else None,
            failed=packet.id in destination.failed,
        )

    def _is_known(self, packet: SentPacket, destination: ChainLedger) -> bool:
        """Tell whether the oracle sees the effect of a packet."""
        if packet.application == self._applications.door:
            message = decoding.decode_message(packet.body)
            return message is not None and message[1] in destination.boards
        return packet.application in (self._applications.token, self._applications.record_notary)


def _hex(value: bytes) -> str:
    return f"0x{value.hex()[:16]}..."
