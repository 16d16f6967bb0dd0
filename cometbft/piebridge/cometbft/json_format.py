"""CometBFT's JSON of its own data, as the RPC and genesis files carry it; read back strictly.

64-bit integers are strings, hashes and addresses upper-case hexadecimal, other bytes base64, times RFC 3339 in UTC with
up to nine digits of the second.

Source: ``libs/json/encoder.go`` and the JSON tags of ``types/*.go`` of CometBFT v0.40.0.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

from piebridge.cometbft.block import Block
from piebridge.cometbft.commit import BlockId, BlockIdFlag, Commit, CommitSig, PartSetHeader
from piebridge.cometbft.encoding import NANOSECONDS_PER_SECOND
from piebridge.cometbft.header import Header, Version
from piebridge.cometbft.keys import ED25519, SECP256K1_ETH, PublicKey
from piebridge.cometbft.validator_set import Validator
from piebridge.cometbft.verification import SignedHeader
from piebridge.crypto.errors import DecodingError

KEY_TYPE_NAMES = {ED25519: "tendermint/PubKeyEd25519", SECP256K1_ETH: "tendermint/PubKeySecp256k1eth"}
"""JSON names of the public key types."""

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_SECONDS_PER_DAY = 86_400


def hex_bytes(data: bytes) -> str:
    """Write bytes as CometBFT's ``HexBytes``."""
    return data.hex().upper()


def base64_bytes(data: bytes) -> str:
    """Write bytes as base64."""
    return base64.b64encode(data).decode()


def format_time(time_ns: int) -> str:
    """Write nanoseconds since the Unix epoch as RFC 3339, without trailing zeros of the fraction."""
    seconds, nanoseconds = divmod(time_ns, NANOSECONDS_PER_SECOND)
    days, second = divmod(seconds, _SECONDS_PER_DAY)
    year, month, day = _civil_from_days(days)
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return f"{year:04d}-{month:02d}-{day:02d}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}{fraction}Z"


def parse_time(text: object) -> int:
    """Read RFC 3339 in UTC to nanoseconds since the Unix epoch.

    Raises:
        DecodingError: another form, or a date that does not exist.
    """
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise DecodingError(f"{text!r} is not an RFC 3339 time in UTC")
    year, month, day, hour, minute, second = (int(group) for group in match.groups()[:6])
    days = _days_from_civil(year, month, day) if 1 <= month <= 12 and year >= 1 else None
    if days is None or _civil_from_days(days) != (year, month, day) or hour > 23 or minute > 59 or second > 59:
        raise DecodingError(f"{text!r} names no existing time")
    seconds = days * _SECONDS_PER_DAY + hour * 3600 + minute * 60 + second
    return seconds * NANOSECONDS_PER_SECOND + int((match.group(7) or "").ljust(9, "0"))


def header_to_json(header: Header) -> dict[str, Any]:
    """Write a header."""
    version = {"block": str(header.version.block)}
    if header.version.app:  # Go leaves the zero out here (``omitempty``), unlike everywhere else
        version["app"] = str(header.version.app)
    return {
        "version": version,
        "chain_id": header.chain_id,
        "height": str(header.height),
        "time": format_time(header.time_ns),
        "last_block_id": block_id_to_json(header.last_block_id),
        "last_commit_hash": hex_bytes(header.last_commit_hash),
        "data_hash": hex_bytes(header.data_hash),
        "validators_hash": hex_bytes(header.validators_hash),
        "next_validators_hash": hex_bytes(header.next_validators_hash),
        "consensus_hash": hex_bytes(header.consensus_hash),
        "app_hash": hex_bytes(header.app_hash),
        "last_results_hash": hex_bytes(header.last_results_hash),
        "evidence_hash": hex_bytes(header.evidence_hash),
        "proposer_address": hex_bytes(header.proposer_address),
    }


