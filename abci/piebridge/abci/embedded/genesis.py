"""Genesis documents: a pure function from what a chain starts with to CometBFT's file, and back.

Source: ``types/genesis.go``, ``types/params.go`` of CometBFT v0.40.0.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from piebridge.abci.messages import ConsensusParams, InitChainRequest, ValidatorUpdate
from piebridge.cometbft.encoding import NANOSECONDS_PER_SECOND
from piebridge.cometbft.header import MAX_CHAIN_ID_LENGTH
from piebridge.cometbft.json_format import (
    format_time,
    hex_bytes,
    parse_time,
    public_key_from_json,
    public_key_to_json,
)
from piebridge.cometbft.keys import PublicKey
from piebridge.cometbft.validator_set import Validator, ValidatorSet
from piebridge.crypto.errors import ConfigurationError, DecodingError, VerificationError
from piebridge.crypto.hash import sha256

_EVIDENCE_PARAMS = {
    "max_age_num_blocks": "100000",
    "max_age_duration": str(48 * 3600 * NANOSECONDS_PER_SECOND),
}
"""CometBFT's defaults; nothing in PieBridge reads them."""
_EVIDENCE_BYTES_MAX = 1_048_576
"""Largest evidence in a block, CometBFT's default; it refuses a document with more than the largest block."""


@dataclass(frozen=True, slots=True)
class GenesisValidator:
    """A validator of the first height."""

    public_key: PublicKey
    """Consensus key."""
    power: int = 1
    """Voting power; the same for all."""
    name: str = ""
    """For people."""


