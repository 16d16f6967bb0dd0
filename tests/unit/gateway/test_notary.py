"""The notary against nodes that lie, lag, hang and contradict each other: chains in memory behind each of its nodes."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from piebridge.chains.endpoint import Fees
from piebridge.chains.memory import MemoryCall, MemoryChain, MemoryEndpoint
from piebridge.crypto.errors import ConfigurationError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.signature import address_of_private_key, recover_address
from piebridge.gateway.config import NotaryChainConfig, NotaryConfig
from piebridge.gateway.evidence import BeyondEvidenceError, EvidenceLog
from piebridge.gateway.notary import Notary, NotaryRefusal, ReadChain, RefusalCode
from piebridge.gateway.telemetry import Counters
from piebridge.protocol_stack.notary_statement import NotaryStatement, SlotValue
from testkit.mini_hub import signed_call

HUB = bytes(range(20))
KEY = keccak256(b"notary")
DOMAIN, REGISTRATION, EPOCH, INDEX, DEPTH = 7, 3, 5, 2, 2
SLOT = bytes(31) + b"\x01"
OTHER_SLOT = bytes(31) + b"\x02"


def make_chain(value: int, *, blocks: int = 6) -> MemoryChain:
    """A chain whose hub has had a value in slot 1 from block 1 on."""

    def contract(call: MemoryCall) -> bytes:
        call.storage[1] = value
        return b""

    chain = MemoryChain(contract, hub_address=HUB)
    chain.submit(signed_call(KEY, 1, 0, HUB, b"write", Fees(2, 1)))
    chain.mine(blocks)
    return chain


def config(path: Path, urls: int = 2) -> NotaryConfig:
    return NotaryConfig(
        name="notary",
        domain=DOMAIN,
        private_key=KEY,
        index=INDEX,
        set_epoch=EPOCH,
        chains=(NotaryChainConfig(REGISTRATION, 1, HUB, tuple(f"http://node-{i}:1" for i in range(urls)), DEPTH),),
        data_directory=path,
        host="127.0.0.1",
        port=0,
        endpoint_timeout_seconds=0.2,
    )


class Setting:
    """A notary with its nodes."""

    def __init__(self, path: Path, chains: list[MemoryChain]) -> None:
        self.endpoints = [MemoryEndpoint(chain, f"node {i}") for i, chain in enumerate(chains)]
        self.counters = Counters()
        self.config = config(path, len(chains))
        self.evidence = EvidenceLog(path / "evidence.sqlite3")
        read = ReadChain(self.config.chains[0], tuple(self.endpoints))
        self.notary = Notary(self.config, [read], self.evidence, self.counters)

    async def refused(self, code: RefusalCode, *, number: int = 3) -> NotaryRefusal:
        with pytest.raises(NotaryRefusal) as caught:
            await self.notary.statement(DOMAIN, REGISTRATION, HUB, number, [SLOT])
        assert caught.value.code is code, caught.value
        return caught.value

    @property
    def alarms(self) -> float:
        return self.counters.total("notary_alarms")

    @property
    def signed(self) -> float:
        return self.counters.total("statements_signed")


@pytest.fixture
def two_honest(tmp_path: Path) -> Iterator[Setting]:
    chain = make_chain(42)
    setting = Setting(tmp_path, [chain, chain])
    yield setting
    setting.evidence.close()


async def test_a_statement_says_what_the_nodes_say_and_is_signed_by_the_notary(two_honest: Setting) -> None:
    signed = await two_honest.notary.statement(DOMAIN, REGISTRATION, HUB, 3, [SLOT, OTHER_SLOT])

    block = two_honest.endpoints[0].chain.block(3)
    assert block is not None
    expected = NotaryStatement(
        HUB,
        3,
        block.hash,
        block.timestamp,
        (SlotValue(SLOT, (42).to_bytes(32, "big")), SlotValue(OTHER_SLOT, bytes(32))),
    )
    assert signed.statement == expected
    digest = expected.digest(DOMAIN, REGISTRATION, EPOCH)
    assert recover_address(digest, signed.signature) == address_of_private_key(KEY) == signed.address
    assert (signed.epoch, signed.index) == (EPOCH, INDEX)
    assert two_honest.alarms == 0


async def test_only_blocks_at_or_below_the_registered_depth_are_signed(two_honest: Setting) -> None:
    newest = two_honest.endpoints[0].chain.latest.number
    await two_honest.refused(RefusalCode.NOT_FINAL, number=newest - DEPTH + 1)
    await two_honest.notary.statement(DOMAIN, REGISTRATION, HUB, newest - DEPTH, [SLOT])
    assert two_honest.alarms == 0, "being too early is no reason for an alarm"


async def test_the_depth_must_be_reached_at_every_node(tmp_path: Path) -> None:
    ahead, behind = make_chain(42, blocks=8), make_chain(42, blocks=4)
    setting = Setting(tmp_path, [ahead, behind])
    await setting.refused(RefusalCode.NOT_FINAL, number=5)
    setting.evidence.close()


async def test_two_lying_nodes_and_an_honest_one_that_hangs_get_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Incident of April 2026 (security row 21): two of three nodes lie alike, the honest one is kept from answering."""
    lie, honest = make_chain(10**18), make_chain(42)
    setting = Setting(tmp_path, [lie, lie, honest])
    setting.endpoints[2].hanging = True

    with caplog.at_level(logging.ERROR):
        await setting.refused(RefusalCode.ENDPOINT_UNREACHABLE)

    assert setting.signed == 0
    assert setting.alarms == 1
    assert "ALARM" in caplog.text
    setting.endpoints[2].hanging = False
    await setting.refused(RefusalCode.DISAGREEMENT)
    assert setting.signed == 0
    setting.evidence.close()


