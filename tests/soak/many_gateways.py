"""Four gateways on the same work without coordination, 5 000 packets in a round."""

import asyncio
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from piebridge.cli.local_network.plan import ParachainKind
from soak.campaign import Round
from testkit.campaign.many_gateways import Plan, many_gateways

PACKETS = 5_000
REDUNDANT_SHARE_MAX = 0.03


def rounds_of(kind: ParachainKind) -> Round:
    """Returns the campaign on parachains of one kind."""
    return partial(_run_round, kind)


def _run_round(kind: ParachainKind, seed: int) -> Mapping[str, int]:
    """Starts a network with four gateways, sends, and counts what its chains say."""
    with tempfile.TemporaryDirectory(prefix="piebridge-soak-") as folder:
        outcome = asyncio.run(many_gateways(Path(folder), Plan(seed, PACKETS, in_flight=300), kind))
    print(outcome, flush=True)
    assert outcome.work.share <= REDUNDANT_SHARE_MAX, str(outcome)
    return outcome.counts()
