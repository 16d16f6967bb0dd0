"""Blocks that CometBFT v0.40.0 made are put together again from their transactions, results and votes alone."""

import base64
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from piebridge.abci.embedded.genesis import GenesisDocument
from piebridge.abci.embedded.rpc_json import block_results
from piebridge.abci.embedded.state import EngineState
from piebridge.abci.embedded.store import StoredBlock
from piebridge.abci.messages import ExecTxResult, FinalizeBlockResponse, InitChainResponse, ValidatorUpdate
from piebridge.cometbft.block import Block
from piebridge.cometbft.commit import BlockIdFlag, Commit
from piebridge.cometbft.json_format import (
    block_id_from_json,
    block_to_json,
    commit_from_json,
    commit_to_json,
    header_from_json,
    validator_to_json,
)
from piebridge.cometbft.verification import (
    LightBlock,
    SignedHeader,
    TrustedState,
    VerificationOptions,
    minimal_commit,
    verify_commit,
    verify_commit_minimal,
    verify_light_block,
)

Json = dict[str, Any]

VECTORS = Path(__file__).parents[2] / "vectors"

OPTIONS = VerificationOptions(trusting_period_ns=10**18, max_clock_drift_ns=0)


def _recorded(name: str) -> Json:
    value: Json = json.loads(lzma.decompress((VECTORS / name).read_bytes()))
    return value


def _response(results: Json) -> FinalizeBlockResponse:
    return FinalizeBlockResponse(
        tuple(
            ExecTxResult(
                item["code"],
                base64.b64decode(item["data"] or ""),
                gas_wanted=int(item["gas_wanted"]),
                gas_used=int(item["gas_used"]),
            )
            for item in results["txs_results"] or ()
        ),
        base64.b64decode(results["app_hash"]),
        tuple(_update(item) for item in results["validator_updates"] or ()),
    )


def _update(item: Json) -> ValidatorUpdate:
    ((key_type, value),) = item["pub_key"]["Sum"]["value"].items()
    return ValidatorUpdate(key_type, base64.b64decode(value), int(item.get("power", 0)))


def _without_events(results: Json) -> Json:
    """Drop what the recorded application marks as not to be indexed, which ours cannot."""
    return {
        **results,
        "txs_results": results["txs_results"] and [{**item, "events": []} for item in results["txs_results"]],
    }


def _txs(block: Json) -> tuple[bytes, ...]:
    return tuple(base64.b64decode(tx) for tx in block["data"]["txs"])


@pytest.mark.parametrize(
    ("name", "heights", "rounds", "absent", "updates"),
    [
        # A validator dies: its rounds and its absence. Then nine changes of the set: validators come, go, and grow.
        ("cometbft_recorded_chain.json.xz", 36, 4, 16, 0),
        ("cometbft_recorded_validator_changes.json.xz", 136, 9, 79, 9),
    ],
)
def test_every_header_part_set_and_rotation_is_reproduced(
    name: str, heights: int, rounds: int, absent: int, updates: int
) -> None:
    recorded = _recorded(name)
    genesis = GenesisDocument.from_json(json.dumps(recorded["genesis"]).encode())
    first = recorded["blocks"][0]["block"]["block"]["header"]
    state = EngineState.genesis(
        genesis, int(first["version"]["app"]), InitChainResponse(bytes.fromhex(first["app_hash"]))
    )
    last_commit = Commit()
    seen = {"rounds": 0, "absent": 0, "updates": 0}
    for item in recorded["blocks"]:
        expected, commit = item["block"], commit_from_json(item["commit"])
        assert [validator_to_json(member) for member in state.validators.validators] == item["validators"]
        proposers = state.validators.moved_on(commit.round) if commit.round else state.validators
        block = state.make_block(_txs(expected["block"]), last_commit, proposers.proposer.address)
        assert block_to_json(block) == expected["block"]
        assert block.id() == block_id_from_json(expected["block_id"]) == commit.block_id
        assert Block.decode(block.encode()) == block
        assert commit_to_json(commit) == item["commit"]
        verify_commit(state.chain_id, state.validators, commit)
        response = _response(item["results"])
        assert _without_events(block_results(StoredBlock(block, block.id(), commit, response, 0))) == _without_events(
            item["results"]
        )
        last_commit, state = commit, state.after(block.header, block.id(), response)
        seen["updates"] += len(item["results"]["validator_updates"] or ())
        seen["rounds"] += commit.round > 0
        seen["absent"] += any(signature.flag is BlockIdFlag.ABSENT for signature in commit.signatures)
    assert len(recorded["blocks"]) == heights
    assert seen == {"rounds": rounds, "absent": absent, "updates": updates}


def test_light_client_walks_and_skips_through_the_chain() -> None:
    recorded = _recorded("cometbft_recorded_chain.json.xz")
    genesis = GenesisDocument.from_json(json.dumps(recorded["genesis"]).encode())
    validators = genesis.validator_set().without_rotation()
    blocks = [
        LightBlock(
            SignedHeader(header_from_json(item["block"]["block"]["header"]), commit_from_json(item["commit"])),
            validators,
        )
        for item in recorded["blocks"]
    ]
    now_ns = blocks[-1].header.time_ns + 1
    for position, trusted in enumerate(blocks[:-1]):
        for step in (1, 2, 7, 30):
            for untrusted in blocks[position + step : position + step + 1]:
                verify_light_block(TrustedState.of(trusted.header), validators, untrusted, OPTIONS, now_ns)
                assert LightBlock.decode(untrusted.encode()) == untrusted
    for block in blocks:
        minimal = minimal_commit(validators, block.signed_header.commit)
        verify_commit_minimal(block.header.chain_id, validators, minimal)
        assert sum(signature.flag is BlockIdFlag.COMMIT for signature in minimal.signatures) == 3
