"""Chains that notaries verify: rows 8, 9, 21, 26 to 29 and O1, O15 for their statements, at a real relay chain."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from piebridge.crypto.quorum import Quorum
from piebridge.protocol_stack.authentication import Authentication, BothAuthentication, NotaryAuthentication
from piebridge.protocol_stack.commitment import SlotBase, chain_slot, status_key
from piebridge.protocol_stack.errors import FormatError
from piebridge.protocol_stack.governor_relay_bodies import GatewayQuota, Gateways, SetNotaries
from piebridge.protocol_stack.notary_statement import NotaryStatement
from piebridge.protocol_stack.relay_messages import HubRange, RelayTransaction
from piebridge.protocol_stack.verdicts import Verdict
from piebridge.protocol_stack.verification.base import Method
from piebridge.relay.app.admission import Code
from testkit.world.hub import DOMAIN, SUPPLY
from testkit.world.keys import address_of, sign
from testkit.world.mutations import changes
from testkit.world.world import World


@pytest.fixture(scope="module", params=[Method.NOTARY, Method.BOTH], ids=["notary", "both"])
def waiting(request: pytest.FixtureRequest) -> World:
    """A transfer of chain 1 waits for the relay chain; forgeries leave everything as it is."""
    world = World.build(method=request.param)
    world.send_token(1, 2, 500)
    world.notarise(1, 2, b"\x01" * 32, b"\x02" * 32)
    world.follow(1, 11)
    return world


def statement_of(message: HubRange) -> NotaryAuthentication:
    authentication = message.authentication
    if isinstance(authentication, BothAuthentication):
        return authentication.notary
    assert isinstance(authentication, NotaryAuthentication)
    return authentication


def with_statement(message: HubRange, notary: NotaryAuthentication) -> HubRange:
    authentication: Authentication = notary
    if isinstance(message.authentication, BothAuthentication):
        authentication = replace(message.authentication, notary=notary)
    return replace(message, authentication=authentication)


def test_a_packet_and_its_receipt_cross_with_notaries_alone() -> None:
    """The control: the whole road under this method."""
    world = World.build(method=Method.NOTARY)
    world.send_token(1, 2, 500)
    world.round_trip(1, 2, 11, bound=True)
    assert world.hubs[2].balance("bob") == 500
    assert world.hubs[1].own_status(11, 1) == Verdict.COMMIT
    assert world.in_circulation() == SUPPLY


def test_o15_both_methods_must_prove_the_same() -> None:
    """The control and the contradiction: notaries that state another value than the light client proves."""
    world = World.build(method=Method.BOTH)
    world.send_token(1, 2, 500)
    world.send_token(1, 2, 7)
    chain, honest = world.relays[11], world.range_message(1, 11, bound=True)
    assert isinstance(honest.authentication, BothAuthentication)
    notary = honest.authentication.notary
    (item,) = notary.statement.slots
    forged_range = world.hub_range(1, 11, last=1)
    statements = [
        replace(notary.statement, slots=(replace(item, value=b"\x01" * 32),)),
        replace(notary.statement, slots=(replace(item, value=forged_range.fold().value),)),
        replace(notary.statement, slots=(replace(item, value=bytes(32)),)),
    ]
    before = chain.content()
    for statement in statements:
        for shown in (honest.range, forged_range):
            lie = replace(honest.authentication, notary=world.notarised(1, statement))
            code, _, news = chain.submit(chain.sign(replace(honest, authentication=lie, range=shown)))
            assert (code, news) == (Code.INVALID, 0)
    assert chain.content() == before
    assert chain.submit(chain.sign(honest)) == (Code.OK, "", 2)


def test_o15_no_other_method_than_the_registered_one_is_taken(waiting: World) -> None:
    """A weaker proof, or a stronger one, is none: the registration decides."""
    chain = waiting.relays[11]
    honest = waiting.range_message(1, 11, bound=True)
    height = waiting.hubs[1].chain.engine.height
    spv = waiting.prove(1, height, [chain_slot(DOMAIN, 11)])
    notary = statement_of(honest)
    others: list[Authentication] = [spv]
    others.append(notary if waiting.method is Method.BOTH else BothAuthentication(spv, notary))
    for other in others:
        refused(waiting, replace(honest, authentication=other))
    assert chain.head(2).number == 0


def refused(world: World, message: HubRange) -> None:
    """Refused by the relay chain without a trace."""
    chain = world.relays[11]
    before = chain.content()
    (result,) = chain.execute(chain.sign(message))
    assert result.code in (Code.INVALID, Code.REFUSED), (result.code, result.log)
    assert chain.content() == before


STATEMENTS: dict[str, Callable[[World, NotaryAuthentication], NotaryAuthentication]] = {
    "hub: another contract": lambda world, item: resigned(world, replace(item.statement, hub=world.hubs[1].token)),
    "slot: another outbox": lambda world, item: world.notarised(
        1, world.state(1, world.hubs[1].chain.engine.height, [chain_slot(DOMAIN, 0)])
    ),
    "slots: one more": lambda world, item: world.notarised(
        1, world.state(1, world.hubs[1].chain.engine.height, [chain_slot(DOMAIN, 0), chain_slot(DOMAIN, 11)])
    ),
    "value: another": lambda world, item: resigned(
        world, replace(item.statement, slots=(replace(item.statement.slots[0], value=b"\x05" * 32),))
    ),
    "value: zero": lambda world, item: resigned(
        world, replace(item.statement, slots=(replace(item.statement.slots[0], value=bytes(32)),))
    ),
    "registration: signed for another": lambda world, item: replace(item, quorum=signed_as(item, 2, DOMAIN, 1)),
    "domain: signed for another": lambda world, item: replace(item, quorum=signed_as(item, 1, DOMAIN + 1, 1)),
    "epoch: signed for another": lambda world, item: replace(item, quorum=signed_as(item, 1, DOMAIN, 2)),
    "set: of another epoch": lambda world, item: world.notarised(1, item.statement, epoch=2),
    "set: of another chain": lambda world, item: replace(item, notaries=world.notaries(2)),
    "set: another threshold": lambda world, item: replace(
        item,
        notaries=replace(item.notaries, threshold=2),
        quorum=Quorum(0b0011, item.quorum.signatures[:2]),
    ),
    "set: a member exchanged": lambda world, item: replace(
        item, notaries=replace(item.notaries, members=(address_of("mallory"), *item.notaries.members[1:]))
    ),
    "signatures: one twice": lambda world, item: replace(item, quorum=Quorum(0b0111, (item.quorum.signatures[0],) * 3)),
    "signatures: in another order": lambda world, item: replace(
        item, quorum=Quorum(0b0111, tuple(reversed(item.quorum.signatures)))
    ),
    "signatures: a stranger's": lambda world, item: replace(
        item,
        quorum=Quorum(0b0111, (*item.quorum.signatures[:2], sign("mallory", item.statement.digest(DOMAIN, 1, 1)))),
    ),
    "signers: another bitmap": lambda world, item: replace(item, quorum=Quorum(0b1110, item.quorum.signatures)),
}


def resigned(world: World, statement: NotaryStatement) -> NotaryAuthentication:
    return world.notarised(1, statement)


def signed_as(item: NotaryAuthentication, registration: int, domain: int, epoch: int) -> Quorum:
    """Genuine notaries' signatures over the same statement under another prefix."""
    digest = item.statement.digest(domain, registration, epoch)
    return Quorum(0b0111, tuple(sign(f"notary {i} of registration 1 epoch 1", digest) for i in range(3)))


