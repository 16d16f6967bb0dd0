"""Keys of the relay chain's stores as its backend has them: one byte for the store, then the key in that store.

Every kind of the store ``state`` is listed in ``docs/protocol/formats.md``, section 12.1. The keys of the store
``endorsed``, which clients ask for, are in ``piebridge.protocol_stack.commitment``.
"""

from piebridge.protocol_stack import commitment
from piebridge.protocol_stack.codec import u8, u32, u64
from piebridge.protocol_stack.commitment import BITS_PER_SLOT
from piebridge.protocol_stack.identifiers import Lane
from piebridge.relay.app.state import ENDORSED_PREFIX, STATE_PREFIX

RELAY = STATE_PREFIX + b"relay/"
"""The relay chain's own record: identity, life cycle, governor, parameters."""
VALIDATORS = STATE_PREFIX + b"set/"
"""Current validator set: body of governor message 4."""
CHAINS = STATE_PREFIX + b"chains/"
"""Registrations ever made, u32 each, ascending."""
QUEUE_BOUNDS = STATE_PREFIX + b"queue-bounds/"
"""First and next number of the retention queue, u64 each."""
ENDORSED_SET = ENDORSED_PREFIX + commitment.ENDORSED_SET_KEY
"""``epoch u32 || setHash 32`` of the current endorsement set."""


def chain(registration: int) -> bytes:
    """Record of a registered chain."""
    return STATE_PREFIX + b"chain/" + u32(registration)


def progress(registration: int) -> bytes:
    """Newest block of a chain that was ever proven."""
    return STATE_PREFIX + b"progress/" + u32(registration)


def client(registration: int) -> bytes:
    """Light client of a chain."""
    return STATE_PREFIX + b"client/" + u32(registration)


def consensus(registration: int, height: int) -> bytes:
    """Consensus state of a light client at one height."""
    return STATE_PREFIX + b"consensus/" + u32(registration) + u64(height)


def cursor(registration: int, outbox_relay: int) -> bytes:
    """What was folded last of a hub's outbox."""
    return STATE_PREFIX + b"cursor/" + u32(registration) + u32(outbox_relay)


def kept(registration: int, outbox_relay: int, number: int) -> bytes:
    """A chain value of a hub's outbox that was authenticated, with the block that proved it."""
    return STATE_PREFIX + b"kept/" + u32(registration) + u32(outbox_relay) + u64(number)


def recorded(lane: Lane, sequence: int) -> bytes:
    """Word of 256 bits with that of a packet: it was recorded."""
    return STATE_PREFIX + b"recorded/" + lane.encode() + u64(sequence // BITS_PER_SLOT)


def receipt_opened(lane: Lane, sequence: int) -> bytes:
    """Word of 256 bits with that of a packet: its receipt was opened."""
    return STATE_PREFIX + b"receipt/" + lane.encode() + u64(sequence // BITS_PER_SLOT)


def packet(packet_id: bytes) -> bytes:
    """Record of a packet."""
    return STATE_PREFIX + b"packet/" + packet_id


def packet_at(lane: Lane, sequence: int) -> bytes:
    """Packet id of a recorded packet, by lane and sequence."""
    return STATE_PREFIX + b"sequence/" + lane.encode() + u64(sequence)


def passed(lane: Lane) -> bytes:
    """Last sequence of an ordered lane up to which everything was acknowledged."""
    return STATE_PREFIX + b"passed/" + lane.encode()


def transaction(transaction_id: bytes) -> bytes:
    """Record of a transaction."""
    return STATE_PREFIX + b"transaction/" + transaction_id


def report(registration: int, kind: int, relay: int) -> bytes:
    """Newest report of a hub, of one kind, about one relay chain."""
    return STATE_PREFIX + b"report/" + u32(registration) + u8(kind) + u32(relay)


def report_count(registration: int) -> bytes:
    """Number of reports of a hub that are kept."""
    return STATE_PREFIX + b"reports/" + u32(registration)


def outbox(destination: int) -> bytes:
    """Number of the oldest entry of an outbox that is kept."""
    return STATE_PREFIX + b"outbox/" + u32(destination)


def entry(destination: int, number: int) -> bytes:
    """An outbox entry: height, time, id and chain value, and its message until that is acknowledged."""
    return STATE_PREFIX + b"entry/" + u32(destination) + u64(number)


def gateway(address: bytes) -> bytes:
    """Quota of an authorised gateway, u32."""
    return STATE_PREFIX + b"gateway/" + address


def quota(account: bytes) -> bytes:
    """What was used in the current window."""
    return STATE_PREFIX + b"quota/" + account


def replay(valid_until: int, replay_id: bytes) -> bytes:
    """A relay transaction that was executed."""
    return STATE_PREFIX + b"replay/" + u64(valid_until) + replay_id


def replay_block(height: int) -> bytes:
    """``validUntil u64 || replay id 32`` of every relay transaction of one block."""
    return STATE_PREFIX + b"replay-block/" + u64(height)


def queued(index: int) -> bytes:
    """One item of the retention queue."""
    return STATE_PREFIX + b"queued/" + u64(index)


def endorsed_head(destination: int) -> bytes:
    """Head of an outbox, ``number u64 || chain value 32``."""
    return ENDORSED_PREFIX + commitment.endorsed_head_key(destination)


def endorsed_client(registration: int) -> bytes:
    """Newest trusted height of a light client, u64."""
    return ENDORSED_PREFIX + commitment.endorsed_client_key(registration)
