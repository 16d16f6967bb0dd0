"""The JSON of CometBFT's RPC answers, from the engine's values.

Two styles occur side by side and clients depend on both: *full*, where defaults are written (``jsonpb`` with
``EmitDefaults``: results of the RPC methods), and *sparse*, where defaults are left out (plain Go tags with
``omitempty``: results inside of events).

Source: ``rpc/core/types/responses.go``, ``abci/types/types.go`` and ``types/events.go`` of CometBFT v0.40.0.
"""

from typing import Any

from piebridge.abci.embedded.store import StoredBlock
from piebridge.abci.messages import (
    CheckTxResponse,
    ConsensusParams,
    Event,
    ExecTxResult,
    FinalizeBlockResponse,
    InfoResponse,
    QueryResponse,
    ValidatorUpdate,
)
from piebridge.cometbft.block import transaction_hash
from piebridge.cometbft.json_format import (
    base64_bytes,
    block_id_to_json,
    block_to_json,
    header_to_json,
    hex_bytes,
)
from piebridge.cometbft.keys import ED25519, SECP256K1_ETH
from piebridge.crypto import merkle

Json = dict[str, Any]

_PROTO_KEY_NAMES = {
    ED25519: ("tendermint.crypto.PublicKey_Ed25519", "ed25519"),
    SECP256K1_ETH: ("tendermint.crypto.PublicKey_Secp256K1Eth", "secp256k1eth"),
}


def full_result(result: ExecTxResult) -> Json:
    """Write a transaction result with its defaults."""
    return {
        "code": result.code,
        "data": _bytes_or_null(result.data),
        "log": result.log,
        "info": "",
        "gas_wanted": str(result.gas_wanted),
        "gas_used": str(result.gas_used),
        "events": _events(result.events),
        "codespace": result.codespace,
    }


def sparse_result(result: ExecTxResult) -> Json:
    """Write a transaction result without its defaults, as the event ``Tx`` holds it."""
    return _without_defaults(
        {
            "code": result.code,
            "data": base64_bytes(result.data),
            "log": result.log,
            "gas_wanted": str(result.gas_wanted) if result.gas_wanted else "",
            "gas_used": str(result.gas_used) if result.gas_used else "",
            "events": _events(result.events),
            "codespace": result.codespace,
        }
    )


def check_tx_response(response: CheckTxResponse) -> Json:
    """Write what CheckTx answered."""
    return full_result(
        ExecTxResult(response.code, log=response.log, gas_wanted=response.gas_wanted, codespace=response.codespace)
    )


def info_response(response: InfoResponse) -> Json:
    """Write what Info answered; defaults are left out."""
    return _without_defaults(
        {
            "data": response.data,
            "version": response.version,
            "app_version": str(response.app_version) if response.app_version else "",
            "last_block_height": str(response.last_block_height) if response.last_block_height else "",
            "last_block_app_hash": base64_bytes(response.last_block_app_hash),
        }
    )


def query_response(response: QueryResponse) -> Json:
    """Write what Query answered."""
    operators = [
        {"type": operator.type, "key": base64_bytes(operator.key), "data": base64_bytes(operator.data)}
        for operator in response.proof_ops
    ]
    return {
        "code": response.code,
        "log": response.log,
        "info": "",
        "index": "0",
        "key": _bytes_or_null(response.key),
        "value": _bytes_or_null(response.value),
        "proofOps": {"ops": operators} if operators else None,
        "height": str(response.height),
        "codespace": response.codespace,
    }


def block_meta(stored: StoredBlock) -> Json:
    """Write the summary of a block."""
    return {
        "block_id": block_id_to_json(stored.block_id),
        "block_size": str(stored.block_size),
        "header": header_to_json(stored.block.header),
        "num_txs": str(len(stored.block.txs)),
    }


def block_results(stored: StoredBlock) -> Json:
    """Write the results of a block."""
    response = stored.response
    return {
        "height": str(stored.block.header.height),
        "txs_results": [full_result(result) for result in response.tx_results] or None,
        "finalize_block_events": _events(response.events) or None,
        "validator_updates": _validator_updates(response.validator_updates),
        "consensus_param_updates": _param_updates(response.consensus_param_updates),
        "app_hash": base64_bytes(response.app_hash),
    }


