"""State of the engine between two blocks, and how a block moves it on. Pure.

Source: ``state/state.go`` and ``state/execution.go`` (``MakeBlock``, ``updateState``) of CometBFT v0.40.0.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from piebridge.abci.embedded.errors import ApplicationFaultError
from piebridge.abci.embedded.genesis import GenesisDocument
from piebridge.abci.messages import (
    ConsensusParams,
    ExecTxResult,
    FinalizeBlockResponse,
    InitChainResponse,
    ValidatorUpdate,
)
from piebridge.cometbft.block import (
    Block,
    consensus_params_hash,
    data_hash,
    encode_deterministic_result,
    evidence_hash,
    median_time_ns,
    results_hash,
)
from piebridge.cometbft.commit import BlockId, Commit
from piebridge.cometbft.header import Header, Version
from piebridge.cometbft.json_format import block_id_from_json, block_id_to_json, validator_from_json, validator_to_json
from piebridge.cometbft.keys import PublicKey
from piebridge.cometbft.validator_set import Validator, ValidatorSet
from piebridge.crypto.errors import DecodingError, ProtocolError


@dataclass(frozen=True, slots=True)
class EngineState:
    """Everything that the next header takes over."""

    chain_id: str
    """Chain."""
    initial_height: int
    """Height of the first block."""
    app_version: int
    """Header field ``version.app``."""
    last_height: int
    """Height of the last block, 0 before the first."""
    last_block_id: BlockId
    """Its id; nil before the first."""
    last_time_ns: int
    """Its time; the genesis time before the first."""
    last_validators: ValidatorSet | None
    """Who decided it; None before the first."""
    validators: ValidatorSet
    """Who decides the next block."""
    next_validators: ValidatorSet
    """Who decides the one after it."""
    consensus_params: ConsensusParams
    """In force for the next block."""
    last_results_hash: bytes
    """Hash of the results of the last block, 32 bytes."""
    app_hash: bytes
    """State of the application after the last block."""

    @classmethod
    def genesis(cls, genesis: GenesisDocument, app_version: int, response: InitChainResponse) -> "EngineState":
        """State before the first block.

        Raises:
            ApplicationFaultError: the answer to InitChain holds impossible validators or parameters.
        """
        validators = genesis.validator_set()
        if response.validators:
            try:
                validators = ValidatorSet.genesis(_validator(update) for update in response.validators)
            except ProtocolError as error:
                raise ApplicationFaultError(f"InitChain answered impossible validators: {error}") from error
        return cls(
            chain_id=genesis.chain_id,
            initial_height=genesis.initial_height,
            app_version=app_version,
            last_height=0,
            last_block_id=BlockId(),
            last_time_ns=genesis.genesis_time_ns,
            last_validators=None,
            validators=validators,
            next_validators=validators.moved_on(),
            consensus_params=response.consensus_params or genesis.consensus_params,
            last_results_hash=results_hash([]),
            app_hash=response.app_hash,
        )

    @property
    def next_height(self) -> int:
        """Height of the next block."""
        return self.last_height + 1 if self.last_height else self.initial_height

    def block_time_ns(self, last_commit: Commit) -> int:
        """BFT time of the next block: genesis time first, then the median of the last commit's timestamps."""
        if self.last_validators is None:
            return self.last_time_ns
        return median_time_ns(last_commit, self.last_validators)

    def make_block(self, txs: Sequence[bytes], last_commit: Commit, proposer_address: bytes) -> Block:
        """Put together the next block."""
        header = Header(
            version=Version(app=self.app_version),
            chain_id=self.chain_id,
            height=self.next_height,
            time_ns=self.block_time_ns(last_commit),
            last_block_id=self.last_block_id,
            last_commit_hash=last_commit.hash(),
            data_hash=data_hash(txs),
            validators_hash=self.validators.hash(),
            next_validators_hash=self.next_validators.hash(),
            consensus_hash=consensus_params_hash(
                self.consensus_params.block_max_bytes, self.consensus_params.block_max_gas
            ),
            app_hash=self.app_hash,
            last_results_hash=self.last_results_hash,
            evidence_hash=evidence_hash(()),
            proposer_address=proposer_address,
        )
        return Block(header, tuple(txs), last_commit)

    def after(self, header: Header, block_id: BlockId, response: FinalizeBlockResponse) -> "EngineState":
        """Return the state after a block; validator updates are in force two heights after it.

        Raises:
            ApplicationFaultError: the response holds an impossible validator update or parameter.
        """
        try:
            changed = self.next_validators.with_changes([_validator(item) for item in response.validator_updates])
        except ProtocolError as error:
            raise ApplicationFaultError(
                f"FinalizeBlock {header.height}: impossible validator update: {error}"
            ) from error
        params = response.consensus_param_updates or self.consensus_params
        if params.block_max_bytes < 1 or params.block_max_gas < -1:
            raise ApplicationFaultError(f"FinalizeBlock {header.height}: impossible consensus parameters {params}")
        return replace(
            self,
            last_height=header.height,
            last_block_id=block_id,
            last_time_ns=header.time_ns,
            last_validators=self.validators,
            validators=self.next_validators,
            next_validators=changed.moved_on(),
            consensus_params=params,
            last_results_hash=results_hash([deterministic_bytes(result) for result in response.tx_results]),
            app_hash=response.app_hash,
        )

    def to_json(self) -> bytes:
        """Write the state for the store."""
        value = {
            "chain_id": self.chain_id,
            "initial_height": self.initial_height,
            "app_version": self.app_version,
            "last_height": self.last_height,
            "last_block_id": block_id_to_json(self.last_block_id),
            "last_time_ns": self.last_time_ns,
            "last_validators": self.last_validators and validator_set_to_json(self.last_validators),
            "validators": validator_set_to_json(self.validators),
            "next_validators": validator_set_to_json(self.next_validators),
            "block_max_bytes": self.consensus_params.block_max_bytes,
            "block_max_gas": self.consensus_params.block_max_gas,
            "last_results_hash": self.last_results_hash.hex(),
            "app_hash": self.app_hash.hex(),
        }
        return json.dumps(value, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "EngineState":
        """Read what :meth:`to_json` wrote; the store has compared its checksum."""
        value = json.loads(data)
        last = value["last_validators"]
        return cls(
            chain_id=value["chain_id"],
            initial_height=value["initial_height"],
            app_version=value["app_version"],
            last_height=value["last_height"],
            last_block_id=block_id_from_json(value["last_block_id"]),
            last_time_ns=value["last_time_ns"],
            last_validators=validator_set_from_json(last) if last else None,
            validators=validator_set_from_json(value["validators"]),
            next_validators=validator_set_from_json(value["next_validators"]),
            consensus_params=ConsensusParams(value["block_max_bytes"], value["block_max_gas"]),
            last_results_hash=bytes.fromhex(value["last_results_hash"]),
            app_hash=bytes.fromhex(value["app_hash"]),
        )


def validator_set_to_json(validators: ValidatorSet) -> dict[str, Any]:
    """Write a set with priorities and proposer."""
    return {
        "validators": [validator_to_json(member) for member in validators.validators],
        "proposer": validators.proposer_address.hex(),
    }


def validator_set_from_json(value: Mapping[str, Any]) -> ValidatorSet:
    """Read what :func:`validator_set_to_json` wrote."""
    return ValidatorSet((validator_from_json(item) for item in value["validators"]), bytes.fromhex(value["proposer"]))


def deterministic_bytes(result: ExecTxResult) -> bytes:
    """Encode the hashed part of a transaction result."""
    return encode_deterministic_result(result.code, result.data, result.gas_wanted, result.gas_used)


def _validator(update: ValidatorUpdate) -> Validator:
    if update.power < 0:
        raise DecodingError(f"voting power can't be negative: {update.power}")
    return Validator(PublicKey(update.key_type, update.public_key), update.power)
