"""``make simulate SEED=17``: run simulations again and show what they find."""

import argparse
import sys
import time

from testkit.simulation.domain import simulate
from testkit.simulation.plan import make_plan


def main() -> int:
    """Run each seed; return 1 if any finds something."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("seeds", type=int, nargs="+", metavar="SEED")
    parser.add_argument("--plan", action="store_true", help="show what was drawn from the seed")
    arguments = parser.parse_args()
    found = 0
    for seed in arguments.seeds:
        if arguments.plan:
            print(make_plan(seed))
        started = time.perf_counter()
        outcome = simulate(seed)
        seconds = time.perf_counter() - started
        print(
            f"seed {seed}: {outcome.virtual_seconds:.0f} s of a domain's life in {seconds:.2f} s "
            f"({outcome.virtual_seconds / seconds:.0f} x), digest {outcome.digest[:16]}"
        )
        for name, count in outcome.counts.items():
            print(f"  {count:6d}  {name}")
        for finding in outcome.findings:
            print(f"  FOUND {finding}")
        found += bool(outcome.findings)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
