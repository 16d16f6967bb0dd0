"""A long random history of a relay chain, recorded once and executed again by processes that differ in everything else.

``python -m testkit.relay_history FILE`` executes a recorded history and prints the digest of all that came of it.
Another hash seed, locale, time zone or optimisation level must change no byte of that.
"""

import contextlib
import hashlib
import json
import locale
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from piebridge.abci.messages import FinalizeBlockRequest, FinalizeBlockResponse
from piebridge.crypto.signature import address_of_private_key
from piebridge.protocol_stack.governor_relay_bodies import (
    GatewayQuota,
    Gateways,
    NoOp,
    Parameters,
    Pause,
    RelayBody,
    Unpause,
)
from piebridge.protocol_stack.header import VerificationHeader
from piebridge.protocol_stack.relay_messages import CarriedGovernorMessage, HubRange, TransactionBody
from piebridge.protocol_stack.transport.outbox import OutboxHead, OutboxRange, open_hub_outbox
from piebridge.protocol_stack.verification.base import Method
from piebridge.relay.app.application import RelayApplication
from piebridge.relay.app.state import MemoryBackend
from testkit.hub_model import Executed, HubModel
from testkit.relay_world import GATEWAY, STRANGER, RelayWorld, validator_set
from testkit.source_chain import private_key

PLENTY = 1_000_000
"""Quota of the gateway: its limit is not what is tried here (that of strangers is)."""
REGISTRATIONS = (10, 20, 30)
VALIDATORS = ("v0", "v1", "v2", "v3", "v4")
COPIES_MAX = 60
"""Most old or changed transactions in a block, beside those that are new."""
OLD_KEPT = 400
"""Transactions that may come again."""
TIME_ZONES = ("UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia", "Antarctica/Troll")
LOCALES = ("C", "POSIX", "C.UTF-8", "tr_TR.UTF-8", "de_DE.UTF-8", "ja_JP.eucJP")
"""Those that a machine does not have fall back to the first; Python's own modes for text differ all the same."""


@dataclass(frozen=True, slots=True)
class RecordedHistory:
    """What a relay chain was given, and the digest of what it made of it."""

    blocks: tuple[FinalizeBlockRequest, ...]
    digest: str
    """SHA-256 over all responses, in hexadecimal."""
    outcomes: Mapping[int, int]
    """Transactions by the code of their result."""

    @property
    def transactions(self) -> int:
        """How many there are."""
        return sum(self.outcomes.values())

    def save(self, path: Path) -> None:
        """Write what another process needs in order to execute it."""
        rows = [[block.height, block.time_ns, *(tx.hex() for tx in block.txs)] for block in self.blocks]
        path.write_text(json.dumps(rows))