async def test_a_node_that_is_down_is_not_replaced_by_the_others(two_honest: Setting) -> None:
    two_honest.endpoints[1].out_of_order = True
    await two_honest.refused(RefusalCode.ENDPOINT_UNREACHABLE)
    assert two_honest.alarms == 1
    two_honest.endpoints[1].out_of_order = False
    await two_honest.notary.statement(DOMAIN, REGISTRATION, HUB, 3, [SLOT])
    assert two_honest.signed == 1, "an outage ends when the node is back"


async def test_after_a_contradiction_nothing_is_signed_until_an_operator_has_looked(tmp_path: Path) -> None:
    honest, lie = make_chain(42), make_chain(43)
    setting = Setting(tmp_path, [honest, lie])
    await setting.refused(RefusalCode.DISAGREEMENT)
    setting.endpoints[1].chain = honest
    refusal = await setting.refused(RefusalCode.DISAGREEMENT)
    assert "stopped" in str(refusal)
    assert REGISTRATION in setting.notary.stopped
    setting.evidence.close()

    again = Setting(tmp_path, [honest, honest])
    await again.notary.statement(DOMAIN, REGISTRATION, HUB, 3, [SLOT])
    again.evidence.close()


async def test_a_node_whose_proof_does_not_hold_is_one_that_disagrees(two_honest: Setting) -> None:
    two_honest.endpoints[0].lie_about_values = True
    await two_honest.refused(RefusalCode.DISAGREEMENT)
    assert two_honest.signed == 0


async def test_two_truths_are_never_signed_even_if_all_nodes_change_their_mind(tmp_path: Path) -> None:
    before, after = make_chain(42), make_chain(43)
    setting = Setting(tmp_path, [before, before])
    await setting.notary.statement(DOMAIN, REGISTRATION, HUB, 3, [SLOT])
    setting.evidence.close()

    setting = Setting(tmp_path, [after, after])  # a new process: only the log remembers
    await setting.refused(RefusalCode.DISAGREEMENT)
    assert setting.signed == 0
    setting.evidence.close()


async def test_the_same_statement_may_be_signed_again(two_honest: Setting) -> None:
    first = await two_honest.notary.statement(DOMAIN, REGISTRATION, HUB, 3, [SLOT])
    second = await two_honest.notary.statement(DOMAIN, REGISTRATION, HUB, 3, [SLOT])
    assert first == second


@pytest.mark.parametrize(
    ("domain", "registration", "hub"),
    [(DOMAIN + 1, REGISTRATION, HUB), (DOMAIN, REGISTRATION + 1, HUB), (DOMAIN, REGISTRATION, bytes(20))],
)
async def test_other_hubs_are_not_signed_for(two_honest: Setting, domain: int, registration: int, hub: bytes) -> None:
    with pytest.raises(NotaryRefusal) as caught:
        await two_honest.notary.statement(domain, registration, hub, 3, [SLOT])
    assert caught.value.code is RefusalCode.UNKNOWN_CHAIN


@pytest.mark.parametrize("slots", [[], [OTHER_SLOT, SLOT], [SLOT, SLOT], [bytes([i]) * 32 for i in range(17)]])
async def test_slots_must_be_one_to_sixteen_and_ascending(two_honest: Setting, slots: list[bytes]) -> None:
    with pytest.raises(NotaryRefusal) as caught:
        await two_honest.notary.statement(DOMAIN, REGISTRATION, HUB, 3, slots)
    assert caught.value.code is RefusalCode.BAD_REQUEST


