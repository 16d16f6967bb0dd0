"""Keys of the stores, as the backend has them: first byte the store, then ``<kind>/<binary key>``.

The kinds of ``state`` are part of what proofs address (formats, section 12.1).
"""

from piebridge.relay.app.state import ENDORSED_PREFIX, STATE_PREFIX

RELAY = STATE_PREFIX + b"relay/"
"""The relay chain's own record (life cycle, governor, parameters)."""
VALIDATORS = STATE_PREFIX + b"validators/"
"""Current validator set: body of governor message 4."""
CHAINS = STATE_PREFIX + b"chains/"
"""Registrations ever made, u32 each, ascending."""
QUEUE_BOUNDS = STATE_PREFIX + b"queue-bounds/"
"""First and next number of the retention queue."""
ENDORSED_SET = ENDORSED_PREFIX + b"set"
"""``epoch u32 || setHash 32`` of the current endorsement set."""


def chain(registration: int) -> bytes:
    """Record of a registered chain."""
    return STATE_PREFIX + b"chain/" + registration.to_bytes(4, "big")


def progress(registration: int) -> bytes:
    """Newest block of a chain that was ever proven."""
    return STATE_PREFIX + b"progress/" + registration.to_bytes(4, "big")


def client(registration: int) -> bytes:
    """Light client of a chain."""
    return STATE_PREFIX + b"client/" + registration.to_bytes(4, "big")


def consensus(registration: int, height: int) -> bytes:
    """Consensus state of a light client at one height."""
    return STATE_PREFIX + b"consensus/" + registration.to_bytes(4, "big") + height.to_bytes(8, "big")


def cursor(registration: int, outbox_relay: int) -> bytes:
    """What was folded last of a hub's outbox."""
    return STATE_PREFIX + b"cursor/" + registration.to_bytes(4, "big") + outbox_relay.to_bytes(4, "big")


def kept(registration: int, outbox_relay: int, number: int) -> bytes:
    """A chain value of a hub's outbox that was authenticated."""
    return STATE_PREFIX + b"kept/" + registration.to_bytes(4, "big") + outbox_relay.to_bytes(4, "big") + _u64(number)


def recorded(lane: bytes, sequence: int) -> bytes:
    """Word of 256 bits with that of a packet: it was recorded."""
    return STATE_PREFIX + b"recorded/" + lane + _u64(sequence >> 8)


def opened(lane: bytes, sequence: int) -> bytes:
    """Word of 256 bits with that of a packet: its receipt was opened."""
    return STATE_PREFIX + b"opened/" + lane + _u64(sequence >> 8)


def packet(packet_id: bytes) -> bytes:
    """Record of a packet."""
    return STATE_PREFIX + b"packet/" + packet_id


def sequence(lane: bytes, sequence: int) -> bytes:
    """Packet id of a recorded packet, by lane and sequence."""
    return STATE_PREFIX + b"sequence/" + lane + _u64(sequence)


def passed(lane: bytes) -> bytes:
    """Last sequence of an ordered lane up to which everything was acknowledged."""
    return STATE_PREFIX + b"passed/" + lane


def transaction(tx_id: bytes) -> bytes:
    """Record of a transaction."""
    return STATE_PREFIX + b"transaction/" + tx_id


def report(registration: int, kind: int, relay: int) -> bytes:
    """Newest report of a hub of one kind about one relay chain."""
    return STATE_PREFIX + b"report/" + registration.to_bytes(4, "big") + bytes([kind]) + relay.to_bytes(4, "big")


def outbox(destination: int) -> bytes:
    """Bounds of what is kept of an outbox."""
    return STATE_PREFIX + b"outbox/" + destination.to_bytes(4, "big")


def entry(destination: int, number: int) -> bytes:
    """An outbox entry: height, time, id and chain value."""
    return STATE_PREFIX + b"entry/" + destination.to_bytes(4, "big") + _u64(number)


def message(destination: int, number: int) -> bytes:
    """Message of an outbox entry that is not acknowledged yet."""
    return STATE_PREFIX + b"message/" + destination.to_bytes(4, "big") + _u64(number)


def gateway(address: bytes) -> bytes:
    """Quota of an authorised gateway, u32."""
    return STATE_PREFIX + b"gateway/" + address


def quota(address: bytes) -> bytes:
    """What a gateway used in its window."""
    return STATE_PREFIX + b"quota/" + address


def replay(digest: bytes) -> bytes:
    """A relay transaction that was executed, by its digest."""
    return STATE_PREFIX + b"replay/" + digest


def replay_block(height: int) -> bytes:
    """Digests of the relay transactions of one block."""
    return STATE_PREFIX + b"replay-block/" + _u64(height)


def queued(index: int) -> bytes:
    """One item of the retention queue."""
    return STATE_PREFIX + b"queued/" + _u64(index)


def endorsed_head(destination: int) -> bytes:
    """Head of an outbox, ``number u64 || chain value 32``."""
    return ENDORSED_PREFIX + b"head/%08x" % destination


def endorsed_client(registration: int) -> bytes:
    """Newest trusted height of a light client, u64."""
    return ENDORSED_PREFIX + b"client/%08x" % registration


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "big")
