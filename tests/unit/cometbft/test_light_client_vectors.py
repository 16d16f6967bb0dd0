"""The 99 steps of tendermint-rs' 41 model-based light client vectors; see tests/vectors/cometbft.md for their file."""

import json
import lzma
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from piebridge.cometbft.json_format import parse_time, public_key_from_json, signed_header_from_json
from piebridge.cometbft.validator_set import Validator, ValidatorSet
from piebridge.cometbft.verification import (
    LightBlock,
    NotEnoughTrustError,
    TrustedState,
    VerificationOptions,
    verify_light_block,
)
from piebridge.crypto.errors import ProtocolError

Json = dict[str, Any]
VECTORS = Path(__file__).parents[2] / "vectors" / "tendermint_light_client_steps.json.xz"


def _validators(value: Json) -> ValidatorSet | None:
    """Read a set; the model writes validators in the order of their names, and may announce an empty set."""
    members = [
        Validator(public_key_from_json(item["pub_key"]), int(item["voting_power"])) for item in value["validators"]
    ]
    return ValidatorSet.ordered(members) if members else None


def _light_block(value: Json) -> LightBlock:
    for signature in value["signed_header"]["commit"]["signatures"] or []:
        if signature["block_id_flag"] == 1:  # the generator dates absent votes 1970 instead of Go's zero time
            signature["timestamp"] = "0001-01-01T00:00:00Z"
    validators = _validators(value["validator_set"])
    if validators is None:
        raise ProtocolError("no validators")
    return LightBlock(signed_header_from_json(value["signed_header"]), validators)


def _verdicts(case: Json) -> list[str]:
    """Run a case; a verified block becomes the trusted one, as in the model."""
    initial = case["initial"]
    trusted = TrustedState.of(signed_header_from_json(initial["signed_header"]).header)
    next_validators = _validators(initial["next_validator_set"])
    options = VerificationOptions(trusting_period_ns=int(initial["trusting_period"]), max_clock_drift_ns=0)
    verdicts = []
    for step in case["input"]:
        try:
            block = _light_block(step["block"])
            verify_light_block(trusted, next_validators, block, options, parse_time(step["now"]))
        except NotEnoughTrustError:
            verdicts.append("NOT_ENOUGH_TRUST")
        except ProtocolError:  # an expired trusted header counts as invalid
            verdicts.append("INVALID")
        else:
            verdicts.append("SUCCESS")
            trusted, next_validators = TrustedState.of(block.header), _validators(step["block"]["next_validator_set"])
    return verdicts


@pytest.mark.skipif(not VECTORS.exists(), reason=f"{VECTORS.name} is not in this tree")
def test_all_verdicts_are_those_of_the_model() -> None:
    counted: Counter[str] = Counter()
    cases: Json = json.loads(lzma.decompress(VECTORS.read_bytes()))
    for name, case in cases.items():
        expected = [step["verdict"] for step in case["input"]]
        assert _verdicts(case) == expected, name
        counted.update(expected)
    assert counted == {"SUCCESS": 44, "NOT_ENOUGH_TRUST": 42, "INVALID": 13}
    assert len(cases) == 41
