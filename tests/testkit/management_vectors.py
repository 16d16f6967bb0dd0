"""Makes the vectors of the management chain (``docs/protocol/management.md``); see :mod:`testkit.vectors`.

The tables of states are read from the page itself: the contracts are held to what is written there.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from piebridge.crypto.hash import tag
from piebridge.protocol_stack.codec import ZERO_HASH
from piebridge.protocol_stack.errors import FormatError
from piebridge.protocol_stack.management.digests import (
    OfferKey,
    RepresentativeKind,
    governor_management_digest,
    offer_digest,
    representative_digest,
)
from piebridge.protocol_stack.management.draw import Candidate, DrawRules, draw, encode_candidates
from piebridge.protocol_stack.management.genesis import genesis_document
from piebridge.protocol_stack.management.request_bodies import NEW_CHAIN_KINDS, RequestKind
from piebridge.protocol_stack.management.tags import ManagementContract
from piebridge.protocol_stack.relay_genesis import genesis_hash
from testkit import management_samples
from testkit.samples import Samples

Json = dict[str, Any]
PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "protocol" / "management.md"
TAGS: Final = (
    "DOMAIN_REQUEST",
    "DECISION",
    "DRAW",
    "REPRESENTATIVE",
    "NODE_OFFER",
    "GOVERNOR_MANAGEMENT",
    "GOVERNOR_SET",
    "GOVERNOR_KEY",
)
_REFUSED = 0
"""What the tables of the contracts say where there is no way on."""


def hexed(data: bytes) -> str:
    """Write bytes."""
    return "0x" + data.hex()


def listed(**lists: Sequence[Any]) -> Json:
    """Put lists into one object, each beside its length."""
    return {
        key: value for name, items in lists.items() for key, value in ((f"{name}_count", len(items)), (name, items))
    }


# ------------------------------------------------------------------------------------------------ states


def table(first_input: str) -> tuple[tuple[str, ...], tuple[tuple[int, str, tuple[str, ...]], ...]]:
    """Read the table of states of the page whose first input has this name.

    Returns:
        Names of the inputs, and for each state its number, its name and the name of the next state by input.
    """
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    (start,) = [number for number, line in enumerate(lines) if line.startswith(f"| state | {first_input}")]
    inputs = tuple(cell.split(" ")[0] for cell in _cells(lines[start])[1:])
    rows: list[tuple[int, str, tuple[str, ...]]] = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        names, *cells = _cells(line)
        for name in names.split(", "):
            number, word = name.split(" ")
            rows.append((int(number), word, tuple(cell.split(" ")[0] for cell in cells)))
    return inputs, tuple(rows)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _transitions(first_input: str) -> list[Json]:
    inputs, rows = table(first_input)
    numbers = {word: number for number, word, _ in rows}
    return [
        {"name": f"{word} {name}", "state": number, "input": index, "next": numbers.get(cells[index], _REFUSED)}
        for number, word, cells in rows
        for index, name in enumerate(inputs)
    ]


def states() -> Json:
    """Every state with every input, of nodes, requests and domains."""
    return listed(nodes=_transitions("OFFER |"), requests=_transitions("COSIGN |"), domains=_transitions("DECIDE "))


# ------------------------------------------------------------------------------------------------ hashes and digests


def digests() -> Json:
    """Tags, ids, and what is signed."""
    samples = Samples(7_001)
    requests, voices, offers, messages = [], [], [], []
    for kind in RequestKind:
        for _ in range(2):
            place, request = management_samples.place(samples), management_samples.request(samples, kind)
            requests.append(
                {
                    "chain_id": str(place.chain_id),
                    "registry": hexed(place.contract),
                    "request": hexed(request.encode()),
                    "kind": int(kind),
                    "domain": request.domain,
                    "basis": request.basis,
                    "expires": str(request.expires),
                    "request_id": hexed(request.request_id(place)),
                }
            )
    for said in RepresentativeKind:
        place, domain, registration = management_samples.place(samples), samples.unsigned(32), samples.unsigned(32, 1)
        epoch, request_id = samples.unsigned(32, 1), samples.hash()
        decision = samples.hash() if said is RepresentativeKind.CONFIRM else ZERO_HASH
        voices.append(
            {
                "chain_id": str(place.chain_id),
                "registry": hexed(place.contract),
                "domain": domain,
                "registration": registration,
                "epoch": epoch,
                "kind": int(said),
                "request_id": hexed(request_id),
                "decision_hash": hexed(decision),
                "digest": hexed(representative_digest(place, domain, registration, epoch, said, request_id, decision)),
            }
        )
    for _ in range(4):
        place, offer, operator = management_samples.place(samples), management_samples.offer(samples), 5
        keys = (offer.consensus_key, offer.endorsement_address)
        offers.append(
            {
                "chain_id": str(place.chain_id),
                "market": hexed(place.contract),
                "operator": operator,
                "offer": hexed(offer.encode()),
                "endorsement_digest": hexed(offer_digest(place, operator, OfferKey.ENDORSEMENT, *keys)),
                "consensus_digest": hexed(offer_digest(place, operator, OfferKey.CONSENSUS, *keys)),
            }
        )
    for target in ManagementContract:
        place, domain, epoch = management_samples.place(samples), samples.unsigned(32), samples.unsigned(32, 1)
        number, counter, body = samples.unsigned(8), samples.unsigned(64, 1), samples.hash()
        messages.append(
            {
                "chain_id": str(place.chain_id),
                "contract": hexed(place.contract),
                "target": int(target),
                "domain": domain,
                "key_epoch": epoch,
                "kind": number,
                "counter": str(counter),
                "body": hexed(body),
                "digest": hexed(governor_management_digest(place, target, domain, epoch, number, counter, body)),
            }
        )
    tags = [{"name": name, "tag": hexed(tag(name))} for name in TAGS]
    return listed(tags=tags, requests=requests, voices=voices, offers=offers, messages=messages)


# ------------------------------------------------------------------------------------------------ draws and decisions


def draws() -> Json:
    """Draws that succeed and draws that fail (``nodes`` empty)."""
    samples, items = Samples(7_002), []
    for number in range(40):
        operators = samples.random.randint(1, 9)
        candidates = tuple(
            Candidate(node, samples.random.randint(1, operators), samples.random.randint(1, 4_000_000))
            for node in samples.random.sample(range(1, 500), samples.random.randint(1, 30))
        )
        taken = set(samples.random.sample([c.node for c in candidates], len(candidates) // 5))
        staying = tuple(samples.random.randint(1, operators) for _ in range(number % 3)) if number % 4 == 1 else ()
        relay_chains, seats = (1, 1) if staying else (samples.random.randint(1, 2), samples.random.randint(1, 6))
        single = number % 5 == 4
        limit = None if single or number % 3 == 0 else samples.random.randint(1, 3)
        seed = samples.hash()
        offered = {candidate.node for candidate in candidates} - taken
        try:
            sets = draw(seed, candidates, offered, DrawRules(relay_chains, seats, single, limit, staying))
        except FormatError:
            sets = ()
        items.append(
            {
                "seed": hexed(seed),
                "candidates": hexed(encode_candidates(candidates)),
                "not_offered": sorted(taken),
                "sets": relay_chains,
                "seats": seats,
                "single_operator": single,
                # Nobody may have so many; 0: anybody may.
                "limit": 0 if limit is None else limit + 1,
                "staying": list(staying),
                "nodes": [candidate.node for chosen in sets for candidate in chosen],
            }
        )
    return listed(draws=items)


def decisions() -> Json:
    """Records with their hashes, and the genesis hashes of the relay chains that they make."""
    samples, items = Samples(7_003), []
    for kind in RequestKind:
        decision = management_samples.decision(samples, kind)
        makes = decision.relays if kind in NEW_CHAIN_KINDS else ()
        items.append(
            {
                "kind": int(kind),
                "domain": decision.domain,
                "number": decision.number,
                "request_id": hexed(decision.request_id),
                "record": hexed(decision.encode()),
                "decision_hash": hexed(decision.hash),
                "relays": [relay.relay for relay in makes],
                "genesis_hashes": [hexed(genesis_hash(genesis_document(decision, relay.relay))) for relay in makes],
            }
        )
    return listed(decisions=items)