@dataclass(frozen=True, slots=True)
class GenesisDocument:
    """What a chain starts with. Equal documents have equal bytes, whoever writes them."""

    chain_id: str
    """1 to 50 characters."""
    genesis_time_ns: int
    """Time of the first block, nanoseconds since the Unix epoch."""
    validators: tuple[GenesisValidator, ...]
    """Validators of the first height, all of one power."""
    consensus_params: ConsensusParams = field(default_factory=ConsensusParams)
    """Parameters of the first height."""
    app_state: Mapping[str, Any] = field(default_factory=dict)
    """Application's part: a JSON object."""
    initial_height: int = 1
    """Height of the first block."""

    def __post_init__(self) -> None:
        """Refuse a document with which no chain can start.

        Raises:
            ConfigurationError: names the field and what to do.
        """
        if not 1 <= len(self.chain_id) <= MAX_CHAIN_ID_LENGTH or not self.chain_id.isascii():
            raise ConfigurationError(
                f"chain_id must have 1 to {MAX_CHAIN_ID_LENGTH} ASCII characters: {self.chain_id!r}"
            )
        if self.initial_height < 1:
            raise ConfigurationError(f"initial_height must be at least 1, not {self.initial_height}")
        if len({validator.power for validator in self.validators}) != 1 or self.validators[0].power < 1:
            raise ConfigurationError(
                "genesis validators must all have the same voting power of at least 1, or k signatures and 2/3 of the "
                f"power would be different quorums; got {[validator.power for validator in self.validators]}"
            )
        if len({validator.public_key for validator in self.validators}) != len(self.validators):
            raise ConfigurationError("a validator is twice in the genesis document")
        if len({validator.public_key.type for validator in self.validators}) != 1:
            raise ConfigurationError("genesis validators must have keys of one type")
        if not isinstance(self.app_state, Mapping):
            raise ConfigurationError("app_state must be a JSON object")
        params = self.consensus_params
        if params.block_max_bytes < 1 or params.block_max_bytes > 104_857_600 or params.block_max_gas < -1:
            raise ConfigurationError(f"consensus parameters are out of range: {params}")

    def app_state_bytes(self) -> bytes:
        """Canonical JSON of ``app_state``: what InitChain gets under both engines."""
        return _canonical_json(self.app_state)

    def to_json(self) -> bytes:
        """Write CometBFT's ``genesis.json``, the same bytes for equal documents."""
        return _canonical_json(self.to_json_object())

    def to_json_object(self) -> dict[str, Any]:
        """Build the object that :meth:`to_json` writes."""
        return {
            "genesis_time": format_time(self.genesis_time_ns),
            "chain_id": self.chain_id,
            "initial_height": str(self.initial_height),
            "consensus_params": consensus_params_to_json(self.consensus_params, self._key_type()),
            "validators": [
                {
                    "address": hex_bytes(validator.public_key.address),
                    "pub_key": public_key_to_json(validator.public_key),
                    "power": str(validator.power),
                    "name": validator.name,
                }
                for validator in self.validators
            ],
            "app_hash": "",
            "app_state": dict(self.app_state),
        }

    @classmethod
    def from_json(cls, data: bytes) -> "GenesisDocument":
        """Read ``genesis.json``.

        Raises:
            ConfigurationError: not such a document, or with settings that PieBridge does not use.
        """
        try:
            value = json.loads(data)
            params = value["consensus_params"]
            document = cls(
                chain_id=value["chain_id"],
                genesis_time_ns=parse_time(value["genesis_time"]),
                validators=tuple(
                    GenesisValidator(public_key_from_json(item["pub_key"]), int(item["power"]), item.get("name", ""))
                    for item in value["validators"]
                ),
                consensus_params=ConsensusParams(int(params["block"]["max_bytes"]), int(params["block"]["max_gas"])),
                app_state=value["app_state"],
                initial_height=int(value["initial_height"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, DecodingError) as error:
            raise ConfigurationError(f"genesis document: {type(error).__name__}: {error}") from error
        if json.loads(document.to_json()) != value:
            raise ConfigurationError("genesis document has members or values that PieBridge does not use")
        return document

    def hash(self) -> bytes:
        """SHA-256 of :meth:`to_json`, 32 bytes: what ``cometbft start --genesis_hash`` compares."""
        return sha256(self.to_json())

    def validator_set(self) -> ValidatorSet:
        """Validators of the first height.

        Raises:
            ConfigurationError: too many.
        """
        try:
            return ValidatorSet.genesis(Validator(item.public_key, item.power) for item in self.validators)
        except VerificationError as error:
            raise ConfigurationError(f"genesis validators: {error}") from error

    def init_chain_request(self) -> InitChainRequest:
        """Build the InitChain call; the validators in set order, as CometBFT sends them."""
        return InitChainRequest(
            time_ns=self.genesis_time_ns,
            chain_id=self.chain_id,
            consensus_params=replace(self.consensus_params),
            validators=tuple(
                ValidatorUpdate(member.public_key.type, member.public_key.data, member.voting_power)
                for member in self.validator_set().validators
            ),
            app_state=self.app_state_bytes(),
            initial_height=self.initial_height,
        )

    def _key_type(self) -> str:
        return self.validators[0].public_key.type


def build_genesis(
    chain_id: str,
    genesis_time_ns: int,
    validator_public_keys: Sequence[PublicKey],
    app_state: Mapping[str, Any],
    *,
    consensus_params: ConsensusParams | None = None,
    power: int = 1,
) -> GenesisDocument:
    """Build a genesis document whose validators all have the same power.

    Raises:
        ConfigurationError: with these values no chain can start.
    """
    return GenesisDocument(
        chain_id=chain_id,
        genesis_time_ns=genesis_time_ns,
        validators=tuple(GenesisValidator(key, power) for key in validator_public_keys),
        consensus_params=consensus_params or ConsensusParams(),
        app_state=app_state,
    )


def consensus_params_to_json(params: ConsensusParams, key_type: str) -> dict[str, Any]:
    """Write consensus parameters in full, with CometBFT's defaults for what PieBridge does not use."""
    return {
        "block": {"max_bytes": str(params.block_max_bytes), "max_gas": str(params.block_max_gas)},
        "evidence": {**_EVIDENCE_PARAMS, "max_bytes": str(min(_EVIDENCE_BYTES_MAX, params.block_max_bytes))},
        "validator": {"pub_key_types": [key_type]},
        "version": {"app": "0"},
        "abci": {"vote_extensions_enable_height": "0"},
        "authority": {"authority": ""},
    }


def _canonical_json(value: object) -> bytes:
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"app_state is not JSON: {error}") from error
