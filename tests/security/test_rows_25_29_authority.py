"""Rows 25 to 29: assets, signers, quorums, malleability."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, permutations, product

import pytest

from piebridge.contracts.loader import load
from piebridge.crypto.errors import ProtocolError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.quorum import Quorum, SignerSet, verify_quorum
from piebridge.crypto.signature import GROUP_ORDER
from piebridge.crypto.threshold.verification import verify as verify_threshold_signature
from piebridge.protocol_stack.endorsement import Envelope
from piebridge.protocol_stack.governor_hub_bodies import EndorserSet, Protocols, RegisterApplication
from piebridge.protocol_stack.receipts import ReceiptBatch, ReceiptCode
from piebridge.protocol_stack.transport.outbox import OutboxRange
from testkit.world import hostile
from testkit.world.bench import HERE, OTHER_DOMAIN, THERE, HubBench
from testkit.world.evm import Call
from testkit.world.forged_relay import ForgedRelay
from testkit.world.hub import DOMAIN
from testkit.world.keys import address_of, sign
from testkit.world.packets import notarisation, transfer

DIGEST = keccak256(b"what is signed")
"""What the members of the exhaustive tests sign."""


# ---------------------------------------------------------------------------------------------------------------- 25


def test_row_25_a_token_that_nobody_registered_is_no_application(bench: HubBench) -> None:
    """Anyswap (1.4 M$): the caller supplied the token. A copy that no governor registered moves nothing."""
    creation = load("BridgeToken").deployment_data(
        "0x" + bench.hub.hub.hex(), "Fake", "FKE", 2**127, "0x" + address_of("mallory").hex(), 2**127, 2**127, 60
    )
    fake = bench.hub.chain.create(creation)
    data = load("BridgeToken").function_data
    remote = data(
        "transferRemote", DOMAIN, THERE, 11, "0x" + address_of("bob").hex(), 10, bench.now + 600, bench.now + 900
    )
    before = bench.hub.digest(), bench.hub.chain.storage_root(fake)
    (outcome,) = bench.hub.chain.run(Call(fake, remote, "mallory"))
    assert bench.hub.error(outcome).startswith("NotAllowed")
    assert (bench.hub.digest(), bench.hub.chain.storage_root(fake)) == before
    bench.accepted(bench.relay.envelope_of(transfer(7)))
    assert bench.hub.chain.storage_root(fake) == before[1]
    assert bench.hub.balance("bob") == 7


def test_row_25_one_address_is_one_application(bench: HubBench) -> None:
    """An address registered twice could send in two names: refused, and the first registration stays."""
    outcome = bench.hub.carry_governor(
        bench.hub.message(RegisterApplication(77, bench.hub.token, Protocols.ATP)).encode()
    )
    assert bench.hub.handled(outcome)[0] is False
    assert bench.hub.read("applicationIdOf", "0x" + bench.hub.token.hex()) == 2
    outcome = bench.hub.carry_governor(
        bench.hub.message(RegisterApplication(77, bench.hub.hub, Protocols.ATP)).encode()
    )
    assert bench.hub.handled(outcome)[0] is False


@pytest.mark.parametrize(
    ("runtime", "code"),
    [
        (hostile.reverting(), ReceiptCode.FAILED),
        (hostile.burning(), ReceiptCode.FAILED),
        (bytes.fromhex("fe"), ReceiptCode.FAILED),
        (hostile.returning_raw(b""), ReceiptCode.EXECUTED),
    ],
    ids=["reverts", "burns all gas", "invalid instruction", "answers nothing"],
)
def test_row_25_a_hostile_asset_harms_itself_alone(bench: HubBench, runtime: bytes, code: ReceiptCode) -> None:
    """A registered asset may fail for ever or burn gas: the packets beside it are executed all the same."""
    bench.install(runtime)
    bad = transfer(1, relay=11, sequence=1)
    bad = replace(bad, header=replace(bad.header, application=replace(bad.header.application, application=50)))
    outcome = bench.accepted(bench.relay.envelope_of(transfer(3, sequence=2), bad, transfer(4, sequence=3)))
    (made,) = [arguments["receipts"] for name, arguments in bench.hub.events(outcome) if name == "ReceiptsMade"]
    assert [item.code for item in ReceiptBatch.decode(made).receipts] == [
        ReceiptCode.EXECUTED,
        code,
        ReceiptCode.EXECUTED,
    ]
    assert bench.hub.balance("bob") == 7


# ---------------------------------------------------------------------------------------------------------------- 26


def set_forgeries(envelope: Envelope) -> Iterator[Envelope]:
    """The same signatures under other sets in the call data."""
    signers = envelope.signers
    keys = signers.keys
    mallory = address_of("mallory")
    for changed in (
        replace(signers, keys=(mallory, *keys[1:])),
        replace(signers, keys=tuple(reversed(keys))),
        replace(signers, keys=keys[:3], size=3),
        replace(signers, keys=(*keys, mallory), size=5),
        replace(signers, threshold=2),
        replace(signers, threshold=4),
        replace(signers, epoch=2),
        replace(signers, epoch=2**32 - 1),
    ):
        yield replace(envelope, signers=changed)


def test_row_26_a_set_in_the_call_data_counts_only_by_its_stored_hash(bench: HubBench) -> None:
    """Chainswap (5.2 M$): the caller supplied the signer. Keys, order, k, n or epoch changed: refused."""
    envelope = Envelope.decode(bench.relay.envelope_of(notarisation()))
    forged = []
    for item in set_forgeries(envelope):
        k = item.signers.threshold
        proof = bench.relay.prove(
            replace(bench.relay, epoch=item.signers.epoch).digest(HERE, item.range.fold()), range(min(k, 4))
        )
        forged.append(replace(item, proof=proof).encode())
    assert len(forged) == 8
    bench.refused(*forged, error="UnknownSet")
    bench.accepted(envelope.encode())


# ------------------------------------------------------------------------------------------------ 27, 28


def members_of(size: int) -> list[str]:
    return [f"member {i}" for i in range(size)]


SIGNATURES = {name: sign(name, DIGEST) for name in (*members_of(8), "stranger")}
"""Signatures of everybody over one digest."""


@pytest.mark.parametrize("size", range(1, 9))
def test_row_27_and_28_every_subset_of_every_set_up_to_8_counts_exactly_when_it_should(size: int) -> None:
    """BEGO and Hyperlane: empty lists accepted, valid quorums refused. Accept exactly k distinct members, no others."""
    names = members_of(size)
    keys = tuple(address_of(name) for name in names)
    for threshold in range(1, size + 1):
        signers = SignerSet(keys, threshold)
        for count in range(size + 1):
            for chosen in combinations(range(size), count):
                quorum = Quorum(sum(1 << i for i in chosen), tuple(SIGNATURES[names[i]] for i in chosen))
                if count == threshold:
                    verify_quorum(signers, DIGEST, quorum)
                else:
                    with pytest.raises(VerificationError):
                        verify_quorum(signers, DIGEST, quorum)


def test_row_27_every_order_and_every_bitmap_of_a_small_set_python() -> None:
    """All sequences of three signatures of four members and a stranger under all 32 bitmaps: one each is valid."""
    names = [*members_of(4), "stranger"]
    signers = SignerSet(tuple(address_of(name) for name in names[:4]), 3)
    accepted = 0
    for chosen in product(range(5), repeat=3):
        for bitmap in range(32):
            quorum = Quorum(bitmap, tuple(SIGNATURES[names[i]] for i in chosen))
            valid = (
                bitmap == sum(1 << i for i in set(chosen)) and list(chosen) == sorted(set(chosen)) and 4 not in chosen
            )
            try:
                verify_quorum(signers, DIGEST, quorum)
                assert valid, (chosen, bitmap)
                accepted += 1
            except VerificationError:
                assert not valid, (chosen, bitmap)
    assert accepted == 4


def raw_envelope(bench: HubBench, shown: OutboxRange, bitmap: int, signatures: Sequence[bytes]) -> bytes:
    """An envelope with any bitmap and any signatures, past the encoder's checks."""
    honest = bench.relay.endorse(shown)
    prefix = honest.domain.to_bytes(4, "big") + honest.relay.to_bytes(4, "big") + honest.signers.encode()
    return prefix + bitmap.to_bytes(4, "big") + b"".join(signatures) + shown.encode()


