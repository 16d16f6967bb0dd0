"""Writes the vectors of the wire formats, or compares them: ``python tests/vectors/generate.py [--check]``."""

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Write every file, or with ``--check`` name those that differ. Returns the process's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a file is not what would be written"
    )
    arguments = parser.parse_args()
    sys.path.insert(0, str(HERE.parent))
    from testkit.vectors import FILES

    stale = []
    for name, make in FILES.items():
        text = json.dumps(make(), indent=1, ensure_ascii=True) + "\n"
        path = HERE / name
        if not path.exists() or path.read_text(encoding="ascii") != text:
            stale.append(name)
            if not arguments.check:
                path.write_text(text, encoding="ascii")
    if not arguments.check:
        print(f"{len(FILES)} files, {len(stale)} written")
        return 0
    if stale:
        print(f"not what the generator writes: {', '.join(stale)}")
        print("run python tests/vectors/generate.py and look at the difference")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
