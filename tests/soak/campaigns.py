"""The table of all campaigns. Whoever adds one adds a line here; nothing registers itself."""

from piebridge.cli.local_network.plan import ParachainKind
from soak import (
    broker_faults,
    cometbft_decoders,
    faults,
    gateway_kills,
    governors,
    many_gateways,
    older_cometbft,
    patricia_proofs,
    protocol_decoders,
    relay_determinism,
    simulation,
)
from soak.campaign import Campaign
from testkit.faults import damage

CAMPAIGNS: tuple[Campaign, ...] = (
    Campaign(
        "broker-faults",
        "Redis or workers fail with tasks under way, and a packet is lost, doubled, or does not come to its end",
        broker_faults.run_round,
        counted=("faults", "packets", "final", "tasks_answered", "tasks_repeated", "answers_doubled", "workers_ended"),
        tested_by="tests/integration/test_broker_faults.py",
    ),
    Campaign(
        "governors",
        "a bad value in a ceremony of the governor key names nobody, or somebody honest, or gives a bad signature",
        governors.run_round,
        counted=("runs", "culprits named", "signatures"),
        tested_by="tests/unit/management_chain/test_governor_mutations.py",
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
            f"gateway-and-validator-kills-{kind}",
            "gateways that are killed while validators come and go lose or double a packet, or value is made or lost",
            gateway_kills.cometbft_rounds_of(kind),
            counted=("kills", "validators killed", "packets", "executed", "refunded"),
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
        "deaths-at-failpoints",
        "a process that ends between two lasting steps loses or doubles a packet, or a chain changes a block",
        faults.deaths_at_failpoints,
        counted=("deaths", "points", "packets"),
        tested_by="tests/e2e/test_death_sweeps.py",
    ),
    Campaign(
        "deaths-at-system-calls",
        "a process that is killed at a write or a sync loses or doubles a packet, or a chain changes a block",
        faults.deaths_at_system_calls,
        counted=("deaths", "packets"),
        tested_by="tests/e2e/test_death_sweeps.py",
    ),
    Campaign(
        "machines",
        "a full disk or a cut cable loses or doubles a packet, or a process does not say why it has stopped",
        faults.machines,
        counted=("full disks", "cuts", "dropped", "packets"),
        tested_by="tests/e2e/test_machine_faults.py",
    ),
    Campaign(
        "damaged-stores",
        "a store whose bits have flipped is believed, or refused by an undeclared error",
        faults.damaged_stores,
        counted=tuple(f"{store}: true" for store in damage.STORES),
        tested_by="tests/integration/test_damaged_stores.py",
    ),
    Campaign(
        "reorganisations",
        "something of a block that is reorganised away takes effect, or a transaction of ours is lost with it",
        faults.reorganised_chains,
        counted=("reorganisations", "transfers lost", "transfers kept", "executed"),
        tested_by="tests/e2e/test_reorganisations.py",
    ),
    Campaign(
        "merkle-patricia-proofs",
        "the verifier reads another value than py-trie proves, or takes a changed proof",
        patricia_proofs.run_round,
        counted=("proofs", "changed proofs refused"),
    ),
    Campaign(
        "older-cometbft",
        "nodes of CometBFT v0.38 on our ABCI server lose a transaction or come to different states",
        older_cometbft.run_round,
        counted=("kills", "abandons", "transactions", "blocks"),
        tested_by="tests/integration/test_older_cometbft.py",
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
        "relay-determinism",
        "a relay chain comes to another state with another hash seed, locale, time zone or optimisation level",
        relay_determinism.run_round,
        counted=("transactions", "effective", "executions"),
        tested_by="tests/integration/test_relay_restart_and_determinism.py",
    ),
    Campaign(
        "simulation",
        "a whole domain under faults or attack breaks an invariant, or does not come to rest afterwards",
        simulation.run_round,
        counted=("seeds", *simulation.COUNTED),
        tested_by="tests/simulation/test_simulation.py",
    ),
)
