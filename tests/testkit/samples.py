"""Random well-formed values of every PieBridge format, from a seeded source: for vectors, fuzzing and property tests.

All keys here are test keys: their secrets follow from small numbers and guard nothing.
"""

import itertools
from random import Random
from typing import TYPE_CHECKING

from piebridge.cometbft.encoding import MAX_TIME_NS, ZERO_TIME_NS
from piebridge.crypto.hash import keccak256
from piebridge.crypto.quorum import Quorum
from piebridge.crypto.signature import address_of_private_key, public_key_of, sign_recoverable, sign_secp256k1eth
from piebridge.crypto.threshold.signing import sign_single
from piebridge.protocol_stack.application.door import DoorMessage, InteroperableAddress
from piebridge.protocol_stack.application.record_notary import Notarisation, NotarisationResult
from piebridge.protocol_stack.application.token import TokenTransfer
from piebridge.protocol_stack.authentication import (
    Authentication,
    BothAuthentication,
    KeptAuthentication,
    NotaryAuthentication,
    SlotProof,
    SpvAuthentication,
)
from piebridge.protocol_stack.checkpoint import CometBftCheckpoint
from piebridge.protocol_stack.commit_proof import HEADER_NODES, CommitProof, CommitVote
from piebridge.protocol_stack.commitment import SlotBase
from piebridge.protocol_stack.endorsement import (
    EndorsementAnswer,
    EndorsementMethod,
    EndorsementSet,
    Envelope,
    SignedValue,
)
from piebridge.protocol_stack.errors import FormatError
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
from piebridge.protocol_stack.governor_relay_bodies import (
    ClientKind,
    CloseChain,
    Freeze,
    GatewayQuota,
    Gateways,
    LifeCycle,
    NewCheckpoint,
    Parameters,
    RegisterChain,
    RelayBody,
    SetNotaries,
    ValidatorKeys,
    ValidatorSet,
)
from piebridge.protocol_stack.governor_relay_bodies import NoOp as RelayNoOp
from piebridge.protocol_stack.governor_relay_bodies import Pause as RelayPause
from piebridge.protocol_stack.governor_relay_bodies import Rotate as RelayRotate
from piebridge.protocol_stack.governor_relay_bodies import Unpause as RelayUnpause
from piebridge.protocol_stack.header import (
    FLAG_ORDERED,
    FLAG_RECEIPT_WANTED,
    FLAG_RETURN,
    KIND_REQUEST,
    ApplicationHeader,
    Header,
    TransactionHeader,
    TransportHeader,
    VerificationHeader,
)
from piebridge.protocol_stack.identifiers import Lane
from piebridge.protocol_stack.notary_statement import NotarySet, NotaryStatement, SlotValue
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.receipts import Receipt, ReceiptBatch, ReceiptCode, ReceiptHome
from piebridge.protocol_stack.relay_genesis import RelayGenesis
from piebridge.protocol_stack.relay_messages import (
    CarriedGovernorMessage,
    HubRange,
    HubSlots,
    LightBlock,
    RelayTransaction,
    SlotName,
    TransactionBody,
    UpdateClient,
    make_transaction,
)
from piebridge.protocol_stack.report import Report, ReportKind
from piebridge.protocol_stack.routing import RoutingPolicy, SlotRange
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.transaction.atp import ATP
from piebridge.protocol_stack.transaction.forward import FORWARD
from piebridge.protocol_stack.transaction.none import NONE
from piebridge.protocol_stack.transport.basic import BASIC
from piebridge.protocol_stack.transport.outbox import (
    RELAY_CHAIN,
    BareEntry,
    Entry,
    Form,
    HeaderEntry,
    Maker,
    MalformedEntry,
    OutboxHead,
    OutboxRange,
    PacketEntry,
    ReceiptHomeEntry,
    ReceiptsEntry,
    ReportEntry,
    VerdictsEntry,
)
from piebridge.protocol_stack.transport.reliable import RELIABLE
from piebridge.protocol_stack.verdicts import OriginVerdict, ParticipantVerdict, Verdict, VerdictList
from piebridge.protocol_stack.verification.base import Method

if TYPE_CHECKING:
    from collections.abc import Callable

