"""Records of the store ``state``: fixed layouts, big-endian, written and read by the relay chain alone.

Some are read for every packet and change seldom: what their bytes decode to is kept.
"""

import struct
from dataclasses import dataclass, replace
from functools import lru_cache

from piebridge.protocol_stack.governor_hub_bodies import RelayLifeCycle
from piebridge.protocol_stack.governor_relay_bodies import ValidatorSet
from piebridge.protocol_stack.report import Report
from piebridge.protocol_stack.transaction.atp import AbortReason, RecordState
from piebridge.protocol_stack.transport.outbox import Form
from piebridge.protocol_stack.verification.light_clients.cometbft import ClientParameters, ConsensusState


@dataclass(frozen=True, slots=True)
class RelayRecord:
    """What the relay chain knows about itself."""

    domain: int
    """Domain."""
    relay: int
    """Own relay id."""
    dev: bool
    """Whether the genesis allows what only ``--dev`` may: a set of one, no quorum above 2/3."""
    life_cycle: RelayLifeCycle
    """ACTIVE, DRAINING or TERMINATED; freezing is a flag beside it."""
    frozen: bool
    """Frozen for good: takes governor messages only."""
    paused: bool
    """No packet is taken; receipts, verdicts and aborts after the deadline go on."""
    life_cycle_number: int
    """Number that unordered governor messages must carry, from 1."""
    governor_key: bytes
    """FROST group key, 33 bytes."""
    key_epoch: int
    """Epoch of that key, from 1."""
    governor_counter: int
    """Counter of the last ordered governor message."""
    body_bytes_max: int
    """Largest packet body."""
    retention_seconds: int
    """How long what nobody acknowledges is kept."""
    stranger_quota: int
    """Transactions per 100 blocks of all unknown senders together."""

    @property
    def takes_proofs(self) -> bool:
        """Whether anything but governor messages is taken."""
        return not self.frozen and self.life_cycle is not RelayLifeCycle.TERMINATED

    def encode(self) -> bytes:
        """Encode the record."""
        return _RELAY.pack(
            self.domain,
            self.relay,
            self.dev,
            self.life_cycle,
            self.frozen,
            self.paused,
            self.life_cycle_number,
            self.governor_key,
            self.key_epoch,
            self.governor_counter,
            self.body_bytes_max,
            self.retention_seconds,
            self.stranger_quota,
        )

    @classmethod
    @lru_cache(maxsize=16)
    def decode(cls, data: bytes) -> "RelayRecord":
        """Decode the record."""
        domain, relay, dev, life_cycle, *rest = _RELAY.unpack(data)
        return cls(domain, relay, dev, RelayLifeCycle(life_cycle), *rest)


_RELAY = struct.Struct(">II?B??Q33sIQIII")


@dataclass(frozen=True, slots=True)
class ChainRecord:
    """A registered chain: one hub."""

    registration: int
    """Registration number."""
    hub: bytes
    """Address of the hub, 20 bytes."""
    evm_chain_id: int
    """Chain id of the EVM, 0 where it is none."""
    client_kind: int
    """0 none, 1 cometbft."""
    method: int
    """1 SPV, 2 notary, 3 both."""
    depth: int
    """Finality depth of every entry, blocks."""
    depth_max: int
    """Largest depth that a header may demand."""
    handler_gas_max: int
    """Largest handler gas of the hub."""
    closed_at: int | None
    """Closing height of a closed registration, or None while it is open."""
    notary_set: bytes
    """Current notary set (formats, section 9), empty where the method uses none."""

    @property
    def is_open(self) -> bool:
        """Whether the registration is not closed."""
        return self.closed_at is None

    @property
    def notary_epoch(self) -> int:
        """Epoch of the notary set, 0 where there is none."""
        return int.from_bytes(self.notary_set[:4], "big")

    def encode(self) -> bytes:
        """Encode the record."""
        fixed = _CHAIN.pack(
            self.registration,
            self.hub,
            self.evm_chain_id,
            self.client_kind,
            self.method,
            self.depth,
            self.depth_max,
            self.handler_gas_max,
            self.closed_at is not None,
            self.closed_at or 0,
        )
        return fixed + self.notary_set

    @classmethod
    @lru_cache(maxsize=512)
    def decode(cls, data: bytes) -> "ChainRecord":
        """Decode the record."""
        number, hub, evm, client, method, depth, depth_max, gas, closed, at = _CHAIN.unpack(data[: _CHAIN.size])
        closed_at = at if closed else None
        return cls(number, hub, evm, client, method, depth, depth_max, gas, closed_at, data[_CHAIN.size :])


