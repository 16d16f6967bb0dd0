"""A relay node shows a commit, a state and votes that cannot be. Both ends of method 2 say so, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from piebridge.chains.cometbft_rpc import ProvenValue
from piebridge.cometbft.commit import CommitSig
from piebridge.cometbft.validator_set import ValidatorSet
from piebridge.cometbft.verification import SignedHeader
from piebridge.crypto import simple_map
from piebridge.crypto.errors import PieBridgeError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.signature import address_of_private_key
from piebridge.crypto.simple_map import ValueOperator
from piebridge.gateway.commits import collect_commit
from piebridge.protocol_stack.endorsement import EndorsementMethod, EndorsementSet
from testkit.commits import Committee

DOMAIN, RELAY, HERE, HEIGHT = 7, 11, 2, 76
COMMITTEE = Committee(DOMAIN, RELAY, tuple(keccak256(b"validator %d" % i) for i in range(4)))
SET = EndorsementSet(
    3, EndorsementMethod.SIGNATURES, 3, 4, tuple(address_of_private_key(keccak256(b"%d" % i)) for i in range(4))
)
HEAD = (5).to_bytes(8, "big") + b"\x07" * 32
PAIRS = {b"head/00000002": HEAD, b"set": b"x", b"client/00000002": bytes(8)}
STORES = {b"endorsed": simple_map.root(PAIRS), b"state": bytes(32)}


def _vote(change: Callable[[CommitSig], CommitSig]) -> Callable[[SignedHeader], SignedHeader]:
    def changed(signed: SignedHeader) -> SignedHeader:
        first, *others = signed.commit.signatures
        return replace(signed, commit=replace(signed.commit, signatures=(change(first), *others)))

    return changed


def _proof(**changes: Any) -> Callable[[ValueOperator], ValueOperator]:  # noqa: ANN401 - fields of a proof
    return lambda operator: replace(operator, proof=replace(operator.proof, **changes))


@dataclass
class Node:
    """A node of the relay chain, honest but for what is exchanged."""

    header: Callable[[SignedHeader], SignedHeader] = field(default=lambda signed: signed)
    inner: Callable[[ValueOperator], ValueOperator] = field(default=lambda operator: operator)
    outer: Callable[[ValueOperator], ValueOperator] = field(default=lambda operator: operator)
    members: ValidatorSet = COMMITTEE.validators
    height: int = HEIGHT
    name: str = "relay"

    async def query(self, path: str, data: bytes) -> bytes:
        return SET.encode()

    async def proven(self, path: str, key: bytes) -> ProvenValue:
        inner, outer = simple_map.prove(PAIRS, key), simple_map.prove(STORES, b"endorsed")
        return ProvenValue(HEAD, self.height, self.inner(inner), self.outer(outer))

    async def signed_header(self, height: int) -> SignedHeader:
        return self.header(COMMITTEE.decide(simple_map.root(STORES), height=HEIGHT + 1))

    async def validators(self, height: int) -> ValidatorSet:
        return self.members


async def test_the_control() -> None:
    number, _ = await collect_commit(Node(), DOMAIN, RELAY, HERE, 1)
    assert number == 5


@pytest.mark.parametrize(
    "node",
    [
        Node(header=_vote(lambda vote: replace(vote, signature=b""))),
        Node(header=_vote(lambda vote: replace(vote, signature=b"\x01" * 64))),
        Node(header=_vote(lambda vote: replace(vote, signature=vote.signature[:-1] + b"\xff"))),
        Node(header=_vote(lambda vote: replace(vote, signature=vote.signature + b"\x00"))),
        Node(header=_vote(lambda vote: replace(vote, timestamp_ns=-(1 << 70)))),
        Node(header=_vote(lambda vote: replace(vote, timestamp_ns=1 << 200))),
        Node(header=lambda signed: replace(signed, commit=replace(signed.commit, round=1 << 40))),
        Node(header=lambda signed: replace(signed, commit=replace(signed.commit, round=-1))),
        Node(header=lambda signed: replace(signed, commit=replace(signed.commit, height=1 << 80))),
        Node(header=lambda signed: replace(signed, commit=replace(signed.commit, signatures=()))),
        Node(inner=_proof(aunts=())),
        Node(inner=_proof(aunts=(b"",) * 2)),
        Node(inner=_proof(aunts=(bytes(32),) * 200)),
        Node(inner=_proof(total=1 << 62)),
        Node(inner=_proof(total=1 << 62, aunts=(bytes(32),) * 62)),
        Node(inner=_proof(index=1 << 62)),
        Node(inner=_proof(total=0)),
        Node(outer=_proof(aunts=())),
        Node(outer=_proof(aunts=(b"",))),
        Node(outer=_proof(index=1)),
        Node(members=Committee(DOMAIN, RELAY, tuple(keccak256(b"o%d" % i) for i in range(40))).validators),
    ],
    ids=lambda node: "",
)
async def test_what_cannot_be_is_an_error_that_is_known(node: Node) -> None:
    with pytest.raises(PieBridgeError):
        await collect_commit(node, DOMAIN, RELAY, HERE, 1)
