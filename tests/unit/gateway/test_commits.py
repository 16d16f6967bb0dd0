"""The chain's own commit as endorsement: a hub accepts what is collected, and a lying node is found out first."""

from dataclasses import dataclass, field, replace

import pytest

from piebridge.chains.cometbft_rpc import ProvenValue
from piebridge.cometbft.validator_set import ValidatorSet
from piebridge.cometbft.verification import SignedHeader
from piebridge.crypto import simple_map
from piebridge.crypto.errors import TransientChainError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.signature import address_of_private_key
from piebridge.gateway.commits import collect_commit
from piebridge.protocol_stack.codec import u32
from piebridge.protocol_stack.endorsement import EndorsementMethod, EndorsementSet, Envelope
from piebridge.protocol_stack.transport.outbox import RELAY_CHAIN, BareEntry, OutboxRange
from piebridge.protocol_stack.verification.endorsement import verify_envelope
from testkit.commits import Committee

DOMAIN, RELAY, HERE, EPOCH = 7, 11, 2, 3
COMMITTEE = Committee(DOMAIN, RELAY, tuple(keccak256(b"validator %d" % i) for i in range(4)))
ENDORSERS = EndorsementSet(
    EPOCH, EndorsementMethod.SIGNATURES, 3, 4, tuple(address_of_private_key(keccak256(b"%d" % i)) for i in range(4))
)
RANGE = OutboxRange(RELAY_CHAIN, 1, bytes([7]) * 32, (BareEntry(9, b"\x01" * 32), BareEntry(9, b"\x02" * 32)))
HEIGHT = 76


@dataclass
class Node:
    """A node of the relay chain, honest unless told otherwise."""

    name: str = "relay"
    committee: Committee = COMMITTEE
    absent: tuple[int, ...] = ()
    shown: bytes | None = None
    pairs: dict[bytes, bytes] = field(default_factory=lambda: {b"set": b"x", b"client/00000002": bytes(8)})

    @property
    def _heads(self) -> dict[bytes, bytes]:
        head = RANGE.fold()
        return {**self.pairs, b"head/00000002": head.number.to_bytes(8, "big") + head.value}

    @property
    def _stores(self) -> dict[bytes, bytes]:
        return {b"endorsed": simple_map.root(self._heads), b"state": bytes(32)}

    async def query(self, path: str, data: bytes) -> bytes:
        assert (path, data) == ("/set", b"")
        return ENDORSERS.encode()

    async def proven(self, path: str, key: bytes) -> ProvenValue:
        assert path == "/store/endorsed/key"
        inner, outer = simple_map.prove(self._heads, key), simple_map.prove(self._stores, b"endorsed")
        return ProvenValue(self.shown or self._heads[key], HEIGHT, inner, outer)

    async def signed_header(self, height: int) -> SignedHeader:
        if height != HEIGHT + 1:
            raise TransientChainError("no such height")
        return self.committee.decide(simple_map.root(self._stores), height=height, absent=self.absent)

    async def validators(self, height: int) -> ValidatorSet:
        assert height == HEIGHT + 1
        return COMMITTEE.validators


@pytest.mark.parametrize("absent", [(), (0,), (3,)])
async def test_what_is_collected_is_what_a_hub_accepts(absent: tuple[int, ...]) -> None:
    number, collected = await collect_commit(Node(absent=absent), DOMAIN, RELAY, HERE, 1)
    head = RANGE.fold()
    assert (number, collected.value) == (head.number, head.value)
    data = u32(DOMAIN) + u32(RELAY) + collected.encoded + RANGE.encode()
    accepted = {COMMITTEE.signers(EPOCH).set_hash(DOMAIN, RELAY)}
    assert verify_envelope(Envelope.decode(data), HERE, accepted) == head


async def test_an_entry_that_is_not_committed_yet_has_to_wait() -> None:
    with pytest.raises(TransientChainError, match="ends at 2, not 3"):
        await collect_commit(Node(), DOMAIN, RELAY, HERE, 3)


@pytest.mark.parametrize(
    "node",
    [
        Node(absent=(1, 2)),
        Node(committee=replace(COMMITTEE, relay=RELAY + 1)),
        Node(shown=(9).to_bytes(8, "big") + bytes(32)),
        Node(shown=b"short"),
        Node(committee=replace(COMMITTEE, private_keys=tuple(keccak256(b"other %d" % i) for i in range(4)))),
    ],
)
async def test_a_node_whose_answers_prove_nothing_is_found_out(node: Node) -> None:
    with pytest.raises(VerificationError):
        await collect_commit(node, DOMAIN, RELAY, HERE, 1)
