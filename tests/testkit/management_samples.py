"""Random well-formed values of the management chain's formats, from the same seeded source as all others."""

from piebridge.crypto.signature import public_key_of
from piebridge.protocol_stack.endorsement import EndorsementMethod
from piebridge.protocol_stack.governor_relay_bodies import GatewayQuota, Gateways, Parameters, RegisterChain
from piebridge.protocol_stack.management.decision import DecidedRelay, Decision, Seat
from piebridge.protocol_stack.management.draw import Candidate
from piebridge.protocol_stack.management.offer import NodeOffer, Peer
from piebridge.protocol_stack.management.parameters import Consensus, DomainParameters
from piebridge.protocol_stack.management.request import DomainRequest
from piebridge.protocol_stack.management.request_bodies import (
    ChangeGateways,
    ChangeParameters,
    ChangePolicy,
    Dissolve,
    Form,
    Join,
    Leave,
    Renew,
    Replace,
    RequestBody,
    RequestKind,
    ScaleDown,
    ScaleUp,
)
from piebridge.protocol_stack.management.tags import Place
from testkit.samples import Samples, governor_key, key_address, private_key

PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def place(samples: Samples) -> Place:
    return Place(samples.unsigned(64), samples.address())


def parameters(samples: Samples, seats: int | None = None, relay_chains: int | None = None) -> DomainParameters:
    seats = seats or samples.random.randint(1, 32)
    low, high = sorted((samples.unsigned(32), samples.unsigned(32)))
    return DomainParameters(
        samples.random.choice(tuple(Consensus)),
        samples.unsigned(32, 1),
        samples.random.randint(65_536, 104_857_600),
        relay_chains or samples.random.randint(1, 16),
        seats,
        samples.random.randint(1, seats),
        samples.random.choice((EndorsementMethod.SIGNATURES, EndorsementMethod.COMMIT)),
        samples.unsigned(32, 1),
        samples.unsigned(32),
        samples.unsigned(32),
        Parameters(samples.unsigned(32, 1), samples.unsigned(32), samples.unsigned(32)),
        low,
        high,
    )


def chains(samples: Samples, least: int = 1, most: int = 3) -> tuple[RegisterChain, ...]:
    numbers = sorted(samples.random.sample(range(1, 1_000), samples.random.randint(least, most)))
    return tuple(samples.register_chain(number) for number in numbers)


def gateways(samples: Samples, least: int = 0, quota_min: int = 1) -> Gateways:
    keys = samples.random.sample(range(1, 40), samples.random.randint(least, 4))
    return Gateways(
        tuple(GatewayQuota(address, samples.unsigned(32, quota_min)) for address in sorted(map(key_address, keys)))
    )


def body(samples: Samples, kind: RequestKind | None = None) -> RequestBody:
    """Draw what a request asks for; small enough for a decision's relay chains to stay few."""
    match kind or samples.random.choice(tuple(RequestKind)):
        case RequestKind.FORM:
            given = parameters(samples, samples.random.randint(1, 5), samples.random.randint(1, 3))
            return Form(given, chains(samples), gateways(samples))
        case RequestKind.JOIN:
            return Join(chains(samples))
        case RequestKind.LEAVE:
            return Leave(samples.unsigned(32, 1), samples.chance())
        case RequestKind.SCALE_UP:
            return ScaleUp(samples.random.randint(1, 3), chains(samples), gateways(samples))
        case RequestKind.SCALE_DOWN:
            return ScaleDown(samples.unsigned(32, 1))
        case RequestKind.REPLACE:
            threshold = samples.random.randint(1, 5)
            return Replace(
                samples.unsigned(32, 1), samples.unsigned(64), samples.chance(), threshold, samples.unsigned(32)
            )
        case RequestKind.PARAMETERS:
            return ChangeParameters(parameters(samples))
        case RequestKind.DISSOLVE:
            return Dissolve()
        case RequestKind.GATEWAYS:
            return ChangeGateways(gateways(samples, least=1, quota_min=0))
        case RequestKind.POLICY:
            return ChangePolicy(samples.routing_policy())
        case _:
            return Renew(chains(samples, most=1)[0])


def request(samples: Samples, kind: RequestKind | None = None) -> DomainRequest:
    given = body(samples, kind)
    least, bits = (0, 0) if isinstance(given, Form) else (1, 32)
    return DomainRequest(
        samples.unsigned(bits, least), samples.unsigned(bits, least), samples.unsigned(64), samples.unsigned(64), given
    )


def offer(samples: Samples) -> NodeOffer:
    consensus, endorsement = samples.random.sample(range(1, 1_000), 2)
    start = samples.random.randint(0, (1 << 64) - 2)
    host = "".join(samples.random.choices(PRINTABLE, k=samples.random.randint(3, 64)))
    return NodeOffer(
        public_key_of(private_key(consensus)),
        key_address(endorsement),
        samples.address(),
        samples.unsigned(32, 1),
        start,
        samples.random.randint(start + 1, (1 << 64) - 1),
        Peer(samples.address(), host),
        "".join(samples.random.choices(PRINTABLE, k=samples.random.choice((0, 21, 128)))),
    )


def candidate(samples: Samples) -> Candidate:
    return Candidate(samples.unsigned(64, 1), samples.unsigned(32, 1), samples.unsigned(64, 1))


def candidates(samples: Samples) -> tuple[Candidate, ...]:
    return tuple({(given := candidate(samples)).node: given for _ in range(samples.random.randint(0, 12))}.values())


def seats(samples: Samples, count: int, used: set[int]) -> tuple[Seat, ...]:
    drawn = []
    for number in samples.random.sample(sorted(set(range(1, 400)) - used), count):
        used.add(number)
        drawn.append(
            Seat(number, samples.unsigned(32, 1), public_key_of(private_key(number)), key_address(10_000 + number))
        )
    return tuple(drawn)


def decision(samples: Samples, kind: RequestKind | None = None) -> Decision:
    """Draw a decision; with ``dev``, as most drawn sets have no byzantine quorum."""
    given = body(samples, kind)
    agreed = given.parameters if isinstance(given, Form | ChangeParameters) else parameters(samples, 4)
    used: set[int] = set()
    match given:
        case Form() | ScaleUp():
            count = given.count if isinstance(given, ScaleUp) else agreed.relay_chains
            names = sorted(samples.random.sample(range(1, 1_000), count))
            relays = tuple(
                DecidedRelay(name, 1, agreed.threshold, seats(samples, agreed.seats, used)) for name in names
            )
        case Replace():
            size = samples.random.randint(given.threshold, 6)
            relays = (DecidedRelay(given.relay, samples.unsigned(32, 2), given.threshold, seats(samples, size, used)),)
        case _:
            relays = ()
    policy = samples.routing_policy() if isinstance(given, Form | ScaleUp | ScaleDown) else None
    if isinstance(given, ChangePolicy):
        policy = given.policy
    return Decision(
        True,
        place(samples),
        samples.hash(),
        samples.unsigned(32, 1),
        1 if isinstance(given, Form) else samples.unsigned(32, 1),
        samples.random.randint(1, 1 << 33),
        governor_key(),
        samples.unsigned(32, 1),
        agreed,
        given,
        relays,
        policy,
    )
