"""Makes ``tests/vectors/hub.json``: the life of one hub, from its first governor message to its closing.

Every call is truly signed for this hub, and beside it stands what the hub must make of it. What is expected is built
from the formats of ``piebridge.protocol_stack``, not by running a hub.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from piebridge.crypto.hash import keccak256
from piebridge.crypto.quorum import Quorum
from piebridge.crypto.signature import public_key_of, sign_recoverable
from piebridge.crypto.threshold.signing import sign_single
from piebridge.protocol_stack import commitment
from piebridge.protocol_stack.endorsement import EndorsementMethod, EndorsementSet, Envelope
from piebridge.protocol_stack.governor_hub_bodies import (
    ApplicationCall,
    Close,
    EndorserSet,
    FreezeRelay,
    HubBody,
    NoOp,
    OpenDomain,
    Pause,
    PauseScope,
    Protocols,
    RegisterApplication,
    RegisterPeer,
    RegisterRelay,
    RelayLifeCycle,
    RelayState,
    Rotate,
    SetRoutingPolicy,
    Unpause,
    Verification,
)
from piebridge.protocol_stack.governor_messages import GovernorMessage, TargetKind
from piebridge.protocol_stack.header import (
    FLAG_RECEIPT_WANTED,
    FLAG_RETURN,
    KIND_REQUEST,
    ApplicationHeader,
    Header,
    TransactionHeader,
    TransportHeader,
    VerificationHeader,
)
from piebridge.protocol_stack.packet import Packet, packets_hash
from piebridge.protocol_stack.receipts import Receipt, ReceiptBatch, ReceiptCode
from piebridge.protocol_stack.report import Report, ReportKind
from piebridge.protocol_stack.routing import RoutingPolicy, SlotRange
from piebridge.protocol_stack.transaction.atp import ATP
from piebridge.protocol_stack.transaction.forward import FORWARD
from piebridge.protocol_stack.transport.basic import BASIC
from piebridge.protocol_stack.transport.outbox import (
    RELAY_CHAIN,
    BareEntry,
    Entry,
    HeaderEntry,
    Maker,
    OutboxHead,
    OutboxRange,
    PacketEntry,
    ReceiptsEntry,
    ReportEntry,
    VerdictsEntry,
    open_hub_outbox,
    open_relay_outbox,
)
from piebridge.protocol_stack.verdicts import OriginVerdict, ParticipantVerdict, Verdict, VerdictList
from piebridge.protocol_stack.verification.base import Method
from testkit.samples import governor_key, governor_sign, key_address, private_key

Json = dict[str, Any]

HUB = keccak256(b"piebridge test hub")[12:]
APPLICATION_ADDRESS = keccak256(b"piebridge test application")[12:]
REGISTRATION, PEER, DOMAIN, RELAY, OTHER_RELAY, APPLICATION = 22, 11, 1, 5, 6, 2
CHAIN_ID, HANDLER_GAS_MAX = 31_337, 1_000_000
NOW = 1_800_000_000
NEW_GOVERNOR_SECRET = private_key(7)


def _hexed(data: bytes) -> str:
    return "0x" + data.hex()


def _new_governor_sign(digest: bytes) -> bytes:
    return sign_single(int.from_bytes(NEW_GOVERNOR_SECRET, "big"), digest, keccak256(b"entropy" + digest))


def _signers(epoch: int) -> EndorsementSet:
    members = tuple(key_address(number) for number in range(1, 5))
    return EndorsementSet(epoch, EndorsementMethod.SIGNATURES, 3, 4, members)


@dataclass
class _Life:
    """The steps so far, and what a hub must hold after them."""

    steps: list[Json] = field(default_factory=list)
    counters: dict[int, int] = field(default_factory=dict)
    outboxes: dict[int, OutboxHead] = field(default_factory=dict)
    nonces: dict[int, int] = field(default_factory=dict)
    sequences: dict[int, int] = field(default_factory=dict)
    relay_head: OutboxHead = field(
        default_factory=lambda: OutboxHead(0, open_relay_outbox(DOMAIN, RELAY, REGISTRATION))
    )
    key_epoch: int = 1
    height: int = 1000
    words: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    """Slot to mask and value: everything that was ever stated about storage; it holds until it is stated anew."""
    stated: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    """What the steps so far state."""

    def step(self, name: str, call: str, data: bytes, *, accepted: bool = True, **more: object) -> None:
        """Add a step; ``more`` goes beside it."""
        for relay, head in self.outboxes.items():
            self.words[commitment.chain_slot(DOMAIN, relay)] = ((1 << 256) - 1, int.from_bytes(head.value, "big"))
            word = head.number | self.nonces.get(relay, 0) << 64 | self.sequences.get(relay, 0) << 152
            self.words[commitment.head_slot(DOMAIN, relay)] = ((1 << 128) - 1 | ((1 << 56) - 1) << 152, word)
        stated = [slot for slot, word in self.words.items() if self.stated.get(slot) != word]
        self.stated = dict(self.words)
        self.steps.append(
            {
                "name": name,
                "call": call,
                "height": self.height,
                "time": NOW + self.height,
                "data": _hexed(data),
                "accepted": accepted,
                "domain": 0,
                "counter": "0",
                "kind": 0,
                "done": False,
                "entry_outbox": 0,
                "entry": "0x",
                **more,
                "slots": [_hexed(slot) for slot in stated],
                "masks": [_hexed(self.words[slot][0].to_bytes(32, "big")) for slot in stated],
                "values": [_hexed(self.words[slot][1].to_bytes(32, "big")) for slot in stated],
            }
        )
        self.height += 1

    def state_bits(self, slot: bytes, shift: int, bits: int, width: int) -> None:
        """State bits of a word; others that were never stated are 0."""
        _, value = self.words.get(slot, (0, 0))
        self.words[slot] = ((1 << 256) - 1, value & ~(((1 << width) - 1) << shift) | bits << shift)

    def make(self, relay: int, entry: Entry) -> Json:
        """Append an entry that the hub makes by the next step."""
        self.outboxes[relay] = self.outboxes[relay].append(entry.height, entry.message_id(Maker(REGISTRATION)))
        return {"entry_outbox": relay, "entry": _hexed(entry.content())}

    def message(self, body: HubBody | None, domain: int, counter: int, kind: int = 0) -> GovernorMessage:
        """Sign a governor message to the hub; without a body, an empty one of any kind."""
        return GovernorMessage(
            TargetKind.HUB,
            domain,
            REGISTRATION,
            self.key_epoch,
            body.KIND if body is not None else kind,
            HUB,
            counter,
            body.encode() if body is not None else b"",
        ).signed(governor_sign if self.key_epoch == 1 else _new_governor_sign)

    def govern(
        self, name: str, body: HubBody | None, domain: int = DOMAIN, *, done: bool = True, kind: int = 0
    ) -> None:
        """Let the hub take the next ordered message."""
        counter = self.counters.get(domain, 0) + 1
        message = self.message(body, domain, counter, kind)
        made: Json = {}
        if done and isinstance(body, RelayState) and body.state is RelayLifeCycle.DRAINING:
            made = self.report(ReportKind.RELAY_DRAINING, body.relay)
        if done and isinstance(body, Close):
            made = self.report(ReportKind.HUB_CLOSED, 0)
            self.words[commitment.closed_slot()] = ((1 << 256) - 1, self.height)
        self.counters[domain] = counter
        state: Json = {"domain": domain, "counter": str(counter), "kind": message.kind, "done": done}
        self.step(name, "governor", message.encode(), **state, **made)

    def govern_unordered(
        self, name: str, body: HubBody, domain: int, life_cycle: int, *, freezes: bool = False
    ) -> None:
        """Let the hub take an unordered message."""
        message = self.message(body, domain, life_cycle)
        made = self.report(ReportKind.RELAY_FROZEN, OTHER_RELAY) if freezes else {}
        state: Json = {"domain": domain, "counter": str(life_cycle), "kind": message.kind, "done": True}
        self.step(name, "governor", message.encode(), **state, **made)

    def report(self, kind: ReportKind, relay: int) -> Json:
        """The report that the next step makes."""
        head = self.outboxes[relay] if relay else OutboxHead(0, bytes(32))
        nonce = self.nonces.get(relay, 0) if relay else 0
        report = Report(kind, relay, self.height, nonce, head.number if relay else 0)
        return self.make(0, ReportEntry(self.height, report))

    def refuse(self, name: str, message: GovernorMessage) -> None:
        """A message that the hub must not take."""
        self.step(f"refused: {name}", "governor", message.encode(), accepted=False)

    def envelope(self, entries: Sequence[Entry], epoch: int) -> Envelope:
        """The next entries of the relay chain's outbox, truly endorsed by members 0, 1 and 3."""
        signers = _signers(epoch)
        given = OutboxRange(RELAY_CHAIN, self.relay_head.number + 1, self.relay_head.value, tuple(entries))
        unsigned = Envelope(DOMAIN, RELAY, signers, b"", given)
        digest = unsigned.digest(REGISTRATION)
        signatures = tuple(sign_recoverable(digest, private_key(key)) for key in (1, 2, 4))
        return replace(unsigned, proof=Quorum(0b1011, signatures))

    def receive(
        self, name: str, entries: Sequence[Entry], receipts: Sequence[Receipt], outbox: int, epoch: int
    ) -> None:
        """Let the hub take the next entries; ``receipts`` is what it makes of them, in ``outbox``."""
        envelope = self.envelope(entries, epoch)
        made = {}
        if receipts:
            made = self.make(outbox, ReceiptsEntry(self.height, ReceiptBatch(RELAY, tuple(receipts))))
        self.relay_head = envelope.range.fold()
        self.step(name, "receiveRange", envelope.encode(), **made)


