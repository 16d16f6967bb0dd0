"""Bad ranges, headers, proofs and endorsements: every single-bit and every structural change of valid ones, refused in
Python and in Solidity, state unchanged.

The fast tests take a part of the changes, evenly spread; the slow ones take all. Every test begins or ends with the
unchanged bytes being accepted, so none can pass because everything is refused.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from piebridge.crypto.errors import ProtocolError
from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.endorsement import Envelope
from piebridge.protocol_stack.errors import FormatError
from piebridge.protocol_stack.governor_hub_bodies import NoOp, RegisterPeer
from piebridge.protocol_stack.governor_messages import GovernorMessage
from piebridge.protocol_stack.governor_relay_bodies import GatewayQuota, Gateways
from piebridge.protocol_stack.governor_relay_bodies import NoOp as RelayNoOp
from piebridge.protocol_stack.header import BODY_LENGTH_OFFSET, HEADER_LENGTH
from piebridge.protocol_stack.packet import Packet, packet_id, packets_hash
from piebridge.protocol_stack.receipts import ReceiptBatch, ReceiptCode, ReceiptHome
from piebridge.protocol_stack.relay_messages import (
    CarriedGovernorMessage,
    RelayTransaction,
    TransactionKind,
    UpdateClient,
)
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.transport.outbox import (
    BareEntry,
    Entry,
    Form,
    HeaderEntry,
    MalformedEntry,
    PacketEntry,
)
from piebridge.protocol_stack.verdicts import OriginVerdict, ParticipantVerdict, Verdict
from piebridge.protocol_stack.verification.endorsement import verify_envelope
from testkit.world.bench import HERE, OTHER_DOMAIN, THERE, HubBench
from testkit.world.hub import DOMAIN, HANDLER_GAS_MAX
from testkit.world.keys import address_of, sign
from testkit.world.mutations import bit_flips, changes
from testkit.world.packets import notarisation, transfer
from testkit.world.relay_chain import RelayChain
from testkit.world.world import World

SPREAD = 149
"""Distance of the bits that fast tests change; prime, so that all positions within a byte come up."""
FOLD = 250
"""Envelopes of one block."""


def in_blocks(bench: HubBench, mutants: list[bytes]) -> None:
    """Submit real transactions, many in a block: each reverts, and no storage of any contract changes."""
    for start in range(0, len(mutants), FOLD):
        bench.refused(*mutants[start : start + FOLD])


def envelope_with_every_form(bench: HubBench) -> bytes:
    """Packets of free and bound lanes, one without its body, bare, receipt home and verdicts of both forms."""
    sent = bench.sent(bench.send_token())
    record = bench.sent(bench.notarise(b"\x01" * 32, b"\x02" * 32))
    relay = bench.relay
    relay.add_packet(transfer(), notarisation())
    relay.add_header(transfer(sequence=2))
    relay.add(HERE, BareEntry(500, keccak256(b"bare")))
    relay.height = 501
    relay.add_receipt(ReceiptHome(record.header, record.body_hash, ReceiptCode.EXECUTED, b"returned"))
    relay.add_verdicts(HERE, OriginVerdict(1, Verdict.ABORT, packets_hash([sent.packet_id])))
    relay.add_verdicts(HERE, ParticipantVerdict(THERE, 9, 1, Verdict.ABORT))
    return relay.envelope()


def envelope_by_threshold_signature(bench: HubBench) -> bytes:
    """One FROST signature in place of the quorum."""
    return bench.relays[13].envelope_of(notarisation(domain=OTHER_DOMAIN))


ENVELOPES: dict[str, Callable[[HubBench], bytes]] = {
    "signatures": envelope_with_every_form,
    "threshold": envelope_by_threshold_signature,
}


@pytest.mark.parametrize("kind", ENVELOPES)
def test_changed_envelopes_are_refused_by_the_hub(bench: HubBench, kind: str) -> None:
    """A part of all changes, as real transactions."""
    honest = ENVELOPES[kind](bench)
    in_blocks(bench, changes(honest, step=SPREAD))
    bench.accepted(honest)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENVELOPES)
def test_every_change_of_an_envelope_is_refused_by_the_hub(bench: HubBench, kind: str) -> None:
    """Every single-bit and every structural change."""
    honest = ENVELOPES[kind](bench)
    mutants = changes(honest)
    assert len(mutants) > 8 * len(honest)
    in_blocks(bench, mutants)
    bench.accepted(honest)


@pytest.mark.parametrize("kind", ENVELOPES)
def test_every_change_of_an_envelope_is_refused_in_python(bench: HubBench, kind: str) -> None:
    """By a declared error, and by no other exception."""
    honest = ENVELOPES[kind](bench)
    accepted = {relay.signers.set_hash(relay.domain, relay.relay) for relay in bench.relays.values()}
    verify_envelope(Envelope.decode(honest), HERE, accepted)
    for mutant in changes(honest, step=7):
        with pytest.raises(ProtocolError):
            verify_envelope(Envelope.decode(mutant), HERE, accepted)


# --------------------------------------------------------------------------------------------- headers, both decoders


def corpus(original: Callable[[int], Packet], step: int) -> list[tuple[bytes, bytes]]:
    """Every single-bit change of a header with the body that fits its length, each of a packet of its own."""
    found = []
    for bit in range(0, 8 * HEADER_LENGTH, step):
        if BODY_LENGTH_OFFSET * 8 <= bit < BODY_LENGTH_OFFSET * 8 + 32:
            continue
        sequence = int.from_bytes(keccak256(b"sequence %d" % bit)[:7], "big") | 1 << 60
        packet = original(sequence)
        header = bytearray(packet.header.encode())
        header[bit >> 3] ^= 0x80 >> (bit & 7)
        found.append((bytes(header), packet.body))
    return found


def free_packet(sequence: int) -> Packet:
    return notarisation(f"key {sequence}", sequence=sequence, channel=3)


def bound_packet(sequence: int) -> Packet:
    return transfer(1, sequence=sequence)


@pytest.mark.parametrize("original", [free_packet, bound_packet], ids=["free", "bound"])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "without body"])
@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)], ids=["a fifth", "all"])
def test_one_corpus_of_headers_through_both_decoders(
    bench: HubBench, original: Callable[[int], Packet], *, whole: bool, step: int
) -> None:
    """O10: what the relay chain's decoder accepts, no hub refuses as malformed, and the other way round.

    A quorum endorses a range of every single-bit change of a header. The hub ends exactly those packets that Python's
    decoder accepts and that are addressed to it over this relay chain; every other entry is skipped and holds up none.
    """
    if not whole:  # expired by then
        bench.advance(10 * 86_400)
    entries, expected = list[Entry](), dict[bytes, ReceiptCode | None]()
    for number, (header, body) in enumerate(corpus(original, step)):
        rest = body if whole else keccak256(body)
        form = Form.PACKET if whole else Form.PACKET_WITHOUT_BODY
        identifier = packet_id(header, keccak256(body))
        try:
            decoded = STACK.decode_header(header)
        except FormatError as error:
            entries.append(MalformedEntry(1_000 + number, form, header, rest, error))
            continue
        entries.append(
            PacketEntry(1_000 + number, Packet(decoded, body))
            if whole
            else HeaderEntry(1_000 + number, decoded, keccak256(body))
        )
        lane, transaction = decoded.lane, decoded.transaction
        addressed = (lane.domain, lane.destination) == (DOMAIN, HERE) and lane.relay in (0, bench.relay.relay)
        expired = transaction.execution_expiry and bench.now + 1 >= transaction.execution_expiry
        if addressed and not decoded.transport.ordered and (whole or expired):
            expected[identifier] = (
                ReceiptCode.EXPIRED
                if expired
                else ReceiptCode.FAILED_GAS
                if transaction.handler_gas > HANDLER_GAS_MAX
                else None
            )
    malformed = sum(isinstance(entry, MalformedEntry) for entry in entries)
    assert malformed > 300 // step
    assert len(entries) >= (8 * HEADER_LENGTH - 32) // step
    first = bench.relay.add(HERE, *entries) - len(entries) + 1
    ended = dict[bytes, ReceiptCode]()
    for start in range(first, len(entries) + 1, 500):
        last = min(start + 499, len(entries))
        (outcome,) = bench.hub.receive(bench.relay.envelope(HERE, start, last), gas=2**36)
        assert outcome.succeeded, bench.hub.error(outcome)
        made = [a["receipts"] for name, a in bench.hub.events(outcome) if name == "ReceiptsMade"]
        ended |= {receipt.packet_id: receipt.code for item in made for receipt in ReceiptBatch.decode(item).receipts}
    assert ended.keys() == expected.keys()
    assert all(expected[identifier] in (None, code) for identifier, code in ended.items())
    if whole:
        assert len(expected) > 300 // step


# --------------------------------------------------------------------------------------------- governor messages


def test_changed_governor_messages_are_refused_by_the_hub(bench: HubBench) -> None:
    """A part of all changes, some of them as real transactions."""
    honest = bench.hub.message(RegisterPeer(9, 9, 9, True)).encode()
    with bench.unchanged():
        for mutant in changes(honest, step=43):
            assert not bench.hub.chain.call(bench.hub.hub, bench.hub.data("governor", mutant)).succeeded
        for mutant in changes(honest, step=4 * SPREAD):
            assert not bench.hub.carry_governor(mutant).succeeded
    assert bench.hub.carry_governor(honest).succeeded
    assert bench.hub.read("peerOf", DOMAIN, 9)[0] is True


@pytest.mark.slow
def test_every_change_of_a_governor_message_is_refused_by_the_hub(bench: HubBench) -> None:
    """Every single-bit and every structural change."""
    honest = bench.hub.message(NoOp()).encode()
    for mutant in changes(honest):
        assert not bench.hub.chain.call(bench.hub.hub, bench.hub.data("governor", mutant)).succeeded
    assert bench.hub.carry_governor(honest).succeeded


def test_every_change_of_a_governor_message_is_refused_in_python(bench: HubBench) -> None:
    """Decoder, addressee or signature refuses it, by a declared error."""
    honest = bench.hub.message(NoOp())
    honest.verify(bench.hub.governor.group_key)
    for mutant in changes(honest.encode()):
        try:
            decoded = GovernorMessage.decode(mutant)
            decoded.verify(bench.hub.governor.group_key)
        except ProtocolError:
            continue
        # The kind of target is signed by its tag alone.
        pytest.fail(f"accepted: {decoded}")


# --------------------------------------------------------------------------------------------- relay transactions


@pytest.fixture(scope="module")
def sent_world() -> World:
    """A world with a transfer and a record that no relay chain has seen yet."""
    world = World.build()
    world.send_token(1, 2, 500)
    world.notarise(1, 2, b"\x01" * 32, b"\x02" * 32)
    world.follow(1, 11)
    return world


def signed_again(chain: RelayChain, kind: TransactionKind, body: bytes, salt: int) -> bytes:
    """A transaction with any body, signed by the authorised gateway itself."""
    transaction = RelayTransaction(kind, chain.domain, chain.relay, chain.engine.height + 40, salt, body)
    return transaction.signed(lambda digest: sign("gateway", digest)).encode()


def refused_by_relay(chain: RelayChain, kind: TransactionKind, bodies: list[bytes]) -> None:
    """Execute changed bodies in blocks, past the mempool: each fails, and nothing but bookkeeping changes."""
    before = chain.content()
    for start in range(0, len(bodies), FOLD):
        transactions = [
            signed_again(chain, kind, body, 10**6 + start + number)
            for number, body in enumerate(bodies[start : start + FOLD])
        ]
        results = chain.execute(*transactions)
        for number, result in enumerate(results):
            assert result.code != 0, f"change {start + number} was accepted"
            assert result.code != 6, "the quota is used up: nothing was tested"
    assert chain.content() == before


def with_unlimited_quota(chain: RelayChain) -> None:
    chain.govern(Gateways((GatewayQuota(address_of("gateway"), 2**32 - 1),)))


@pytest.mark.parametrize("bound", [True, False], ids=["bound", "free"])
def test_changed_ranges_and_storage_proofs_are_refused_by_the_relay_chain(sent_world: World, *, bound: bool) -> None:
    """HUB_RANGE: entries, account proof, storage proof, block header; a part of all changes, signed anew."""
    chain = sent_world.relays[11]
    with_unlimited_quota(chain)
    honest = sent_world.range_message(1, 11, bound=bound).encode()
    refused_by_relay(chain, TransactionKind.HUB_RANGE, changes(honest, step=5 * SPREAD))


@pytest.mark.slow
@pytest.mark.parametrize("bound", [True, False], ids=["bound", "free"])
def test_every_change_of_a_range_and_its_proof_is_refused_by_the_relay_chain(*, bound: bool) -> None:
    """Every single-bit change and structural changes at every eighth byte; the unchanged one is taken."""
    world = World.build()
    world.send_token(1, 2, 500)
    world.notarise(1, 2, b"\x01" * 32, b"\x02" * 32)
    chain = world.relays[11]
    with_unlimited_quota(chain)
    honest = world.range_message(1, 11, bound=bound).encode()
    refused_by_relay(chain, TransactionKind.HUB_RANGE, changes(honest))
    assert world.record(1, 11, bound=bound) == 1


def test_changed_header_updates_are_refused_by_the_relay_chain() -> None:
    """UPDATE_CLIENT: header, commit, validator sets, adjacent or not."""
    world = World.build()
    chain, engine = world.relays[11], world.hubs[1].chain.engine
    with_unlimited_quota(chain)
    world.send_token(1, 2, 500)
    client = chain.view.client(1)
    assert client is not None
    trusted = client.heights[-1]
    for height in (trusted + 1, engine.height):
        honest = UpdateClient(1, (world.light_block(1, trusted, height).encode(),))
        refused_by_relay(chain, TransactionKind.UPDATE_CLIENT, changes(honest.encode(), step=SPREAD))
        assert chain.must(honest) == 1


@pytest.mark.slow
def test_every_change_of_a_header_update_is_refused_by_the_relay_chain() -> None:
    """Every single-bit and every structural change."""
    world = World.build()
    chain, engine = world.relays[11], world.hubs[1].chain.engine
    with_unlimited_quota(chain)
    world.send_token(1, 2, 500)
    client = chain.view.client(1)
    assert client is not None
    for height in (client.heights[-1] + 1, engine.height):
        honest = UpdateClient(1, (world.light_block(1, client.heights[-1], height).encode(),))
        refused_by_relay(chain, TransactionKind.UPDATE_CLIENT, changes(honest.encode()))
        assert chain.must(honest) == 1


def test_every_change_of_a_governor_message_is_refused_by_the_relay_chain(sent_world: World) -> None:
    """GOVERNOR: carried by anybody, so the signature of the carrier protects nothing."""
    chain = sent_world.relays[11]
    honest = chain.message(RelayNoOp())
    refused_by_relay(chain, TransactionKind.GOVERNOR, changes(honest.encode(), step=3))
    chain.must(CarriedGovernorMessage(honest))


def test_a_changed_container_is_never_executed_in_the_name_of_its_sender(sent_world: World) -> None:
    """Another salt, height, chain or body is another digest: the signature then names a stranger, or nobody."""
    chain = sent_world.relays[11]
    honest = chain.sign(sent_world.range_message(1, 11))
    sender = RelayTransaction.decode(honest).sender()
    for mutant in bit_flips(honest, step=5):
        try:
            named = RelayTransaction.decode(mutant).sender()
        except ProtocolError:
            continue
        assert named != sender


def test_ranges_of_two_outboxes_cannot_be_spliced(sent_world: World) -> None:
    """The start of one outbox with the entries of another, under a genuine proof of either."""
    chain = sent_world.relays[11]
    free, bound = sent_world.range_message(1, 11), sent_world.range_message(1, 11, bound=True)
    spliced = [
        replace(free, range=bound.range),
        replace(bound, range=free.range),
        replace(free, outbox_relay=11),
        replace(bound, outbox_relay=0),
        replace(free, range=replace(free.range, entries=bound.range.entries)),
        replace(bound, range=replace(bound.range, start=free.range.start)),
        replace(free, authentication=bound.authentication),
    ]
    refused_by_relay(chain, TransactionKind.HUB_RANGE, [message.encode() for message in spliced])