GOVERNOR_SECRET = int.from_bytes(keccak256(b"piebridge test governor"), "big") >> 1
"""Secret of the governor key of tests."""


def private_key(number: int) -> bytes:
    """Return the private key ``number`` of tests, 32 bytes."""
    return keccak256(b"piebridge test key %d" % number)


def key_address(number: int) -> bytes:
    """Return the address of the private key ``number`` of tests."""
    return address_of_private_key(private_key(number))


def governor_key() -> bytes:
    """Return the group key of the governor of tests, 33 bytes."""
    return public_key_of(GOVERNOR_SECRET.to_bytes(32, "big"))


def governor_sign(digest: bytes) -> bytes:
    """Sign as the governor of tests; the same digest gives the same signature."""
    return sign_single(GOVERNOR_SECRET, digest, keccak256(b"entropy" + digest))


class Samples:
    """Draws values from one seeded source; the same seed gives the same values in the same order."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    # --- small things ---

    def unsigned(self, bits: int, least: int = 0) -> int:
        """Draw a number, with the bounds of its field and small values much more often than chance has them."""
        top = (1 << bits) - 1
        match self.random.randrange(4):
            case 0:
                return self.random.randint(least, min(top, least + 3))
            case 1:
                return self.random.randint(max(least, top - 2), top)
            case _:
                return self.random.randint(least, top)

    def octets(self, length: int) -> bytes:
        return self.random.randbytes(length)

    def address(self) -> bytes:
        return self.octets(20)

    def hash(self) -> bytes:
        return self.octets(32)

    def chance(self) -> bool:
        return self.random.random() < 0.5

    # --- packets ---

    def header(self, body_length: int, protocol: int | None = None) -> Header:
        if protocol is None:
            protocol = self.random.choice((NONE, ATP, FORWARD))
        ordered, wanted = self.chance(), self.chance()
        returns = wanted and self.chance()
        source = self.unsigned(32, 1)
        destination = self.unsigned(32, 1)
        while destination == source:
            destination = self.unsigned(32, 1)
        request = protocol == ATP
        expiry = self.unsigned(40, 1 if ordered or request else 0)
        flags = FLAG_ORDERED * ordered | FLAG_RECEIPT_WANTED * wanted
        return Header(
            TransportHeader(
                RELIABLE if ordered else BASIC,
                flags,
                self.unsigned(32, 1),
                source,
                destination,
                self.unsigned(32, 1) if request else 0,
                self.unsigned(32, 1 if ordered else 0),
                self.unsigned(64, 1),
            ),
            VerificationHeader(self.random.choice((1, 2, 3)), self.unsigned(8), self.unsigned(16)),
            TransactionHeader(
                protocol,
                KIND_REQUEST if request else 0,
                FLAG_RETURN if returns else 0,
                0,
                1 if request else 0,
                source if request else 0,
                self.unsigned(64, 1) if request else 0,
                self.random.randint(expiry, (1 << 40) - 1) if request else 0,
                expiry,
                self.unsigned(32),
            ),
            ApplicationHeader(
                self.unsigned(32, 1),
                self.unsigned(32),
                body_length,
                self.unsigned(32),
                0,
                self.unsigned(8),
                self.random.choice((0, 1, 2)),
                self.unsigned(16),
                self.hash(),
            ),
        )

    def packet(self, protocol: int | None = None, body_max: int = 80) -> Packet:
        body = self.octets(self.random.randint(0, body_max))
        return Packet(self.header(len(body), protocol), body)

    def malformed_header(self, body_length: int) -> tuple[bytes, FormatError]:
        while True:
            data = bytearray(self.header(body_length).encode())
            data[self.random.choice([*range(92), *range(96, 104)])] ^= 1 << self.random.randrange(8)
            try:
                STACK.decode_header(bytes(data))
            except FormatError as error:
                return bytes(data), error

    def lane(self) -> Lane:
        return self.header(0).lane

    # --- messages ---

    def receipt(self) -> Receipt:
        code = self.random.choice(tuple(ReceiptCode))
        returned = self.octets(self.random.choice((0, 1, 45, 256))) if code.commits and self.chance() else None
        return Receipt(self.hash(), code, returned)

    def receipt_batch(self, most: int = 4) -> ReceiptBatch:
        count = self.random.randint(1, most)
        return ReceiptBatch(self.unsigned(32, 1), tuple(self.receipt() for _ in range(count)))

    def receipt_home(self) -> ReceiptHome:
        while not (header := self.header(self.unsigned(13))).transport.receipt_wanted:
            pass
        code = self.random.choice(tuple(ReceiptCode))
        returns = code.commits and header.transaction.returns_data
        return ReceiptHome(header, self.hash(), code, self.octets(self.random.choice((0, 1, 256))) if returns else b"")

    def verdict_list(self, most: int = 4) -> VerdictList:
        count, origin = self.random.randint(1, most), self.chance()
        return VerdictList(tuple(self._origin_verdict() if origin else self._verdict() for _ in range(count)))

    def _origin_verdict(self) -> OriginVerdict:
        verdict = self.random.choice(tuple(Verdict))
        return OriginVerdict(self.unsigned(64, 1), verdict, self.hash() if verdict is Verdict.ABORT else None)

    def _verdict(self) -> ParticipantVerdict:
        verdict = self.random.choice(tuple(Verdict))
        return ParticipantVerdict(self.unsigned(32, 1), self.unsigned(32), self.unsigned(64, 1), verdict)

    def report(self) -> Report:
        kind = self.random.choice(tuple(ReportKind))
        if kind is ReportKind.HUB_CLOSED:
            return Report(kind, 0, self.unsigned(64), 0, 0)
        return Report(kind, self.unsigned(32, 1), self.unsigned(64), self.unsigned(64), self.unsigned(64))

    # --- outboxes ---

    def entry(self, maker: Maker, height: int) -> Entry:
        common: list[Callable[[], Entry]] = [
            lambda: BareEntry(height, self.hash()),
            lambda: PacketEntry(height, self.packet()),
            lambda: HeaderEntry(height, self.header(self.unsigned(32)), self.hash()),
            lambda: self._malformed_entry(height),
        ]
        from_hub: list[Callable[[], Entry]] = [
            lambda: ReceiptsEntry(height, self.receipt_batch()),
            lambda: ReportEntry(height, self.report()),
        ]
        from_relay: list[Callable[[], Entry]] = [
            lambda: ReceiptHomeEntry(height, self.receipt_home()),
            lambda: VerdictsEntry(height, self.verdict_list()),
        ]
        return self.random.choice(common + (from_relay if maker == RELAY_CHAIN else from_hub))()

    def _malformed_entry(self, height: int) -> MalformedEntry:
        if self.chance():
            header, error = self.malformed_header(self.unsigned(32))
            return MalformedEntry(height, Form.PACKET_WITHOUT_BODY, header, self.hash(), error)
        body = self.octets(self.random.randint(0, 40))
        header, error = self.malformed_header(len(body))
        return MalformedEntry(height, Form.PACKET, header, body, error)

    def outbox_range(self, maker: Maker, most: int = 5) -> OutboxRange:
        count = self.random.randint(1, most)
        heights = sorted(self.unsigned(64) for _ in range(count))
        first = self.random.randint(1, (1 << 64) - count) if self.chance() else self.random.randint(1, 9)
        return OutboxRange(maker, first, self.hash(), tuple(self.entry(maker, height) for height in heights))

    def hub_maker(self) -> Maker:
        return Maker(self.unsigned(32, 1))

    def head(self) -> OutboxHead:
        return OutboxHead(self.unsigned(64), self.hash())

    # --- sets and signatures ---

    def threshold(self, size: int) -> int:
        return 2 * size // 3 + 1

    def quorum(self, threshold: int, keys: list[int], digest: bytes) -> Quorum:
        """Sign ``digest`` with ``threshold`` of the test keys whose numbers are ``keys``."""
        chosen = sorted(self.random.sample(range(len(keys)), threshold))
        signatures = tuple(sign_recoverable(digest, private_key(keys[place])) for place in chosen)
        return Quorum(sum(1 << place for place in chosen), signatures)

    def member_keys(self, most: int = 7) -> list[int]:
        return self.random.sample(range(1, 40), self.random.randint(1, most))

    def endorsement_set(self, keys: list[int] | None = None) -> EndorsementSet:
        if keys is None and self.random.randrange(4) == 0:
            size = self.random.randint(1, 32)
            method = EndorsementMethod.THRESHOLD
            return EndorsementSet(self.unsigned(32, 1), method, self.threshold(size), size, (governor_key(),))
        keys = keys or self.member_keys()
        members = tuple(map(key_address, keys))
        size = len(keys)
        return EndorsementSet(self.unsigned(32, 1), EndorsementMethod.SIGNATURES, self.threshold(size), size, members)

    def envelope(self, destination: int = 7) -> Envelope:
        """Make an envelope that is truly signed for ``destination``."""
        keys = self.member_keys()
        by_group = self.random.randrange(4) == 0
        signers = self.endorsement_set() if by_group else self.endorsement_set(keys)
        while by_group and signers.method is not EndorsementMethod.THRESHOLD:
            signers = self.endorsement_set()
        unsigned = Envelope(self.unsigned(32, 1), self.unsigned(32, 1), signers, b"", self.outbox_range(RELAY_CHAIN))
        digest = unsigned.digest(destination)
        proof = governor_sign(digest) if by_group else self.quorum(signers.threshold, keys, digest)
        return Envelope(unsigned.domain, unsigned.relay, signers, proof, unsigned.range)

    def commit_proof(self) -> CommitProof:
        """Make a proof by commit whose hashes and signatures have the right form and prove nothing."""
        members = sorted(self.random.sample(range(32), self.random.randint(1, 7)))
        return CommitProof(
            self.unsigned(63, 1),
            self.unsigned(31),
            self.unsigned(32, 1),
            self.hash(),
            tuple(self.hash() for _ in range(HEADER_NODES)),
            self.hash(),
            tuple((self.chance(), self.hash()) for _ in range(self.random.randint(0, 6))),
            tuple(
                CommitVote(
                    member,
                    self.random.randint(ZERO_TIME_NS, MAX_TIME_NS),
                    sign_secp256k1eth(self.hash(), private_key(1 + member)),
                )
                for member in members
            ),
        )

    def signed_value(self) -> SignedValue:
        keys = self.member_keys()
        signers = self.endorsement_set(keys)
        head, destination = self.head(), self.unsigned(32, 1)
        number = max(head.number, 1)
        unsigned = SignedValue(
            self.unsigned(32, 1), self.unsigned(32, 1), signers, b"", destination, number, head.value
        )
        proof = self.quorum(signers.threshold, keys, unsigned.digest)
        return SignedValue(unsigned.domain, unsigned.relay, signers, proof, destination, number, head.value)

    def endorsement_answer(self) -> EndorsementAnswer:
        signature = sign_recoverable(self.hash(), private_key(1))
        return EndorsementAnswer(
            self.unsigned(32, 1), self.random.randrange(32), self.address(), self.hash(), signature
        )

    def notary_set(self, keys: list[int] | None = None) -> NotarySet:
        keys = keys or self.member_keys()
        return NotarySet(self.unsigned(32, 1), self.threshold(len(keys)), tuple(map(key_address, keys)))

    def notary_statement(self, slots: list[bytes] | None = None) -> NotaryStatement:
        slots = slots or [self.hash() for _ in range(self.random.randint(1, 4))]
        return NotaryStatement(
            self.address(),
            self.unsigned(64),
            self.hash(),
            self.unsigned(64),
            tuple(SlotValue(slot, self.hash()) for slot in sorted(set(slots))),
        )

    # --- governor messages ---

    def checkpoint(self) -> CometBftCheckpoint:
        return CometBftCheckpoint(
            self.unsigned(32),
            self.unsigned(16),
            "piebridge-evm-" + "x" * self.random.randint(0, 30),
            self.unsigned(64, 1),
            self.hash(),
            self.unsigned(64),
            self.hash(),
            self.hash(),
        )

    def routing_policy(self) -> RoutingPolicy:
        cuts = sorted({0, *(self.random.randrange(1, 1024) for _ in range(self.random.randint(0, 4))), 1024})
        relays = self.random.sample(range(1, 1 << 32), len(cuts) - 1)
        ranges = [SlotRange(relay, a, b - a) for relay, (a, b) in zip(relays, itertools.pairwise(cuts), strict=True)]
        return RoutingPolicy(self.unsigned(32, 1), tuple(ranges))

    def hub_bodies(self) -> list[HubBody]:
        """Return one body of every kind."""
        low, high = sorted((self.unsigned(32), self.unsigned(32)))
        return [
            NoOp(),
            OpenDomain(self.unsigned(32), low, high),
            RegisterRelay(self.unsigned(32, 1), self.hash(), self.endorsement_set()),
            RelayState(self.unsigned(32, 1), RelayLifeCycle.ACTIVE),
            EndorserSet(self.unsigned(32, 1), self.unsigned(32), self.endorsement_set()),
            SetRoutingPolicy(self.routing_policy()),
            RegisterPeer(self.unsigned(32, 1), self.unsigned(64), self.unsigned(32), self.chance()),
            RegisterApplication(self.unsigned(32, 1), self.address(), Protocols.ATP | Protocols.NONE),
            Pause(self.random.choice((PauseScope.APPLICATION, PauseScope.RELAY)), self.unsigned(32, 1)),
            Unpause(self.random.choice((PauseScope.APPLICATION, PauseScope.RELAY)), self.unsigned(32, 1)),
            FreezeRelay(self.unsigned(32, 1)),
            Close(),
            Rotate(public_key_of(private_key(self.random.randint(1, 50)))),
            ApplicationCall(self.unsigned(32, 1), self.octets(self.random.randint(0, 40))),
            Verification(self.random.choice(tuple(Method)), self.unsigned(8), self.unsigned(16)),
        ]

    def register_chain(self, registration: int | None = None) -> RegisterChain:
        method = self.random.choice(tuple(Method))
        has_client = method is not Method.NOTARY
        depth, depth_max = sorted((self.unsigned(8), self.unsigned(8)))
        return RegisterChain(
            registration or self.unsigned(32, 1),
            self.address(),
            self.unsigned(64),
            ClientKind.COMETBFT if has_client else ClientKind.NONE,
            method,
            depth,
            depth_max,
            self.unsigned(32),
            self.checkpoint() if has_client else None,
            self.notary_set() if method is not Method.SPV else None,
        )

    def validator_set(self, most: int = 7) -> ValidatorSet:
        keys = self.member_keys(most)
        validators = tuple(ValidatorKeys(public_key_of(private_key(100 + key)), key_address(key)) for key in keys)
        return ValidatorSet(self.unsigned(32, 1), self.threshold(len(keys)), validators)

    def gateways(self) -> Gateways:
        keys = self.random.sample(range(1, 40), self.random.randint(0, 4))
        return Gateways(tuple(GatewayQuota(key_address(key), self.unsigned(32)) for key in keys))

    def parameters(self) -> Parameters:
        return Parameters(self.unsigned(32), self.unsigned(32), self.unsigned(32))

    def relay_bodies(self) -> list[RelayBody]:
        """Return one body of every kind."""
        return [
            RelayNoOp(),
            self.register_chain(),
            CloseChain(self.unsigned(32, 1), self.unsigned(64)),
            self.validator_set(),
            SetNotaries(self.unsigned(32, 1), self.notary_set()),
            self.gateways(),
            self.parameters(),
            NewCheckpoint(self.unsigned(32, 1), self.checkpoint()),
            LifeCycle(RelayLifeCycle.DRAINING),
            Freeze(),
            RelayPause(),
            RelayUnpause(),
            RelayRotate(public_key_of(private_key(self.random.randint(1, 50)))),
        ]

    def governor_message(self) -> GovernorMessage:
        """Make a message that the governor of tests has signed."""
        if self.chance():
            return self.governor_message_to_hub(
                self.random.choice(self.hub_bodies()), self.unsigned(32, 1), self.address()
            )
        return self.governor_message_to_relay(self.random.choice(self.relay_bodies()))

    def governor_message_to_hub(self, body: HubBody, registration: int, hub: bytes) -> GovernorMessage:
        hub_wide = isinstance(body, RegisterApplication | Close | Rotate | ApplicationCall)
        if isinstance(body, Pause | Unpause):
            hub_wide = body.scope is PauseScope.APPLICATION
        return GovernorMessage(
            TargetKind.HUB,
            0 if hub_wide else self.unsigned(32, 1),
            registration,
            self.unsigned(32, 1),
            body.KIND,
            hub,
            self.unsigned(64, 1),
            body.encode(),
        ).signed(governor_sign)

    def governor_message_to_relay(self, body: RelayBody) -> GovernorMessage:
        return GovernorMessage(
            TargetKind.RELAY,
            self.unsigned(32, 1),
            self.unsigned(32, 1),
            self.unsigned(32, 1),
            body.KIND,
            bytes(20),
            self.unsigned(64, 1),
            body.encode(),
        ).signed(governor_sign)

    # --- relay transactions ---

    def authentication(self, slots: list[bytes], *, kept_allowed: bool) -> Authentication:
        spv = SpvAuthentication(
            self.unsigned(64),
            self.octets(40),
            self._proof(),
            tuple(SlotProof(slot, self._proof()) for slot in sorted(slots)),
        )
        keys = self.member_keys()
        notaries, statement = self.notary_set(keys), self.notary_statement(slots)
        digest = statement.digest(1, 1, notaries.epoch)
        notary = NotaryAuthentication(notaries, self.quorum(notaries.threshold, keys, digest), statement)
        choices: list[Authentication] = [spv, notary, BothAuthentication(spv, notary)]
        return self.random.choice([*choices, KeptAuthentication()] if kept_allowed else choices)

    def _proof(self) -> tuple[bytes, ...]:
        return tuple(self.octets(self.random.randint(0, 20)) for _ in range(self.random.randint(0, 3)))

    def light_block(self) -> LightBlock:
        parts = [self.octets(self.random.randint(0, 30)) for _ in range(4)]
        return LightBlock(self.unsigned(64), *parts)

    def slot_names(self) -> tuple[SlotName, ...]:
        bases = (SlotBase.STATUS, SlotBase.SEEN, SlotBase.RECEIPTS, SlotBase.RECEIVE_LANE)
        names = {SlotName(self.random.choice(bases), self.hash()) for _ in range(self.random.randint(1, 3))}
        if self.chance():
            names.add(SlotName(SlotBase.CLOSED, bytes(32)))
        return tuple(sorted(names, key=lambda name: name.slot))

    def transaction_body(self) -> TransactionBody:
        registration = self.unsigned(32, 1)
        match self.random.randrange(4):
            case 0:
                blocks = tuple(self.light_block().encode() for _ in range(self.random.randint(1, 3)))
                return UpdateClient(registration, blocks)
            case 1:
                authentication = self.authentication([self.hash()], kept_allowed=True)
                return HubRange(registration, self.unsigned(32), authentication, self.outbox_range(Maker(registration)))
            case 2:
                names = self.slot_names()
                authentication = self.authentication([name.slot for name in names], kept_allowed=False)
                return HubSlots(registration, authentication, names)
            case _:
                return CarriedGovernorMessage(self.governor_message())

    def relay_transaction(self) -> RelayTransaction:
        return make_transaction(
            self.transaction_body(),
            self.unsigned(32, 1),
            self.unsigned(32, 1),
            self.unsigned(64),
            self.unsigned(64),
            lambda digest: sign_recoverable(digest, private_key(1)),
        )

    def genesis(self) -> RelayGenesis:
        numbers = sorted(self.random.sample(range(1, 1000), self.random.randint(0, 3)))
        return RelayGenesis(
            self.unsigned(32, 1),
            self.unsigned(32, 1),
            True,
            governor_key(),
            self.parameters(),
            self.validator_set(),
            tuple(self.register_chain(number) for number in numbers),
            self.gateways(),
        )

    # --- bodies of standard applications ---

    def token_transfer(self) -> TokenTransfer:
        return TokenTransfer(self.unsigned(128), self.address(), self.address())

    def notarisation(self) -> Notarisation:
        return Notarisation(self.hash(), self.hash())

    def notarisation_result(self) -> NotarisationResult:
        return NotarisationResult(self.chance(), self.hash(), self.unsigned(32), self.unsigned(64))

    def interoperable_address(self) -> InteroperableAddress:
        return InteroperableAddress(self.unsigned(self.random.choice((8, 16, 64, 256)), 1), self.address())

    def door_message(self) -> DoorMessage:
        payload = self.octets(self.random.randint(0, 60))
        return DoorMessage(self.interoperable_address(), self.interoperable_address(), payload)