def _incoming(sequence: int, body: bytes, *, bound: bool, gas: int = 200_000, expiry: int = NOW + 100_000) -> Packet:
    """A packet of the peer that wants a receipt and what its handler returns."""
    return _packet(PEER, REGISTRATION, sequence, body, bound=bound, gas=gas, expiry=expiry, nonce=sequence + 40)


def _packet(
    source: int, destination: int, sequence: int, body: bytes, *, bound: bool, gas: int, expiry: int, nonce: int
) -> Packet:
    transport = TransportHeader(
        BASIC, FLAG_RECEIPT_WANTED, DOMAIN, source, destination, RELAY if bound else 0, 0, sequence
    )
    transaction = (
        TransactionHeader(ATP, KIND_REQUEST, FLAG_RETURN, 0, 1, source, nonce, expiry + 600, expiry, gas)
        if bound
        else TransactionHeader(FORWARD, 0, FLAG_RETURN, 0, 0, 0, 0, 0, expiry, gas)
    )
    application = ApplicationHeader(APPLICATION, 1, len(body))
    return Packet(Header(transport, VerificationHeader(Method.SPV), transaction, application), body)


def hub() -> Json:
    """The life of one hub."""
    life = _Life()
    _settings(life)
    _packets(life)
    _transaction(life)
    _end(life)
    return {
        "hub": _hexed(HUB),
        "application": _hexed(APPLICATION_ADDRESS),
        "registration": REGISTRATION,
        "chain_id": CHAIN_ID,
        "handler_gas_max": HANDLER_GAS_MAX,
        "group_key": _hexed(governor_key()),
        "steps_count": len(life.steps),
        "steps": life.steps,
    }


