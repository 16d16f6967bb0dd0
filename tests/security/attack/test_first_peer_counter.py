"""The lane toward a domain's first peer is counted in the outbox head, settings are copied to lanes and senders.

Peers come and go, domains alternate, applications are registered anew: every lane stays dense from 1, and a
peer that is no member is sent nothing, whatever a copy says.
"""

import random
from collections import defaultdict

import pytest

from piebridge.protocol_stack.governor_hub_bodies import OpenDomain, RegisterApplication, RegisterPeer
from testkit.world import hostile
from testkit.world.bench import ALL_PROTOCOLS, CHAIN_ID, ELSEWHERE, OTHER_DOMAIN, THERE, HubBench
from testkit.world.hub import DELTA_SECONDS, DOMAIN

STEPS = 150

pytestmark = pytest.mark.slow


def test_lanes_stay_dense_whatever_happens_to_peers_and_copies() -> None:
    chance = random.Random(7)
    bench = HubBench.build()
    puppets = [bench.install(hostile.puppet(bench.hub.hub, ()), application=50 + i) for i in range(2)]
    member = {(domain, peer): True for domain in (DOMAIN, OTHER_DOMAIN) for peer in (THERE, ELSEWHERE)}
    gas_of = dict.fromkeys(member, 10_000_000)
    last: defaultdict[tuple[int, int], int] = defaultdict(int)
    sent = refused = 0
    for _ in range(STEPS):
        domain, peer = chance.choice(sorted(member))
        which = chance.choice((0, 1))
        step = chance.random()
        if step < 0.12:
            member[domain, peer] = chance.random() < 0.6
            gas_of[domain, peer] = chance.choice((50_000, 10_000_000))
            body = RegisterPeer(peer, CHAIN_ID + peer - 1, gas_of[domain, peer], member[domain, peer])
            bench.hub.govern(body, domain=domain)
        elif step < 0.17:
            bench.hub.govern(OpenDomain(8_192, *DELTA_SECONDS), domain=domain)
        elif step < 0.22:
            bench.hub.govern(RegisterApplication(50 + which, bytes(20), ALL_PROTOCOLS), domain=0)
            bench.hub.govern(RegisterApplication(50 + which, puppets[which], ALL_PROTOCOLS), domain=0)
        else:
            outcome = bench.send_raw(puppets[which], domain=domain, destination=peer, gas=100_000)
            possible = member[domain, peer] and gas_of[domain, peer] >= 100_000
            assert outcome.succeeded == possible, bench.hub.error(outcome)
            refused += not possible
            if possible:
                sent += 1
                packet = bench.sent(outcome)
                last[domain, peer] += 1
                assert (packet.lane.domain, packet.lane.destination) == (domain, peer)
                assert packet.sequence == last[domain, peer]
    assert sent > 30
    assert refused > 5
