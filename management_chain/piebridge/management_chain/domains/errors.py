"""What can be wrong with a domain file."""

from piebridge.crypto.errors import ConfigurationError


class DomainFileError(ConfigurationError):
    """A domain file cannot be read as one. The message names the place and what would be accepted."""

    def __init__(self, place: str, problem: str) -> None:
        """Join place and problem."""
        super().__init__(f"{place}: {problem}")
        self.place = place
        """Table and key, for example ``[chain 2] depth``."""
        self.problem = problem
        """What is wrong."""
