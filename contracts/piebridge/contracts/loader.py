"""Access to the committed artifacts: ABI and bytecode of every contract, and the call data that goes with them.

No compiler and no connection is needed; what comes out are bytes for whoever sends transactions.
"""

import json
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError as AbiDecodingError
from eth_abi.exceptions import EncodingError as AbiEncodingError
from eth_utils.abi import collapse_if_tuple
from eth_utils.crypto import keccak

from piebridge.crypto.errors import ConfigurationError, DecodingError

EVM_VERSIONS = ("cancun", "london")
"""EVM versions that artifacts exist for. `london` is for chains with neither PUSH0 nor transient storage."""

MESSAGE_EVENTS = {"PacketSent": "packet", "ReceiptsMade": "receipts", "ReportMade": "report"}
"""Events of a hub whose data are a message itself and no ABI encoding, and what it is called here."""


@dataclass(frozen=True)
class Event:
    """An event of a contract, decoded."""

    name: str
    """Name in the ABI."""
    arguments: dict[str, Any]
    """Values by parameter name, as eth_abi decodes them."""


@dataclass(frozen=True)
class Artifact:
    """A compiled contract."""

    name: str
    """Name of the contract."""
    evm_version: str
    """EVM version it was compiled for, one of EVM_VERSIONS."""
    compiler: str
    """Version of solc."""
    abi: tuple[dict[str, Any], ...]
    """The contract's interface, as solc writes it."""
    bytecode: bytes
    """Creation code, without constructor arguments."""
    runtime_bytecode: bytes
    """Code as it stands on chain, with zeros where immutable values go."""
    immutable_references: tuple[tuple[int, int], ...]
    """Offset and length, in bytes, of every immutable value in the runtime code."""

    def deployment_data(self, *arguments: object) -> bytes:
        """Data of the transaction that creates the contract.

        Args:
            arguments: the constructor's, in order.

        Raises:
            ConfigurationError: the arguments do not fit the constructor.
        """
        constructor = next((entry for entry in self.abi if entry["type"] == "constructor"), None)
        return self.bytecode + self._encode("constructor", constructor["inputs"] if constructor else [], arguments)

    def function_data(self, function: str, *arguments: object) -> bytes:
        """Call data: selector and arguments.

        Args:
            function: its name, or its signature where the name is overloaded.
            arguments: in order.

        Raises:
            ConfigurationError: the contract has no such function, or the arguments do not fit.
        """
        entry = self._entry("function", function)
        return self.selector(function) + self._encode(function, entry["inputs"], arguments)

    def selector(self, function: str) -> bytes:
        """The 4 bytes that select a function, named as in function_data."""
        return keccak(text=_signature(self._entry("function", function)))[:4]

    def decode_result(self, function: str, data: bytes) -> tuple[Any, ...]:
        """Decode what a call of `function` has returned.

        Raises:
            DecodingError: the data are not an encoding of the function's results.
        """
        types = [collapse_if_tuple(parameter) for parameter in self._entry("function", function)["outputs"]]
        return _decode(types, data, f"result of {self.name}.{function}")

    def event_topic(self, event: str) -> bytes:
        """The first topic, 32 bytes, of the logs of an event."""
        return keccak(text=_signature(self._entry("event", event)))

    def decode_event(self, topics: list[bytes], data: bytes) -> Event | None:
        """Decode a log of this contract; None when its first topic is no event of the contract.

        The caller checks the log's address. Indexed values of dynamic type come back as their hash.

        Raises:
            DecodingError: the log does not fit the event.
        """
        entry = self._events.get(topics[0]) if topics else None
        if entry is None:
            return None
        indexed = [parameter for parameter in entry["inputs"] if parameter["indexed"]]
        plain = [parameter for parameter in entry["inputs"] if not parameter["indexed"]]
        what = f"event {self.name}.{entry['name']}"
        if len(topics) != len(indexed) + 1:
            raise DecodingError(
                f"topics of event {self.name}.{entry['name']}", expected=len(indexed) + 1, actual=len(topics)
            )
        what = f"event {self.name}.{entry['name']}"
        arguments = {}
        for parameter, topic in zip(indexed, topics[1:], strict=True):
            dynamic = parameter["type"] in ("bytes", "string") or parameter["type"].endswith("]")
            arguments[parameter["name"]] = topic if dynamic else _decode([parameter["type"]], topic, what)[0]
        if entry["name"] in MESSAGE_EVENTS:
            return Event(entry["name"], {**arguments, MESSAGE_EVENTS[entry["name"]]: data})
        values = _decode([collapse_if_tuple(parameter) for parameter in plain], data, what)
        arguments |= {parameter["name"]: value for parameter, value in zip(plain, values, strict=True)}
        return Event(entry["name"], {parameter["name"]: arguments[parameter["name"]] for parameter in entry["inputs"]})

    def decode_error(self, data: bytes) -> str | None:
        """Name and values of the error in revert data, for people; None when it is none that the contract declares.

        `Error(string)` and `Panic(uint256)`, which every contract may raise, are known as well.
        """
        entry = self._errors.get(data[:4])
        if entry is None:
            return None
        types = [collapse_if_tuple(parameter) for parameter in entry["inputs"]]
        values = _decode(types, data[4:], f"error {entry['name']}")
        shown = ", ".join(f"0x{value.hex()}" if isinstance(value, bytes) else str(value) for value in values)
        return f"{entry['name']}({shown})"

    @cached_property
    def _events(self) -> dict[bytes, dict[str, Any]]:
        return {keccak(text=_signature(entry)): entry for entry in self.abi if entry["type"] == "event"}

    @cached_property
    def _errors(self) -> dict[bytes, dict[str, Any]]:
        common = [
            {"type": "error", "name": "Error", "inputs": [{"name": "message", "type": "string"}]},
            {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
        ]
        return {keccak(text=_signature(entry))[:4]: entry for entry in [*self.abi, *common] if entry["type"] == "error"}

    def _entry(self, kind: str, name: str) -> dict[str, Any]:
        named = [entry for entry in self.abi if entry["type"] == kind and name in (entry["name"], _signature(entry))]
        if len(named) != 1:
            raise ConfigurationError(f"contract {self.name} has {len(named)} {kind}s named {name}, one is needed")
        return named[0]

    def _encode(self, what: str, parameters: list[dict[str, Any]], arguments: tuple[object, ...]) -> bytes:
        types = [collapse_if_tuple(parameter) for parameter in parameters]
        if len(types) != len(arguments):
            raise ConfigurationError(f"{self.name}.{what} takes {len(types)} arguments, {len(arguments)} were given")
        try:
            return encode(types, arguments)
        except (AbiEncodingError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"arguments of {self.name}.{what} do not fit ({', '.join(types)}): {error}"
            ) from error


@cache
def load(name: str, evm: str = "cancun") -> Artifact:
    """Load the artifact of a contract.

    Args:
        name: of the contract, e.g. ``Hub``.
        evm: EVM version of the chain it is for, one of EVM_VERSIONS.

    Raises:
        ConfigurationError: there is no such contract or EVM version.
    """
    if evm not in EVM_VERSIONS:
        raise ConfigurationError(
            f"no contracts are built for EVM version {evm!r}; choose one of {', '.join(EVM_VERSIONS)}"
        )
    if not name.isidentifier():
        raise ConfigurationError(f"{name!r} is no name of a contract")
    path = files("piebridge.contracts") / "artifacts" / evm / f"{name}.json"
    if not path.is_file():
        raise ConfigurationError(f"there is no contract {name}")
    content = json.loads(path.read_text(encoding="utf-8"))
    return Artifact(
        name=name,
        evm_version=evm,
        compiler=content["compiler"],
        abi=tuple(content["abi"]),
        bytecode=bytes.fromhex(content["creation_bytecode"][2:]),
        runtime_bytecode=bytes.fromhex(content["runtime_bytecode"][2:]),
        immutable_references=tuple((start, length) for start, length in content["immutable_references"]),
    )


def _signature(entry: dict[str, Any]) -> str:
    return f"{entry['name']}({','.join(collapse_if_tuple(parameter) for parameter in entry['inputs'])})"


def _decode(types: list[str], data: bytes, what: str) -> tuple[Any, ...]:
    try:
        return tuple(decode(types, data))
    except (AbiDecodingError, OverflowError, UnicodeDecodeError) as error:
        raise DecodingError(f"{what} cannot be decoded: {error}") from error