def _settings(life: _Life) -> None:
    no_op = life.message(NoOp(), DOMAIN, 1)
    life.refuse("a counter is passed over", life.message(NoOp(), DOMAIN, 2))
    life.refuse("another registration", replace(no_op, target=REGISTRATION + 1).signed(governor_sign))
    life.refuse("another contract", replace(no_op, contract=b"\x77" * 20).signed(governor_sign))
    life.refuse("another key epoch", replace(no_op, key_epoch=2).signed(governor_sign))
    life.refuse("another key", replace(no_op, key_epoch=1).signed(_new_governor_sign))
    relay_message = GovernorMessage(TargetKind.RELAY, DOMAIN, REGISTRATION, 1, 1, bytes(20), 1, b"")
    life.refuse("to a relay chain", relay_message.signed(governor_sign))

    life.govern("NO_OP", NoOp())
    life.refuse("the same again", no_op)
    life.outboxes[0] = OutboxHead(0, open_hub_outbox(REGISTRATION, HUB, DOMAIN, 0))
    life.govern("OPEN_DOMAIN", OpenDomain(8192, 0, 1_000_000))
    life.govern("VERIFICATION", Verification(Method.BOTH, 64, 9))
    group = EndorsementSet(1, EndorsementMethod.THRESHOLD, 3, 4, (governor_key(),))
    for relay, signers in ((RELAY, _signers(1)), (OTHER_RELAY, group)):
        life.outboxes[relay] = OutboxHead(0, open_hub_outbox(REGISTRATION, HUB, DOMAIN, relay))
        life.govern(f"REGISTER_RELAY {relay}", RegisterRelay(relay, keccak256(b"genesis"), signers))
        life.govern(f"REGISTER_RELAY {relay} again", RegisterRelay(relay, keccak256(b"genesis"), signers), done=False)
        life.govern(f"RELAY_STATE {relay} active", RelayState(relay, RelayLifeCycle.ACTIVE))
    life.govern("RELAY_STATE of no relay chain", RelayState(7, RelayLifeCycle.ACTIVE), done=False)
    ranges = (SlotRange(OTHER_RELAY, 0, 100), SlotRange(RELAY, 100, 924))
    life.govern("ROUTING_POLICY", SetRoutingPolicy(RoutingPolicy(1, ranges)))
    life.govern(
        "ROUTING_POLICY of no relay chain", SetRoutingPolicy(RoutingPolicy(2, (SlotRange(7, 0, 1024),))), done=False
    )
    life.govern("REGISTER_PEER", RegisterPeer(PEER, 1, HANDLER_GAS_MAX, True))
    application = RegisterApplication(
        APPLICATION, APPLICATION_ADDRESS, Protocols.NONE | Protocols.ATP | Protocols.FORWARD
    )
    life.govern("REGISTER_APPLICATION in a domain", application, DOMAIN, done=False)
    life.govern("REGISTER_APPLICATION", application, 0)
    life.govern("APPLICATION_CALL", ApplicationCall(APPLICATION, b"setting"), 0)
    life.govern("APPLICATION_CALL of no application", ApplicationCall(3, b"setting"), 0, done=False)
    life.govern("OPEN_DOMAIN of the hub as a whole", OpenDomain(8192, 0, 1), 0, done=False)
    life.govern("no kind", None, DOMAIN, done=False, kind=16)
    for scope, identifier, domain in (
        (PauseScope.APPLICATION, APPLICATION, 0),
        (PauseScope.RELAY, RELAY, DOMAIN),
        (PauseScope.DOMAIN, DOMAIN, DOMAIN),
    ):
        pause = Pause(scope, identifier)
        life.refuse(f"PAUSE {scope.name} of the next life", life.message(pause, domain, 2))
        life.govern_unordered(f"PAUSE {scope.name}", pause, domain, 1)
        life.govern_unordered(f"PAUSE {scope.name} again", pause, domain, 1)
        life.govern(f"UNPAUSE {scope.name}", Unpause(scope, identifier), domain)
        life.refuse(f"PAUSE {scope.name} of the life before", life.message(pause, domain, 1))


