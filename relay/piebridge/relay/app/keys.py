"""Keys of the relay chain's stores as its backend has them: one byte for the store, then the key in that store.

What others prove is listed in ``piebridge.protocol_stack.commitment``; the kinds that only the relay chain itself reads
are listed here.
"""

from piebridge.protocol_stack import commitment
from piebridge.protocol_stack.codec import u8, u32, u64
from piebridge.protocol_stack.identifiers import Lane
from piebridge.relay.app.state import ENDORSED_PREFIX, STATE_PREFIX

RELAY = STATE_PREFIX + b"relay/"
"""The relay chain's own record: identity, life cycle, governor, parameters."""
VALIDATORS = STATE_PREFIX + commitment.STATE_SET_KEY
"""Current validator set: body of governor message 4."""
CHAINS = STATE_PREFIX + b"chains/"
"""Registrations ever made, u32 each, ascending."""
QUEUE_BOUNDS = STATE_PREFIX + b"queue-bounds/"
"""First and next number of the retention queue, u64 each."""
ENDORSED_SET = ENDORSED_PREFIX + commitment.ENDORSED_SET_KEY
"""``epoch u32 || setHash 32`` of the current endorsement set."""


def chain(registration: int) -> bytes:
    """Record of a registered chain."""
    return STATE_PREFIX + commitment.state_chain_key(registration)


def progress(registration: int) -> bytes:
    """Newest block of a chain that was ever proven."""
    return STATE_PREFIX + b"progress/" + u32(registration)


def client(registration: int) -> bytes:
    """Light client of a chain."""
    return STATE_PREFIX + commitment.state_client_key(registration)


def consensus(registration: int, height: int) -> bytes:
    """Consensus state of a light client at one height."""
    return STATE_PREFIX + commitment.state_consensus_key(registration, height)


def cursor(registration: int, outbox_relay: int) -> bytes:
    """What was folded last of a hub's outbox."""
    return STATE_PREFIX + commitment.state_cursor_key(registration, outbox_relay)


def kept(registration: int, outbox_relay: int, number: int) -> bytes:
    """A chain value of a hub's outbox that was authenticated, with the block that proved it."""
    return STATE_PREFIX + commitment.state_kept_key(registration, outbox_relay, number)


def recorded(lane: Lane, sequence: int) -> bytes:
    """Word of 256 bits with that of a packet: it was recorded."""
    return STATE_PREFIX + commitment.state_recorded_key(lane, sequence)


def receipt_opened(lane: Lane, sequence: int) -> bytes:
    """Word of 256 bits with that of a packet: its receipt was opened."""
    return STATE_PREFIX + commitment.state_receipt_opened_key(lane, sequence)


def packet(packet_id: bytes) -> bytes:
    """Record of a packet."""
    return STATE_PREFIX + commitment.state_packet_key(packet_id)


def packet_at(lane: Lane, sequence: int) -> bytes:
    """Packet id of a recorded packet, by lane and sequence."""
    return STATE_PREFIX + b"sequence/" + lane.encode() + u64(sequence)


def passed(lane: Lane) -> bytes:
    """Last sequence of an ordered lane up to which everything was acknowledged."""
    return STATE_PREFIX + b"passed/" + lane.encode()


def transaction(transaction_id: bytes) -> bytes:
    """Record of a transaction."""
    return STATE_PREFIX + commitment.state_transaction_key(transaction_id)


def report(registration: int, kind: int, relay: int) -> bytes:
    """Newest report of a hub, of one kind, about one relay chain."""
    return STATE_PREFIX + b"report/" + u32(registration) + u8(kind) + u32(relay)


def outbox(destination: int) -> bytes:
    """Number of the oldest entry of an outbox that is kept."""
    return STATE_PREFIX + commitment.state_outbox_key(destination)


def entry(destination: int, number: int) -> bytes:
    """An outbox entry: height, time, id and chain value."""
    return STATE_PREFIX + commitment.state_entry_key(destination, number)


def message(destination: int, number: int) -> bytes:
    """Message of an outbox entry that is not acknowledged yet."""
    return STATE_PREFIX + b"message/" + u32(destination) + u64(number)


def gateway(address: bytes) -> bytes:
    """Quota of an authorised gateway, u32."""
    return STATE_PREFIX + commitment.state_gateway_key(address)


def quota(account: bytes) -> bytes:
    """What was used in the current window."""
    return STATE_PREFIX + commitment.state_quota_key(account)


def replay(valid_until: int, replay_id: bytes) -> bytes:
    """A relay transaction that was executed."""
    return STATE_PREFIX + commitment.state_replay_key(valid_until, replay_id)


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