def transaction(stored: StoredBlock, position: int, *, prove: bool) -> Json:
    """Write a committed transaction with its result, with the Merkle proof of it if wanted."""
    tx = stored.block.txs[position]
    answer: Json = {
        "hash": hex_bytes(transaction_hash(tx)),
        "height": str(stored.block.header.height),
        "index": position,
        "tx_result": full_result(stored.response.tx_results[position]),
        "tx": base64_bytes(tx),
    }
    if prove:
        proof = merkle.prove([transaction_hash(item) for item in stored.block.txs], position)
        proof_json = {
            "total": str(proof.total),
            "index": str(proof.index),
            "leaf_hash": base64_bytes(proof.leaf_hash),
            "aunts": [base64_bytes(aunt) for aunt in proof.aunts],
        }
        answer["proof"] = {
            "root_hash": hex_bytes(stored.block.header.data_hash),
            "data": base64_bytes(tx),
            "proof": proof_json,
        }
    return answer


def new_block_event(stored: StoredBlock) -> Json:
    """Write the data of the event ``NewBlock``."""
    value = {
        "block": block_to_json(stored.block),
        "block_id": block_id_to_json(stored.block_id),
        "result_finalize_block": _finalize_block_response(stored.response),
    }
    return {"type": "tendermint/event/NewBlock", "value": value}


def new_block_header_event(stored: StoredBlock) -> Json:
    """Write the data of the event ``NewBlockHeader``."""
    return {"type": "tendermint/event/NewBlockHeader", "value": {"header": header_to_json(stored.block.header)}}


def tx_event(stored: StoredBlock, position: int) -> Json:
    """Write the data of the event ``Tx``."""
    result: Json = {"height": str(stored.block.header.height)}
    if position:
        result["index"] = position
    result["tx"] = base64_bytes(stored.block.txs[position])
    result["result"] = sparse_result(stored.response.tx_results[position])
    return {"type": "tendermint/event/Tx", "value": {"TxResult": result}}


def event_attributes(events: tuple[Event, ...]) -> dict[str, list[str]]:
    """Collect the attributes of events by ``type.key``, for subscription queries."""
    collected: dict[str, list[str]] = {}
    for event in events:
        for key, value in event.attributes:
            if event.type and key:
                collected.setdefault(f"{event.type}.{key}", []).append(value)
    return collected


def _finalize_block_response(response: FinalizeBlockResponse) -> Json:
    answer: Json = {
        "events": _events(response.events),
        "tx_results": [full_result(result) for result in response.tx_results],
        "app_hash": base64_bytes(response.app_hash),
    }
    if response.consensus_param_updates is not None:
        answer["consensus_param_updates"] = _param_updates(response.consensus_param_updates)
    return {**_without_defaults(answer), "validator_updates": _validator_updates(response.validator_updates)}


def _validator_updates(updates: tuple[ValidatorUpdate, ...]) -> list[Json] | None:
    written: list[Json] = []
    for update in updates:
        type_name, member = _PROTO_KEY_NAMES[update.key_type]
        key = {"Sum": {"type": type_name, "value": {member: base64_bytes(update.public_key)}}}
        written.append({"pub_key": key, **({"power": str(update.power)} if update.power else {})})
    return written or None


def _param_updates(params: ConsensusParams | None) -> Json | None:
    if params is None:
        return None
    return {"block": {"max_bytes": str(params.block_max_bytes), "max_gas": str(params.block_max_gas)}}


def _events(events: tuple[Event, ...]) -> list[Json]:
    return [
        {
            "type": event.type,
            "attributes": [{"key": key, "value": value, "index": True} for key, value in event.attributes],
        }
        for event in events
    ]


def _bytes_or_null(data: bytes) -> str | None:
    return base64_bytes(data) if data else None


def _without_defaults(value: Json) -> Json:
    return {name: member for name, member in value.items() if member}