def header_from_json(value: object) -> Header:
    """Read a header.

    Raises:
        DecodingError: a field is missing or of a wrong form.
    """
    fields = _Fields(value, "header")
    version = _Fields(fields.get("version"), "version")
    header = Header(
        version=Version(version.integer("block"), version.integer("app", default=0)),
        chain_id=fields.text("chain_id"),
        height=fields.integer("height"),
        time_ns=parse_time(fields.get("time")),
        last_block_id=_last_block_id_from_json(fields.optional("last_block_id")),
        last_commit_hash=fields.hexadecimal("last_commit_hash"),
        data_hash=fields.hexadecimal("data_hash"),
        validators_hash=fields.hexadecimal("validators_hash"),
        next_validators_hash=fields.hexadecimal("next_validators_hash"),
        consensus_hash=fields.hexadecimal("consensus_hash"),
        app_hash=fields.hexadecimal("app_hash"),
        last_results_hash=fields.hexadecimal("last_results_hash"),
        evidence_hash=fields.hexadecimal("evidence_hash"),
        proposer_address=fields.hexadecimal("proposer_address"),
    )
    return Header.decode(_encoded(header))  # the bounds of the binary form hold here too


def block_id_to_json(block_id: BlockId) -> dict[str, Any]:
    """Write a block id."""
    parts = block_id.part_set_header
    return {"hash": hex_bytes(block_id.hash), "parts": {"total": parts.total, "hash": hex_bytes(parts.hash)}}


def block_id_from_json(value: object) -> BlockId:
    """Read a block id.

    Raises:
        DecodingError: a field is missing or of a wrong form.
    """
    fields = _Fields(value, "block id")
    parts = _Fields(fields.get("parts"), "part set header")
    return BlockId(fields.hexadecimal("hash"), PartSetHeader(parts.integer("total"), parts.hexadecimal("hash")))


def commit_to_json(commit: Commit) -> dict[str, Any]:
    """Write a commit."""
    return {
        "height": str(commit.height),
        "round": commit.round,
        "block_id": block_id_to_json(commit.block_id),
        "signatures": [
            {
                "block_id_flag": int(signature.flag),
                "validator_address": hex_bytes(signature.validator_address),
                "timestamp": format_time(signature.timestamp_ns),
                "signature": base64_bytes(signature.signature) if signature.signature else None,
            }
            for signature in commit.signatures
        ],
    }


def commit_from_json(value: object) -> Commit:
    """Read a commit.

    Raises:
        DecodingError: a field is missing or of a wrong form.
    """
    fields = _Fields(value, "commit")
    commit = Commit(
        fields.integer("height"),
        fields.integer("round"),
        block_id_from_json(fields.get("block_id")),
        tuple(_commit_sig_from_json(item) for item in _sequence(fields.get("signatures"), "signatures")),
    )
    return Commit.decode(_encoded(commit))


def signed_header_to_json(signed: SignedHeader) -> dict[str, Any]:
    """Write a signed header, as the RPC's ``commit`` holds it."""
    return {"header": header_to_json(signed.header), "commit": commit_to_json(signed.commit)}


def signed_header_from_json(value: object) -> SignedHeader:
    """Read a signed header.

    Raises:
        DecodingError: a field is missing or of a wrong form.
    """
    fields = _Fields(value, "signed header")
    return SignedHeader(header_from_json(fields.get("header")), commit_from_json(fields.get("commit")))


def block_to_json(block: Block) -> dict[str, Any]:
    """Write a block; evidence, which the embedded engine never makes, is not supported."""
    assert not block.evidence, "evidence has no JSON form here"
    return {
        "header": header_to_json(block.header),
        "data": {"txs": [base64_bytes(tx) for tx in block.txs]},
        "evidence": {"evidence": []},
        "last_commit": commit_to_json(block.last_commit),
    }


def public_key_to_json(public_key: PublicKey) -> dict[str, str]:
    """Write a public key."""
    return {"type": KEY_TYPE_NAMES[public_key.type], "value": base64_bytes(public_key.data)}


