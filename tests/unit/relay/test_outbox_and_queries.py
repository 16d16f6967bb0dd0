"""Outboxes of the relay chain and what it answers about itself."""

import json
from dataclasses import replace

import pytest

from piebridge.abci.messages import CODE_OK, QueryRequest, QueryResponse
from piebridge.crypto import simple_map
from piebridge.crypto.simple_map import ValueOperator
from piebridge.crypto.sparse_merkle import SparseMerkleProof, verify_absence, verify_presence
from piebridge.protocol_stack.commitment import endorsed_head_key
from piebridge.protocol_stack.governor_relay_bodies import CloseChain, GatewayQuota, Gateways
from piebridge.protocol_stack.header import VerificationHeader
from piebridge.protocol_stack.relay_queries import (
    PAGE_MAX,
    CursorQuery,
    OutboxEntriesQuery,
    ReceiptCodesQuery,
    RecordedQuery,
    RecordedWordsQuery,
    RegistrationQuery,
)
from piebridge.protocol_stack.transport.outbox import (
    BareEntry,
    OutboxHead,
    PacketEntry,
    ReceiptHomeEntry,
    VerdictsEntry,
    open_relay_outbox,
)
from piebridge.protocol_stack.verdicts import VERDICTS_MAX, OriginVerdict, ParticipantVerdict
from piebridge.protocol_stack.verification.base import Method
from piebridge.relay.app import queries
from piebridge.relay.app.application import RelayApplication
from testkit.hub_model import HubModel
from testkit.relay_world import RelayWorld, two_chains

REFUSED_DEMAND = VerificationHeader(Method.BOTH)


@pytest.fixture
def world() -> RelayWorld:
    return two_chains()


def ask(world: RelayWorld, path: str, data: bytes = b"", *, prove: bool = False, height: int = 0) -> QueryResponse:
    return world.application.query(QueryRequest(path, data, height, prove))


def ask_json(world: RelayWorld, path: str, data: bytes = b"") -> dict[str, object]:
    answer = ask(world, path, data)
    assert answer.code == CODE_OK, answer.log
    value = json.loads(answer.value)
    assert isinstance(value, dict)
    return value


def test_outbox_is_opened_at_registration(world: RelayWorld) -> None:
    answer = ask(world, "/outbox/head", RegistrationQuery(20).encode())
    assert OutboxHead.decode(answer.value) == OutboxHead(0, open_relay_outbox(1, 1, 20))


def test_verdicts_of_a_block_come_first_then_the_rest_in_order(world: RelayWorld) -> None:
    one, two = world.hubs[10], world.hubs[20]
    # Hub 10 is origin of a transaction, participant of another, destination of a packet and source of a receipt.
    sent = one.send_free(20)
    world.carry_from(one)
    world.carry_to(two)
    one.request(20, verification=REFUSED_DEMAND)
    two.request(10, verification=REFUSED_DEMAND)
    two.send_free(10)
    for hub in (one, two):
        hub.chain.close_block()
        world.catch_up(hub)
        world.follow(hub)
    first = world.view.outbox_head(10)
    assert first is not None
    world.must(two.range_message(0), two.range_message(1), one.range_message(1))
    entries = world.entries_toward(one, first.number + 1).entries
    assert [type(entry) for entry in entries] == [VerdictsEntry, VerdictsEntry, ReceiptHomeEntry, PacketEntry]
    assert isinstance(entries[0], VerdictsEntry)
    assert isinstance(entries[1], VerdictsEntry)
    assert isinstance(entries[0].verdicts.items[0], OriginVerdict)
    assert isinstance(entries[1].verdicts.items[0], ParticipantVerdict)
    assert isinstance(entries[2], ReceiptHomeEntry)
    assert entries[2].receipt.packet_id == sent.packet_id
    assert {entry.height for entry in entries} == {world.height}


def test_hubs_are_taken_in_the_order_of_their_numbers() -> None:
    # Neither the order in which packets come (8, 1) nor that in which a set of these numbers is gone through.
    assert list({8, 1}) != sorted({8, 1})
    world = RelayWorld({number: HubModel(number) for number in (1, 8, 10)})
    hub = world.hubs[10]
    for destination in (8, 1, 8):
        hub.send_free(destination)
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    response = world.run(world.sign(hub.range_message(0)))
    entries = [dict(made.attributes) for made in response.events if made.type == "outbox_entries"]
    assert entries == [
        {"destination": "1", "first": "1", "last": "1"},
        {"destination": "8", "first": "1", "last": "2"},
    ]


def test_more_than_256_verdicts_of_a_block_make_more_entries(world: RelayWorld) -> None:
    hub = world.hubs[10]
    for _ in range(VERDICTS_MAX + 1):
        hub.request(77)
    world.carry_from(hub, 1)
    entries = world.entries_toward(hub).entries
    sizes = [len(entry.verdicts.items) for entry in entries if isinstance(entry, VerdictsEntry)]
    assert sizes == [VERDICTS_MAX, 1]


