"""The model-based vectors of the light client in Go: traces of its TLA+ model with real signatures.

They are not in this tree: the set-up takes them out of the Go module that ships them (see tests/vectors/cometbft.md).
"""

import json
from collections import Counter
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
from testkit.toolchain import require_cached

Json = dict[str, Any]
MAX_CLOCK_DRIFT_NS = 10**9  # as the driver of the Go module has it

pytestmark = pytest.mark.real_chain  # no process, but the set-up of `make test`


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
    options = VerificationOptions(
        trusting_period_ns=int(initial["trusting_period"]), max_clock_drift_ns=MAX_CLOCK_DRIFT_NS
    )
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


def test_all_verdicts_are_those_of_the_model() -> None:
    counted: Counter[str] = Counter()
    files = sorted(require_cached("light-client-vectors").glob("*.json"))
    for file in files:
        case: Json = json.loads(file.read_bytes())
        expected = [step["verdict"] for step in case["input"]]
        assert _verdicts(case) == expected, file.name
        counted.update(expected)
    assert len(files) == 9
    assert counted == {"SUCCESS": 10, "NOT_ENOUGH_TRUST": 15, "INVALID": 5}
