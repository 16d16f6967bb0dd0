"""Hostile applications, written in EVM instructions: they do what no compiler would."""

from collections.abc import Sequence

_CALLER, _EQ, _JUMPI, _JUMPDEST, _GAS, _CALL, _SSTORE = "33", "14", "57", "5b", "5a", "f1", "55"
_CALLDATASIZE, _CALLDATACOPY, _CODECOPY, _RETURNDATASIZE, _RETURNDATACOPY = "36", "37", "39", "3d", "3e"
_ADD, _MSTORE, _RETURN, _REVERT, _INVALID, _JUMP, _ZERO = "01", "52", "f3", "fd", "fe", "56", "5f"

RETURN_NOTHING = f"6020{_ZERO}{_MSTORE}{_ZERO}6020{_MSTORE}6040{_ZERO}{_RETURN}"
"""Ends like a handler that returns empty bytes: the words 0x20 and 0."""


def creation(runtime: bytes) -> bytes:
    """Init code that leaves ``runtime`` behind."""
    size = f"61{len(runtime):04x}"
    # The init code before the runtime has 13 bytes.
    head = bytes.fromhex(size + "600d" + _ZERO + _CODECOPY + size + _ZERO + _RETURN)
    assert len(head) == 12
    return head.ljust(13, b"\x00") + runtime


def reverting(size: int = 0) -> bytes:
    """Reverts with ``size`` bytes, whoever calls."""
    return bytes.fromhex(f"62{size:06x}" + _ZERO + _REVERT)


def burning() -> bytes:
    """Uses up all gas that it gets in an endless loop."""
    return bytes.fromhex(_JUMPDEST + _ZERO + _JUMP)


def returning(size: int) -> bytes:
    """Returns ``size`` bytes as an ABI encoding of ``bytes``, correctly framed."""
    padded = (size + 31) // 32 * 32
    store = "6020" + _ZERO + _MSTORE + f"62{size:06x}" + "6020" + _MSTORE
    return bytes.fromhex(store + f"62{64 + padded:06x}" + _ZERO + _RETURN)


def returning_raw(data: bytes) -> bytes:
    """Returns exactly these bytes."""
    code = f"61{len(data):04x}" + "61000d" + _ZERO + _CODECOPY + f"61{len(data):04x}" + _ZERO + _RETURN
    assert len(bytes.fromhex(code)) == 13
    return bytes.fromhex(code) + data


def destructing(beneficiary: bytes) -> bytes:
    """Destroys itself (EIP-6780: in the transaction of its creation for good)."""
    return bytes.fromhex("73") + beneficiary + bytes.fromhex("ff")


def puppet(hub: bytes, attacks: Sequence[tuple[bytes, bytes]], ending: bytes = b"") -> bytes:
    """Called by its hub it makes all these calls, notes in slot i whether attack i succeeded (2) or failed (1), and
    ends like an honest handler or as ``ending`` says. Called by anybody else it passes the call on to the hub.

    Args:
        hub: address of the hub.
        attacks: target and call data of the calls.
        ending: instructions instead of the honest end.
    """
    forward = (
        f"{_CALLDATASIZE}{_ZERO}{_ZERO}{_CALLDATACOPY}{_ZERO}{_ZERO}{_CALLDATASIZE}{_ZERO}{_ZERO}73{hub.hex()}"
        f"{_GAS}{_CALL}{_RETURNDATASIZE}{_ZERO}{_ZERO}{_RETURNDATACOPY}"
    )
    head = f"{_CALLER}73{hub.hex()}{_EQ}61%04x{_JUMPI}{forward}61%04x{_JUMPI}{_RETURNDATASIZE}{_ZERO}{_REVERT}"
    head += f"{_JUMPDEST}{_RETURNDATASIZE}{_ZERO}{_RETURN}{_JUMPDEST}"
    size = len(bytes.fromhex(head % (0, 0)))
    hostile = size - 1
    forwarded = hostile - 4
    data_at = size + len(attacks) * _ATTACK_LENGTH + len(ending or bytes.fromhex(RETURN_NOTHING))
    code = head % (hostile, forwarded)
    for number, (target, data) in enumerate(attacks):
        code += f"61{len(data):04x}61{data_at:04x}{_ZERO}{_CODECOPY}"
        code += f"{_ZERO}{_ZERO}61{len(data):04x}{_ZERO}{_ZERO}73{target.hex()}{_GAS}{_CALL}"
        code += f"6001{_ADD}60{number:02x}{_SSTORE}"
        data_at += len(data)
    return bytes.fromhex(code) + (ending or bytes.fromhex(RETURN_NOTHING)) + b"".join(data for _, data in attacks)


def announcing(topic: bytes, entry: bytes, data: bytes, target: bytes, call: bytes) -> bytes:
    """Emits a log with two topics and any data, then makes a call and ends as that call ends."""
    size = 7 + 1 + 66 + 6 + 7 + 7 + 24 + 9
    head = bytes.fromhex(
        f"61{len(data):04x}61{size:04x}{_ZERO}"
        + _CODECOPY
        + f"7f{entry.hex()}7f{topic.hex()}"
        + f"61{len(data):04x}{_ZERO}a2"
        + f"61{len(call):04x}61{size + len(data):04x}{_ZERO}{_CODECOPY}"
        + f"{_ZERO}{_ZERO}61{len(call):04x}{_ZERO}{_ZERO}73{target.hex()}{_GAS}{_CALL}"
    )
    ending = bytes.fromhex(f"61{len(head) + 7:04x}{_JUMPI}{_ZERO}{_ZERO}{_REVERT}{_JUMPDEST}00")
    assert len(head + ending) <= size, len(head + ending)
    return (head + ending).ljust(size, b"\x00") + data + call


_ATTACK_LENGTH = 8 + 7 + 21 + 2 + 6