def hub_signatures(bench: HubBench, shown: OutboxRange) -> list[bytes]:
    """Signatures of all members over a range, and one of a stranger."""
    digest = bench.relay.digest(HERE, shown.fold())
    return [*(sign(bench.relay.name(i), digest) for i in range(4)), sign("mallory", digest)]


def test_row_27_lists_that_are_no_quorum_are_refused_by_the_hub(bench: HubBench) -> None:
    """Empty, too short, too long, doubled, not ascending, zero signatures, bits beyond the set, a stranger."""
    bench.relay.add_packet(notarisation())
    shown = bench.relay.range()
    a, b, c, d, stranger = hub_signatures(bench, shown)
    zero = bytes(65)
    attacks = [
        (0, ()),
        (0, (a, b, c)),
        (0b0111, (a, b)),
        (0b0111, (a, b, c, d)),
        (0b1111, (a, b, c, d)),
        (0b1111, (a, b, c)),
        (0b0011, (a, b)),
        (0b0011, (a, b, b)),
        (0b0001, (a, a, a)),
        (0b0111, (a, a, a)),
        (0b0111, (a, a, b)),
        (0b0111, (a, c, b)),
        (0b0111, (b, a, c)),
        (0b0111, (a, b, d)),
        (0b0111, (a, b, stranger)),
        (0b0111, (stranger,) * 3),
        (0b0111, (zero, zero, zero)),
        (0b0111, (a, b, zero)),
        (0b10011, (a, b, stranger)),
        (0b110001, (a, b, c)),
        (1 << 31 | 0b0011, (a, b, c)),
        (0b0111, (a, b, c[:64] + b"\x00")),
        (0b0111, (a, b, c[:64] + b"\x01")),
        (0b0111, (a, b, c[:64] + bytes([c[64] ^ 7]))),
    ]
    bench.refused(*(raw_envelope(bench, shown, bitmap, signatures) for bitmap, signatures in attacks))
    bench.accepted(raw_envelope(bench, shown, 0b0111, (a, b, c)))


