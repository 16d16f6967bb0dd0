"""One look at a whole network."""

import time
from collections.abc import Sequence

from piebridge.cli.oracle.invariants import Applications, Verdict, check
from piebridge.cli.oracle.reading import ChainAddresses, read_ledgers, take_cuts

_READINGS = 3
"""How often the same blocks are read before something is called a violation."""
_PAUSE_SECONDS = 1.0
"""Between two readings: longer than a node works on a block."""


def look(chains: Sequence[ChainAddresses], outboxes: Sequence[tuple[int, int]], applications: Applications) -> Verdict:
    """Read all parachains and judge them.

    While some nodes (anvil is one) work on a block, they answer for the block before it from a state that is half that
    of the next. So whoever seems to have broken a promise is read again, at the same blocks: what is true of a block
    stays true. A violation is what every reading shows.

    Args:
        chains: the parachains.
        outboxes: domain and relay chain of every outbox that a hub may have; relay 0 is the free one.
        applications: ids of the applications that the oracle knows.

    Raises:
        ChainError: a node does not answer, or refuses.
    """
    cuts = take_cuts(chains)
    verdict = check(read_ledgers(chains, outboxes, cuts), applications)
    for _ in range(_READINGS - 1):
        if not verdict.violations:
            break
        time.sleep(_PAUSE_SECONDS)
        before, verdict = verdict.violations, check(read_ledgers(chains, outboxes, cuts), applications)
        verdict.violations = [violation for violation in verdict.violations if violation in before]
    return verdict
