"""A packet: header and body, and the ids that follow from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.codec import address, fixed, hash32, u32, u64
from piebridge.protocol_stack.commitment import TAG_PACKET, TAG_PACKETS, TAG_TX
from piebridge.protocol_stack.header import HEADER_LENGTH, Header
from piebridge.protocol_stack.identifiers import (
    DomainId,
    Lane,
    RegistrationNumber,
    RelayId,
    Sequence,
    TransactionNonce,
)


@dataclass(frozen=True)
class Packet:
    """What one application sends to another. Identified by lane and sequence, never by its hash or its carrier.

    Immutable, so its hashes are computed once and kept.
    """

    header: Header
    """The four layer headers."""
    body: bytes
    """What the application at the destination gets."""

    @property
    def lane(self) -> Lane:
        """The lane of the packet."""
        return self.header.lane

    @property
    def sequence(self) -> Sequence:
        """Place in the lane."""
        return self.header.transport.sequence

    @cached_property
    def body_hash(self) -> bytes:
        """``H(body)``, 32 bytes."""
        return keccak256(self.body)

    @cached_property
    def packet_id(self) -> bytes:
        """``H(TAG_PACKET || header || H(body))``, 32 bytes."""
        return packet_id(self.header.encode(), self.body_hash)

    def encode(self) -> bytes:
        """Return ``header || body``. The rules of the layers are checked by the stack, not here."""
        return self.header.encode() + self.body


def packet_id(header: bytes, body_hash: bytes) -> bytes:
    """Return the id of a packet from its 136 header bytes, well-formed or not, and ``H(body)``."""
    return keccak256(TAG_PACKET + fixed(header, HEADER_LENGTH) + hash32(body_hash))


def packets_hash(packet_ids: Iterable[bytes]) -> bytes:
    """Return the 32 bytes by which an ABORT names a transaction's packets.

    Args:
        packet_ids: ids in the order of their participant index.
    """
    return keccak256(TAG_PACKETS + b"".join(map(hash32, packet_ids)))


def transaction_id(
    domain: DomainId, origin: RegistrationNumber, origin_hub: bytes, relay: RelayId, nonce: TransactionNonce
) -> bytes:
    """Return the 32-byte id of a transaction (``docs/protocol/formats.md``, section 6.1).

    Args:
        domain: relay domain.
        origin: registration of the hub that began it.
        origin_hub: address of that hub, 20 bytes.
        relay: the relay chain that it is bound to.
        nonce: its number at the origin.
    """
    return keccak256(TAG_TX + u32(domain) + u32(origin) + address(origin_hub) + u32(relay) + u64(nonce))
