"""A hostile gateway: it forges every field that it writes, repeats, reorders, withholds. It can waste its own quota."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.authentication import KeptAuthentication, SpvAuthentication
from piebridge.protocol_stack.commitment import SlotBase, chain_slot, outbox_key, status_key
from piebridge.protocol_stack.governor_relay_bodies import GatewayQuota, Gateways
from piebridge.protocol_stack.governor_relay_bodies import NoOp as RelayNoOp
from piebridge.protocol_stack.relay_messages import (
    CarriedGovernorMessage,
    HubRange,
    HubSlots,
    RelayTransaction,
    SlotName,
    UpdateClient,
)
from piebridge.protocol_stack.transport.outbox import PacketEntry
from piebridge.protocol_stack.verdicts import Verdict
from piebridge.protocol_stack.verification.spv import verify_slots
from piebridge.relay.app import quotas
from piebridge.relay.app.admission import Code
from testkit.source_chain import SourceChain
from testkit.world.hub import DOMAIN, SUPPLY
from testkit.world.keys import address_of, sign
from testkit.world.packets import transfer
from testkit.world.relay_chain import STRANGER_QUOTA, RelayChain
from testkit.world.world import World


@pytest.fixture(scope="module")
def waiting() -> World:
    """A world in which a transfer and a record of chain 1 wait for a relay chain; forgeries leave it as it is."""
    world = World.build(relays=2)
    world.send_token(1, 2, 500)
    world.notarise(1, 2, b"\x01" * 32, b"\x02" * 32)
    world.send_token(2, 1, 40)
    for source in (1, 2):
        world.follow(source, 11)
    return world


@pytest.fixture
def world() -> World:
    return World.build()


def refused(chain: RelayChain, transaction: bytes, *codes: Code) -> None:
    """Executed in a block by a proposer that skips CheckTx, it fails with one of these codes and changes nothing."""
    before = chain.content()
    (result,) = chain.execute(transaction)
    assert result.code in (codes or (Code.INVALID, Code.REFUSED)), (Code(result.code), result.log)
    assert chain.content() == before


# ---------------------------------------------------------------------------------------------------------- containers

CONTAINERS: dict[str, tuple[Callable[[RelayTransaction], RelayTransaction], Code]] = {
    "domain": (lambda item: replace(item, domain=DOMAIN + 1), Code.WRONG_CHAIN),
    "relay": (lambda item: replace(item, relay=12), Code.WRONG_CHAIN),
    "valid until: over": (lambda item: replace(item, valid_until=1), Code.EXPIRED),
    "valid until: too far ahead": (lambda item: replace(item, valid_until=2**63), Code.EXPIRED),
    "kind: slots instead of a range": (lambda item: replace(item, kind=type(item.kind).HUB_SLOTS), Code.INVALID),
    "kind: header update instead of a range": (
        lambda item: replace(item, kind=type(item.kind).UPDATE_CLIENT),
        Code.INVALID,
    ),
    "kind: governor message instead of a range": (
        lambda item: replace(item, kind=type(item.kind).GOVERNOR),
        Code.INVALID,
    ),
    "body: empty": (lambda item: replace(item, body=b""), Code.INVALID),
    "body: a byte left over": (lambda item: replace(item, body=item.body + b"\x00"), Code.INVALID),
}


@pytest.mark.parametrize("field", CONTAINERS)
def test_a_forged_field_of_a_transaction_is_refused(waiting: World, field: str) -> None:
    """Signed by the authorised gateway itself, so the signature is no protection."""
    chain = waiting.relays[11]
    change, code = CONTAINERS[field]
    honest = RelayTransaction.decode(chain.sign(waiting.range_message(1, 11, bound=True)))
    refused(chain, change(honest).signed(lambda digest: sign("gateway", digest)).encode(), code)


@pytest.mark.parametrize(
    ("place", "value", "code"),
    [(0, 2, Code.DECODE), (0, 0, Code.DECODE), (1, 0, Code.DECODE), (1, 5, Code.DECODE), (1, 255, Code.DECODE)],
)
def test_unknown_versions_and_kinds_are_refused(waiting: World, place: int, value: int, code: Code) -> None:
    """The first two bytes."""
    chain = waiting.relays[11]
    raw = bytearray(chain.sign(waiting.range_message(1, 11)))
    raw[place] = value
    refused(chain, bytes(raw), code)
    for length in (0, 1, 64, 90):
        refused(chain, bytes(raw[:length]), code)


def test_a_transaction_for_one_relay_chain_is_none_for_another(waiting: World) -> None:
    """The same bytes carried to the other relay chain of the domain."""
    transaction = waiting.relays[11].sign(waiting.range_message(1, 11))
    refused(waiting.relays[12], transaction, Code.WRONG_CHAIN)


# ---------------------------------------------------------------------------------------------------------- ranges

RANGES: dict[str, Callable[[World, HubRange], HubRange]] = {
    "registration: another member": lambda world, item: replace(item, registration=2, range=world.hub_range(2, 11)),
    "registration: nobody": lambda _, item: replace(item, registration=99),
    "outbox relay: another": lambda _, item: replace(item, outbox_relay=12),
    "outbox relay: free": lambda _, item: replace(item, outbox_relay=0),
    "method: kept, of a value that was never authenticated": lambda _, item: replace(
        item, authentication=KeptAuthentication()
    ),
    "client height: not trusted": lambda _, item: with_proof(item, client_height=3),
    "client height: yet to come": lambda _, item: with_proof(item, client_height=10**6),
    "block header: another block's": lambda world, item: with_proof(
        item,
        block_header=world.hubs[1].chain.app.database.header(2).encode(),  # type: ignore[union-attr]
    ),
    "block header: of another chain": lambda world, item: with_proof(
        item, block_header=world.prove(2, world.follow(2, 11), [chain_slot(DOMAIN, 11)]).block_header
    ),
    "account proof: of another chain": lambda world, item: with_proof(
        item, account_proof=world.prove(2, world.follow(2, 11), [chain_slot(DOMAIN, 11)]).account_proof
    ),
    "account proof: none": lambda _, item: with_proof(item, account_proof=()),
    "slot: another outbox": lambda world, item: replace(
        item, authentication=world.prove(1, proof_of(item).client_height, [chain_slot(DOMAIN, 0)])
    ),
    "slot: another domain": lambda world, item: replace(
        item, authentication=world.prove(1, proof_of(item).client_height, [chain_slot(DOMAIN + 1, 11)])
    ),
    "slot: proven, but named as another": lambda _, item: with_proof(
        item, slots=(replace(proof_of(item).slots[0], slot=chain_slot(DOMAIN, 0)),)
    ),
    "storage proof: none": lambda _, item: with_proof(item, slots=(replace(proof_of(item).slots[0], proof=()),)),
    "range: one entry less": lambda _, item: replace(
        item, range=replace(item.range, entries=item.range.entries[:-1] or item.range.entries * 2)
    ),
    "range: another start": lambda _, item: replace(item, range=replace(item.range, start=b"\x01" * 32)),
    "range: another first number": lambda _, item: replace(item, range=replace(item.range, first=2)),
}


def proof_of(message: HubRange) -> SpvAuthentication:
    assert isinstance(message.authentication, SpvAuthentication)
    return message.authentication


def with_proof(message: HubRange, **fields: object) -> HubRange:
    return replace(message, authentication=replace(proof_of(message), **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize("field", RANGES)
def test_a_forged_field_of_a_range_is_refused(waiting: World, field: str) -> None:
    """Each part of HUB_RANGE exchanged for something that is genuine elsewhere."""
    chain = waiting.relays[11]
    honest = waiting.range_message(1, 11, bound=True)
    forged = RANGES[field](waiting, honest)
    assert forged != honest
    refused(chain, chain.sign(forged))


@pytest.mark.parametrize("genuine", ["nothing", "header", "header and account"])
def test_a_state_that_the_gateway_made_itself_proves_nothing(waiting: World, genuine: str) -> None:
    """A consistent state of its own, with a head that forged entries fold to, under the trusted header's height.

    From the top down more and more is genuine: every joint of header, account and storage must hold by itself.
    """
    chain, hub = waiting.relays[11], waiting.hubs[1].hub
    honest = waiting.range_message(1, 11, bound=True)
    (entry,) = honest.range.entries
    theft = transfer(10**24, source=1, destination=2, recipient="mallory")
    forged = replace(honest.range, entries=(PacketEntry(entry.height, theft),))
    own = SourceChain("made up", hub)
    own.write(chain_slot(DOMAIN, 11), int.from_bytes(forged.fold().value, "big"))
    own.close_block()
    proof = replace(own.prove([chain_slot(DOMAIN, 11)], own.height), client_height=proof_of(honest).client_height)
    if genuine != "nothing":
        proof = replace(proof, block_header=proof_of(honest).block_header)
    if genuine == "header and account":
        proof = replace(proof, account_proof=proof_of(honest).account_proof)
    refused(chain, chain.sign(replace(honest, authentication=proof, range=forged)))
    assert verify_slots(own.block_at(own.height).hash, hub, own.prove([chain_slot(DOMAIN, 11)], own.height)).values == (
        forged.fold().value,
    )


SLOTS: dict[str, Callable[[World, HubSlots], HubSlots]] = {
    "registration: another member": lambda _, item: replace(item, registration=1),
    "name: another key": lambda _, item: replace(
        item, names=(SlotName(SlotBase.STATUS, status_key(DOMAIN, 1, 11, 0, 10**6)),)
    ),
    "name: another base": lambda _, item: replace(item, names=(SlotName(SlotBase.SEEN, item.names[0].key),)),
    "name: one more": lambda _, item: replace(item, names=item.names * 2),
    "name: none": lambda _, item: replace(item, names=()),
    "name: a base that is never read": lambda _, item: replace(
        item, names=(SlotName(SlotBase.CHAIN, outbox_key(DOMAIN, 11)),)
    ),
}


@pytest.mark.parametrize("field", SLOTS)
def test_a_forged_field_of_shown_slots_is_refused(waiting: World, field: str) -> None:
    """HUB_SLOTS: what a word is called is as important as what it holds."""
    chain = waiting.relays[11]
    honest = waiting.prove_slots(2, 11, [(SlotBase.STATUS, status_key(DOMAIN, 1, 11, 0, 1))])
    forged = SLOTS[field](waiting, honest)
    assert forged != honest
    salt = int.from_bytes(keccak256(field.encode())[:8], "big")
    transaction = RelayTransaction(HubSlots.KIND, DOMAIN, 11, chain.engine.height + 20, salt, unchecked(forged))
    refused(chain, transaction.signed(lambda digest: sign("gateway", digest)).encode())


def unchecked(message: HubSlots) -> bytes:
    """The body without the encoder's own checks."""
    named = b"".join(bytes([name.base]) + name.key for name in message.names)
    authentication = message.authentication
    assert isinstance(authentication, SpvAuthentication)
    return (
        message.registration.to_bytes(4, "big")
        + bytes([authentication.METHOD])
        + authentication.content()
        + bytes([len(message.names)])
        + named
    )


