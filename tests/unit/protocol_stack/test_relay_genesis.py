"""Genesis of a relay chain: the same bytes for everybody, and the ones that the engine reads."""

import json
from dataclasses import replace

import pytest

from piebridge.abci.embedded.genesis import GenesisDocument
from piebridge.protocol_stack.errors import FormatError
from piebridge.protocol_stack.relay_genesis import RelayGenesis, genesis_hash
from testkit.samples import Samples

TIME_NS = 1_900_000_000_123_456_789


def test_the_engine_reads_the_document_and_writes_the_same_bytes() -> None:
    samples = Samples(1)
    for _ in range(5):
        given = samples.genesis()
        document = given.document(TIME_NS)
        read = GenesisDocument.from_json(document)
        assert read.to_json() == document
        assert read.hash() == genesis_hash(document)
        assert read.chain_id == f"piebridge-{given.domain}-{given.relay}"
        assert read.genesis_time_ns == TIME_NS
        assert RelayGenesis.parse(read.app_state_bytes()) == given
        keys = [validator.public_key.data for validator in read.validators]
        assert keys == [validator.consensus_key for validator in given.validator_set.validators]


def test_another_form_of_the_same_json_is_refused() -> None:
    given = Samples(2).genesis().app_state_bytes()
    value = json.loads(given)
    others = [
        json.dumps(value).encode(),
        json.dumps(value, sort_keys=True, separators=(",", ":"), indent=0).encode(),
        given.replace(b'"dev":true', b'"dev":1'),
        given.replace(b'"version":1', b'"version":1.0'),
        given.replace(b'"version":1', b'"version":2'),
        given.replace(b'"domain":', b'"domain":0,"domain":'),
        given.upper(),
        given + b" ",
        b"[" * 100_000,
        b"null",
        b"{}",
    ]
    for other in others:
        assert other != given
        with pytest.raises(FormatError):
            RelayGenesis.parse(other)


def test_a_set_without_a_byzantine_quorum_is_for_dev_only() -> None:
    samples = Samples(3)
    while len((given := samples.genesis()).validator_set.validators) < 2:
        pass
    weak = replace(given, validator_set=replace(given.validator_set, threshold=1), chains=())
    assert weak.app_state_bytes()
    with pytest.raises(FormatError):
        replace(weak, dev=False).app_state_bytes()
    assert replace(weak, dev=False, validator_set=given.validator_set).app_state_bytes()


def test_chains_ascend_and_numbers_fit() -> None:
    samples = Samples(4)
    while len((given := samples.genesis()).chains) < 2:
        pass
    for bad in (
        replace(given, chains=given.chains[::-1]),
        replace(given, chains=(given.chains[0], given.chains[0])),
        replace(given, domain=0),
        replace(given, relay=1 << 32),
    ):
        with pytest.raises(FormatError):
            bad.app_state_bytes()
