"""What is kept of transactions between CheckTx, ProcessProposal and execution never changes an answer."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from piebridge.abci.messages import CheckTxKind, PrepareProposalRequest, ProcessProposalRequest
from piebridge.crypto.hash import sha256
from piebridge.crypto.signature import sign_recoverable
from piebridge.protocol_stack.governor_relay_bodies import CloseChain, Freeze, GatewayQuota, Gateways, Pause
from piebridge.protocol_stack.header import VerificationHeader
from piebridge.protocol_stack.relay_messages import CarriedGovernorMessage, RelayTransaction, UpdateClient
from piebridge.protocol_stack.verification.base import Method
from piebridge.relay.app import admission, transaction_cache
from piebridge.relay.app.admission import Code
from piebridge.relay.app.transaction_cache import KnownTransaction, TransactionCache
from testkit.relay_world import GATEWAY, STRANGER, RelayWorld, two_chains
from testkit.source_chain import private_key

Answers = list[tuple[Code, bytes]]


def started() -> RelayWorld:
    world = two_chains()
    hub = world.hubs[10]
    for _ in range(3):
        hub.send_free(20)
    hub.request(20, verification=VerificationHeader(Method.SPV))
    hub.chain.close_block()
    world.catch_up(hub)
    return world


def valid(world: RelayWorld, key: bytes = GATEWAY, relay: int = 0) -> bytes:
    return world.sign(world.hubs[10].range_message(relay), key)


def update(world: RelayWorld) -> bytes:
    client = world.view.client(10)
    assert client is not None
    return world.sign(world.hubs[10].update_message(client.heights[-1]))


def resigned(tx: bytes, key: bytes, **changes: object) -> bytes:
    transaction = replace(RelayTransaction.decode(tx), **changes)  # type: ignore[arg-type]
    return transaction.signed(lambda digest: sign_recoverable(digest, key)).encode()


def with_signature_of(tx: bytes, key: bytes) -> bytes:
    """The same content, signed by somebody else."""
    return resigned(tx, key)


def broken(world: RelayWorld) -> bytes:
    message = world.hubs[10].range_message()
    return world.sign(replace(message, range=replace(message.range, start=b"\x01" * 32)))


def govern(world: RelayWorld, body: object) -> None:
    world.govern(body)  # type: ignore[arg-type]


def use_up_quota(world: RelayWorld) -> None:
    for _ in range(10):
        world.run(world.sign(UpdateClient(10, (b"\x00",))))


def pass_heights(world: RelayWorld) -> None:
    for _ in range(101):
        world.run()


CHANGES: dict[str, Callable[[RelayWorld], object]] = {
    "nothing": lambda world: None,
    "paused": lambda world: govern(world, Pause()),
    "frozen": lambda world: govern(world, Freeze()),
    "source closed": lambda world: govern(world, CloseChain(10, 1)),
    "destination closed": lambda world: govern(world, CloseChain(20, world.hubs[20].chain.next_number)),
    "gateway removed": lambda world: govern(world, Gateways((GatewayQuota(b"\x01" * 20, 5),))),
    "quota used up": use_up_quota,
    "header not there": lambda world: None,
    "expired": pass_heights,
    "time passed": lambda world: world.run(seconds=10_000),
}


def play(change: str, *, warm: bool) -> tuple[list[Answers], bytes]:
    """Bring transactions in two blocks, the context changing between mempool and block; return all answers."""
    world = started()
    if not warm:
        world.application._cache = TransactionCache(bytes_max=0)
    txs = [update(world), valid(world), valid(world, relay=1), broken(world), valid(world, STRANGER)]
    txs += [with_signature_of(txs[1], private_key("thief")), txs[1], txs[1][:-1], resigned(txs[1], GATEWAY, domain=9)]
    if change == "header not there":
        txs = txs[1:]
    if warm:
        for tx in txs:
            world.application.check_tx(tx, CheckTxKind.NEW)
    CHANGES[change](world)
    answers = []
    for _ in range(2):
        if warm:
            world.application.process_proposal(
                ProcessProposalRequest(tuple(txs), b"", world.height + 1, world.time_ns, b"")
            )
        response = world.run(*txs)
        answers.append([(Code(result.code), result.data) for result in response.tx_results])
    return answers, world.application.state.app_hash


@pytest.mark.parametrize("change", CHANGES)
def test_validator_that_has_seen_everything_before_answers_as_one_that_has_not(change: str) -> None:
    answers, app_hash = play(change, warm=True)
    assert (answers, app_hash) == play(change, warm=False)
    codes = {code for answer in answers for code, _ in answer}
    assert len(codes) > 2, "one answer to everything would compare nothing"


def _key_without_signature(data: bytes) -> bytes:
    return sha256(data[:-65]) if len(data) > 200 else sha256(data)


def _remembers_the_verdict(honest: Callable[..., KnownTransaction]) -> Callable[..., KnownTransaction]:
    """Plant: what a validator has admitted once it admits for ever."""
    admitted: dict[tuple[TransactionCache, bytes], KnownTransaction] = {}

    def admit(view: object, cache: TransactionCache, tx: bytes, *rest: object) -> KnownTransaction:
        if (cache, tx) not in admitted:
            admitted[cache, tx] = honest(view, cache, tx, *rest)
        return admitted[cache, tx]

    return admit


def differing_changes() -> list[str]:
    return [change for change in CHANGES if play(change, warm=True) != play(change, warm=False)]


def test_planted_cache_key_without_the_signature_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction_cache, "sha256", _key_without_signature)
    assert "nothing" in differing_changes(), "the thief's copy would be executed in the gateway's name"


def test_planted_cache_of_the_admission_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = _remembers_the_verdict(admission.admit)
    monkeypatch.setattr("piebridge.relay.app.application.admit", planted)
    assert {"expired", "quota used up"} <= set(differing_changes())


def test_cache_is_bounded_by_bytes_and_forgets_the_least_recently_used() -> None:
    world = started()
    txs = [valid(world) for _ in range(4)]
    cache = TransactionCache(3 * len(txs[0]))
    first = cache.get(txs[0])
    cache.get(txs[1]), cache.get(txs[2])
    assert cache.get(txs[0]) is first
    cache.get(txs[3])
    assert len(cache) == 3
    assert cache.get(txs[0]) is first
    again = cache.get(txs[1])
    assert (len(cache), again.sender) == (3, first.sender)


def test_transaction_larger_than_the_cache_is_served_and_not_kept() -> None:
    tx = valid(started())
    cache = TransactionCache(len(tx) - 1)
    assert cache.get(tx).transaction == RelayTransaction.decode(tx)
    assert len(cache) == 0


def test_what_was_executed_is_forgotten_after_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    world = started()
    cache = world.application._cache
    txs = [update(world), valid(world), valid(world)]
    for tx in txs:
        assert world.application.check_tx(tx, CheckTxKind.NEW).code == Code.OK
    assert len(cache) == 3
    world.run(*txs[:2])
    assert len(cache) == 1


def test_body_is_decoded_and_signature_recovered_once_for_all_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    world = started()
    txs = (update(world), valid(world))
    calls = {"sender": 0, "decode_body": 0}
    for name in calls:
        honest = getattr(RelayTransaction, name)

        def counted(self: RelayTransaction, name: str = name, honest: Callable[..., object] = honest) -> object:
            calls[name] += 1
            return honest(self)

        monkeypatch.setattr(RelayTransaction, name, counted)
    for tx in txs:
        assert world.application.check_tx(tx, CheckTxKind.NEW).code == Code.OK
    height = world.height + 1
    request = PrepareProposalRequest(1 << 20, txs, height, world.time_ns, b"")
    assert world.application.prepare_proposal(request) == txs
    assert world.application.process_proposal(ProcessProposalRequest(txs, b"", height, world.time_ns, b""))
    assert [result.code for result in world.run(*txs).tx_results] == [Code.OK, Code.OK]
    assert calls == {"sender": 2, "decode_body": 2}


# --- what may stand in a block


def proposals(world: RelayWorld) -> dict[str, tuple[bytes, ...]]:
    tx = valid(world)
    world.run(executed := valid(world, relay=1))
    return {
        "undecodable": (tx[:-1],),
        "of another chain": (resigned(tx, GATEWAY, relay=2),),
        "expired": (resigned(tx, GATEWAY, valid_until=world.height),),
        "executed before": (executed,),
        "twice": (tx, tx),
        "with a body of no kind": (resigned(tx, GATEWAY, body=b"\x00"),),
        "beyond the quota": tuple(valid(world, STRANGER) for _ in range(21)),
    }


@pytest.mark.parametrize("what", list(proposals(started())))
def test_proposal_with_what_nobody_pays_for_is_refused_and_never_made(what: str) -> None:
    world = started()
    bad = proposals(world)[what]
    good = valid(world)
    height = world.height + 1
    request = ProcessProposalRequest((good, *bad), b"", height, world.time_ns, b"")
    assert not world.application.process_proposal(request)
    prepared = world.application.prepare_proposal(
        PrepareProposalRequest(1 << 20, (good, *bad), height, world.time_ns, b"")
    )
    assert prepared == (good, *bad[:-1])
    assert world.application.process_proposal(ProcessProposalRequest(prepared, b"", height, world.time_ns, b""))


def test_proposal_may_hold_what_fails_and_is_paid_for() -> None:
    world = started()
    txs = (broken(world), valid(world), world.sign(CarriedGovernorMessage(world.governor_message(Pause()))))
    rule = world.application._proposal_rule(world.height + 1)
    assert [rule.accepts(tx) for tx in txs] == [True, True, True]