def test_entries_fold_to_the_head_and_dropped_messages_come_bare(world: RelayWorld) -> None:
    source, destination = world.hubs[10], world.hubs[20]
    for _ in range(3):
        source.send_free(20)
    world.carry_from(source)
    entries = world.entries_toward(destination)
    assert entries.fold() == world.view.outbox_head(20)
    world.carry_to(destination)
    world.carry_from(destination)
    after = world.entries_toward(destination)
    assert all(isinstance(entry, BareEntry) for entry in after.entries)
    assert after.fold() == entries.fold()
    part = world.entries_toward(destination, first=2, count=1)
    assert (part.first, part.last) == (2, 2)


def test_entries_stop_where_the_answer_is_full(world: RelayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        world.hubs[10].send_free(20, bytes(1_000))
    world.carry_from(world.hubs[10])
    monkeypatch.setattr(queries, "ANSWER_BYTES_MAX", 2_400)
    assert world.entries_toward(world.hubs[20]).last == 2
    monkeypatch.setattr(queries, "ANSWER_BYTES_MAX", 10)
    assert world.entries_toward(world.hubs[20]).last == 1, "one at least, or a gateway would never get on"


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/outbox/head", RegistrationQuery(99).encode()),
        ("/outbox/entries", OutboxEntriesQuery(20, 1, 5).encode()),
        ("/outbox/entries", OutboxEntriesQuery(99, 1, 5).encode()),
        ("/cursor", CursorQuery(10, 0).encode()),
        ("/packet", bytes(32)),
        ("/packet", bytes(31)),
        ("/transaction", bytes(32)),
        ("/client", RegistrationQuery(99).encode()),
        ("/chain", RegistrationQuery(99).encode()),
        ("/chain", b""),
        ("/set", b"\x00"),
        ("/quota", b""),
        ("/gateways", b"\x00"),
        ("/nothing", b""),
        ("/store/endorsed/key", b"nothing"),
    ],
)
def test_what_is_not_there_gives_code_1_and_a_reason(world: RelayWorld, path: str, data: bytes) -> None:
    answer = ask(world, path, data)
    assert answer.code == 1
    assert answer.log


def test_only_the_newest_height_is_answered(world: RelayWorld) -> None:
    answer = world.application.query(QueryRequest("/status", height=world.height + 1))
    assert answer.code == 1
    assert world.application.query(QueryRequest("/status", height=world.height)).code == CODE_OK


def test_answers_do_not_show_a_block_before_its_commit(world: RelayWorld) -> None:
    hub = world.hubs[10]
    packet = hub.send_free(20)
    hub.chain.close_block()
    world.catch_up(hub)
    world.follow(hub)
    query = RecordedQuery(packet.lane, packet.sequence).encode()
    world.finalize(world.sign(hub.range_message()))
    assert ask(world, "/recorded", query).value == b"\x00"
    world.application.commit()
    assert ask(world, "/recorded", query).value == b"\x01"
    assert OutboxHead.decode(ask(world, "/cursor", CursorQuery(10, 0).encode()).value) == hub.outboxes[0]


def test_recorded_packets_and_receipts_are_told_many_at_a_time(world: RelayWorld) -> None:
    source, destination = world.hubs[10], world.hubs[20]
    packets = [source.send_free(20) for _ in range(3)]
    lane = packets[0].lane
    pages = RecordedWordsQuery(((lane, 0), (lane, 1), (lane, PAGE_MAX))).encode()
    codes = ReceiptCodesQuery((*(packet.packet_id for packet in packets), b"\x07" * 32)).encode()
    assert ask(world, "/recorded/words", pages).value == bytes(96)
    assert ask(world, "/receipt/codes", codes).value == b"\xff\xff\xff\xff"
    world.carry_from(source)
    assert ask(world, "/recorded/words", pages).value == (0b1110).to_bytes(32, "big") + bytes(64)
    assert ask(world, "/receipt/codes", codes).value == b"\x00\x00\x00\xff"
    world.carry_to(destination)
    world.carry_from(destination)
    assert ask(world, "/receipt/codes", codes).value == b"\x01\x01\x01\xff"
    too_high = pages[:-8] + (PAGE_MAX + 1).to_bytes(8, "big")
    assert world.application.query(QueryRequest("/recorded/words", too_high)).code == 1


def test_life_of_a_transaction_is_told(world: RelayWorld) -> None:
    source, destination = world.hubs[10], world.hubs[20]
    packet = source.request(20)
    world.carry_from(source, 1)
    from piebridge.relay.app import transactions

    tx_id = transactions.id_of(world.view, 10, 1)
    opened = ask_json(world, "/transaction", tx_id)
    assert (opened["state"], opened["packet_ids"]) == ("OPEN", [packet.packet_id.hex()])
    told = ask_json(world, "/packet", packet.packet_id)
    assert (told["carried"], told["entry"], told["acknowledged"]) == (True, 1, False)
    world.carry_to(destination)
    world.carry_from(destination, 1)
    ended = ask_json(world, "/transaction", tx_id)
    assert (ended["state"], ended["verdict"], ended["code"], ended["verdict_entry"]) == ("COMMIT", 2, 1, 1)
    told = ask_json(world, "/packet", packet.packet_id)
    assert told["receipt"] == {"acknowledged": False, "code": 1, "entry": 2}