def public_key_from_json(value: object) -> PublicKey:
    """Read a public key.

    Raises:
        DecodingError: unknown type or wrong form.
    """
    fields = _Fields(value, "public key")
    name = fields.text("type")
    for key_type, known in KEY_TYPE_NAMES.items():
        if known == name:
            return PublicKey(key_type, fields.base64("value"))
    raise DecodingError(f"unknown validator key type {name!r}")


def validator_to_json(validator: Validator) -> dict[str, Any]:
    """Write a validator with its priority."""
    return {
        "address": hex_bytes(validator.address),
        "pub_key": public_key_to_json(validator.public_key),
        "voting_power": str(validator.voting_power),
        "proposer_priority": str(validator.proposer_priority),
    }


def validator_from_json(value: object) -> Validator:
    """Read a validator.

    Raises:
        DecodingError: wrong form, or an address that is not that of the key.
    """
    fields = _Fields(value, "validator")
    validator = Validator(
        public_key_from_json(fields.get("pub_key")),
        fields.integer("voting_power"),
        fields.integer("proposer_priority", default=0),
    )
    if fields.hexadecimal("address") != validator.address:
        raise DecodingError("validator address is not that of its key", expected=validator.address)
    return validator


def _last_block_id_from_json(value: object) -> BlockId:
    return BlockId() if value is None else block_id_from_json(value)


def _commit_sig_from_json(value: object) -> CommitSig:
    fields = _Fields(value, "commit signature")
    flag = fields.integer("block_id_flag")
    if flag not in tuple(BlockIdFlag):
        raise DecodingError(f"commit signature: unknown flag {flag}")
    return CommitSig(
        BlockIdFlag(flag),
        fields.hexadecimal("validator_address"),
        parse_time(fields.get("timestamp")),
        fields.base64("signature", default=b""),
    )


class _Fields:
    """Typed access to the members of a JSON object from an untrusted peer."""

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, Mapping):
            raise DecodingError(f"{what} is not a JSON object")
        self._value: Mapping[str, object] = value
        self._what = what

    def optional(self, name: str) -> object:
        return self._value.get(name)

    def get(self, name: str) -> object:
        if name not in self._value:
            raise DecodingError(f"{self._what}: {name} is missing")
        return self._value[name]

    def integer(self, name: str, default: int | None = None) -> int:
        value = self._value.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and _DECIMAL.fullmatch(value):
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise DecodingError(f"{self._what}: {name} is not an integer")

    def text(self, name: str) -> str:
        value = self.get(name)
        if not isinstance(value, str):
            raise DecodingError(f"{self._what}: {name} is not a string")
        return value

    def hexadecimal(self, name: str) -> bytes:
        value = self._value.get(name)
        if value is None:
            return b""
        try:
            return bytes.fromhex(value) if isinstance(value, str) else _refuse(value)
        except ValueError as error:
            raise DecodingError(f"{self._what}: {name} is not hexadecimal") from error

    def base64(self, name: str, default: bytes | None = None) -> bytes:
        value = self._value.get(name)
        if value is None and default is not None:
            return default
        try:
            return base64.b64decode(value, validate=True) if isinstance(value, str) else _refuse(value)
        except (binascii.Error, ValueError) as error:
            raise DecodingError(f"{self._what}: {name} is not base64") from error


def _refuse(value: object) -> bytes:
    raise ValueError(f"not a string: {type(value).__name__}")


def _sequence(value: object, what: str) -> Sequence[object]:
    if not isinstance(value, list):
        raise DecodingError(f"{what} is not a list")
    return value


def _encoded(value: Header | Commit) -> bytes:
    try:
        return value.encode()
    except ValueError as error:  # an integer beyond 64 bits, or text that is not Unicode
        raise DecodingError(f"{type(value).__name__.lower()}: {error}") from error


def _days_from_civil(year: int, month: int, day: int) -> int:
    """Count the days from 1970-01-01 in the proleptic Gregorian calendar, which is what RFC 3339 dates use."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - 719_468


def _civil_from_days(days: int) -> tuple[int, int, int]:
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    month = shifted_month + (3 if shifted_month < 10 else -9)
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * shifted_month + 2) // 5 + 1
