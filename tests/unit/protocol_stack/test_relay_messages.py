"""Relay transactions: what the names of slots are held to, what may be kept, who has signed."""

from dataclasses import replace

import pytest

from piebridge.crypto.signature import sign_recoverable
from piebridge.protocol_stack.authentication import (
    BothAuthentication,
    KeptAuthentication,
    SlotProof,
    SpvAuthentication,
    read_authentication,
)
from piebridge.protocol_stack.codec import Reader
from piebridge.protocol_stack.commitment import SlotBase, status_key
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.relay_messages import (
    HubRange,
    HubSlots,
    RelayTransaction,
    SlotName,
    UpdateClient,
    make_transaction,
)
from piebridge.protocol_stack.transport.outbox import BareEntry, Maker, OutboxRange
from testkit.samples import Samples, key_address, private_key


def sign(digest: bytes) -> bytes:
    return sign_recoverable(digest, private_key(1))


def spv(*names: SlotName) -> SpvAuthentication:
    proofs = tuple(SlotProof(slot, ()) for slot in sorted(name.slot for name in names))
    return SpvAuthentication(9, b"header", (b"node",), proofs)


def test_slots_are_the_ones_that_are_named_in_their_order() -> None:
    first = SlotName(SlotBase.STATUS, status_key(1, 11, 5, 0, 7))
    second = SlotName(SlotBase.CLOSED, bytes(32))
    names = tuple(sorted((first, second), key=lambda name: name.slot))
    assert HubSlots(11, spv(*names), names).encode()
    for bad in (
        HubSlots(11, spv(*names), names[::-1]),
        HubSlots(11, spv(*names), names[:1]),
        HubSlots(11, spv(first), (second,)),
        HubSlots(11, spv(first), (SlotName(SlotBase.CHAIN, first.key),)),
        HubSlots(11, spv(second), (SlotName(SlotBase.CLOSED, b"\x01" * 32),)),
    ):
        with pytest.raises(FormatError) as caught:
            bad.encode()
        assert caught.value.code is ErrorCode.SLOT_BASE


def test_a_range_is_shown_by_one_slot_or_was_kept_and_slots_are_never_kept() -> None:
    entries = OutboxRange(Maker(11), 1, b"\x11" * 32, (BareEntry(5, b"\x22" * 32),))
    one, other = (SlotName(SlotBase.SEEN, bytes(31) + bytes([n])) for n in (1, 2))
    assert HubRange(11, 0, KeptAuthentication(), entries).encode()
    assert HubRange(11, 0, spv(one), entries).encode()
    with pytest.raises(FormatError):
        HubRange(11, 0, spv(one, other), entries).encode()
    with pytest.raises(FormatError):
        HubSlots(11, KeptAuthentication(), (one,)).encode()


def test_methods_that_are_read_are_the_ones_that_may_stand_there() -> None:
    kept = Reader(b"\x00")
    assert read_authentication(kept, kept_allowed=True) == KeptAuthentication()
    for method, kept_allowed in ((0, False), (4, True), (255, True)):
        with pytest.raises(FormatError) as caught:
            read_authentication(Reader(bytes([method])), kept_allowed=kept_allowed)
        assert caught.value.code is ErrorCode.AUTHENTICATION_METHOD


def test_proven_slots_ascend_and_are_at_most_16() -> None:
    slots = [bytes(31) + bytes([n]) for n in range(1, 18)]
    proofs = [SlotProof(slot, ()) for slot in slots]
    assert SpvAuthentication(9, b"", (), tuple(proofs[:16])).content()
    for bad in ([], proofs, proofs[1::-1], [proofs[0], proofs[0]]):
        with pytest.raises(FormatError):
            SpvAuthentication(9, b"", (), tuple(bad)).content()
    with pytest.raises(FormatError):
        SpvAuthentication(9, b"", (b"node",) * 65, tuple(proofs[:1])).content()


def test_both_parts_of_a_double_authentication_name_the_same_slots() -> None:
    samples = Samples(1)
    slots = [samples.hash()]
    while not isinstance(both := samples.authentication(slots, kept_allowed=False), BothAuthentication):
        pass
    other = SpvAuthentication(9, b"", (), (SlotProof(samples.hash(), ()),))
    with pytest.raises(FormatError):
        replace(both, spv=other).content()


def test_the_sender_is_whose_key_signed_and_every_field_is_signed() -> None:
    given = make_transaction(UpdateClient(11, (b"block",)), 1, 5, 100, 7, sign)
    assert given.sender() == key_address(1)
    assert RelayTransaction.decode(given.encode()).decode_body() == UpdateClient(11, (b"block",))
    others = [
        replace(given, domain=2),
        replace(given, relay=6),
        replace(given, valid_until=101),
        replace(given, salt=8),
        replace(given, body=given.body + b"\x00"),
    ]
    assert len({given.digest, *(other.digest for other in others)}) == 6


def test_an_update_carries_1_to_16_light_blocks() -> None:
    for count in (0, 17):
        with pytest.raises(FormatError):
            UpdateClient(11, (b"block",) * count).encode()
