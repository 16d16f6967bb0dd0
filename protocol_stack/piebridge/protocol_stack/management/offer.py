"""Offer of a node to the market (``docs/protocol/management.md``, section 4.2)."""

from dataclasses import dataclass
from typing import Final

from piebridge.crypto.errors import DecodingError
from piebridge.crypto.signature import COMPRESSED_KEY_LENGTH, address_of
from piebridge.protocol_stack.codec import (
    U32_MAX,
    ZERO_ADDRESS,
    Reader,
    address,
    decode_whole,
    fixed,
    in_range,
    u8,
    u32,
    u64,
)
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.management.digests import OfferKey, offer_digest
from piebridge.protocol_stack.management.tags import Place

PEER_ID_LENGTH: Final = 20
"""Length of CometBFT's node id, bytes."""
PEER_LENGTHS: Final = (23, 84)
"""Shortest and longest peer, bytes."""
ENDPOINT_LENGTH_MAX: Final = 128
"""Longest endpoint, bytes."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a node is reached by other validators."""

    p2p_id: bytes
    """SHA-256 of the public p2p key, first 20 bytes."""
    address: str
    """``host:port``, 3 to 64 printable ASCII characters without space."""

    def __str__(self) -> str:
        """Return ``hex(p2p id)@host:port``, as CometBFT's ``persistent_peers`` lists it."""
        return f"{self.p2p_id.hex()}@{self.address}"

    def encode(self) -> bytes:
        """Return ``p2p id || host:port``.

        Raises:
            FormatError: the address is not accepted.
        """
        data = fixed(self.p2p_id, PEER_ID_LENGTH) + _printable(self.address)
        in_range(len(data), *PEER_LENGTHS, "length of a peer", ErrorCode.NODE_OFFER)
        return data

    @classmethod
    def decode(cls, data: bytes) -> "Peer":
        """Read a peer, as the market states it now.

        Raises:
            FormatError: the bytes are no peer.
        """
        in_range(len(data), *PEER_LENGTHS, "length of a peer", ErrorCode.NODE_OFFER)
        return cls(data[:PEER_ID_LENGTH], _text(data[PEER_ID_LENGTH:]))


@dataclass(frozen=True, slots=True)
class NodeOffer:
    """One validator's worth of keys and a place to run it."""

    consensus_key: bytes
    """Compressed secp256k1 key for CometBFT, 33 bytes; made for this offer and never used in another."""
    endorsement_address: bytes
    """Address of the endorsement key, 20 bytes; made for this offer as well."""
    agent: bytes
    """Account of the node's agent, 20 bytes: it may report and nothing else."""
    capacity: int
    """Packets a second, u32, at least 1."""
    available_from: int
    """First second in which the node is there, Unix seconds, u64."""
    available_until: int
    """First second in which it is not there any more, Unix seconds, u64."""
    peer: Peer
    """Where other validators reach it."""
    endpoint: str
    """URL of its RPC for gateways, at most 128 printable ASCII characters without space."""

    def encode(self) -> bytes:
        """Return the offer.

        Raises:
            FormatError: a value is not accepted.
        """
        self._check()
        peer, endpoint = self.peer.encode(), _printable(self.endpoint)
        in_range(len(endpoint), 0, ENDPOINT_LENGTH_MAX, "length of an endpoint", ErrorCode.NODE_OFFER)
        return (
            fixed(self.consensus_key, COMPRESSED_KEY_LENGTH)
            + address(self.endorsement_address)
            + address(self.agent)
            + u32(self.capacity)
            + u64(self.available_from)
            + u64(self.available_until)
            + u8(len(peer))
            + peer
            + u8(len(endpoint))
            + endpoint
        )

    @classmethod
    def decode(cls, data: bytes) -> "NodeOffer":
        """Read an offer.

        Raises:
            FormatError: the bytes are no offer.
        """
        return decode_whole(cls._read, data)

    def digest(self, market: Place, operator: int, key: OfferKey) -> bytes:
        """Return what one of the two keys signs, 32 bytes; see :func:`offer_digest`."""
        return offer_digest(market, operator, key, self.consensus_key, self.endorsement_address)

    @classmethod
    def _read(cls, reader: Reader) -> "NodeOffer":
        consensus_key, endorsement, agent = (
            reader.take(COMPRESSED_KEY_LENGTH),
            reader.address(),
            reader.address(),
        )
        capacity, available_from, available_until = reader.u32(), reader.u64(), reader.u64()
        peer = Peer.decode(reader.take(reader.u8()))
        endpoint = reader.take(reader.u8())
        in_range(len(endpoint), 0, ENDPOINT_LENGTH_MAX, "length of an endpoint", ErrorCode.NODE_OFFER)
        offer = cls(consensus_key, endorsement, agent, capacity, available_from, available_until, peer, _text(endpoint))
        offer._check()
        return offer

    def _check(self) -> None:
        try:
            consensus_address = address_of(fixed(self.consensus_key, COMPRESSED_KEY_LENGTH))
        except DecodingError as error:
            raise FormatError(ErrorCode.NODE_OFFER, f"no consensus key: {error}") from error
        if self.endorsement_address in (ZERO_ADDRESS, consensus_address):
            raise FormatError(
                ErrorCode.NODE_OFFER,
                "the endorsement address is zero or that of the consensus key",
                actual=self.endorsement_address,
            )
        in_range(self.capacity, 1, U32_MAX, "capacity", ErrorCode.NODE_OFFER)
        if self.available_from >= self.available_until:
            raise FormatError(
                ErrorCode.NODE_OFFER,
                "an offer ends before it begins",
                expected=self.available_from,
                actual=self.available_until,
            )


def _printable(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    _text(data)
    return data


def _text(data: bytes) -> str:
    if not all(0x21 <= byte <= 0x7E for byte in data):
        raise FormatError(ErrorCode.NODE_OFFER, "a character is not printable ASCII, or a space", actual=data)
    return data.decode("ascii")