_CHAIN = struct.Struct(">I20sQBBBBI?Q")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a chain is known to have gone on."""

    spv_block: int = 0
    """Newest block that SPV ever proved."""
    notary_block: int = 0
    """Newest block that notaries ever stated."""
    trust_epoch: int = 0
    """How often the light client was started afresh or the notaries were replaced: nothing that rests on the word of
    those before counts any more."""

    def encode(self) -> bytes:
        """Encode the record."""
        return struct.pack(">QQI", self.spv_block, self.notary_block, self.trust_epoch)

    @classmethod
    def decode(cls, data: bytes) -> "Progress":
        """Decode the record."""
        return cls(*struct.unpack(">QQI", data))


@dataclass(frozen=True, slots=True)
class KeptValue:
    """A chain value of a hub's outbox that was authenticated."""

    value: bytes
    """Chain value, 32 bytes."""
    block_number: int
    """Source block at which it was proven; what a closed registration proved later does not count."""
    trust_epoch: int
    """Trust epoch of its chain in which it was proven."""

    def encode(self) -> bytes:
        """Encode the record."""
        return struct.pack(">32sQI", self.value, self.block_number, self.trust_epoch)

    @classmethod
    def decode(cls, data: bytes) -> "KeptValue":
        """Decode the record."""
        return cls(*struct.unpack(">32sQI", data))


@dataclass(frozen=True, slots=True)
class ReportRecord:
    """The newest report of a hub, of one kind, about one relay chain."""

    entry: int
    """Its number in the free outbox of the hub."""
    report: Report
    """The report."""

    def encode(self) -> bytes:
        """Encode the record."""
        return self.entry.to_bytes(8, "big") + self.report.encode()

    @classmethod
    def decode(cls, data: bytes) -> "ReportRecord":
        """Decode the record."""
        return cls(int.from_bytes(data[:8], "big"), Report.decode(data[8:]))


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """A light client."""

    parameters: ClientParameters
    """What its checkpoint fixed."""
    frozen: bool
    """Whether it has seen misbehaviour; a new checkpoint is needed."""
    heights: tuple[int, ...]
    """Heights of its consensus states, ascending, never empty."""

    def encode(self) -> bytes:
        """Encode the record."""
        chain_id = self.parameters.chain_id.encode()
        return (
            struct.pack(
                ">IH?B",
                self.parameters.trusting_period_seconds,
                self.parameters.clock_drift_seconds,
                self.frozen,
                len(chain_id),
            )
            + chain_id
            + struct.pack(f">{len(self.heights)}Q", *self.heights)
        )

    @classmethod
    def decode(cls, data: bytes) -> "ClientRecord":
        """Decode the record."""
        period, drift, frozen, length = struct.unpack(">IH?B", data[:8])
        heights = data[8 + length :]
        return cls(
            ClientParameters(data[8 : 8 + length].decode(), period, drift),
            frozen,
            struct.unpack(f">{len(heights) // 8}Q", heights),
        )


_CONSENSUS = struct.Struct(">Q32sQ32s32s")


def encode_consensus(state: ConsensusState) -> bytes:
    """Encode a consensus state (112 bytes)."""
    return _CONSENSUS.pack(
        state.height_on_source, state.header_hash, state.time_ns, state.app_hash, state.next_validators_hash
    )


def decode_consensus(data: bytes) -> ConsensusState:
    """Decode a consensus state."""
    return ConsensusState(*_CONSENSUS.unpack(data))