def _packets(life: _Life) -> None:
    free, bound, expired, costly, failing, header_only = (
        _incoming(1, b"free", bound=False),
        _incoming(2, b"bound", bound=True),
        _incoming(3, b"expired", bound=True, expiry=NOW),
        _incoming(4, b"costly", bound=False, gas=HANDLER_GAS_MAX + 1),
        _incoming(5, b"starved", bound=True, gas=100),
        _incoming(6, b"header", bound=True, expiry=NOW),
    )
    seen, height = commitment.seen_slot(DOMAIN, PEER, 0, 1), 7
    status = commitment.status_slot(DOMAIN, PEER, RELAY, 0, 1)
    life.state_bits(seen, 1, 1, 1)
    first = PacketEntry(height, free)
    life.receive("a free packet", [first], [Receipt(free.packet_id, ReceiptCode.EXECUTED, b"free")], 0, 1)
    life.receive("a free packet again", [first], [], 0, 1)
    life.state_bits(seen, 4, 1, 1)
    for sequence, bits in ((2, 2), (3, 3), (5, 3), (6, 3)):
        life.state_bits(status, 2 * sequence, bits, 2)
    entries: list[Entry] = [
        BareEntry(height, keccak256(b"somebody else's")),
        PacketEntry(height, bound),
        PacketEntry(height, expired),
        PacketEntry(height, costly),
        PacketEntry(height, bound),
        PacketEntry(height + 1, failing),
        HeaderEntry(height + 1, header_only.header, header_only.body_hash),
    ]
    receipts = [
        Receipt(bound.packet_id, ReceiptCode.EXECUTED, b"bound"),
        Receipt(expired.packet_id, ReceiptCode.EXPIRED),
        Receipt(costly.packet_id, ReceiptCode.FAILED_GAS),
        Receipt(failing.packet_id, ReceiptCode.FAILED),
        Receipt(header_only.packet_id, ReceiptCode.EXPIRED),
    ]
    life.receive("packets of every end", entries, receipts, RELAY, 1)
    life.govern("ENDORSER_SET of a wrong epoch", EndorserSet(RELAY, 3600, _signers(3)), done=False)
    life.govern("ENDORSER_SET", EndorserSet(RELAY, 3600, _signers(2)))
    bare = [BareEntry(height + 2, keccak256(b"nobody's"))]
    life.receive("the set before, in its overlap", bare, [], 0, 1)
    life.receive("the new set", bare, [], 0, 2)
    life.step("refused: a set of the future", "receiveRange", life.envelope(bare, 3).encode(), accepted=False)


