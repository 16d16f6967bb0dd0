"""One random history of a relay chain, executed in 50 processes that differ in all that must not matter."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from piebridge.abci.messages import CODE_OK
from testkit.relay_history import execute_in_another_world, record

TRANSACTIONS = 5_000
WORLDS = 50


def run_round(seed: int) -> Mapping[str, int]:
    """Records a history and has it executed again by every world."""
    history = record(seed, TRANSACTIONS)
    with tempfile.TemporaryDirectory(prefix="piebridge-soak-") as folder:
        history.save(file := Path(folder) / "history.json")
        for number in range(WORLDS):
            digest = execute_in_another_world(file, number)
            assert digest == history.digest, f"world {number} came to another state: {digest}, not {history.digest}"
    effective = history.outcomes[CODE_OK]
    return {"transactions": history.transactions, "effective": effective, "executions": WORLDS}