def test_chain_client_status_and_quota_are_told(world: RelayWorld) -> None:
    hub = world.hubs[10]
    world.carry_from(hub, 0) if hub.log[0] else None
    world.govern(CloseChain(20, 7))
    assert ask_json(world, "/chain", RegistrationQuery(20).encode())["closed_at"] == 7
    chain = ask_json(world, "/chain", RegistrationQuery(10).encode())
    assert (chain["hub"], chain["method"], chain["closed_at"]) == (hub.address.hex(), 1, None)
    client = ask_json(world, "/client", RegistrationQuery(10).encode())
    assert (client["newest_height"], client["frozen"]) == (3, False)
    status = ask_json(world, "/status")
    assert (status["life_cycle"], status["governor_counter"], status["chains"]) == ("ACTIVE", 1, [10, 20])
    quota = ask_json(world, "/quota", bytes(20))
    assert (quota["authorised"], quota["quota"], quota["used"]) == (False, 20, 0)


def test_every_authorised_gateway_is_told_in_the_order_of_addresses(world: RelayWorld) -> None:
    (first,) = Gateways.decode(ask(world, "/gateways", b"").value).quotas
    others = tuple(GatewayQuota(bytes([number]) * 20, 10 * number) for number in (0xFF, 1))
    world.govern(Gateways(others))
    told = Gateways.decode(ask(world, "/gateways", b"").value).quotas
    assert told == tuple(sorted((first, *others), key=lambda item: item.address))
    world.govern(Gateways((GatewayQuota(others[0].address, 0),)))
    left = Gateways.decode(ask(world, "/gateways", b"").value).quotas
    assert [item.address for item in left] == sorted([first.address, others[1].address])


def test_state_proofs_lead_to_the_app_hash(world: RelayWorld) -> None:
    packet = world.hubs[10].send_free(20)
    world.carry_from(world.hubs[10])
    app_hash = world.application.info().last_block_app_hash
    for key, present in ((b"packet/" + packet.packet_id, True), (b"packet/" + bytes(32), False)):
        answer = ask(world, "/store/state/key", key, prove=True, height=world.application.info().last_block_height)
        leaf, store = answer.proof_ops
        assert (leaf.type, leaf.key, store.type, store.key) == ("piebridge:sparse", key, "simple:v", b"state")
        assert (answer.code, answer.log) == (CODE_OK, "" if present else "absent")
        proof = SparseMerkleProof.decode(leaf.data)
        root = ValueOperator.decode(store.data)
        state_root = world.application.state._version.state.root
        simple_map.verify(root, root=app_hash, key=b"state", value=state_root)
        if present:
            verify_presence(proof, root=state_root, key=key, value=answer.value)
        else:
            verify_absence(proof, root=state_root, key=key)
            assert answer.value == b""


def test_endorsed_proofs_lead_to_the_app_hash_as_stock_clients_check_them(world: RelayWorld) -> None:
    world.hubs[10].send_free(20)
    world.carry_from(world.hubs[10])
    key = endorsed_head_key(20)
    answer = ask(world, "/store/endorsed/key", key, prove=True, height=world.application.info().last_block_height)
    inner, outer = (ValueOperator.decode(op.data) for op in answer.proof_ops)
    app_hash = world.application.info().last_block_app_hash
    simple_map.verify_in_store(inner, outer, app_hash=app_hash, store=b"endorsed", key=key, value=answer.value)
    assert OutboxHead.decode(answer.value) == world.view.outbox_head(20)
    assert ask(world, "/store/endorsed/key", key).proof_ops == ()


def test_newest_proof_is_of_the_height_that_the_next_header_covers(world: RelayWorld) -> None:
    for _ in range(2):
        world.hubs[10].send_free(20)
        world.carry_from(world.hubs[10])
    newest = world.application.info().last_block_height
    app_hashes = {request.height: response.app_hash for request, response in world.blocks}
    assert app_hashes[newest] != app_hashes[newest - 1]
    request = QueryRequest("/store/endorsed/key", endorsed_head_key(20), prove=True)
    reopened = RelayApplication(world.application.state._backend)
    for application in (world.application, reopened):
        answer = application.query(request)
        assert (answer.code, answer.height) == (CODE_OK, newest - 1)
        for height in (newest - 1, newest):
            proven = application.query(replace(request, height=height))
            inner, outer = (ValueOperator.decode(op.data) for op in proven.proof_ops)
            simple_map.verify_in_store(
                inner,
                outer,
                app_hash=app_hashes[height],
                store=b"endorsed",
                key=endorsed_head_key(20),
                value=proven.value,
            )
        assert application.query(replace(request, height=newest - 2)).code == 1
