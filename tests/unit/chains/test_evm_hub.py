"""The hub's interface as carriers use it, against the compiled contract."""

import pytest
from eth_abi.abi import encode

from piebridge.chains.endpoint import HubEntry
from piebridge.chains.evm import hub
from piebridge.contracts.loader import load
from piebridge.crypto.errors import TransientChainError

ADDRESS = bytes(range(20))


def test_call_data_is_that_of_the_contracts_abi() -> None:
    artifact = load("Hub")
    assert hub.receive_range_data(b"envelope") == artifact.function_data("receiveRange", b"envelope")
    assert hub.settle_data(1, 2, 3, b"packets") == artifact.function_data("settle", 1, 2, 3, b"packets")
    assert hub.governor_data(b"message") == artifact.function_data("governor", b"message")
    assert hub.message_data(1, 2, 3) == artifact.function_data("message", 1, 2, 3)


def test_topics_are_those_of_the_contracts_events() -> None:
    artifact = load("Hub")
    assert {
        artifact.event_topic("PacketSent"): 1,
        artifact.event_topic("ReceiptsMade"): 3,
        artifact.event_topic("ReportMade"): 4,
    } == hub.FORM_OF_TOPIC


def log(**changes: object) -> dict[str, object]:
    entry = (7 << 96 | 11 << 64 | 5).to_bytes(32, "big")
    fields: dict[str, object] = {
        "address": "0x" + ADDRESS.hex(),
        "topics": ["0x" + hub.PACKET_SENT.hex(), "0x" + entry.hex()],
        "data": "0x" + b"packet".hex(),
        "blockNumber": "0x10",
        "logIndex": "0x2",
    }
    return fields | changes


def test_a_log_becomes_an_entry() -> None:
    assert hub.decode_log(log(), ADDRESS, "node") == HubEntry(7, 11, 5, 16, 1, b"packet")


@pytest.mark.parametrize(
    "changes",
    [
        {"address": "0x" + bytes(20).hex()},
        {"topics": ["0x" + bytes(32).hex(), "0x" + bytes(32).hex()]},
        {"topics": ["0x" + hub.PACKET_SENT.hex()]},
        {"topics": []},
        {"removed": True},
    ],
    ids=[
        "another contract with the same topics",
        "another event",
        "no entry",
        "anonymous",
        "removed by a reorganisation",
    ],
)
def test_logs_that_are_not_of_this_hub_are_ignored(changes: dict[str, object]) -> None:
    assert hub.decode_log(log(**changes), ADDRESS, "node") is None


@pytest.mark.parametrize(
    "changes", [{"data": None}, {"data": "packet"}, {"blockNumber": None}, {"blockNumber": "16"}, {"address": "0x1"}]
)
def test_malformed_logs_are_outages(changes: dict[str, object]) -> None:
    with pytest.raises(TransientChainError):
        hub.decode_log(log(**changes), ADDRESS, "node")


def test_a_queued_message_becomes_an_entry() -> None:
    answer = encode(["bytes"], [(16).to_bytes(8, "big") + b"\x03" + b"receipts"])
    assert hub.decode_queued(7, 11, 5, answer, "node") == HubEntry(7, 11, 5, 16, 3, b"receipts")
    assert hub.decode_queued(7, 11, 5, encode(["bytes"], [b""]), "node") is None
    for malformed in (b"", encode(["bytes"], [bytes(9)])):
        with pytest.raises(TransientChainError):
            hub.decode_queued(7, 11, 5, malformed, "node")