def test_row_28_every_valid_quorum_is_taken_by_the_hub(bench: HubBench) -> None:
    """Hyperlane's weighted multisig refused valid ones. All four, and every other order and bitmap refused."""
    bench.relay.add_packet(notarisation())
    shown = bench.relay.range()
    signatures = hub_signatures(bench, shown)
    for chosen in combinations(range(4), 3):
        right = sum(1 << i for i in chosen)
        for order in permutations(chosen):
            for bitmap in {right, right ^ 1, 0b0111, 0b1110, 0b1011}:
                envelope = raw_envelope(bench, shown, bitmap, [signatures[i] for i in order])
                assert bench.hub.try_receive(envelope) is (order == chosen and bitmap == right)
    bench.accepted(raw_envelope(bench, shown, 0b1110, signatures[1:4]))


@pytest.mark.slow
def test_row_27_every_order_and_every_bitmap_of_a_small_set_at_the_hub(bench: HubBench) -> None:
    """All sequences of three signatures of four members and a stranger under all 32 bitmaps of five members."""
    bench.relay.add_packet(notarisation())
    shown = bench.relay.range()
    signatures = hub_signatures(bench, shown)
    accepted = 0
    for chosen in product(range(5), repeat=3):
        for bitmap in range(32):
            valid = list(chosen) == sorted(set(chosen)) and 4 not in chosen and bitmap == sum(1 << i for i in chosen)
            envelope = raw_envelope(bench, shown, bitmap, [signatures[i] for i in chosen])
            assert bench.hub.try_receive(envelope) is valid, (chosen, bitmap)
            accepted += valid
    assert accepted == 4


@pytest.mark.parametrize(("threshold", "size"), [(2, 2), (5, 7), (11, 16), (22, 32)])
def test_row_28_sets_of_every_size_count_to_the_last_member(bench: HubBench, threshold: int, size: int) -> None:
    """A search window that is too short: the last k members of the largest sets are a quorum."""
    relay = ForgedRelay(14, threshold=threshold, members=size)
    bench.register(relay)
    relay.add_packet(notarisation())
    shown = relay.range()
    for chosen in (range(threshold), range(size - threshold, size)):
        assert bench.hub.try_receive(relay.endorse(shown, members=chosen).encode())
    too_few = raw_envelope_of(relay, shown, range(size - threshold + 1, size))
    bench.refused(too_few)
    bench.accepted(relay.endorse(shown, members=range(size - threshold, size)).encode())