@pytest.mark.parametrize("registration", [2, 99])
def test_headers_of_one_chain_are_none_of_another(waiting: World, registration: int) -> None:
    """UPDATE_CLIENT with genuine headers under another registration."""
    chain = waiting.relays[11]
    client = chain.view.client(2)
    assert client is not None
    engine = waiting.hubs[1].chain.engine
    block = waiting.light_block(1, min(client.heights[-1], engine.height - 1), engine.height)
    refused(chain, chain.sign(UpdateClient(registration, (block.encode(),))))


# ---------------------------------------------------------------------------------------------------------- quotas


def used(chain: RelayChain, sender: str) -> int:
    return quotas.used(chain.view, address_of(sender), chain.engine.height)


def test_an_invalid_batch_costs_ten_and_one_without_news_costs_one(world: World) -> None:
    """O13: who floods with failed proofs empties its own account; who comes second does not."""
    chain = world.relays[11]
    world.send_token(1, 2, 500)
    message = world.range_message(1, 11, bound=True)
    invalid = replace(message, range=replace(message.range, first=2))
    before = used(chain, "gateway")
    assert chain.submit(chain.sign(invalid))[0] == Code.INVALID
    assert used(chain, "gateway") == before + 10
    assert chain.submit(chain.sign(message)) == (Code.OK, "", 1)
    assert used(chain, "gateway") == before + 11
    assert chain.submit(chain.sign(message)) == (Code.OK, "", 0)
    assert used(chain, "gateway") == before + 12


