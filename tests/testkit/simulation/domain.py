"""A whole domain: built from a plan, run on a virtual clock with faults, drained, judged."""

import asyncio
import gc
import logging
import random
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from piebridge.crypto.hash import keccak256, sha256
from piebridge.crypto.signature import public_key_of
from piebridge.protocol_stack.governor_relay_bodies import (
    ClientKind,
    GatewayQuota,
    Gateways,
    Parameters,
    RegisterChain,
    ValidatorKeys,
    ValidatorSet,
)
from piebridge.protocol_stack.notary_statement import NotarySet
from piebridge.protocol_stack.relay_genesis import RelayGenesis
from piebridge.protocol_stack.verification.base import Method
from testkit.simulation import clock, signatures
from testkit.simulation import notaries as notary_processes
from testkit.simulation.adversary import Adversary
from testkit.simulation.applications import LEDGER, LEDGER_CHANNEL, RECORD_NOTARY, TOKEN, Ledger, RecordNotary, Token
from testkit.simulation.endpoints import Node, SimulatedParachainEndpoint, SimulatedRelayEndpoint, Watch
from testkit.simulation.faults import Faults
from testkit.simulation.gateways import GatewayProcess
from testkit.simulation.hub import Hub
from testkit.simulation.judge import Finding, broken, expired_too_early, look
from testkit.simulation.keys import DOMAIN, GOVERNOR_SECRET, address, private_key
from testkit.simulation.network import Network
from testkit.simulation.parachain import START_SECONDS, Execution, SimulatedChain
from testkit.simulation.plan import Plan, make_plan
from testkit.simulation.relay import NANOSECONDS, SimulatedRelay
from testkit.simulation.traffic import SHARE, Site, Traffic, routing

