"""Everything that goes wrong outside of messages, each at random times with a mean of the plan's."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from piebridge.crypto.errors import ChainError
from piebridge.protocol_stack.governor_relay_bodies import ValidatorSet
from testkit.simulation.hub import Hub
from testkit.simulation.parachain import Execution, SimulatedChain
from testkit.simulation.plan import FAULT_SECONDS_NEVER

if TYPE_CHECKING:
    from testkit.simulation.domain import Domain

OVERLAP_SECONDS = 12
"""How long a hub accepts the set before."""
LIES = ("value", "signature", "epoch")


class Faults:
    """All faults of a domain."""

    def __init__(self, domain: "Domain") -> None:
        self._domain = domain
        self._dice = domain.dice("faults")
        self._changing = asyncio.Lock()
        self._told: dict[tuple[int, int], int] = {}
        """Newest set epoch that was told to a hub of a relay chain."""
        if domain.plan.liar >= 0:
            lie = self._dice.choice(LIES)
            for relay in domain.relays.values():
                relay.validators[domain.plan.liar].lie = lie

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """Return what runs while faults are on."""
        plan = self._domain.plan.faults
        kinds: list[tuple[float, Callable[[random.Random], Awaitable[None]]]] = [
            (plan.gateway_crash, self._crash_gateway),
            (plan.partition, self._part),
            (plan.relay_crash, self._crash_relay),
            (plan.validator_down, self._stop_validator),
            (plan.validators_halt, self._halt_relay),
            (plan.reorganisation, self._reorganise),
            (plan.node_fault, self._break_node),
            (plan.clock_jump, self._move_clock),
            (plan.set_change, self._change_set),
            (plan.notary_down, self._stop_notary),
        ]
        return [
            self._repeat(mean, kind, self._domain.dice(kind.__name__))
            for mean, kind in kinds
            if mean < FAULT_SECONDS_NEVER
        ]

    async def _repeat(
        self, mean: float, fault: Callable[[random.Random], Awaitable[None]], dice: random.Random
    ) -> None:
        while True:
            await asyncio.sleep(dice.expovariate(1 / mean))
            await fault(dice)

    async def end(self) -> None:
        """Put everything right that is wrong."""
        domain = self._domain
        domain.network.faulty = False
        domain.network.partitions.clear()
        for node in domain.nodes.values():
            node.down = node.hides_logs = node.forges = False
            node.behind = 0
        for notary in domain.notaries:
            notary.down = False
            if notary.notary.stopped:
                notary.restart()
        for relay in domain.relays.values():
            for validator in relay.validators:
                validator.down = False
            relay.crash_at = ""
            if relay.application is None:
                relay.start(relay.time_ns)
        for name in domain.skew:
            domain.skew[name] = max(domain.skew[name], 0.0)
        blow = self._dice.random() < 0.5  # all at one moment, so that nobody does what a forgetful one has left
        for gateway in domain.gateways:
            if blow:
                gateway.kill()
                domain.counts["gateways killed"] += 1
        for gateway in domain.gateways:
            if gateway.gateway is None:
                await gateway.start()
        await self._finish_set_changes()

    # --- gateways ---

    async def _crash_gateway(self, dice: random.Random) -> None:
        domain = self._domain
        gateway = dice.choice(domain.gateways)
        if gateway.gateway is None:
            return
        if dice.random() < 0.3:
            gateway.copy_disk()
            return
        gateway.kill()
        domain.counts["gateways killed"] += 1
        if dice.random() < domain.plan.faults.database_loss:
            gateway.disk = gateway.old_disk if dice.random() < 0.5 else b""
            domain.counts["databases lost"] += 1
        await asyncio.sleep(dice.choice((0.1, 3.0, 15.0)))
        if gateway.gateway is None:
            await gateway.start()

    async def _part(self, dice: random.Random) -> None:
        """Cut one process off from some others."""
        domain = self._domain
        client = dice.choice([*(gateway.name for gateway in domain.gateways), *(item.name for item in domain.notaries)])
        servers = [
            name
            for name in (*domain.nodes, *(relay.name for relay in domain.relays.values()))
            if client in name or name.startswith("relay")
        ]
        servers += [notary.name for notary in domain.notaries]
        cut = {(client, server) for server in servers if dice.random() < 0.5}
        domain.network.partitions |= cut
        domain.counts["partitions"] += bool(cut)
        await asyncio.sleep(dice.uniform(2, 20))
        domain.network.partitions -= cut

    # --- relay chains ---

    async def _crash_relay(self, dice: random.Random) -> None:
        relay = dice.choice(list(self._domain.relays.values()))
        if relay.application is None:
            return
        if dice.random() < 0.3:
            relay.crash()
        else:
            relay.crash_at = dice.choice(("before", "executed", "decided", "committed"))
            while relay.crash_at:  # noqa: ASYNC110 - until a block is made
                await asyncio.sleep(0.5)
        self._domain.counts["relay chains crashed"] += 1
        await asyncio.sleep(dice.uniform(0.5, 10))
        if relay.application is None:
            relay.start(relay.time_ns)

    async def _stop_validator(self, dice: random.Random) -> None:
        """One validator, and with the liar no more than f of them."""
        relay = dice.choice(list(self._domain.relays.values()))
        bad = [validator for validator in relay.validators if validator.lie]
        validator = bad[0] if bad else dice.choice(relay.validators)
        validator.down = True
        self._domain.counts["validators down"] += 1
        await asyncio.sleep(dice.uniform(3, 20))
        validator.down = False

    async def _halt_relay(self, dice: random.Random) -> None:
        relay = dice.choice(list(self._domain.relays.values()))
        stopped = dice.sample(relay.validators, 2)
        for validator in stopped:
            validator.down = True
        self._domain.counts["relay chains halted"] += 1
        await asyncio.sleep(dice.uniform(3, 15))
        for validator in stopped:
            validator.down = False

    async def _change_set(self, dice: random.Random) -> None:
        """Give a relay chain its next validator set: first the relay chain, then every hub, as governors do."""
        domain = self._domain
        relay = dice.choice(list(domain.relays.values()))
        async with self._changing:
            if not await self._change_relay(relay.relay, domain.validator_set(relay.relay, relay.epoch + 1)):
                return
            domain.counts["sets changed"] += 1
            await asyncio.sleep(dice.uniform(0, 15))
            self._tell_hubs(relay.relay, OVERLAP_SECONDS if dice.random() < 0.7 else 0)

    async def _change_relay(self, number: int, validators: ValidatorSet) -> bool:
        relay = self._domain.relays[number]
        for _ in range(20):
            if relay.application is not None and relay.view.validators.epoch >= validators.epoch:
                relay.sets[validators.epoch] = validators
                relay.hire([f"relay {number} {position}" for position in relay.members_of(validators.epoch)])
                return True
            try:
                if relay.application is not None:
                    relay.submit(relay.govern(validators))
            except ChainError:
                pass  # on its way already, or down
            await asyncio.sleep(3)
        return False

    def _tell_hubs(self, number: int, overlap_seconds: int) -> None:
        relay = self._domain.relays[number]
        epoch = relay.epoch
        set_hash = relay.sets[epoch].endorsers.set_hash(relay.domain, number)
        for registration, site in self._domain.sites.items():
            told = self._told.setdefault((registration, number), 1)
            if told == epoch:
                continue
            self._told[registration, number] = epoch

            def change(execution: Execution, hub: Hub = site.hub) -> None:
                hub.set_endorsers(execution, number, set_hash, overlap_seconds)

            site.chain.user(change)

    async def _finish_set_changes(self) -> None:
        """Complete a change that was under way, and repeat what a reorganisation has taken back."""
        await asyncio.sleep(3 * self._domain.plan.relay_block_seconds)  # for messages in the mempool
        for number, relay in self._domain.relays.items():
            epoch = relay.view.validators.epoch
            if epoch not in relay.sets:
                relay.sets[epoch] = self._domain.validator_set(number, epoch)
                relay.hire([f"relay {number} {position}" for position in relay.members_of(epoch)])
            current = int.from_bytes(relay.sets[epoch].endorsers.set_hash(relay.domain, number), "big")
            for site in self._domain.sites.values():

                def repeat(
                    execution: Execution, hub: Hub = site.hub, number: int = number, current: int = current
                ) -> None:
                    if hub.current_set(execution, number) != current:
                        hub.set_endorsers(execution, number, current.to_bytes(32, "big"), 0)

                site.chain.user(repeat)

    # --- parachains ---

    async def _reorganise(self, dice: random.Random) -> None:
        """Replace blocks that are not final yet; half of the time those that a gateway has just seen do its work."""
        domain = self._domain
        position = dice.randrange(len(domain.registrations))
        chain = domain.sites[domain.registrations[position]].chain
        strikes = dice.random() < 0.5 and await self._gateway_was_seen(chain)
        deepest = domain.plan.depth[position]
        depth = min(deepest if strikes else dice.randint(1, deepest), len(chain.made) - 1)
        if depth < 1:
            return
        times = [made.block.timestamp for made in chain.made[-depth:]]
        kept = 0.0 if strikes else dice.choice((0.0, 0.5, 1.0))
        chain.reorganise(depth, times, lambda: dice.random() < kept)
        domain.counts["reorganisations"] += 1
        domain.watches[chain.name].wake()

    async def _gateway_was_seen(self, chain: SimulatedChain) -> bool:
        """Wait for a block with a gateway's transaction, and until gateways know of it; tell whether there was one."""
        for _ in range(40):
            await asyncio.sleep(0.5)
            if chain.made[-1].pooled:
                await asyncio.sleep(1.0)
                return True
        return False

    async def _break_node(self, dice: random.Random) -> None:
        domain = self._domain
        node = domain.nodes[dice.choice(sorted(domain.nodes))]
        kind = dice.choice(("down", "behind", "hides", "forges"))
        if kind == "forges" and "notary" in node.name and "notary-0" not in node.name:
            kind = "down"  # of the nodes of notaries, only those of the first one lie: k others remain
        if kind == "down":
            node.down = True
        elif kind == "behind":
            node.behind = dice.randint(1, 8)
        elif kind == "hides":
            node.hides_logs = True
        else:
            node.forges = True
        domain.counts[f"nodes {kind}"] += 1
        await asyncio.sleep(dice.uniform(3, 25))
        node.down = node.hides_logs = node.forges = False
        node.behind = 0

    async def _move_clock(self, dice: random.Random) -> None:
        domain = self._domain
        name = dice.choice(sorted(domain.skew))
        domain.skew[name] += dice.choice((-20, -5, 5, 20))
        domain.counts["clocks moved"] += 1

    async def _stop_notary(self, dice: random.Random) -> None:
        notary = dice.choice(self._domain.notaries)
        notary.down = True
        self._domain.counts["notaries down"] += 1
        await asyncio.sleep(dice.uniform(2, 15))
        notary.down = False
        if dice.random() < 0.5:
            notary.restart()
