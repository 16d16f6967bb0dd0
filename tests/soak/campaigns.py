"""The table of all campaigns. Whoever adds one adds a line here; nothing registers itself."""

from piebridge.cli.local_network.plan import ParachainKind
from soak import (
    broker_faults,
    cometbft_decoders,
    gateway_kills,
    many_gateways,
    patricia_proofs,
    protocol_decoders,
    simulation,
)
from soak.campaign import Campaign

CAMPAIGNS: tuple[Campaign, ...] = (
    Campaign(
        "broker-faults",
        "Redis or workers fail with tasks under way, and a packet is lost, doubled, or still under way 30 s later",
        broker_faults.run_round,
        counted=("faults", "packets", "final", "tasks_answered", "tasks_repeated", "answers_doubled", "workers_ended"),
        tested_by="tests/integration/test_broker_faults.py",
    ),
    Campaign(
        "cometbft-decoders",
        "a decoder takes a second encoding of a value, raises something undeclared, or takes long",
        cometbft_decoders.run_round,
        counted=("inputs", "refused", "accepted"),
    ),
    *(
        Campaign(
            f"gateway-kills-{kind}",
            "a gateway that is killed with work in flight loses or doubles a packet, or value is made or lost",
            gateway_kills.rounds_of(kind),
            counted=("kills", "packets", "executed", "refunded", "replays", "databases deleted", "databases restored"),
            tested_by="tests/e2e/test_gateway_kills.py",
        )
        for kind in ParachainKind
    ),
    *(
        Campaign(
            f"many-gateways-{kind}",
            "four gateways double a packet, or more than 3 % of their transactions are in vain",
            many_gateways.rounds_of(kind),
            counted=("packets", "executed", "refunded", "transactions", "gateways that worked"),
            tested_by="tests/e2e/test_many_gateways.py",
        )
        for kind in ParachainKind
    ),
    Campaign(
        "merkle-patricia-proofs",
        "the verifier reads another value than py-trie proves, or takes a changed proof",
        patricia_proofs.run_round,
        counted=("proofs", "changed proofs refused"),
    ),
    Campaign(
        "planted-bugs",
        "the simulation is blind to a kind of bug: one that was planted is not found within 1 000 seeds",
        simulation.find_planted,
        counted=("bugs found", "seeds"),
        tested_by="tests/planted/test_planted.py",
    ),
    Campaign(
        "protocol-decoders",
        "a decoder accepts bytes that are not the one encoding of a value, raises something else, or is slow",
        protocol_decoders.run_round,
        counted=("inputs", "accepted", "refused"),
    ),
    Campaign(
        "simulation",
        "a whole domain under faults or attack breaks an invariant, or does not come to rest afterwards",
        simulation.run_round,
        counted=("seeds", *simulation.COUNTED),
        tested_by="tests/simulation/test_simulation.py",
    ),
)
