"""The loader of contract artifacts."""

import pytest
from eth_abi.abi import decode, encode

from piebridge.contracts.loader import EVM_VERSIONS, load
from piebridge.crypto.errors import ConfigurationError, DecodingError
from piebridge.crypto.hash import keccak256

GROUP_KEY = bytes.fromhex("02f37c34b66ced1fb51c34a90bdae006901f10625cc06c4f64663b0eae87d87b4f")


@pytest.mark.parametrize("evm", EVM_VERSIONS)
@pytest.mark.parametrize(
    "name", ["Hub", "Administration", "BridgeToken", "RecordNotary", "ERC7786Door", "MessageBoard"]
)
def test_every_contract_has_an_artifact_that_fits_a_chain(name: str, evm: str) -> None:
    artifact = load(name, evm)
    assert artifact.name == name
    assert artifact.evm_version == evm
    # EIP-170 and EIP-3860
    assert 0 < len(artifact.runtime_bytecode) <= 24_576
    assert len(artifact.bytecode) <= 49_152


def test_the_hub_stays_below_its_own_limit() -> None:
    assert all(len(load("Hub", evm).runtime_bytecode) <= 20_000 for evm in EVM_VERSIONS)


def opcodes(code: bytes) -> set[int]:
    found, position = set(), 0
    while position < len(code):
        found.add(code[position])
        position += 1 + max(0, code[position] - 0x5F if 0x60 <= code[position] <= 0x7F else 0)
    return found


def test_london_has_no_opcode_that_came_later() -> None:
    newer = {0x5F: "PUSH0", 0x5E: "MCOPY", 0x5C: "TLOAD", 0x5D: "TSTORE", 0x49: "BLOBHASH", 0x4A: "BLOBBASEFEE"}
    for name in ("BridgeToken", "RecordNotary", "MessageBoard", "ERC7786Door"):
        assert not opcodes(load(name, "london").runtime_bytecode) & newer.keys()
    assert {0x5C, 0x5D} <= opcodes(load("Hub", "cancun").runtime_bytecode)


def test_no_contract_can_destroy_itself() -> None:
    for name in ("Hub", "Administration", "BridgeToken", "RecordNotary", "ERC7786Door", "MessageBoard"):
        assert 0xFF not in opcodes(load(name).runtime_bytecode.rstrip(b"\xff"))


def test_deployment_data_are_bytecode_and_arguments() -> None:
    hub = load("Hub")
    binding = (11, 31337, 1_000_000, True, False)
    data = hub.deployment_data(binding, GROUP_KEY)
    assert data.startswith(hub.bytecode)
    types = ["(uint32,uint64,uint32,bool,bool)", "bytes"]
    assert decode(types, data[len(hub.bytecode) :]) == (binding, GROUP_KEY)


def test_function_data_and_results() -> None:
    hub = load("Hub")
    data = hub.function_data("statusOf", 1, 2, 3, 4, 5)
    assert data[:4] == keccak256(b"statusOf(uint32,uint32,uint32,uint32,uint64)")[:4]
    assert decode(["uint32"] * 4 + ["uint64"], data[4:]) == (1, 2, 3, 4, 5)
    assert hub.decode_result("statusOf", encode(["uint8"], [3])) == (3,)
    assert hub.function_data("statusOf(uint32,uint32,uint32,uint32,uint64)", 1, 2, 3, 4, 5) == data


def test_events() -> None:
    hub = load("Hub")
    topics = [hub.event_topic("PacketSent"), (7).to_bytes(32, "big")]
    assert topics[0] == keccak256(b"PacketSent(uint256)")
    event = hub.decode_event(topics, b"packet")
    assert event is not None
    assert (event.name, event.arguments) == ("PacketSent", {"entry": 7, "packet": b"packet"})
    assert hub.decode_event([bytes(32)], b"") is None
    assert hub.decode_event([], b"") is None
    with pytest.raises(DecodingError):
        hub.decode_event(topics[:1], b"packet")
    with pytest.raises(DecodingError):
        hub.decode_event([hub.event_topic("HandlerFailed"), bytes(32)], b"\x01")


def test_errors() -> None:
    hub = load("Hub")
    selector = keccak256(b"BodyTooLong(uint256,uint256)")[:4]
    assert hub.decode_error(selector + encode(["uint256"] * 2, [9, 8])) == "BodyTooLong(9, 8)"
    # Errors of code that the hub runs as its own.
    assert hub.decode_error(keccak256(b"NotSigned()")[:4]) == "NotSigned()"
    assert hub.decode_error(bytes.fromhex("08c379a0") + encode(["string"], ["why"])) == "Error(why)"
    assert hub.decode_error(b"") is None
    assert hub.decode_error(b"\x01\x02\x03\x04") is None


def test_what_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no contract Hubb"):
        load("Hubb")
    with pytest.raises(ConfigurationError, match="no name"):
        load("../Hub")
    with pytest.raises(ConfigurationError, match="EVM version"):
        load("Hub", "berlin")
    hub = load("Hub")
    with pytest.raises(ConfigurationError, match="0 functions"):
        hub.function_data("nothing")
    with pytest.raises(ConfigurationError, match="takes 5 arguments"):
        hub.function_data("statusOf", 1)
    with pytest.raises(ConfigurationError, match="do not fit"):
        hub.function_data("statusOf", 1, 2, 3, 4, -5)
    with pytest.raises(DecodingError):
        hub.decode_result("statusOf", b"")
