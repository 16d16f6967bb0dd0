"""Endorsement by a relay chain's own commit at a real hub on anvil: taken as it is, refused with any bit changed."""

import json
import os
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from piebridge.crypto.hash import keccak256, tag
from piebridge.protocol_stack.codec import u32
from testkit.toolchain import require_tool

pytestmark = pytest.mark.real_chain

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
PORT = 21_957
TYPED = {"0x" + keccak256(name)[:4].hex() for name in (b"MalformedRange()", b"UnknownSet()", b"NotEndorsed()")}


class Gate:
    """A hub that has registered a relay chain by its validators, and the next envelope from there."""

    def __init__(self, measure: ModuleType, scenario: object) -> None:
        self.measure, self.scenario = measure, scenario
        body = measure.fixed_body(1, 32)
        packet = scenario.packet(1, body)  # type: ignore[attr-defined]
        packet_id = keccak256(tag("PACKET") + packet[:136] + keccak256(body))
        self.envelope: bytes = scenario.envelope(measure.COMMIT_RELAY, [(1, packet, packet_id)])  # type: ignore[attr-defined]

    def refusals(self, envelopes: Sequence[bytes]) -> list[str | None]:
        """What the hub answers to each: the selector of its error, or None where it would take it."""
        anvil, hub = self.scenario.anvil, self.scenario.hub  # type: ignore[attr-defined]
        calls = []
        for number, envelope in enumerate(envelopes):
            data = self.scenario.hub_artifact.function_data("receiveRange", envelope)  # type: ignore[attr-defined]
            call = {"from": anvil.account, "to": hub, "gas": hex(3_000_000), "data": "0x" + data.hex()}
            calls.append({"jsonrpc": "2.0", "id": number, "method": "eth_call", "params": [call, "latest"]})
        request = urllib.request.Request(anvil.url, json.dumps(calls).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answers = sorted(json.load(response), key=lambda answer: answer["id"])
        assert len(answers) == len(calls)
        return [answer["error"]["data"] if "error" in answer else None for answer in answers]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    monkeypatch.setenv("PATH", f"{Path(require_tool('anvil')).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.syspath_prepend(str(CONTRACTS))
    monkeypatch.setattr(sys, "argv", ["measure_gas.py"])
    import measure_gas

    with measure_gas.running_anvil(PORT) as anvil:
        yield Gate(measure_gas, measure_gas.Scenario(anvil))


def test_every_bit_and_every_cut_is_refused_by_a_typed_error(gate: Gate) -> None:
    envelope = gate.envelope
    assert gate.refusals([envelope]) == [None]
    changed = [
        envelope[: bit // 8] + bytes([envelope[bit // 8] ^ 1 << bit % 8]) + envelope[bit // 8 + 1 :]
        for bit in range(8 * len(envelope))
    ]
    changed += [envelope[:length] for length in range(len(envelope))] + [envelope + b"\0"]
    answers = [answer for at in range(0, len(changed), 200) for answer in gate.refusals(changed[at : at + 200])]
    assert len(answers) == len(changed)
    assert set(answers) == TYPED


def test_the_set_before_is_good_for_its_overlap_and_no_longer(gate: Gate) -> None:
    measure, scenario = gate.measure, gate.scenario
    following = measure.COMMITTEE.signers(2).encode()
    scenario.govern(measure.DOMAIN, 5, u32(measure.COMMIT_RELAY) + u32(100) + following)  # type: ignore[attr-defined]
    assert gate.refusals([gate.envelope]) == [None]
    by_next = gate.envelope.replace(measure.COMMITTEE.signers(1).encode(), following)
    assert gate.refusals([by_next]) == [None]
    scenario.anvil.call("evm_increaseTime", 101)  # type: ignore[attr-defined]
    scenario.anvil.call("evm_mine")  # type: ignore[attr-defined]
    assert gate.refusals([gate.envelope, by_next]) == ["0x" + keccak256(b"UnknownSet()")[:4].hex(), None]