def raw_envelope_of(relay: ForgedRelay, shown: OutboxRange, chosen: Sequence[int]) -> bytes:
    digest = relay.digest(HERE, shown.fold())
    return (
        relay.domain.to_bytes(4, "big")
        + relay.relay.to_bytes(4, "big")
        + relay.signers.encode()
        + sum(1 << i for i in chosen).to_bytes(4, "big")
        + b"".join(sign(relay.name(i), digest) for i in chosen)
        + shown.encode()
    )


@pytest.mark.parametrize("keys", ["doubled", "zero"])
def test_row_27_a_set_with_a_member_twice_or_zero_is_never_stored(bench: HubBench, keys: str) -> None:
    """``ecrecover`` answers zero for what is no signature: a member zero would sign everything."""
    genuine = bench.relay.next_generation().signers
    bad = (
        b"".join((genuine.keys[0],) * 2 + genuine.keys[2:])
        if keys == "doubled"
        else bytes(20) + b"".join(genuine.keys[1:])
    )
    body = (11).to_bytes(4, "big") + bytes(4) + genuine.encode()[:7] + bad
    honest = bench.hub.message(EndorserSet(11, 0, genuine))
    message = replace(honest, body=body).signed(bench.hub.governor.sign)
    assert bench.hub.handled(bench.hub.carry_governor(message.encode()))[0] is False
    bench.accepted(bench.relay.envelope_of(notarisation()))


# ---------------------------------------------------------------------------------------------------------------- 29


def high_s(signature: bytes) -> bytes:
    """The second form of an ECDSA signature."""
    r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
    return r + (GROUP_ORDER - s).to_bytes(32, "big") + bytes([27 + 28 - v])


def test_row_29_the_second_form_of_a_signature_is_refused(bench: HubBench) -> None:
    """(r, n - s) is a signature of the same key. Refused in Solidity and in Python, also beside the first."""
    bench.relay.add_packet(notarisation())
    shown = bench.relay.range()
    a, b, c, _, _ = hub_signatures(bench, shown)
    bench.refused(
        raw_envelope(bench, shown, 0b0111, (a, b, high_s(c))),
        raw_envelope(bench, shown, 0b0111, (high_s(a), high_s(b), high_s(c))),
        raw_envelope(bench, shown, 0b0111, (a, high_s(a), b)),
        error="NotEndorsed",
    )
    bench.accepted(raw_envelope(bench, shown, 0b0111, (a, b, c)))
    signers = SignerSet(tuple(address_of(name) for name in members_of(2)), 1)
    verify_quorum(signers, DIGEST, Quorum(1, (SIGNATURES["member 0"],)))
    with pytest.raises(ProtocolError):
        verify_quorum(signers, DIGEST, Quorum(1, (high_s(SIGNATURES["member 0"]),)))


def test_row_29_a_threshold_signature_has_one_form(bench: HubBench) -> None:
    """Negated points and scalars, scalars beyond the order, z = 0: refused in both languages."""
    relay = bench.relays[13]
    envelope = relay.envelope_of(notarisation(domain=OTHER_DOMAIN))
    decoded = Envelope.decode(envelope)
    assert isinstance(decoded.proof, bytes)
    point, z = decoded.proof[:33], int.from_bytes(decoded.proof[33:], "big")
    flipped = bytes([point[0] ^ 1]) + point[1:]
    forms = [
        flipped + decoded.proof[33:],
        flipped + (GROUP_ORDER - z).to_bytes(32, "big"),
        point + (GROUP_ORDER - z).to_bytes(32, "big"),
        point + bytes(32),
        bytes(33) + bytes(32),
        b"\x04" + point[1:] + decoded.proof[33:],
    ]
    if z + GROUP_ORDER < 2**256:
        forms.append(point + (z + GROUP_ORDER).to_bytes(32, "big"))
    attacks = [envelope.replace(decoded.proof, form) for form in forms]
    bench.refused(*attacks, error="NotEndorsed")
    for form in forms:
        with pytest.raises(ProtocolError):
            verify_threshold_signature(form, decoded.digest(HERE), relay.group.group_key)
    bench.accepted(envelope)
