"""The files under ``tests/vectors`` against the code, read the way another implementation would read them."""

import json
from pathlib import Path
from typing import Any

import pytest

from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.quorum import Quorum, SignerSet, verify_quorum
from piebridge.crypto.signature import recover_address
from piebridge.crypto.threshold.verification import verify
from piebridge.protocol_stack.endorsement import EndorsementSet, Envelope, SignedValue
from piebridge.protocol_stack.governor_messages import GovernorMessage
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.transport.outbox import RELAY_CHAIN, Maker, OutboxRange
from testkit.vectors import FILES

DIRECTORY = Path(__file__).resolve().parents[2] / "vectors"


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DIRECTORY / name).read_text(encoding="ascii"))
    return content


def unhexed(text: str) -> bytes:
    assert text.startswith("0x")
    return bytes.fromhex(text[2:])


@pytest.mark.parametrize("name", FILES)
def test_file_is_what_the_generator_writes(name: str) -> None:
    assert load(name) == json.loads(json.dumps(FILES[name]())), "formats.md changes before the vectors do"


@pytest.mark.parametrize("name", FILES)
def test_counts_are_those_of_the_lists(name: str) -> None:
    content = load(name)
    lists = [key for key, value in content.items() if isinstance(value, list)]
    assert lists
    for key in lists:
        assert content[f"{key}_count"] == len(content[key]) > 0


def test_there_are_enough_packets_of_every_kind() -> None:
    valid = load("packets.json")["valid"]
    assert len(valid) >= 100
    assert {item["transaction_protocol"] for item in valid} == {0, 2, 4}
    assert {item["transport_protocol"] for item in valid} == {1, 2}
    assert len({item["packet_id"] for item in valid}) == len(valid)


def test_packets_by_hand() -> None:
    for item in load("packets.json")["valid"]:
        packet = unhexed(item["packet"])
        preimage = keccak256(b"PIEBRIDGE/PACKET/v1") + packet[:136] + keccak256(packet[136:])
        assert keccak256(preimage) == unhexed(item["packet_id"])
        assert STACK.receive(packet).packet_id == unhexed(item["packet_id"])


def test_ranges_by_hand() -> None:
    tag = keccak256(b"PIEBRIDGE/OUTBOX/v1")
    for item in load("outboxes.json")["ranges"]:
        value, number = unhexed(item["start"]), int(item["first"])
        for height, message_id in zip(item["heights"], item["message_ids"], strict=True):
            fields = number.to_bytes(8, "big") + int(height).to_bytes(8, "big")
            value = keccak256(tag + value + fields + unhexed(message_id))
            number += 1
        assert value == unhexed(item["value"])
        assert number - 1 == int(item["last"])
        maker = Maker(item["registration"]) if item["registration"] else RELAY_CHAIN
        head = OutboxRange.decode(unhexed(item["range"]), maker).fold()
        assert (head.number, head.value) == (int(item["last"]), unhexed(item["value"]))


def _verify_envelope(data: bytes, destination: int) -> None:
    envelope = Envelope.decode(data)
    _verify_proof(envelope.signers, envelope.proof, envelope.digest(destination))


def _verify_proof(signers: EndorsementSet, proof: Quorum | bytes, digest: bytes) -> None:
    if isinstance(proof, Quorum):
        verify_quorum(SignerSet(signers.keys, signers.threshold), digest, proof)
    else:
        verify(proof, digest, signers.keys[0])


def test_endorsements_hold_and_the_others_do_not() -> None:
    content = load("endorsements.json")
    for item in content["envelopes"]:
        _verify_envelope(unhexed(item["envelope"]), item["destination"])
        body = item["relay"].to_bytes(4, "big") + int(item["last"]).to_bytes(8, "big") + unhexed(item["value"])
        prefix = b"".join(number.to_bytes(4, "big") for number in (item["domain"], item["destination"], item["epoch"]))
        assert keccak256(keccak256(b"PIEBRIDGE/ENDORSE/v1") + prefix + b"\x01" + body) == unhexed(item["digest"])
    for item in content["unbelievable_envelopes"]:
        with pytest.raises(VerificationError):
            _verify_envelope(unhexed(item["data"]), item["destination"])


def test_equivocations_are_signed_twice_for_one_number() -> None:
    for item in load("endorsements.json")["equivocations"]:
        first, second = (SignedValue.decode(unhexed(item[name])) for name in ("first", "second"))
        for half in (first, second):
            _verify_proof(half.signers, half.proof, half.digest)
        assert (first.relay, first.destination, first.number) == (second.relay, second.destination, second.number)
        assert first.value != second.value


def test_notary_signatures_are_of_members() -> None:
    content = load("notary_statements.json")
    for members, item in zip(content["sets"], content["statements"], strict=True):
        addresses = unhexed(members["data"])[6:]
        signatures = unhexed(item["signatures"])
        places = [place for place in range(32) if item["bitmap"] >> place & 1]
        assert len(places) == members["threshold"]
        for number, place in enumerate(places):
            signer = recover_address(unhexed(item["digest"]), signatures[65 * number : 65 * number + 65])
            assert signer == addresses[20 * place : 20 * place + 20]


def test_governor_messages_of_every_kind_are_signed_and_bound_to_their_target() -> None:
    content = load("governor_messages.json")
    key = unhexed(content["group_key"])
    assert {item["kind"] for item in content["to_hub"]} == set(range(1, 16))
    assert {item["kind"] for item in content["to_relay"]} == set(range(1, 14))
    for item in [*content["to_hub"], *content["to_relay"]]:
        data = unhexed(item["message"])
        GovernorMessage.decode(data).verify(key)
        other_target = data[:6] + (item["target"] % 1000 + 1001).to_bytes(4, "big") + data[10:]
        with pytest.raises(VerificationError):
            GovernorMessage.decode(other_target).verify(key)


def test_every_single_bit_change_of_a_governor_message_is_refused() -> None:
    content = load("governor_messages.json")
    key = unhexed(content["group_key"])
    data = unhexed(content["to_hub"][0]["message"])
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((DecodingError, VerificationError)):
            GovernorMessage.decode(bytes(changed)).verify(key)
