"""The files under ``tests/vectors`` against the code, read the way another implementation would read them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from piebridge.cometbft.commit import Commit
from piebridge.cometbft.header import Header
from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.quorum import Quorum, SignerSet, verify_quorum
from piebridge.crypto.signature import recover_address
from piebridge.crypto.threshold.verification import verify
from piebridge.protocol_stack.application.door import DoorMessage, InteroperableAddress
from piebridge.protocol_stack.application.record_notary import Notarisation, NotarisationResult
from piebridge.protocol_stack.application.token import TokenTransfer
from piebridge.protocol_stack.commit_proof import CommitProof
from piebridge.protocol_stack.endorsement import EndorsementSet, Envelope, Proof, SignedValue
from piebridge.protocol_stack.errors import FormatError
from piebridge.protocol_stack.governor_hub_bodies import decode_hub_body
from piebridge.protocol_stack.governor_messages import GovernorMessage
from piebridge.protocol_stack.governor_relay_bodies import decode_relay_body
from piebridge.protocol_stack.notary_statement import NotarySet, NotaryStatement
from piebridge.protocol_stack.packet import transaction_id
from piebridge.protocol_stack.receipts import ReceiptBatch, ReceiptHome
from piebridge.protocol_stack.relay_messages import RelayTransaction
from piebridge.protocol_stack.report import Report
from piebridge.protocol_stack.routing import RoutingPolicy
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.transport.outbox import RELAY_CHAIN, Maker, OutboxRange
from piebridge.protocol_stack.verdicts import VerdictList
from piebridge.protocol_stack.verification.endorsement import verify_envelope
from testkit.vectors import FILES

DIRECTORY = Path(__file__).resolve().parents[2] / "vectors"


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DIRECTORY / name).read_text(encoding="ascii"))
    return content


def unhexed(text: str) -> bytes:
    assert text.startswith("0x")
    return bytes.fromhex(text[2:])


READERS: dict[tuple[str, str], tuple[str, Callable[[bytes], Any]]] = {
    ("packets.json", "valid"): ("packet", STACK.receive),
    ("messages.json", "receipts"): ("data", ReceiptBatch.decode),
    ("messages.json", "receipts_home"): ("data", ReceiptHome.decode),
    ("messages.json", "verdicts"): ("data", VerdictList.decode),
    ("messages.json", "reports"): ("data", Report.decode),
    ("endorsements.json", "sets"): ("data", EndorsementSet.decode),
    ("endorsements.json", "envelopes"): ("envelope", Envelope.decode),
    ("notary_statements.json", "sets"): ("data", NotarySet.decode),
    ("notary_statements.json", "statements"): ("statement", NotaryStatement.decode),
    ("governor_messages.json", "to_hub"): ("message", GovernorMessage.decode),
    ("governor_messages.json", "to_relay"): ("message", GovernorMessage.decode),
    ("relay_transactions.json", "valid"): ("transaction", RelayTransaction.decode),
    ("applications.json", "token_transfers"): ("body", TokenTransfer.decode),
    ("applications.json", "notarisations"): ("body", Notarisation.decode),
    ("applications.json", "notarisation_results"): ("returned", NotarisationResult.decode),
    ("applications.json", "door_messages"): ("body", DoorMessage.decode),
    ("applications.json", "interoperable_addresses"): ("data", InteroperableAddress.decode),
    ("routing.json", "policies"): ("data", RoutingPolicy.decode),
}
"""Which member of the items of a list holds bytes, and who reads them."""

REFUSERS: dict[tuple[str, str], Callable[[bytes], Any]] = {
    ("packets.json", "refused"): STACK.receive,
    ("outboxes.json", "refused_from_hub"): lambda data: OutboxRange.decode(data, Maker(11)),
    ("outboxes.json", "refused_from_relay_chain"): lambda data: OutboxRange.decode(data, RELAY_CHAIN),
    ("messages.json", "refused_receipts"): ReceiptBatch.decode,
    ("messages.json", "refused_receipts_home"): ReceiptHome.decode,
    ("messages.json", "refused_verdicts"): VerdictList.decode,
    ("messages.json", "refused_reports"): Report.decode,
    ("endorsements.json", "refused_sets"): EndorsementSet.decode,
    ("endorsements.json", "refused_envelopes"): Envelope.decode,
    ("notary_statements.json", "refused_statements"): NotaryStatement.decode,
    ("governor_messages.json", "refused"): GovernorMessage.decode,
    ("relay_transactions.json", "refused"): RelayTransaction.decode,
    ("applications.json", "refused_interoperable_addresses"): InteroperableAddress.decode,
}
"""Who must refuse the items of a list."""


@pytest.mark.parametrize(("name", "key"), READERS)
def test_what_is_valid_is_read_and_encodes_to_itself(name: str, key: str) -> None:
    member, decode = READERS[name, key]
    for item in load(name)[key]:
        data = unhexed(item[member])
        assert decode(data).encode() == data


@pytest.mark.parametrize(("name", "key"), REFUSERS)
def test_what_is_refused_is_refused_by_its_rule(name: str, key: str) -> None:
    for item in load(name)[key]:
        with pytest.raises(FormatError) as caught:
            REFUSERS[name, key](unhexed(item["data"]))
        assert (caught.value.code, caught.value.code.name) == (item["code"], item["rule"]), item["name"]


def test_bodies_of_no_governor_message_are_refused_by_their_rule() -> None:
    for item in load("governor_messages.json")["refused_bodies"]:
        decode: Callable[[int, bytes], Any] = decode_hub_body if item["target"] == "hub" else decode_relay_body
        with pytest.raises(FormatError) as caught:
            decode(item["kind"], unhexed(item["data"]))
        assert caught.value.code == item["code"], item["name"]


def test_every_refused_list_is_read_by_a_test() -> None:
    lists = {(name, key) for name in FILES for key in load(name) if key.startswith("refused") and "_count" not in key}
    assert lists == {*REFUSERS, ("governor_messages.json", "refused_bodies")}


def test_transaction_ids_by_hand() -> None:
    for item in load("identities.json")["transactions"]:
        numbers = item["domain"].to_bytes(4, "big") + item["origin"].to_bytes(4, "big")
        bound = item["relay"].to_bytes(4, "big") + int(item["nonce"]).to_bytes(8, "big")
        preimage = keccak256(b"PIEBRIDGE/TX/v1") + numbers + unhexed(item["hub"]) + bound
        assert keccak256(preimage) == unhexed(item["transaction_id"])
        arguments = (item["domain"], item["origin"], unhexed(item["hub"]), item["relay"], int(item["nonce"]))
        assert transaction_id(*arguments) == keccak256(preimage)


def test_ids_of_messages_by_hand() -> None:
    content = load("messages.json")
    for item in content["verdicts"]:
        assert keccak256(keccak256(b"PIEBRIDGE/VERDICT/v1") + unhexed(item["data"])) == unhexed(item["message_id"])
    for item in content["reports"]:
        report = keccak256(unhexed(item["data"]))
        assert keccak256(keccak256(b"PIEBRIDGE/REPORT/v1") + report) == unhexed(item["message_id"])
    for item in content["receipts_home"]:
        outcome = bytes([item["code"]]) + keccak256(unhexed(item["returned"]))
        preimage = keccak256(b"PIEBRIDGE/RECEIPT_HOME/v1") + unhexed(item["packet_id"]) + outcome
        assert keccak256(preimage) == unhexed(item["message_id"])
    for item in content["receipts"]:
        assert _receipts_id_by_hand(item["chain"], unhexed(item["data"])) == unhexed(item["message_id"])


def _receipts_id_by_hand(chain: int, data: bytes) -> bytes:
    place, listed = 6, b""
    for _ in range(int.from_bytes(data[4:6], "big")):
        listed += data[place : place + 33]
        has_data = data[place + 32] & 0x80
        place += 33
        if has_data:
            length = int.from_bytes(data[place : place + 2], "big")
            listed += keccak256(data[place + 2 : place + 2 + length])
            place += 2 + length
    assert place == len(data)
    return keccak256(keccak256(b"PIEBRIDGE/RECEIPT/v1") + chain.to_bytes(4, "big") + data[:4] + keccak256(listed))


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


def _verify_proof(signers: EndorsementSet, proof: Proof, digest: bytes) -> None:
    assert not isinstance(proof, CommitProof)
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


def test_commits_prove_the_heads_of_outboxes() -> None:
    for item in load("commits.json")["envelopes"]:
        envelope = Envelope.decode(unhexed(item["envelope"]))
        assert envelope.encode() == unhexed(item["envelope"])
        header, commit = Header.decode(unhexed(item["header"])), Commit.decode(unhexed(item["commit"]))
        assert (header.hash(), header.app_hash) == (unhexed(item["block_hash"]), unhexed(item["app_hash"]))
        assert (header.chain_id, commit.block_id.hash) == (item["chain_id"], header.hash())
        head = verify_envelope(envelope, item["destination"], {unhexed(item["set_hash"])})
        assert (head.number, head.value) == (int(item["last"]), unhexed(item["value"]))
        with pytest.raises(VerificationError):
            verify_envelope(envelope, item["destination"] ^ 1, {unhexed(item["set_hash"])})


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