@dataclass(slots=True)
class _Storyteller:
    """Makes up a history: what gateways bring, again, changed, by others and in any order."""

    seed: int
    world: RelayWorld = field(init=False)
    randomness: random.Random = field(init=False)
    old: list[bytes] = field(default_factory=list)
    heads: dict[tuple[int, int], list[OutboxHead]] = field(default_factory=dict)
    """Heads after each entry of a hub's outbox."""
    brought: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Entries of each outbox of a hub that the relay chain has recorded."""
    taken: Counter[int] = field(default_factory=Counter)
    """Entries of the relay chain that each hub has taken."""
    outcomes: Counter[int] = field(default_factory=Counter)
    transactions: int = 0

    def __post_init__(self) -> None:
        self.randomness = random.Random(f"{self.seed}/relay history")
        self.world = _first_world()
        self.world.govern(Gateways((GatewayQuota(address_of_private_key(GATEWAY), PLENTY),)))
        for number, hub in self.world.hubs.items():
            hub.handler = lambda packet, odd=number % 20: Executed(packet.sequence % 3 != odd % 3, b"")  # type: ignore[misc]
            for relay in (0, 1):
                opening = open_hub_outbox(hub.registration, hub.address, hub.domain, relay)
                self.heads[number, relay] = [OutboxHead(0, opening)]

    def tell(self, transactions: int) -> None:
        """Run blocks until so many transactions were executed."""
        while self.transactions < transactions:
            self._hubs_live()
            self._block(chain(self._headers(), self._ranges(), self._governors(), self._noise()))
            if self.randomness.random() < 0.3:
                self._carry_home()

    def _hubs_live(self) -> None:
        for hub in self.world.hubs.values():
            for _ in range(self.randomness.randrange(5)):
                self._send(hub)
            hub.chain.close_block()
        for hub in self.world.hubs.values():
            self.world.catch_up(hub)

    def _send(self, hub: HubModel) -> None:
        draw = self.randomness
        destination = draw.choice([number for number in (*REGISTRATIONS, 99) if number != hub.registration])
        body = draw.randbytes(draw.randrange(64))
        match draw.randrange(5):
            case 0:
                hub.request(destination, body=body)
            case 1:
                hub.request(destination, body=body, verification=VerificationHeader(Method.BOTH))
            case 2:
                hub.send_free(destination, body, ordered=True, channel=7)
            case 3:
                hub.send_free(destination, body, expiry=hub.chain.now_seconds + draw.randrange(1, 5))
            case _:
                hub.send_free(destination, body, receipt_wanted=draw.random() < 0.5)

    def _headers(self) -> Iterator[bytes]:
        for hub in self.world.hubs.values():
            client = self.world.view.client(hub.registration)
            assert client is not None
            if client.heights[-1] < hub.chain.height:
                yield self._sign(hub.update_message(client.heights[-1]))

    def _ranges(self) -> Iterator[bytes]:
        """What is new in each outbox; the block before may have refused it, or has taken the header only."""
        for (number, relay), heads in self.heads.items():
            hub = self.world.hubs[number]
            for entry in hub.log[relay][len(heads) - 1 :]:
                heads.append(heads[-1].append(entry.height, entry.message_id(hub.maker)))
            first = self.brought[number, relay] + 1
            if len(heads) > first and self.randomness.random() < 0.8:
                entries = OutboxRange(hub.maker, first, heads[first - 1].value, tuple(hub.log[relay][first - 1 :]))
                yield self._sign(HubRange(number, relay, hub.head_proof(relay), entries))

    def _governors(self) -> Iterator[bytes]:
        draw = self.randomness
        if draw.random() < 0.05:
            bodies: list[RelayBody] = [
                NoOp(),
                Pause(),
                Unpause(),
                Parameters(8_192, draw.randrange(5, 1_000), draw.randrange(1, 40)),
                validator_set(self.world.current_set.epoch + 1, sorted(draw.sample(VALIDATORS, 4))),
            ]
            body = draw.choice(bodies)
            counter = draw.choice([None, None, None, 1])
            yield self._sign(CarriedGovernorMessage(self.world.governor_message(body, counter=counter)))

    def _noise(self) -> Iterator[bytes]:
        """Old transactions, changed ones, bytes without sense, and what strangers bring."""
        draw = self.randomness
        for _ in range(draw.randrange(COPIES_MAX) if self.old else 0):
            data = draw.choice(self.old)
            match draw.randrange(6):
                case 0 | 1:
                    yield data
                case 2 | 3:
                    place = draw.randrange(len(data))
                    yield data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :]
                case 4:
                    yield data[: draw.randrange(len(data))]
                case _:
                    yield draw.randbytes(draw.randrange(200))

    def _sign(self, body: TransactionBody) -> bytes:
        draw = self.randomness
        key = draw.choices([GATEWAY, STRANGER, private_key(f"stranger {draw.randrange(9)}")], [8, 1, 1])[0]
        signed = self.world.sign(body, key, draw.choices([0, 1, 100], [1, 2, 7])[0])
        self.old.append(signed)
        del self.old[:-OLD_KEPT]
        return signed

    def _block(self, parts: Iterator[bytes]) -> None:
        txs = list(parts)
        if self.randomness.random() < 0.1:
            self.randomness.shuffle(txs)
        response = self.world.run(*txs, seconds=self.randomness.choice([1, 1, 1, 2, 30]))
        self.transactions += len(txs)
        self.outcomes.update(result.code for result in response.tx_results)
        for number, relay in self.heads:
            cursor = self.world.view.cursor(number, relay)
            self.brought[number, relay] = cursor.number if cursor else 0

    def _carry_home(self) -> None:
        """Bring each hub what the relay chain has for it, with the signatures of whoever is a validator now."""
        self.world.hire([name for name in VALIDATORS if name not in self.world.validators])
        current = self.world.current_set.set_hash(self.world.domain, self.world.relay)
        for hub in self.world.hubs.values():
            hub.accepted_sets.add(current)
            head, taken = self.world.view.outbox_head(hub.registration), self.taken[hub.registration]
            if head is not None and head.number > taken:
                self.world.carry_to(hub, taken + 1)
                self.taken[hub.registration] = head.number


def record(seed: int, transactions: int) -> RecordedHistory:
    """Make a history up and run it once."""
    story = _Storyteller(seed)
    story.tell(transactions)
    blocks = story.world.blocks
    digest = _digest(response for _, response in blocks)
    return RecordedHistory(tuple(request for request, _ in blocks), digest, story.outcomes)


def execute_in_another_world(file: Path, number: int) -> str:
    """Execute a saved history in a process of its own that differs in all that must not matter; returns the digest.

    Args:
        file: what :meth:`RecordedHistory.save` has written.
        number: which of many worlds; it decides on hash seed, locale, time zone and optimisation level.
    """
    environment = {
        **os.environ,
        "PYTHONHASHSEED": str(number * 83_492_791 % (1 << 32)),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TZ": TIME_ZONES[number % len(TIME_ZONES)],
        "LC_ALL": LOCALES[number % len(LOCALES)],
        "PYTHONUTF8": str(number % 2),
    }
    optimised = ["-O"] if number % 3 == 0 else []
    command = [sys.executable, *optimised, "-m", "testkit.relay_history", str(file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=1_800)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _execute(file: Path) -> str:
    application = RelayApplication(MemoryBackend())
    application.init_chain(_first_world().genesis_request)

    def responses() -> Iterator[FinalizeBlockResponse]:
        for height, time_ns, *txs in json.loads(file.read_text()):
            request = FinalizeBlockRequest(tuple(map(bytes.fromhex, txs)), b"", height, time_ns, b"", b"")
            yield application.finalize_block(request)
            application.commit()

    return _digest(responses())


def _first_world() -> RelayWorld:
    return RelayWorld({number: HubModel(number) for number in REGISTRATIONS})


def _digest(responses: Iterable[FinalizeBlockResponse]) -> str:
    total = hashlib.sha256()
    for response in responses:
        # The text of a frozen dataclass has every field; logs and events are for people, and still must not differ.
        total.update(repr(response).encode())
    return total.hexdigest()


if __name__ == "__main__":
    with contextlib.suppress(locale.Error):  # a locale that this machine does not have
        locale.setlocale(locale.LC_ALL, "")
    print(_execute(Path(sys.argv[1])))
