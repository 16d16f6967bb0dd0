"""Gateways killed at random on networks of real processes, more often and with more packets than in `make test`."""

import asyncio
import random
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from piebridge.cli.local_network.plan import Engine, ParachainKind
from soak.campaign import Round
from testkit.campaign.gateway_kills import Plan, gateway_kills

KILLS = 60
PACKETS = 1_000
IN_FLIGHT = (20, 100, 300, 600)
"""Packets that users keep under way: each round one of these, so that gateways die idle as well as overloaded."""
COMETBFT_KILLS = 40
"""20 of each of two gateways."""
COMETBFT_PACKETS = 5_000


def rounds_of(kind: ParachainKind) -> Round:
    """Returns the campaign on parachains of one kind."""
    return partial(_run_round, kind)


def cometbft_rounds_of(kind: ParachainKind) -> Round:
    """Returns the campaign on parachains of one kind with a relay chain of four CometBFT validators."""
    return partial(_run_cometbft_round, kind)


def _run_round(kind: ParachainKind, seed: int) -> Mapping[str, int]:
    """Starts a network, kills its gateways with work in flight, and asks the oracle."""
    return _run(kind, Plan(seed, KILLS, PACKETS, random.Random(f"{seed}/plan").choice(IN_FLIGHT)))


def _run_cometbft_round(kind: ParachainKind, seed: int) -> Mapping[str, int]:
    """The same, while a third of the time one of the validators is down as well."""
    return _run(kind, Plan(seed, COMETBFT_KILLS, COMETBFT_PACKETS, in_flight=300, engine=Engine.COMETBFT))


def _run(kind: ParachainKind, plan: Plan) -> Mapping[str, int]:
    with tempfile.TemporaryDirectory(prefix="piebridge-soak-") as folder:
        outcome = asyncio.run(gateway_kills(Path(folder), plan, kind))
    print(outcome, flush=True)
    return outcome.counts()