@pytest.mark.parametrize("field", STATEMENTS)
def test_a_forged_field_of_a_statement_is_refused(waiting: World, field: str) -> None:
    """Each field exchanged; where it can be, k genuine notaries have signed something else."""
    honest = waiting.range_message(1, 11, bound=True)
    forged = with_statement(honest, STATEMENTS[field](waiting, statement_of(honest)))
    assert forged != honest
    try:
        forged.encode()
    except FormatError:
        return  # not even the encoder writes it, and the decoder has the same rules
    refused(waiting, forged)


def test_changed_statements_are_refused(waiting: World) -> None:
    """A part of all single-bit and structural changes of the whole message, signed anew by the gateway."""
    chain = waiting.relays[11]
    chain.govern(Gateways((GatewayQuota(address_of("gateway"), 2**32 - 1),)))
    honest = waiting.range_message(1, 11, bound=True).encode()
    before = chain.content()
    transactions = [
        RelayTransaction(HubRange.KIND, DOMAIN, 11, chain.engine.height + 20, 10**7 + number, body)
        .signed(lambda digest: sign("gateway", digest))
        .encode()
        for number, body in enumerate(changes(honest, step=211))
    ]
    for result in chain.execute(*transactions):
        assert result.code in (Code.INVALID, Code.REFUSED)
    assert chain.content() == before


def test_a_statement_of_the_set_before_is_nothing_after_a_change() -> None:
    """Row 30's class: members that were removed speak no more, also by statements of before."""
    world = World.build(method=Method.NOTARY)
    world.send_token(1, 2, 500)
    chain, old = world.relays[11], world.range_message(1, 11, bound=True)
    chain.govern(SetNotaries(1, world.notaries(1, epoch=2)))
    before = chain.content()
    assert chain.submit(chain.sign(old))[0] != Code.OK
    assert chain.content() == before
    new = world.notarised(1, statement_of(old).statement, epoch=2)
    assert chain.submit(chain.sign(replace(old, authentication=new))) == (Code.OK, "", 1)


def test_slots_are_shown_by_notaries_as_well() -> None:
    """One statement form for every slot: status bits decide a transaction whose receipt nobody carried."""
    world = World.build(method=Method.NOTARY)
    world.send_token(1, 2, 500)
    world.record(1, 11, bound=True)
    world.deliver(11, 2)
    name = (SlotBase.STATUS, status_key(DOMAIN, 1, 11, 0, 1))
    assert world.relays[11].must(world.prove_slots(2, 11, [name])) > 0
    world.deliver(11, 1)
    assert world.hubs[1].own_status(11, 1) == Verdict.COMMIT
