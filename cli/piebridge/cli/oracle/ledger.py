"""What the chains say happened, as plain data: one :class:`ChainLedger` for each parachain.

``sent`` and ``receipts`` reach to the second cut, for they are causes; everything else is as of the first one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from piebridge.cli.oracle import slots
from piebridge.cli.oracle.decoding import ReceiptItem, SentPacket
from piebridge.cli.oracle.slots import Place

PREPARED, COMMITTED, ABORTED = 0b01, 0b10, 0b11
"""Status bits. Nothing makes the first one yet."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A ``Transfer`` of the token; the zero address stands for other chains."""

    sender: bytes
    """Account that it took from, 20 bytes."""
    recipient: bytes
    """Account that it went to, 20 bytes."""
    amount: int
    """Smallest units."""
    block: int
    """Block that holds it."""


@dataclass(frozen=True, slots=True)
class TokenMove:
    """A credit or a refund that the token says it made."""

    packet_id: bytes
    """The packet that the token names."""
    account: bytes
    """Who got the tokens, 20 bytes."""
    amount: int
    """Smallest units."""
    block: int
    """Block that holds it."""


@dataclass(slots=True)
class TokenLedger:
    """The token of a chain."""

    supply: int = 0
    """Supply over all chains, as this chain's token tells it."""
    transfers: list[Transfer] = field(default_factory=list)
    """In the order of the chain."""
    credits: list[TokenMove] = field(default_factory=list)
    """For packets that came in."""
    refunds: list[TokenMove] = field(default_factory=list)
    """For own packets that were aborted."""
    cells: dict[bytes, int] = field(default_factory=dict)
    """Storage word of each account that a transfer names."""
    complete: bool = True
    """Whether these accounts, with allowances and settings, are everything in the token's storage."""

    def balance(self, account: bytes) -> int:
        """Return what an account holds."""
        return self.cells.get(account, 0) & (1 << 128) - 1


@dataclass(frozen=True, slots=True)
class NotarisedRecord:
    """A ``RecordNotarised`` of the record notary."""

    packet_id: bytes
    """The packet."""
    key: bytes
    """Key of the record."""
    value: bytes
    """The value that the packet brought."""
    source: int
    """Registration that the packet came from."""
    existing: bool
    """Whether the key was taken."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record in the storage of the record notary."""

    value: bytes
    """Value, 32 bytes."""
    source: int
    """Registration that it came from."""
    time: int
    """When it was stored, Unix seconds."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A ``NotarisationConfirmed``: what the sender of a record was told."""

    packet_id: bytes
    """The packet."""
    code: int
    """Code of its receipt."""
    returned: bytes
    """What the destination answered."""


@dataclass(slots=True)
class NotaryLedger:
    """The record notary of a chain."""

    notarised: list[NotarisedRecord] = field(default_factory=list)
    """In the order of the chain."""
    records: dict[bytes, StoredRecord] = field(default_factory=dict)
    """Storage, by key, of every key that was notarised."""
    confirmations: list[Confirmation] = field(default_factory=list)
    """Answers that came home."""
    complete: bool = True
    """Whether these records are everything in its storage."""


@dataclass(frozen=True, slots=True)
class PostedMessage:
    """A ``MessagePosted`` of a message board."""

    board: bytes
    """Address of the board, 20 bytes."""
    packet_id: bytes
    """The packet."""
    sender: bytes
    """Sender, ERC-7930."""
    payload: bytes
    """What it says."""


@dataclass(slots=True)
class ChainLedger:
    """Everything that the oracle knows of one parachain."""

    name: str
    """Name for messages."""
    registration: int
    """Number of its hub."""
    cut: int = 0
    """Block of the first cut."""
    handler_gas_max: int = 0
    """Largest handler gas that its hub takes."""
    sent: list[SentPacket] = field(default_factory=list)
    """Packets that its hub sent, up to the second cut."""
    receipts: list[ReceiptItem] = field(default_factory=list)
    """Receipts that its hub made, up to the second cut."""
    failed: set[bytes] = field(default_factory=set)
    """Packets whose handler reverted, as the hub says."""
    callbacks_failed: set[bytes] = field(default_factory=set)
    """Packets whose callback reverted, as the hub says."""
    token: TokenLedger | None = None
    """Its token, if it has one."""
    notary: NotaryLedger = field(default_factory=NotaryLedger)
    """Its record notary."""
    posted: list[PostedMessage] = field(default_factory=list)
    """Messages on the boards that the oracle was told of."""
    boards: set[bytes] = field(default_factory=set)
    """Addresses of these boards, 20 bytes."""
    block_times: dict[int, int] = field(default_factory=dict)
    """Unix seconds of the blocks that made receipts, by number, up to the first cut."""
    words: Mapping[bytes, int] = field(default_factory=dict)
    """Storage words of the hub at the first cut, by slot."""
    later_words: Mapping[bytes, int] = field(default_factory=dict)
    """Status words of the hub at the second cut, by slot."""
    faults: list[tuple[str, str]] = field(default_factory=list)
    """Contradictions within this very chain: invariant and what is wrong."""

    def sent_by_cut(self) -> list[SentPacket]:
        """Return the packets that were sent up to the first cut."""
        return [packet for packet in self.sent if packet.block <= self.cut]

    def receipts_by_cut(self) -> list[ReceiptItem]:
        """Return the receipts that were made up to the first cut."""
        return [item for item in self.receipts if item.block <= self.cut]

    def status(self, packet: SentPacket, *, later: bool = False) -> int:
        """Return the status of a bound packet toward this chain, at the first cut or the second."""
        return slots.status(packet).of(self.later_words if later else self.words)

    def own_status(self, packet: SentPacket) -> int:
        """Return the status of a packet's transaction that began here."""
        return slots.own_status(packet).of(self.words)

    def settlement(self, packet: SentPacket) -> int:
        """Return what is to be undone of a transaction that began here: 0 nothing, 1 it was, else the packets' hash."""
        return slots.settlement(packet).of(self.words)

    def reached_end(self, packet: SentPacket) -> bool:
        """Tell whether a packet toward this chain has an outcome here."""
        if packet.bound:
            return self.status(packet) != 0
        if packet.ordered:
            return slots.receive_lane(packet).of(self.words) >= packet.sequence
        return slots.seen(packet).of(self.words) == 1

    def receipt_home_taken(self, packet: SentPacket) -> bool:
        """Tell whether the receipt of a packet that this chain sent has come home."""
        return slots.receipt_home(packet).of(self.words) == 1


def places_at_source(packet: SentPacket) -> list[Place]:
    """Return the bits that the source keeps of a packet."""
    own = [slots.own_status(packet), slots.settlement(packet)] if packet.bound else []
    return [slots.receipt_home(packet), *own]


def place_at_destination(packet: SentPacket) -> Place:
    """Return the bits by which the destination says that a packet reached its end."""
    if packet.bound:
        return slots.status(packet)
    return slots.receive_lane(packet) if packet.ordered else slots.seen(packet)


def strangers(places: Iterable[Place], words: Mapping[bytes, int]) -> list[bytes]:
    """Return the slots of words that say something of packets nobody sent.

    Args:
        places: bits of all packets that were sent; a word has no others.
        words: storage words by slot.
    """
    masks: dict[bytes, int] = {}
    for place in places:
        masks[place.slot] = masks.get(place.slot, 0) | place.mask
    return [slot for slot, mask in masks.items() if words[slot] & ~mask]
