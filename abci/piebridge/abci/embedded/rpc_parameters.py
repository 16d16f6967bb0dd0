"""Arguments of RPC methods: how CometBFT reads them from JSON and from a URI.

In JSON a 64-bit integer is a string and bytes are base64 (hexadecimal where the Go type is ``HexBytes``); in a URI
integers are bare, bytes are ``0x...`` or a quoted string, text is quoted.

Source: ``rpc/jsonrpc/server/http_uri_handler.go``, ``http_json_handler.go``, ``libs/json/decoder.go`` of v0.40.0.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import orjson

_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
_INT64 = range(-(1 << 63), 1 << 63)


class ParameterError(ValueError):
    """An argument cannot be read; the text goes to the client."""


class Kind(Enum):
    """Go types of arguments."""

    INTEGER = "int64"
    BOOLEAN = "bool"
    TEXT = "string"
    BYTES = "[]byte"
    HEX_BYTES = "bytes.HexBytes"


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument of a method."""

    name: str
    """Its name."""
    kind: Kind
    """Its type."""


Argument = int | bool | str | bytes | None
"""Value of an argument; None where it was not given."""


def arguments_from_json(parameters: tuple[Parameter, ...], given: object) -> list[Argument]:
    """Read arguments from JSON-RPC ``params``: an object, or a list with all of them.

    Raises:
        ParameterError: unreadable.
    """
    if given is None:
        return [None] * len(parameters)
    if isinstance(given, Mapping):
        return [_from_json(parameter, given.get(parameter.name)) for parameter in parameters]
    if isinstance(given, list):
        if len(given) != len(parameters):
            names = " ".join(parameter.name for parameter in parameters)
            raise ParameterError(f"expected {len(parameters)} parameters ([{names}]), got {len(given)}")
        return [_from_json(parameter, value) for parameter, value in zip(parameters, given, strict=True)]
    raise ParameterError("unknown type for JSON params. Expected map or array")


def arguments_from_uri(parameters: tuple[Parameter, ...], query: Mapping[str, str]) -> list[Argument]:
    """Read arguments from the query of a URI.

    Raises:
        ParameterError: unreadable.
    """
    return [_from_uri(parameter, query.get(parameter.name, "")) for parameter in parameters]


def _from_json(parameter: Parameter, value: object) -> Argument:
    if value is None:
        return None
    match parameter.kind, value:
        case Kind.INTEGER, str() if _INTEGER.fullmatch(value) and int(value) in _INT64:
            return int(value)
        case Kind.BOOLEAN, bool():
            return value
        case Kind.TEXT, str():
            return value
        case Kind.BYTES, str():
            return _from_base64(parameter, value)
        case Kind.HEX_BYTES, str():
            return _from_hex(parameter, value)
    raise ParameterError(f"{parameter.name}: expected {parameter.kind.value}, got {orjson.dumps(value).decode()[:64]}")


def _from_uri(parameter: Parameter, text: str) -> Argument:
    if text == "":
        return None
    if text[:2].lower() == "0x":
        if parameter.kind not in (Kind.TEXT, Kind.BYTES, Kind.HEX_BYTES):
            raise ParameterError(f"got a hex string arg, but expected '{parameter.kind.value}'")
        data = _from_hex(parameter, text[2:])
        return data.decode(errors="replace") if parameter.kind is Kind.TEXT else data
    if parameter.kind is Kind.INTEGER and _INTEGER.fullmatch(text):
        text = f'"{text}"'
    elif parameter.kind in (Kind.BYTES, Kind.HEX_BYTES) and len(text) > 1 and text[0] == text[-1] == '"':
        return str(_parsed(parameter, text)).encode()
    return _from_json(parameter, _parsed(parameter, text))


def _parsed(parameter: Parameter, text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ParameterError(f"{parameter.name}: {error}") from error


def _from_hex(parameter: Parameter, text: str) -> bytes:
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2})*", text, re.ASCII):
        raise ParameterError(f"{parameter.name} is not hexadecimal")
    return bytes.fromhex(text)


def _from_base64(parameter: Parameter, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ParameterError(f"{parameter.name} is not base64") from error
