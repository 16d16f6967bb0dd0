"""Payloads and names against the tables of docs/protocol/governors.md, written out here by hand."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from piebridge.crypto.hash import keccak256
from piebridge.crypto.threshold.sharing import Complaint, Dealing
from piebridge.management_chain.governor.ceremony import Ceremony, CeremonyKind, Epochs, GovernorSet
from piebridge.management_chain.governor.posts import (
    PAYLOAD_MAX,
    Commit,
    Join,
    PostKind,
    decode_complaints,
    decode_dealing,
    decode_share,
    encode_complaints,
    encode_dealing,
    encode_share,
)
from piebridge.protocol_stack.errors import FormatError
from piebridge.protocol_stack.management.tags import Place
from testkit.governors import account

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "protocol" / "governors.md").read_text()
POINT, OTHER = b"\x02" + b"\x0a" * 32, b"\x03" + b"\x0b" * 32
PLACE = Place(1_337, b"\xb0" * 20)
SET = GovernorSet(2, (account(1), account(2), account(3)))
CEREMONY = Ceremony(5, CeremonyKind.REFRESH, SET, Epochs(4, 2).encode(), 7, 30, 1_000)


def test_join() -> None:
    payload = Join(POINT, b"\x07" * 65).encode()
    assert payload == b"\x01" + POINT + b"\x07" * 65
    assert Join.decode(payload) == Join(POINT, b"\x07" * 65)


def test_deal() -> None:
    dealing = Dealing((POINT, OTHER), b"\x07" * 65, {1: b"\x01" * 48, 3: b"\x03" * 48})
    payload = encode_dealing(dealing)
    assert payload == b"\x01\x02" + POINT + OTHER + b"\x41" + b"\x07" * 65 + b"\x02" + b"\x01" * 48 + b"\x03" * 48
    assert decode_dealing(payload, [1, 3]) == dealing
    with pytest.raises(FormatError):
        decode_dealing(payload, [1, 3, 4])
    refresh = replace(dealing, possession=b"")
    assert encode_dealing(refresh) == b"\x01\x02" + POINT + OTHER + b"\x00\x02" + b"\x01" * 48 + b"\x03" * 48
    assert decode_dealing(encode_dealing(refresh), [1, 3]) == refresh


def test_check() -> None:
    assert encode_complaints([]) == b"\x01\x00"
    complaints = (Complaint(2, POINT, b"\x05" * 98), Complaint(9, OTHER, b"\x06" * 98))
    payload = encode_complaints(complaints[::-1])
    assert payload == b"\x01\x02\x02" + POINT + b"\x05" * 98 + b"\x09" + OTHER + b"\x06" * 98
    assert decode_complaints(payload) == complaints
    one, two = payload[2:134], payload[134:]
    for wrong in (b"\x01\x02" + two + one, b"\x01\x02" + one + one):
        with pytest.raises(FormatError, match="ascending"):
            decode_complaints(wrong)


def test_longest_payload_fits_and_is_the_one_of_the_page() -> None:
    length = len(encode_complaints([Complaint(dealer, POINT, bytes(98)) for dealer in range(1, 100)]))
    assert length == 13_070 < PAYLOAD_MAX
    assert "13 070 bytes" in PAGE
    deal = Dealing((POINT,) * 100, bytes(65), {each: bytes(48) for each in range(2, 101)})
    assert len(encode_dealing(deal)) < length


def test_commit_and_share() -> None:
    assert Commit(POINT, OTHER).encode() == b"\x01" + POINT + OTHER
    assert Commit.decode(b"\x01" + POINT + OTHER) == Commit(POINT, OTHER)
    assert encode_share(b"\x0c" * 32) == b"\x01" + b"\x0c" * 32
    assert decode_share(b"\x01" + b"\x0c" * 32) == b"\x0c" * 32


def test_kinds_are_those_of_the_page() -> None:
    for kind in PostKind:
        assert f"| {kind.value} | {kind.name} |" in PAGE
    for ceremony in CeremonyKind:
        assert f"| {ceremony.value} | {ceremony.name} |" in PAGE


def codecs() -> dict[PostKind, tuple[bytes, Callable[[bytes], bytes]]]:
    """A payload of each kind, and decoding with encoding again."""
    return {
        PostKind.JOIN: (Join(POINT, bytes(65)).encode(), lambda data: Join.decode(data).encode()),
        PostKind.DEAL: (
            encode_dealing(Dealing((POINT, OTHER), bytes(65), {2: bytes(48)})),
            lambda data: encode_dealing(decode_dealing(data, [2])),
        ),
        PostKind.CHECK: (
            encode_complaints([Complaint(2, POINT, bytes(98)), Complaint(4, POINT, bytes(98))]),
            lambda data: encode_complaints(decode_complaints(data)),
        ),
        PostKind.COMMIT: (Commit(POINT, OTHER).encode(), lambda data: Commit.decode(data).encode()),
        PostKind.SHARE: (encode_share(bytes(32)), lambda data: encode_share(decode_share(data))),
    }


@pytest.mark.parametrize("kind", list(PostKind))
def test_one_encoding_each(kind: PostKind) -> None:
    chance = random.Random(kind)
    payload, decode = codecs()[kind]
    assert decode(payload) == payload
    refused = 0
    for length in range(len(payload)):
        with pytest.raises(FormatError):
            decode(payload[:length])
    with pytest.raises(FormatError):
        decode(payload + b"\x00")
    for _ in range(400):
        changed = bytearray(payload)
        changed[chance.choice((0, 1, chance.randrange(len(payload))))] = chance.randrange(256)
        try:
            assert decode(bytes(changed)) == bytes(changed)
        except FormatError:
            refused += 1
    assert refused


def test_set() -> None:
    assert SET.encode() == b"\x02\x03" + account(1) + account(2) + account(3)
    assert SET.hash == keccak256(keccak256(b"PIEBRIDGE/GOVERNOR_SET/v1") + SET.encode())
    assert GovernorSet.decode(SET.encode()) == SET
    assert [SET.member_of(account(number)) for number in (1, 3, 4)] == [1, 3, None]
    for data in (SET.encode()[:-1], SET.encode() + b"\x00", b"\x02\x01" + account(1), b"\x04\x03" + SET.encode()[2:]):
        with pytest.raises(FormatError):
            GovernorSet.decode(data)
    for accounts in ((account(1), account(1)), (account(1), bytes(20)), (account(1), b"short")):
        with pytest.raises(FormatError):
            GovernorSet(2, accounts)
    with pytest.raises(FormatError):
        GovernorSet(1, SET.accounts)
    with pytest.raises(FormatError):
        GovernorSet(2, tuple(map(account, range(101))))


def test_context_and_registration_are_those_of_the_page() -> None:
    place = (1_337).to_bytes(8, "big") + b"\xb0" * 20
    subject = (4).to_bytes(4, "big") + (2).to_bytes(4, "big") + bytes(24)
    assert CEREMONY.context(PLACE) == keccak256(
        keccak256(b"PIEBRIDGE/GOVERNOR_CEREMONY/v1")
        + place
        + (5).to_bytes(8, "big")
        + b"\x03"
        + SET.hash
        + subject
        + b"\x07"
        + (30).to_bytes(4, "big")
    )
    assert CEREMONY.registration_digest(PLACE, 4, POINT) == keccak256(
        keccak256(b"PIEBRIDGE/GOVERNOR_KEY/v1")
        + bytes(4)
        + (1).to_bytes(4, "big")
        + (4).to_bytes(4, "big")
        + b"\x03"
        + place
        + (5).to_bytes(8, "big")
        + SET.hash
        + POINT
    )


def test_row_36_context_is_another_wherever_a_field_is() -> None:
    others = [
        replace(CEREMONY, number=6),
        replace(CEREMONY, kind=CeremonyKind.RESHARING),
        replace(CEREMONY, governors=GovernorSet(3, SET.accounts)),
        replace(CEREMONY, subject=Epochs(4, 3).encode()),
        replace(CEREMONY, rounds=5),
        replace(CEREMONY, round_blocks=31),
    ]
    contexts = {each.context(PLACE) for each in (CEREMONY, *others)}
    contexts |= {CEREMONY.context(Place(1_338, PLACE.contract)), CEREMONY.context(Place(1_337, b"\xb1" * 20))}
    assert len(contexts) == len(others) + 3
