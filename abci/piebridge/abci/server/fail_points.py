"""Named places at which a test lets the application's process die, as CometBFT's ``FAIL_TEST_INDEX`` does for the node.

``PIEBRIDGE_FAIL_POINT=before_commit:3`` kills the process, without any clean-up, when that place is passed the third
time. Meant for tests; a production process has no reason to set it, and says so loudly if it is set.
"""

import logging
import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping

from piebridge.crypto.errors import ConfigurationError

VARIABLE = "PIEBRIDGE_FAIL_POINT"
"""Environment variable: name of a place, a colon, which passage of it is the last (1 is the first)."""
NAMES = ("before_finalize_block", "after_finalize_block", "before_commit", "after_commit")
"""The places."""

FailPoint = Callable[[str], None]
"""Called with the name of a place whenever it is passed."""

_log = logging.getLogger(__name__)


def no_fail_point(name: str) -> None:
    """Do nothing."""


def from_environment(environment: Mapping[str, str] = os.environ, die: Callable[[], None] | None = None) -> FailPoint:
    """Return what the environment asks for.

    Args:
        environment: variables of the process.
        die: what happens at the place; SIGKILL to the own process unless given.

    Raises:
        ConfigurationError: the variable names no place or no passage.
    """
    text = environment.get(VARIABLE)
    if text is None:
        return no_fail_point
    name, _, passage = text.partition(":")
    if name not in NAMES or not passage.isascii() or not passage.isdigit() or int(passage) < 1:
        raise ConfigurationError(f"{VARIABLE}={text!r}: must be NAME:NUMBER with a name of {', '.join(NAMES)}")
    _log.warning("%s=%s: this process will kill itself on purpose", VARIABLE, text)
    passed: Counter[str] = Counter()

    def fail_point(place: str) -> None:
        passed[place] += 1
        if place == name and passed[place] == int(passage):
            (die or _kill_self)()

    return fail_point


def _kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
