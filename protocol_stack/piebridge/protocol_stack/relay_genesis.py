"""Genesis of a relay chain: a pure function of the decision that forms it (``docs/protocol/formats.md``, section 13).

Everybody who knows the decision computes the same bytes, so nobody has to be trusted for them. Integers of CometBFT's
part are strings, as its own encoder writes them (``types/genesis.go`` and ``types/params.go`` of CometBFT v0.40.0).
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import orjson

from piebridge.cometbft.json_format import format_time, hex_bytes, public_key_to_json
from piebridge.cometbft.keys import SECP256K1_ETH, PublicKey
from piebridge.crypto.hash import sha256
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.governor_relay_bodies import (
    Gateways,
    Parameters,
    RegisterChain,
    ValidatorSet,
    decode_register_chain,
)
from piebridge.protocol_stack.identifiers import DomainId, RelayId
from piebridge.protocol_stack.signers import check_group_key

VERSION: Final = 1
"""Version of the application's part."""
BLOCK_BYTES_MAX: Final = 4_194_304
"""Largest block where nobody says otherwise, bytes."""
EVIDENCE_BYTES_MAX: Final = 1_048_576
"""Largest evidence in a block, CometBFT's default; less in smaller blocks, or CometBFT refuses the document."""
_EVIDENCE: Final = {"max_age_num_blocks": "100000", "max_age_duration": "172800000000000"}
"""CometBFT's defaults; a relay chain reads none of them."""
_MEMBERS: Final = frozenset(
    {
        "chains",
        "dev",
        "domain",
        "gateways",
        "governor_key",
        "parameters",
        "relay",
        "validator_set",
        "version",
    }
)


@dataclass(frozen=True, slots=True)
class RelayGenesis:
    """What a relay chain starts with. It starts active."""

    domain: DomainId
    """Relay domain."""
    relay: RelayId
    """The relay chain."""
    dev: bool
    """Whether sets without a byzantine quorum are accepted: for tests and local networks."""
    governor_key: bytes
    """FROST group key of the governor, 33 bytes, key epoch 1."""
    parameters: Parameters
    """Caps."""
    validator_set: ValidatorSet
    """Validators, all of power 1."""
    chains: tuple[RegisterChain, ...]
    """Hubs of the domain, registrations ascending."""
    gateways: Gateways
    """Authorised gateways."""

    @property
    def chain_id(self) -> str:
        """CometBFT's name of the chain."""
        return f"piebridge-{self.domain}-{self.relay}"

    def app_state(self) -> dict[str, Any]:
        """Return the application's part as a JSON object.

        Raises:
            FormatError: a part is not encodable, or the parts do not fit together.
        """
        self._check()
        return {
            "chains": [chain.encode().hex() for chain in self.chains],
            "dev": self.dev,
            "domain": self.domain,
            "gateways": self.gateways.encode().hex(),
            "governor_key": self.governor_key.hex(),
            "parameters": self.parameters.encode().hex(),
            "relay": self.relay,
            "validator_set": self.validator_set.encode().hex(),
            "version": VERSION,
        }

    def app_state_bytes(self) -> bytes:
        """Return the application's part as InitChain carries it: canonical JSON.

        Raises:
            FormatError: as :meth:`app_state`.
        """
        return _canonical(self.app_state())

    def document(self, genesis_time_ns: int, block_bytes_max: int = BLOCK_BYTES_MAX) -> bytes:
        """Return CometBFT's genesis document: canonical JSON.

        Args:
            genesis_time_ns: time of the block that made the decision, nanoseconds since the Unix epoch.
            block_bytes_max: largest block, bytes.

        Raises:
            FormatError: as :meth:`app_state`.
        """
        return _canonical(
            {
                "app_hash": "",
                "app_state": self.app_state(),
                "chain_id": self.chain_id,
                "consensus_params": {
                    "abci": {"vote_extensions_enable_height": "0"},
                    "authority": {"authority": ""},
                    "block": {"max_bytes": str(block_bytes_max), "max_gas": "-1"},
                    "evidence": {**_EVIDENCE, "max_bytes": str(min(EVIDENCE_BYTES_MAX, block_bytes_max))},
                    "validator": {"pub_key_types": [SECP256K1_ETH]},
                    "version": {"app": "0"},
                },
                "genesis_time": format_time(genesis_time_ns),
                "initial_height": "1",
                "validators": [_validator(item.consensus_key) for item in self.validator_set.validators],
            }
        )

    @classmethod
    def parse(cls, app_state: bytes) -> "RelayGenesis":
        """Read the application's part.

        Raises:
            FormatError: the bytes are not what :meth:`app_state_bytes` writes.
        """
        try:
            # orjson bounds the nesting by itself; the standard parser relies on the interpreter's limit, which other
            # libraries raise beyond what the stack bears.
            value = orjson.loads(app_state)
        except ValueError as error:
            raise FormatError(
                ErrorCode.GENESIS, f"the application's part of the genesis is no JSON: {error}"
            ) from error
        if not isinstance(value, dict) or value.keys() != _MEMBERS:
            raise FormatError(ErrorCode.GENESIS, "members of the application's part", expected=sorted(_MEMBERS))
        chains = value["chains"]
        if not isinstance(chains, list):
            raise FormatError(ErrorCode.GENESIS, "chains is no list", actual=chains)
        genesis = cls(
            _number(value["domain"]),
            _number(value["relay"]),
            value["dev"] is True,
            check_group_key(_hex(value["governor_key"])),
            Parameters.decode(_hex(value["parameters"])),
            ValidatorSet.decode(_hex(value["validator_set"])),
            tuple(decode_register_chain(_hex(chain)) for chain in chains),
            Gateways.decode(_hex(value["gateways"])),
        )
        if genesis.app_state_bytes() != app_state:
            raise FormatError(ErrorCode.GENESIS, "the application's part of the genesis is not in its canonical form")
        return genesis

    def _check(self) -> None:
        check_group_key(self.governor_key)
        if not (1 <= self.domain < 1 << 32 and 1 <= self.relay < 1 << 32):
            raise FormatError(
                ErrorCode.GENESIS, "domain or relay is no number from 1", actual=(self.domain, self.relay)
            )
        numbers = [chain.registration for chain in self.chains]
        if any(numbers[i] >= numbers[i + 1] for i in range(len(numbers) - 1)):
            raise FormatError(ErrorCode.NOT_ASCENDING, "registrations of the chains do not ascend", actual=numbers)
        safe = self.validator_set.safe and all(chain.notaries.safe for chain in self.chains if chain.notaries)
        if not self.dev and not safe:
            raise FormatError(ErrorCode.SET_THRESHOLD, "a set without a byzantine quorum is accepted with dev only")


def genesis_hash(document: bytes) -> bytes:
    """Return the SHA-256 of a genesis document, 32 bytes: what hubs and ``cometbft start --genesis_hash`` are given."""
    return sha256(document)


def _validator(consensus_key: bytes) -> dict[str, Any]:
    public_key = PublicKey(SECP256K1_ETH, consensus_key)
    return {
        "address": hex_bytes(public_key.address),
        "name": "",
        "power": "1",
        "pub_key": public_key_to_json(public_key),
    }


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise FormatError(ErrorCode.GENESIS, "no number", actual=value)
    return value


def _hex(value: object) -> bytes:
    try:
        return bytes.fromhex(value) if isinstance(value, str) else _no_hex(value)
    except ValueError:
        return _no_hex(value)


def _no_hex(value: object) -> bytes:
    raise FormatError(ErrorCode.GENESIS, "no hexadecimal digits", actual=value)
