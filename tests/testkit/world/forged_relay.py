"""A relay chain that is nothing but the keys of its validators: it endorses whatever a test wants."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from piebridge.crypto.quorum import Quorum
from piebridge.protocol_stack.endorsement import EndorsementMethod, EndorsementSet, Envelope, Proof, SignedValue
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.receipts import ReceiptHome
from piebridge.protocol_stack.signing import endorsement_digest
from piebridge.protocol_stack.transport.outbox import (
    RELAY_CHAIN,
    BareEntry,
    Entry,
    HeaderEntry,
    OutboxHead,
    OutboxRange,
    PacketEntry,
    ReceiptHomeEntry,
    VerdictsEntry,
    open_relay_outbox,
)
from piebridge.protocol_stack.verdicts import VerdictItem, VerdictList
from testkit.world.hub import DOMAIN
from testkit.world.keys import Governor, address_of, sign

MEMBERS = 4
"""Validators of a relay chain."""
THRESHOLD = 3
"""Endorsements that hubs demand."""


@dataclass
class ForgedRelay:
    """Endorsement keys of a relay chain and the outboxes that they vouch for."""

    relay: int = 11
    """Relay id."""
    domain: int = DOMAIN
    """Relay domain."""
    epoch: int = 1
    """Epoch of the set that signs."""
    generation: int = 1
    """Which keys: another generation has others."""
    members: int = MEMBERS
    """Size of the set."""
    threshold: int = THRESHOLD
    """Signatures that are needed."""
    method: EndorsementMethod = EndorsementMethod.SIGNATURES
    """How it endorses."""
    height: int = 100
    """Height of the next entry."""
    outboxes: dict[int, list[Entry]] = field(default_factory=dict)
    """Entries by destination."""

    def fork(self) -> "ForgedRelay":
        """Copy with its outboxes."""
        return replace(self, outboxes={number: list(entries) for number, entries in self.outboxes.items()})

    # ------------------------------------------------------------------------------------------------ keys

    def name(self, member: int) -> str:
        """Name of a member's key."""
        return f"relay {self.relay} generation {self.generation} endorser {member}"

    @property
    def group(self) -> Governor:
        """The threshold key of the set, held by one party."""
        return Governor(f"relay {self.relay} generation {self.generation} group")

    @property
    def signers(self) -> EndorsementSet:
        """The set that hubs are told."""
        keys = (
            tuple(address_of(self.name(i)) for i in range(self.members))
            if self.method is EndorsementMethod.SIGNATURES
            else (self.group.group_key,)
        )
        return EndorsementSet(self.epoch, self.method, self.threshold, self.members, keys)

    def next_generation(self) -> "ForgedRelay":
        """The relay chain after a change of its validators; it shares the outboxes."""
        return replace(self, epoch=self.epoch + 1, generation=self.generation + 1, outboxes=self.outboxes)

    def digest(self, destination: int, head: OutboxHead) -> bytes:
        """What its validators sign."""
        return endorsement_digest(self.domain, self.relay, destination, self.epoch, head.number, head.value)

    def prove(self, digest: bytes, members: Sequence[int] | None = None) -> Proof:
        """Signatures of some members, the first ones unless said otherwise, or one of the group."""
        if self.method is EndorsementMethod.THRESHOLD:
            return self.group.sign(digest)
        members = range(self.threshold) if members is None else members
        return Quorum(sum(1 << i for i in members), tuple(sign(self.name(i), digest) for i in members))

    # ------------------------------------------------------------------------------------------------ outboxes

    def add(self, destination: int, *entries: Entry) -> int:
        """Append entries as they are; the number of the last."""
        self.outboxes.setdefault(destination, []).extend(entries)
        return len(self.outboxes[destination])

    def add_packet(self, *packets: Packet) -> int:
        """Append packets to the outboxes that they go to."""
        number = 0
        for item in packets:
            number = self.add(item.lane.destination, PacketEntry(self._next_height(), item))
        return number

    def add_header(self, item: Packet) -> int:
        """Append a packet; ranges show it without its body."""
        return self.add(item.lane.destination, HeaderEntry(self._next_height(), item.header, item.body_hash))

    def add_receipt(self, home: ReceiptHome) -> int:
        """Append a receipt on its way home."""
        return self.add(home.header.lane.source, ReceiptHomeEntry(self._next_height(), home))

    def add_verdicts(self, destination: int, *items: VerdictItem) -> int:
        """Append verdicts."""
        return self.add(destination, VerdictsEntry(self._next_height(), VerdictList(items)))

    def heads(self, destination: int) -> list[OutboxHead]:
        """Heads after every entry, the opening value first."""
        head = OutboxHead(0, open_relay_outbox(self.domain, self.relay, destination))
        heads = [head]
        for entry in self.outboxes.get(destination, []):
            head = head.append(entry.height, entry.message_id(RELAY_CHAIN))
            heads.append(head)
        return heads

    def range(
        self, destination: int = 1, first: int = 1, last: int | None = None, *, bare: Iterable[int] = ()
    ) -> OutboxRange:
        """Entries ``first .. last`` of an outbox; those whose numbers are given as ``bare`` without their message."""
        entries = self.outboxes[destination]
        last = len(entries) if last is None else last
        skipped = frozenset(bare)
        shown = tuple(
            BareEntry(entry.height, entry.message_id(RELAY_CHAIN)) if number in skipped else entry
            for number, entry in enumerate(entries[first - 1 : last], first)
        )
        return OutboxRange(RELAY_CHAIN, first, self.heads(destination)[first - 1].value, shown)

    def endorse(self, shown: OutboxRange, destination: int = 1, *, members: Sequence[int] | None = None) -> Envelope:
        """Endorse whatever a range folds to."""
        proof = self.prove(self.digest(destination, shown.fold()), members)
        return Envelope(self.domain, self.relay, self.signers, proof, shown)

    def envelope(self, destination: int = 1, first: int = 1, last: int | None = None) -> bytes:
        """An honest envelope of a part of an outbox."""
        return self.endorse(self.range(destination, first, last), destination).encode()

    def envelope_of(self, *packets: Packet, destination: int = 1) -> bytes:
        """Append packets and give the envelope of just them."""
        first = len(self.outboxes.get(destination, [])) + 1
        for item in packets:
            self.add(destination, PacketEntry(self._next_height(), item))
        return self.envelope(destination, first)

    def signed_value(self, destination: int, head: OutboxHead, members: Sequence[int] | None = None) -> SignedValue:
        """An endorsed value apart from its range."""
        proof = self.prove(self.digest(destination, head), members)
        return SignedValue(self.domain, self.relay, self.signers, proof, destination, head.number, head.value)

    def _next_height(self) -> int:
        self.height += 1
        return self.height
