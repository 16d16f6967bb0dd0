"""Command line of the soak runner; `make soak` calls it."""

import argparse
import sys
import traceback
from pathlib import Path

from soak.campaigns import CAMPAIGNS
from soak.runner import SoakError, soak

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description="Run the campaigns of tests/soak/campaigns.py.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--campaign", choices=[campaign.name for campaign in CAMPAIGNS], help="only this one")
    parser.add_argument("--round-seed", type=int, help="repeat one round of --campaign, leave ledger and state alone")
    options = parser.parse_args()
    chosen = [campaign for campaign in CAMPAIGNS if options.campaign in (None, campaign.name)]
    if options.round_seed is not None:
        if options.campaign is None:
            parser.error("--round-seed needs --campaign")
        print(dict(chosen[0].run_round(options.round_seed)))
        return 0
    try:
        soak(
            chosen,
            root=ROOT,
            state_folder=ROOT / ".cache" / "soak",
            ledger=ROOT / "soak" / "ledger.jsonl",
            seed=options.seed,
            minutes=options.minutes,
        )
    except SoakError as error:
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        print(f"soak: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("soak: interrupted; the same command goes on from the last completed round", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
