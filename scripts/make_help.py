"""Prints the targets of a Makefile with the text after `##` on their line."""

import re
import sys
from pathlib import Path

_DOCUMENTED_TARGET = re.compile(r"^(?P<name>[a-z][a-z0-9-]*):[^#]*## (?P<text>.+)$", re.MULTILINE)


def documented_targets(makefile: str) -> dict[str, str]:
    """Returns target -> its one line of documentation, in the order of the file."""
    return {match["name"]: match["text"] for match in _DOCUMENTED_TARGET.finditer(makefile)}


if __name__ == "__main__":
    targets = documented_targets(Path(sys.argv[1]).read_text())
    width = max(map(len, targets))
    for name, text in targets.items():
        print(f"  make {name:<{width}}  {text}")
