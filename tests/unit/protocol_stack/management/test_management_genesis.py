"""Genesis from a decision: the same bytes in any process, and the ones that both engines read."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from piebridge.abci.embedded.genesis import GenesisDocument
from piebridge.protocol_stack.errors import FormatError
from piebridge.protocol_stack.management.genesis import genesis_document, relay_genesis
from piebridge.protocol_stack.management.request_bodies import Form, RequestKind, ScaleUp
from piebridge.protocol_stack.relay_genesis import RelayGenesis
from testkit.management_samples import decision
from testkit.samples import Samples

_PROGRAM = """
import locale, sys
locale.setlocale(locale.LC_ALL, "")
from piebridge.protocol_stack.management.decision import Decision
from piebridge.protocol_stack.management.genesis import genesis_document
decided = Decision.decode(bytes.fromhex(sys.argv[1]))
for relay in decided.relays:
    sys.stdout.buffer.write(genesis_document(decided, relay.relay))
"""


def written_elsewhere(record: bytes, hash_seed: str, time_zone: str, locale: str) -> bytes:
    environment = {
        **os.environ,
        "PYTHONHASHSEED": hash_seed,
        "TZ": time_zone,
        "LC_ALL": locale,
        "LANG": locale,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, record.hex()], env=environment, stdout=subprocess.PIPE, check=True
    ).stdout


@pytest.mark.parametrize("kind", [RequestKind.FORM, RequestKind.SCALE_UP])
def test_two_processes_with_other_locale_hash_seed_and_time_zone_write_the_same_bytes(kind: RequestKind) -> None:
    decided = decision(Samples(21), kind)
    here = b"".join(genesis_document(decided, relay.relay) for relay in decided.relays)
    record = decided.encode()
    one = written_elsewhere(record, "1", "Pacific/Kiritimati", "C")
    other = written_elsewhere(record, "4242", "America/St_Johns", "C.UTF-8")
    assert one == other == here


@pytest.mark.parametrize("kind", [RequestKind.FORM, RequestKind.SCALE_UP])
def test_the_document_says_what_the_decision_says(kind: RequestKind) -> None:
    samples = Samples(22)
    for _ in range(5):
        decided = decision(samples, kind)
        assert isinstance(decided.body, Form | ScaleUp)
        for relay in decided.relays:
            document = GenesisDocument.from_json(genesis_document(decided, relay.relay))
            assert document.chain_id == f"piebridge-{decided.domain}-{relay.relay}"
            assert document.genesis_time_ns == decided.time_seconds * 10**9
            assert document.consensus_params.block_max_bytes == decided.parameters.block_bytes_max
            keys = [validator.public_key.data for validator in document.validators]
            assert keys == [seat.consensus_key for seat in relay.seats]
            read = RelayGenesis.parse(document.app_state_bytes())
            assert read.validator_set == relay.validator_set
            assert (read.chains, read.gateways) == (decided.body.chains, decided.body.gateways)
            assert read.parameters.encode() == decided.parameters.encode()[26:38]
            assert read.governor_key == decided.governor_key


def test_evidence_never_exceeds_the_largest_block() -> None:
    for largest, evidence in ((65_536, "65536"), (1_048_576, "1048576"), (104_857_600, "1048576")):
        decided = decision(Samples(23), RequestKind.SCALE_UP)
        decided = replace(decided, parameters=replace(decided.parameters, block_bytes_max=largest))
        document = genesis_document(decided, decided.relays[0].relay)
        assert json.loads(document)["consensus_params"]["evidence"]["max_bytes"] == evidence
        assert GenesisDocument.from_json(document).to_json() == document


@pytest.mark.parametrize("kind", sorted(set(RequestKind) - {RequestKind.FORM, RequestKind.SCALE_UP}))
def test_other_decisions_make_no_relay_chain(kind: RequestKind) -> None:
    decided = decision(Samples(24), kind)
    for relay in {1, *(item.relay for item in decided.relays)}:
        with pytest.raises(FormatError):
            relay_genesis(decided, relay)


def test_a_foreign_relay_chain_is_refused() -> None:
    decided = decision(Samples(25), RequestKind.FORM)
    with pytest.raises(FormatError):
        genesis_document(decided, 10**6)