@pytest.mark.parametrize("urls", [("http://a:1",), ("http://a:1", "http://a:1")])
def test_one_node_is_not_enough(tmp_path: Path, urls: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError):
        NotaryConfig("n", 1, KEY, 0, 1, (NotaryChainConfig(1, 1, HUB, urls, 1),), tmp_path, "127.0.0.1", 0)


def test_a_damaged_evidence_log_is_not_thrown_away(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite3"
    path.write_bytes(b"this is no database" * 300)
    with pytest.raises(ConfigurationError, match="restore it"):
        EvidenceLog(path)
    assert path.read_bytes().startswith(b"this is no database")


def test_the_log_refuses_what_contradicts_it(tmp_path: Path) -> None:
    log = EvidenceLog(tmp_path / "evidence.sqlite3")
    statement = NotaryStatement(HUB, 3, b"h" * 32, 9, (SlotValue(SLOT, b"v" * 32),))
    log.write(1, statement)
    log.write(1, statement)
    log.write(2, NotaryStatement(HUB, 3, b"i" * 32, 9, (SlotValue(SLOT, b"w" * 32),)))
    for other in (
        NotaryStatement(HUB, 3, b"i" * 32, 9, (SlotValue(SLOT, b"v" * 32),)),
        NotaryStatement(HUB, 3, b"h" * 32, 8, (SlotValue(SLOT, b"v" * 32),)),
        NotaryStatement(HUB, 3, b"h" * 32, 9, (SlotValue(SLOT, b"w" * 32),)),
    ):
        with pytest.raises(VerificationError):
            log.write(1, other)
    log.write(1, NotaryStatement(HUB, 3, b"h" * 32, 9, (SlotValue(OTHER_SLOT, b"w" * 32),)))
    log.close()


def said(number: int, slot: bytes = SLOT, value: bytes = b"v" * 32) -> NotaryStatement:
    return NotaryStatement(HUB, number, number.to_bytes(32, "big"), 9, (SlotValue(slot, value),))


def rows(path: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(path)) as connection:
        return tuple(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("blocks", "slots"))


def test_the_log_of_a_chain_stops_growing_and_what_it_forgot_is_not_signed_again(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite3"
    log = EvidenceLog(path, blocks_kept=10)
    log.write(2, said(1))
    for number in range(1, 101):
        log.write(1, said(number))
    assert rows(path) == (12, 12), "eleven of the one chain, and the other one's is nobody else's business"
    for value in (b"v" * 32, b"w" * 32):
        with pytest.raises(BeyondEvidenceError, match="too old"):
            log.write(1, said(89, value=value))
    with pytest.raises(VerificationError):
        log.write(1, said(90, value=b"w" * 32))
    log.write(1, said(90))
    assert rows(path) == (12, 12)
    log.close()


def test_strangers_do_not_fill_the_log_with_slots_of_one_block(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite3"
    log = EvidenceLog(path, slots_per_block_max=5)
    for number in range(5):
        log.write(1, said(3, slot=bytes([number]) * 32))
    with pytest.raises(BeyondEvidenceError, match="name a newer block"):
        log.write(1, said(3, slot=b"\xff" * 32))
    log.write(1, said(3, slot=bytes(32)))
    log.write(1, said(4, slot=b"\xff" * 32))
    assert rows(path) == (2, 6)
    log.close()


async def test_a_notary_goes_on_after_it_was_asked_for_a_block_that_it_has_forgotten(tmp_path: Path) -> None:
    setting = Setting(tmp_path, [make_chain(42), make_chain(42)])
    setting.evidence.write(REGISTRATION, said(100_000))
    with pytest.raises(NotaryRefusal) as caught:
        await setting.notary.statement(DOMAIN, REGISTRATION, HUB, 3, [SLOT])
    assert caught.value.code is RefusalCode.BAD_REQUEST
    assert setting.notary.stopped == {}
    setting.evidence.close()


async def test_what_cannot_be_written_down_is_not_signed_and_raises_an_alarm(
    two_honest: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_self: EvidenceLog, _registration: int, _statement: NotaryStatement) -> None:
        raise ConfigurationError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(EvidenceLog, "write", fails)
        await two_honest.refused(RefusalCode.STORAGE_FAILED)
    assert two_honest.alarms == 1
    assert not two_honest.notary.stopped
    assert not two_honest.signed