@dataclass(frozen=True, slots=True)
class PacketRecord:
    """A packet that was recorded."""

    header: bytes
    """Header, 136 bytes."""
    body_hash: bytes
    """H(body), 32 bytes."""
    recorded_height: int
    """Relay height at which it was recorded."""
    is_carried: bool
    """Whether it was taken into the outbox toward its destination; not so after an abort."""
    entry: int = 0
    """Number of its entry toward the destination; 0 none yet."""
    tombstone_entry: int = 0
    """Number of the entry with the verdict toward the destination; 0 none."""
    receipt_code: int = 0
    """Code of its receipt, 1 to 5; 0 none."""
    receipt_entry: int = 0
    """Number of the entry toward the source with its receipt; 0 none."""
    is_acknowledged: bool = False
    """Whether its end at the destination is proven."""
    is_receipt_acknowledged: bool = False
    """Whether it is proven that the source took its receipt."""

    def encode(self) -> bytes:
        """Encode the record."""
        return _PACKET.pack(
            self.header,
            self.body_hash,
            self.recorded_height,
            self.is_carried,
            self.entry,
            self.tombstone_entry,
            self.receipt_code,
            self.receipt_entry,
            self.is_acknowledged,
            self.is_receipt_acknowledged,
        )

    @classmethod
    def decode(cls, data: bytes) -> "PacketRecord":
        """Decode the record."""
        return cls(*_PACKET.unpack(data))


_PACKET = struct.Struct(">136s32sQ?QQBQ??")


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """A transaction of the LAST_AGENT policy."""

    state: RecordState
    """OPEN, or the verdict, which is written once."""
    reason: AbortReason
    """Why it was aborted, for people."""
    origin: int
    """Registration of the origin."""
    nonce: int
    """Transaction nonce at the origin."""
    packet_id: bytes
    """The request."""
    verdict_entry: int = 0
    """Number of the entry with the verdict toward the origin; 0 none."""
    is_acknowledged: bool = False
    """Whether it is proven that the origin took the verdict."""

    def encode(self) -> bytes:
        """Encode the record."""
        return _TRANSACTION.pack(
            self.state,
            self.reason,
            self.origin,
            self.nonce,
            self.packet_id,
            self.verdict_entry,
            self.is_acknowledged,
        )

    @classmethod
    def decode(cls, data: bytes) -> "TransactionRecord":
        """Decode the record."""
        state, reason, *rest = _TRANSACTION.unpack(data)
        return cls(RecordState(state), AbortReason(reason), *rest)


_TRANSACTION = struct.Struct(">BBIQ32sQ?")


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message that is not acknowledged yet."""

    remaining: int
    """How many items of it wait for acknowledgement: 1, or the verdicts of an entry."""
    form: Form
    """Form in a range (formats, section 5.1)."""
    content: bytes
    """Content in that form."""

    def encode(self) -> bytes:
        """Encode the record."""
        return struct.pack(">HB", self.remaining, self.form) + self.content

    @classmethod
    def decode(cls, data: bytes) -> "MessageRecord":
        """Decode the record."""
        return cls(int.from_bytes(data[:2], "big"), Form(data[2]), data[3:])

    def with_one_less(self) -> "MessageRecord":
        """Return the record after one item was acknowledged."""
        return replace(self, remaining=self.remaining - 1)


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """An entry of an outbox of this relay chain."""

    height: int
    """Relay height that made it."""
    time_seconds: int
    """Block time of that height, Unix seconds."""
    message_id: bytes
    """Id of the message, 32 bytes."""
    value: bytes
    """Chain value after the entry, 32 bytes."""
    message: MessageRecord | None = None
    """Its message, until that is acknowledged."""

    def encode(self) -> bytes:
        """Encode the record."""
        fixed = _ENTRY.pack(self.height, self.time_seconds, self.message_id, self.value)
        return fixed if self.message is None else fixed + self.message.encode()

    @classmethod
    def decode(cls, data: bytes) -> "EntryRecord":
        """Decode the record."""
        message = MessageRecord.decode(data[_ENTRY.size :]) if len(data) > _ENTRY.size else None
        height, time_seconds, message_id, value = _ENTRY.unpack_from(data)
        return cls(height, time_seconds, message_id, value, message)


_ENTRY = struct.Struct(">QQ32s32s")


@lru_cache(maxsize=16)
def decode_validators(data: bytes) -> ValidatorSet:
    """Decode the validator set; its keys are checked to be points of the curve, which is worth keeping."""
    return ValidatorSet.decode(data)