def test_a_gateway_without_quota_is_refused_and_nobody_else_suffers(world: World) -> None:
    """One account empties; another gateway and the strangers' share are untouched; governor messages are free."""
    chain = world.relays[11]
    chain.govern(Gateways((GatewayQuota(address_of("flooder"), 25),)))
    world.send_token(1, 2, 500)
    message = world.range_message(1, 11, bound=True)
    invalid = replace(message, range=replace(message.range, first=2))
    codes = [chain.submit(chain.sign(invalid, sender="flooder"))[0] for _ in range(5)]
    assert codes == [Code.INVALID] * 3 + [Code.QUOTA] * 2
    assert chain.submit(chain.sign(message, sender="flooder"))[0] == Code.QUOTA
    assert chain.submit(chain.sign(CarriedGovernorMessage(chain.message(RelayNoOp())), sender="flooder"))[0] == Code.OK
    assert chain.submit(chain.sign(message, sender="mallory")) == (Code.OK, "", 1)
    assert chain.submit(chain.sign(message)) == (Code.OK, "", 0)


def test_strangers_share_one_quota_and_no_set_of_gateways_can_censor(world: World) -> None:
    """A packet that all gateways withhold is carried by anybody; a thousand new names win nothing."""
    chain = world.relays[11]
    packet = world.send_token(1, 2, 500)
    assert world.carry_to_relay(1, 11, bound=True, sender="mallory")[0] == Code.OK
    assert chain.is_recorded(packet.lane, 1)
    message = world.range_message(1, 11, bound=True)
    invalid = replace(message, range=replace(message.range, first=2))
    codes = [chain.submit(chain.sign(invalid, sender=f"name {i}"))[0] for i in range(8)]
    assert codes.count(Code.INVALID) == -(-(STRANGER_QUOTA - used_before(chain, codes)) // 10)
    assert Code.QUOTA in codes
    assert chain.submit(chain.sign(message))[0] == Code.OK


def used_before(chain: RelayChain, codes: list[int]) -> int:
    """What the strangers had used before these attempts."""
    return used(chain, "name 0") - 10 * codes.count(Code.INVALID)


def test_a_replayed_transaction_costs_its_sender_nothing(world: World) -> None:
    """Who copies somebody else's transactions, also failed ones, cannot burn that account."""
    chain = world.relays[11]
    world.send_token(1, 2, 500)
    message = world.range_message(1, 11, bound=True)
    failed = chain.sign(replace(message, range=replace(message.range, first=2)))
    genuine = chain.sign(message)
    chain.submit(failed)
    chain.submit(genuine)
    before = used(chain, "gateway")
    for transaction in (failed, genuine, failed, genuine):
        refused(chain, transaction, Code.REPLAY)
    assert used(chain, "gateway") == before


# ---------------------------------------------------------------------------------------------------------- behaviour


def test_withholding_is_all_that_a_gateway_can_do(world: World) -> None:
    """Bare entries, old headers, half an outbox: another gateway delivers the same packets later."""
    for number in range(4):
        world.send_token(1, 2, 10 + number)
    chain = world.relays[11]
    for bare in ([1, 2, 3, 4], [1, 3], [2, 4]):
        code, _, news = world.carry_to_relay(1, 11, bound=True, bare=bare)
        assert (code, news) == (Code.OK, 4 - len(bare))
    world.deliver(11, 2)
    assert world.hubs[2].balance("bob") == 46
    assert chain.head(2).number == 4


def test_a_value_that_was_authenticated_serves_again_and_no_other_does(world: World) -> None:
    """O1: the kept value needs no new proof; its number with another content is refused."""
    for number in range(3):
        world.send_token(1, 2, 10 + number)
    chain = world.relays[11]
    assert world.carry_to_relay(1, 11, bound=True, bare=[1, 2, 3])[2] == 0
    shown = world.hub_range(1, 11)
    kept = HubRange(1, 11, KeptAuthentication(), shown)
    forged = replace(shown, entries=(shown.entries[1], shown.entries[1], shown.entries[2]))
    refused(chain, chain.sign(replace(kept, range=forged)))
    refused(chain, chain.sign(replace(kept, range=world.hub_range(1, 11, last=2))))
    refused(chain, chain.sign(replace(kept, outbox_relay=0)))
    assert chain.must(kept) == 3


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 40))])
def test_any_order_and_repetition_of_genuine_messages_is_safe(seed: int) -> None:
    """An adversary keeps every message that was ever made and submits them in any order, to anybody, again and again.

    Afterwards everything is drained honestly: each transfer has happened once or was refunded once.
    """
    random = Random(seed)
    world = World.build(relays=2)
    # One transfer comes first: a walk that never sends would show nothing.
    sent = [world.send_token(1, 2, 10, lifetime_seconds=900)]
    kept_relay, kept_hub = list[tuple[int, bytes]](), list[tuple[int, bytes]]()
    for _ in range(14):
        action = random.randrange(5)
        source = random.choice([1, 2])
        relay = random.choice([11, 12])
        if action == 0:
            sent.append(world.send_token(source, 3 - source, random.randrange(1, 100), lifetime_seconds=900))
        elif action == 1 and any(packet.lane.source == source for packet in sent):
            bound = relay == 11
            entries = len(world.outbox_entries(source, 11 if bound else 0))
            if entries and (bound or relay == 12):
                message = world.range_message(source, relay, bound=bound)
                kept_relay.append((relay, world.relays[relay].sign(message, valid_for=900)))
        elif action == 2 and kept_relay:
            target, transaction = random.choice(kept_relay)
            world.relays[random.choice([11, 12, target])].submit(transaction)
        elif action == 3 and world.relays[relay].head(source).number:
            kept_hub.append((source, world.envelope(relay, source, first=1)))
        elif action == 4 and kept_hub:
            _, envelope = random.choice(kept_hub)
            world.hubs[random.choice([1, 2])].receive(envelope)
        if random.randrange(6) == 0:
            world.advance(random.choice([30, 1_000]))
    drain(world)
    for packet in sent:
        origin = world.hubs[packet.lane.source]
        verdict = origin.own_status(packet.lane.relay, packet.header.transaction.nonce)
        there = world.hubs[packet.lane.destination].status(packet.lane, packet.sequence)
        assert verdict == there
        assert verdict in (Verdict.COMMIT, Verdict.ABORT)
        if verdict == Verdict.ABORT:
            assert world.settle(packet.lane.source, packet).succeeded
    assert world.in_circulation() == SUPPLY
    assert sent


def drain(world: World) -> None:
    """Carry everything honestly, twice around."""
    for _ in range(2):
        for source in world.hubs:
            if world.outbox_entries(source, 11):
                world.record(source, 11, bound=True)
        for destination in world.hubs:
            if world.relays[11].head(destination).number:
                (outcome,) = world.hubs[destination].receive(world.envelope(11, destination, first=1))
                assert outcome.succeeded, world.hubs[destination].error(outcome)