def _transaction(life: _Life) -> None:
    """The hub's own transactions: one commits, one aborts and is settled; a stranger's is buried."""
    packets = []
    for nonce in (1, 2):
        packet = _packet(
            REGISTRATION, PEER, nonce, b"own %d" % nonce, bound=True, gas=100_000, expiry=NOW + 100_000, nonce=nonce
        )
        packets.append(packet)
        # The lane is a shared one toward the domain's first peer, so the head counts it.
        life.nonces[RELAY] = life.sequences[RELAY] = nonce
        life.words[commitment.send_lane_slot(DOMAIN, PEER, RELAY, 0)] = ((1 << 64) - 1, 0)
        life.words[commitment.head_peer_slot(DOMAIN)] = ((1 << 256) - 1, PEER)
        made = life.make(RELAY, PacketEntry(life.height, packet))
        life.step(f"request {nonce}", "send", packet.encode(), **made)
    own = commitment.origin_status_slot(DOMAIN, RELAY, 1)
    life.state_bits(own, 2, Verdict.COMMIT, 2)
    life.state_bits(own, 4, Verdict.ABORT, 2)
    waiting, settled = packets_hash([packets[1].packet_id]), commitment.settlement_slot(RELAY, 2)
    life.words[settled] = ((1 << 256) - 1, int.from_bytes(waiting, "big"))
    verdicts = VerdictList(
        (
            OriginVerdict(1, Verdict.COMMIT),
            OriginVerdict(2, Verdict.ABORT, waiting),
            OriginVerdict(2, Verdict.COMMIT),
            OriginVerdict(3, Verdict.COMMIT),
        )
    )
    buried = VerdictList((ParticipantVerdict(PEER, 0, 9, Verdict.ABORT), ParticipantVerdict(PEER, 0, 2, Verdict.ABORT)))
    life.state_bits(commitment.status_slot(DOMAIN, PEER, RELAY, 0, 9), 18, Verdict.ABORT, 2)
    life.receive("verdicts", [VerdictsEntry(20, verdicts), VerdictsEntry(20, buried)], [], 0, 2)
    late = _incoming(9, b"late", bound=True)
    life.receive("a packet that was buried", [PacketEntry(21, late)], [], 0, 2)
    life.step("refused: settle what committed", "settle", packets[0].encode(), accepted=False, counter="1")
    life.words[settled] = ((1 << 256) - 1, 1)
    life.step("settle", "settle", packets[1].encode(), counter="2")
    life.step("refused: settle again", "settle", packets[1].encode(), accepted=False, counter="2")


def _end(life: _Life) -> None:
    life.govern("RELAY_STATE draining", RelayState(RELAY, RelayLifeCycle.DRAINING))
    life.govern("RELAY_STATE terminated", RelayState(RELAY, RelayLifeCycle.TERMINATED))
    bare = [BareEntry(30, keccak256(b"nobody's"))]
    life.step("refused: a terminated relay chain", "receiveRange", life.envelope(bare, 2).encode(), accepted=False)
    life.govern_unordered("FREEZE_RELAY", FreezeRelay(OTHER_RELAY), DOMAIN, 1, freezes=True)
    life.govern_unordered("FREEZE_RELAY again", FreezeRelay(OTHER_RELAY), DOMAIN, 1)
    old_key = life.message(NoOp(), DOMAIN, life.counters[DOMAIN] + 1)
    life.govern("ROTATE", Rotate(public_key_of(NEW_GOVERNOR_SECRET)), 0)
    life.refuse("the key before", old_key)
    life.key_epoch = 2
    life.refuse("the key before under the new epoch", replace(old_key, key_epoch=2).signed(governor_sign))
    life.govern("NO_OP of the new key", NoOp())
    life.govern("CLOSE in a domain", Close(), DOMAIN, done=False)
    life.govern("CLOSE", Close(), 0)
    life.govern("CLOSE again", Close(), 0, done=False)
