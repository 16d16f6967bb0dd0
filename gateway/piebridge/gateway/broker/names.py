"""Names of everything that a gateway has in Redis.

All of it stands under one prefix for each start of a gateway: what an earlier start has left is never read, and deleted
at the next start. Several gateways may share one Redis.
"""

import re
from dataclasses import dataclass

from piebridge.crypto.errors import ConfigurationError

_ROOT = "piebridge-gateway"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Names:
    """Names for one start of one gateway."""

    gateway: str
    """Name of the gateway; letters, digits, dot, dash and underscore."""
    run: str
    """Drawn at random at its start."""

    def __post_init__(self) -> None:
        """Refuse names that could be read in two ways.

        Raises:
            ConfigurationError: a name has other characters.
        """
        for name in (self.gateway, self.run):
            if _NAME.fullmatch(name) is None:
                raise ConfigurationError(f"gateway {name!r}: a name of up to 64 letters, digits, . _ - is needed here")

    @property
    def prefix_of_gateway(self) -> str:
        """Begin of the keys of all starts of this gateway."""
        return f"{_ROOT}:{self.gateway}:"

    @property
    def prefix(self) -> str:
        """Begin of the keys of this start; Celery's own keys stand there too."""
        return f"{self.prefix_of_gateway}{self.run}:"

    @property
    def answers(self) -> str:
        """Key of the list of answers."""
        return f"{self.prefix}answers"

    @property
    def beat(self) -> str:
        """Key of the number that tells whether Redis still remembers what it was told last."""
        return f"{self.prefix}beat"

    @property
    def tasks(self) -> str:
        """Celery queue of the tasks, without prefix."""
        return "tasks"

    def probes(self, worker: int) -> str:
        """Celery queue of the probes of one worker, without prefix."""
        return f"probes-{worker}"
