"""Named failpoints: a process ends at one exact step, as a power failure would end it, so that tests can sweep them.

`PIEBRIDGE_FAILPOINT=NAME` in the environment ends the process when it passes the point NAME, `NAME:3` when it passes it
for the third time. It ends by `os._exit`: no handler runs, no buffer is flushed, no file is closed in good order.
Without the variable a point costs one comparison. See docs/adr/0020-failpoints.md.
"""

import os
import sys
from collections.abc import Mapping

from piebridge.crypto.errors import ConfigurationError

VARIABLE = "PIEBRIDGE_FAILPOINT"
"""Name of the environment variable."""
EXIT_STATUS = 86
"""Exit status of a process that ended at its failpoint."""

_STEPS_OF_FLOWS = {
    "hub-to-relay": ("check", "authenticate", "submit"),
    "relay-to-hub": ("check", "authenticate", "submit"),
    "settle": ("check", "submit"),
    "acknowledge": ("check", "submit"),
}
"""What a gateway does for each of its flows; every step has a point before and one after it."""

ENGINE = (
    "engine.after_init_chain",
    "engine.after_save_genesis_state",
    "engine.after_finalize_block",
    "engine.before_save_block",
    "engine.after_save_block",
    "engine.after_commit",
    "engine.after_replayed_commit",
)
"""Embedded engine, in the order of a block (after those of the first start); the last during the restart handshake."""
ABCI = (
    "abci.after_init_chain",
    "abci.before_finalize_block",
    "abci.after_finalize_block",
    "abci.before_commit",
    "abci.after_commit",
)
"""Application of a CometBFT node, in the order of a block (after that of the first start)."""
RELAY = (
    "relay.endorsement.before_write",
    "relay.endorsement.after_write",
    "relay.storage.before_write",
    "relay.storage.before_commit",
    "relay.storage.after_write",
)
"""Relay chain's node: memory of what was endorsed, and every other write of its storage."""
EVM = ("evm.store.before_write", "evm.store.after_write")
"""EVM-on-ABCI node: the write of a block's state."""
GATEWAY = (
    *(
        f"gateway.{flow}.{moment}_{step}"
        for flow, steps in _STEPS_OF_FLOWS.items()
        for step in steps
        for moment in ("before", "after")
    ),
    "gateway.archive.after_add",
    "gateway.archive.before_add",
    "gateway.archive.before_commit",
    "gateway.archive.before_mark_done",
    "gateway.cursor.after_save",
    "gateway.cursor.before_save",
    "gateway.endorsement.after_collect",
    "gateway.endorsement.before_collect",
    "gateway.hub.after_receipt",
    "gateway.hub.after_send",
    "gateway.hub.before_send",
    "gateway.prover.after_light_block",
    "gateway.prover.after_proof",
    "gateway.prover.before_light_block",
    "gateway.relay.after_broadcast",
    "gateway.relay.after_result",
    "gateway.relay.before_broadcast",
)
"""Gateway: what it does for each flow, its database, its transactions, what it collects, the light client's updates."""
NOTARY = ("notary.evidence.after_write", "notary.evidence.before_commit", "notary.evidence.before_write")
"""Notary: the log of what it signs."""
GOVERNOR = (
    "governor.store.before_write",
    "governor.store.after_write",
    "governor.board.before_submit",
    "governor.board.after_submit",
)
"""Governor: every write of its store, every transaction to the board."""
NODE = (
    "node.unit.before_save",
    "node.unit.after_save",
    "node.home.before_write",
    "node.home.before_rename",
    "node.home.after_rename",
    "node.process.before_start",
    "node.process.after_start",
    "node.report.before_send",
    "node.report.after_send",
    "node.process.before_stop",
    "node.process.after_stop",
    "node.archive.before_rename",
    "node.archive.after_rename",
)
"""Node agent, in the order of a unit's life; units are saved at each change of their phase."""

POINTS = frozenset((*ENGINE, *ABCI, *RELAY, *EVM, *GATEWAY, *NOTARY, *GOVERNOR, *NODE))
"""Every point there is."""

_armed = ""
_passes_left = 0


def arm(environment: Mapping[str, str]) -> None:
    """Arm the point that an environment names, or none; programs call it once, before anything else.

    Raises:
        ConfigurationError: the variable is malformed or names no point.
    """
    global _armed, _passes_left
    value = environment.get(VARIABLE, "")
    name, colon, number = value.partition(":")
    if value and name not in POINTS:
        raise ConfigurationError(
            f"{VARIABLE}={value}: there is no failpoint {name!r}; one of {', '.join(sorted(POINTS))}"
        )
    if colon and not (number.isascii() and number.isdecimal() and 0 < int(number) < 1 << 31):
        raise ConfigurationError(f"{VARIABLE}={value}: behind the colon stands which pass ends the process, from 1")
    _armed, _passes_left = name, int(number) if colon else 1
    if name:
        sys.stderr.write(f"ARMED: this process will end at failpoint {name}, pass {_passes_left}\n")


def reach(name: str) -> None:
    """Pass a point: end the process here if it is the armed one and this is the pass that was asked for."""
    if name == _armed:
        _count()


def _count() -> None:
    global _passes_left
    _passes_left -= 1
    if not _passes_left:
        os.write(2, f"ended at failpoint {_armed}\n".encode())
        os._exit(EXIT_STATUS)
