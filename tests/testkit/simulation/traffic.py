"""Users: transfers, records, ordered entries, on every chain, at times of their own."""

import random
from collections import Counter
from dataclasses import dataclass

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.routing import RoutingPolicy, SlotRange
from testkit.simulation.applications import LEDGER, TOKEN, Ledger, RecordNotary, Token
from testkit.simulation.hub import Hub
from testkit.simulation.keys import address
from testkit.simulation.parachain import Execution, SimulatedChain, UserCall
from testkit.simulation.plan import Plan

SHARE = 10_000
"""Tokens of each chain at first."""
_SLOTS = 1_024


@dataclass(slots=True)
class Site:
    """A parachain with everything on it."""

    chain: SimulatedChain
    hub: Hub
    token: Token
    notary: RecordNotary
    ledger: Ledger


def routing(relays: tuple[int, ...]) -> RoutingPolicy:
    """Return the policy that gives each relay chain its share of the slots."""
    bounds = [_SLOTS * number // len(relays) for number in range(len(relays) + 1)]
    return RoutingPolicy(
        1,
        tuple(
            SlotRange(relay, first, after - first)
            for relay, first, after in zip(relays, bounds[:-1], bounds[1:], strict=True)
        ),
    )


class Traffic:
    """All users of a domain."""

    def __init__(self, plan: Plan, sites: dict[int, Site], randomness: random.Random, counts: Counter[str]) -> None:
        self._plan = plan
        self._sites = sites
        self._random = randomness
        self._counts = counts
        self._keys = [keccak256(b"record %d" % number) for number in range(4)]

    def times(self) -> list[float]:
        """Return when packets are sent, in order; some come in bursts."""
        draw = self._random
        bursts = [draw.uniform(0, self._plan.active_seconds) for _ in range(3)]
        return sorted(
            draw.choice(bursts) if draw.random() < 0.4 else draw.uniform(0, self._plan.active_seconds)
            for _ in range(self._plan.packets)
        )

    def send(self) -> None:
        """Have somebody send something."""
        draw = self._random
        source = draw.choice(sorted(self._sites))
        destination = draw.choice([number for number in sorted(self._sites) if number != source])
        kind = draw.choice(("transfer", "transfer", "transfer", "record", "ledger", "bound ledger", "loose entry"))
        self._counts[f"{kind} wanted"] += 1
        self._sites[source].chain.user(self._call(kind, self._sites[source], destination))

    def _call(self, kind: str, site: Site, destination: int) -> UserCall:
        draw = self._random
        life = draw.randint(*self._plan.lifetime_seconds)
        spare = draw.choice((0, 5, 60))
        if kind == "transfer":
            relay = site.hub.route(destination, TOKEN)
            sender, recipient = address("alice"), draw.choice((address("bob"), address("carol"), bytes(20)))
            amount = draw.choice((1, 70, 700))
            return lambda execution: _done(
                site.token.transfer_remote(
                    execution,
                    sender,
                    destination,
                    relay,
                    recipient,
                    amount,
                    execution.time_seconds + life,
                    execution.time_seconds + life + spare,
                )
            )
        if kind == "record":
            key, value = draw.choice(self._keys), keccak256(draw.randbytes(8))
            forever = draw.random() < 0.6
            return lambda execution: _done(
                site.notary.notarise(
                    execution, destination, key, value, 0 if forever else execution.time_seconds + life
                )
            )
        relay = site.hub.route(destination, LEDGER) if kind == "bound ledger" else 0
        ordered = kind != "loose entry"
        number, wanted = draw.randint(1, 1_000), ordered and draw.random() < 0.5

        def post(execution: Execution) -> None:
            expiry = execution.time_seconds + life
            deadline = expiry + spare if relay else 0
            site.ledger.post(execution, destination, number, relay, expiry, deadline, wanted=wanted, ordered=ordered)

        return post


def _done(packet_id: bytes) -> None:
    """A user's transaction answers nothing."""