REGISTRATIONS = (11, 22, 33)
RELAYS = (1, 2)
DELTA_SECONDS = 240.0
"""I13: so long after the last fault everything has ended."""
LONG_DELTA_SECONDS = 420.0
"""The same for seeds in which a relay chain forgets after 25 s what gateways, which look again only every 60 s, then
have to carry once more, up to three times: there and home again."""
LONG = frozenset({713, 1515})
"""These seeds: 713 needs up to 300 s, 1515 up to 360."""
_LOOK_SECONDS = 20.0
_GATEWAY_QUOTA = 5_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulation was and what the judges found."""

    seed: int
    digest: str
    """Of all chains and counts: the same for the same seed."""
    counts: dict[str, int]
    findings: tuple[Finding, ...]
    virtual_seconds: float

    @property
    def invariants(self) -> set[str]:
        return {finding.invariant for finding in self.findings}


@dataclass
class Domain:
    """Everything that takes part."""

    plan: Plan
    loop: clock.VirtualLoop
    counts: Counter[str] = field(default_factory=Counter)
    sites: dict[int, Site] = field(default_factory=dict)
    relays: dict[int, SimulatedRelay] = field(default_factory=dict)
    skew: dict[str, float] = field(default_factory=dict)
    """By how much the clock of a chain is wrong, seconds."""
    nodes: dict[str, Node] = field(default_factory=dict)
    watches: dict[str, Watch] = field(default_factory=dict)
    gateways: list[GatewayProcess] = field(default_factory=list)
    notaries: list[notary_processes.NotaryProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        plan = self.plan
        self.network = Network(plan.network, self.dice("network"), self.counts)
        self.registrations = REGISTRATIONS[: plan.parachains]
        self.relay_ids = RELAYS[: plan.relays]
        for position, registration in enumerate(self.registrations):
            self.sites[registration] = self._build_site(registration)
            self.skew[self.sites[registration].chain.name] = plan.skew_seconds[position]
        self._build_notaries()
        for relay in self.relay_ids:
            self.relays[relay] = self._build_relay(relay)
            self.skew[f"relay-{relay}"] = 0.0
        self._open_hubs()
        for index in range(plan.gateways):
            self.gateways.append(self._build_gateway(index))
        self.traffic = Traffic(plan, self.sites, self.dice("traffic"), self.counts)
        self.faults = Faults(self)
        self.adversary = Adversary(self) if plan.adversary else None

    def dice(self, name: str) -> random.Random:
        """Return a source of randomness of one part, so that parts do not disturb each other."""
        return random.Random(f"{self.plan.seed}/{name}")

    # --- building ---

    @property
    def notary_set(self) -> NotarySet:
        """The notaries that relay chains know."""
        return notary_processes.notary_set([notary.name for notary in self.notaries])

    @property
    def supply(self) -> int:
        return SHARE * len(self.sites)

    def _build_site(self, registration: int) -> Site:
        chain = SimulatedChain(f"chain-{registration}", registration, 31_000 + registration)
        peers = tuple(other for other in self.registrations if other != registration)
        policy = routing(self.relay_ids)
        hub = Hub(
            registration,
            keccak256(b"hub %d" % registration)[12:],
            DOMAIN,
            self.relay_ids,
            peers,
            route=lambda destination, application: policy.relay_of(registration, destination, application),
        )
        token = Token(
            hub, keccak256(b"token %d" % registration)[12:], SHARE * self.plan.parachains, self.plan.token_cap
        )
        notary = RecordNotary(hub, keccak256(b"notary %d" % registration)[12:])
        ledger = Ledger(hub, keccak256(b"ledger %d" % registration)[12:])
        hub.applications = {TOKEN: token, RECORD_NOTARY: notary, LEDGER: ledger}
        hub.channels = {LEDGER_CHANNEL: LEDGER}
        self.watches[chain.name] = Watch()
        chain.hub = hub
        return Site(chain, hub, token, notary, ledger)

    def _open_hubs(self) -> None:
        for site in self.sites.values():
            sets = {number: relay.sets[1].endorsers.set_hash(DOMAIN, number) for number, relay in self.relays.items()}

            def setup(execution: Execution, site: Site = site, sets: dict[int, bytes] = sets) -> None:
                site.hub.open(execution, sets)
                site.token.create(execution, address("alice"), SHARE)

            site.chain.begin(site.hub, START_SECONDS - 1_000, setup)

    def node(self, chain: SimulatedChain, owner: str) -> Node:
        """Return a node of its owner's own."""
        name = f"{chain.name} of {owner}"
        if name not in self.nodes:
            self.nodes[name] = Node(chain, name)
        return self.nodes[name]

    def _build_notaries(self) -> None:
        depths = dict(zip(self.registrations, self.plan.depth, strict=False))
        for position in range(notary_processes.COUNT):
            owner = f"notary-{position}"
            nodes: dict[int, tuple[Node, ...]] = {
                number: (self.node(site.chain, f"{owner}a"), self.node(site.chain, f"{owner}b"))
                for number, site in self.sites.items()
            }
            self.notaries.append(notary_processes.NotaryProcess(position, nodes, depths, self.network))

    def _build_relay(self, relay: int) -> SimulatedRelay:
        first = self.validator_set(relay, 1)
        depths = dict(zip(self.registrations, self.plan.depth, strict=False))
        genesis = RelayGenesis(
            DOMAIN,
            relay,
            False,
            public_key_of(GOVERNOR_SECRET.to_bytes(32, "big")),
            Parameters(8_192, self.plan.retention_seconds, 200),
            first,
            tuple(
                RegisterChain(
                    number,
                    site.hub.address,
                    site.chain.evm_chain_id,
                    ClientKind.NONE,
                    Method.NOTARY,
                    depths[number],
                    16,
                    site.hub.handler_gas_max,
                    None,
                    self.notary_set,
                )
                for number, site in self.sites.items()
            ),
            Gateways(
                tuple(
                    GatewayQuota(item, _GATEWAY_QUOTA)
                    for item in sorted(address(f"gateway-{index}") for index in range(self.plan.gateways))
                )
            ),
        )
        built = SimulatedRelay(DOMAIN, relay, genesis, {1: first}, self.counts, self.dice(f"relay {relay}"))
        built.start(START_SECONDS * NANOSECONDS)
        built.hire([f"relay {relay} {position}" for position in built.members_of(1)])
        self.watches[built.name] = Watch()
        return built

    def validator_set(self, relay: int, epoch: int) -> ValidatorSet:
        """Return the validator set of an epoch."""
        return ValidatorSet(
            epoch,
            3,
            tuple(
                ValidatorKeys(
                    public_key_of(private_key(f"relay {relay} {position} consensus")),
                    address(f"relay {relay} {position} endorsement"),
                )
                for position in range(epoch - 1, epoch + 3)
            ),
        )

    def _build_gateway(self, index: int) -> GatewayProcess:
        return GatewayProcess(
            index,
            self.plan.gateways,
            [site.chain for site in self.sites.values()],
            list(self.relays.values()),
            self.loop,
            self.dice(f"gateway {index}"),
            self.parachain_endpoint,
            self.relay_endpoint,
            self.notary_client,
        )

    def parachain_endpoint(self, client: str, registration: int) -> SimulatedParachainEndpoint:
        """Return a client's endpoint of a parachain, at the node of its own."""
        chain = self.sites[registration].chain
        return SimulatedParachainEndpoint(client, self.node(chain, client), self.network, self.watches[chain.name])

    def relay_endpoint(self, client: str, relay: int) -> SimulatedRelayEndpoint:
        """Return a client's endpoint of a relay chain."""
        chain = self.relays[relay]
        return SimulatedRelayEndpoint(client, chain, self.network, self.watches[chain.name])

    def notary_client(self, client: str, registration: int) -> notary_processes.SimulatedNotaryClient:
        """Return who asks the notaries of a hub for a client."""
        return notary_processes.SimulatedNotaryClient(client, self.notaries, self.network, registration)

    # --- running ---

    def chain_seconds(self, name: str) -> int:
        """Return what a chain takes for the time, Unix seconds."""
        return START_SECONDS + int(self.loop.now + self.skew[name])

    async def run(self) -> tuple[Finding, ...]:
        """Run it all; return what is broken."""
        chains = [asyncio.ensure_future(self._mine(position)) for position in range(len(self.registrations))]
        chains += [asyncio.ensure_future(self._decide(relay)) for relay in self.relays.values()]
        for gateway in self.gateways:
            await gateway.start()
        faults = [asyncio.ensure_future(item) for item in self.faults.tasks()]
        if self.adversary is not None:
            faults.append(asyncio.ensure_future(self.adversary.run()))
        started = self.loop.now
        for at in self.traffic.times():
            await asyncio.sleep(max(0.0, started + at - self.loop.now))
            self.traffic.send()
        await asyncio.sleep(max(0.0, started + self.plan.active_seconds - self.loop.now))
        for task in faults:
            task.cancel()
        await asyncio.gather(*faults, return_exceptions=True)
        _raise_failures([*faults])
        await self.faults.end()
        findings = await self._drain()
        _raise_failures(chains)
        _raise_failures([gateway.running for gateway in self.gateways if gateway.running is not None])
        return findings

    async def _drain(self) -> tuple[Finding, ...]:
        """Wait, with all faults off, until everything has ended, or ought to have; then judge."""
        ends = self.loop.now + (LONG_DELTA_SECONDS if self.plan.seed in LONG else DELTA_SECONDS)
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            verdict, ledgers = look(self.sites, self.relay_ids, self.supply)
            open_ = verdict.pending
            if not open_ or verdict.violations or self.loop.now >= ends:
                break
        findings = [*broken(self.sites, verdict, ledgers), *expired_too_early(self.sites, ledgers)]
        if self.adversary is None:
            findings += [Finding("I13", "all", f"packet {packet_id.hex()[:16]} has not ended") for packet_id in open_]
        for relay in self.relays.values() if self.plan.seed % 4 < 2 else ():  # half of the seeds: it costs a tenth
            try:
                relay.app_hashes_again()
            except AssertionError as error:
                findings.append(Finding("I12", relay.name, str(error)))
        self.counts.update(sent=verdict.sent, executed=verdict.executed, aborted=verdict.aborted)
        return tuple(findings)

    async def _mine(self, position: int) -> None:
        chain = self.sites[self.registrations[position]].chain
        while True:
            await asyncio.sleep(self.plan.block_seconds[position])
            chain.mine(self.chain_seconds(chain.name))
            self.watches[chain.name].wake()

    async def _decide(self, relay: SimulatedRelay) -> None:
        while True:
            await asyncio.sleep(self.plan.relay_block_seconds)
            relay.make_block(self.chain_seconds(relay.name) * NANOSECONDS)
            self.watches[relay.name].wake()

    def digest(self) -> str:
        """Return a hash over everything that has happened."""
        parts = [made.block.hash for site in self.sites.values() for made in site.chain.made]
        parts += [response.app_hash for relay in self.relays.values() for _, response in relay.blocks]
        parts.append(repr(sorted(self.counts.items())).encode())
        parts.append(repr(self.loop.now).encode())
        return sha256(b"".join(parts)).hex()


def _raise_failures(tasks: Sequence["asyncio.Future[Any]"]) -> None:
    """A part of the simulation that has failed is a fault of the simulation, not a finding."""
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            raise error


def _told(error: BaseException) -> str:
    """Return what an error says, with the place where it was raised."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    places = traceback.extract_tb(error.__traceback__)
    return f"{error!r} at {places[-1].filename.rsplit('/', 1)[-1]}:{places[-1].lineno}" if places else repr(error)


def simulate(seed: int, plan: Plan | None = None) -> Outcome:
    """Run one simulation from its seed."""
    logging.disable(logging.CRITICAL)
    collecting = gc.isenabled()
    gc.disable()  # the order in which garbage is found is not part of the seed
    try:
        loop = clock.VirtualLoop()
        domain: list[Domain] = []

        async def main() -> tuple[Finding, ...]:
            domain.append(Domain(plan or make_plan(seed), loop))
            return await domain[0].run()

        try:
            with signatures.remembered():
                findings = clock.run(main(), loop)
        except Exception as error:  # whatever part of the product fails in a way it does not know: that is a finding
            findings = (Finding("crash", type(error).__name__, _told(error)),)
        counts = {name: count for name, count in sorted(domain[0].counts.items()) if count}
        return Outcome(seed, domain[0].digest(), counts, findings, loop.now)
    finally:
        logging.disable(logging.NOTSET)
        if collecting:
            gc.enable()
