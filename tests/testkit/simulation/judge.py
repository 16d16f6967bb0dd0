"""Judges a finished simulation by chain state alone: the oracle's invariants, and order, determinism and liveness."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from piebridge.cli.oracle import decoding, slots
from piebridge.cli.oracle.invariants import Applications, Verdict, check
from piebridge.cli.oracle.ledger import ChainLedger
from piebridge.cli.oracle.reader import ChainReader, Log
from piebridge.cli.oracle.reading import ChainAddresses, Cuts, read_through
from testkit.simulation.applications import LEDGER, POSTED, RECORD_NOTARY, TOKEN
from testkit.simulation.keys import DOMAIN
from testkit.simulation.parachain import SimulatedChain
from testkit.simulation.traffic import Site


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken invariant."""

    invariant: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant} at {self.where}: {self.what}"


class SimulatedReader(ChainReader):
    """Reads a simulated chain for the oracle."""

    def __init__(self, chain: SimulatedChain, supply: int) -> None:
        super().__init__(chain.name, "")
        self._chain, self._supply = chain, supply

    def newest_block(self) -> int:
        return len(self._chain.made) - 1

    def words(self, address: str, slots: Iterable[bytes], block: int) -> dict[bytes, int]:
        state, contract = self._chain.made[block].state, bytes.fromhex(address[2:])
        return {slot: state.get((contract, slot), 0) for slot in slots}

    def storage_root(self, address: str, block: int) -> bytes:
        contract = bytes.fromhex(address[2:])
        state = self._chain.made[block].state
        return slots.storage_trie_root({slot: value for (owner, slot), value in state.items() if owner == contract})

    def call(self, address: str, data: bytes, block: int) -> bytes:
        selectors = {
            decoding.topic("MAX_HANDLER_GAS()")[:4]: 1_000_000,
            decoding.topic("totalSupply()")[:4]: self._supply,
        }
        return selectors[data].to_bytes(32, "big")

    def block_times(self, blocks: Iterable[int]) -> dict[int, int]:
        return {number: self._chain.made[number].block.timestamp for number in blocks}

    def logs(self, addresses: Sequence[str], last_block: int) -> list[Log]:
        wanted = {bytes.fromhex(address[2:]) for address in addresses}
        return [
            Log("0x" + log.address.hex(), log.topics, log.data, log.block_number)
            for made in self._chain.made[: last_block + 1]
            for log in made.logs
            if log.address in wanted
        ]


def look(sites: dict[int, Site], relays: Sequence[int], supply: int) -> tuple[Verdict, list[ChainLedger]]:
    """Let the oracle look at all chains as they are."""
    addresses = [
        ChainAddresses(
            site.chain.name,
            number,
            "",
            "0x" + site.hub.address.hex(),
            "0x" + site.token.address.hex(),
            "0x" + site.notary.address.hex(),
        )
        for number, site in sites.items()
    ]
    readers = [SimulatedReader(site.chain, supply) for site in sites.values()]
    newest = tuple(reader.newest_block() for reader in readers)
    ledgers = read_through(
        readers, addresses, [(DOMAIN, relay) for relay in (0, *relays)], Cuts(newest, newest), _in_turn
    )
    return check(ledgers, Applications(token=TOKEN, record_notary=RECORD_NOTARY, door=1)), ledgers


def _in_turn(work: Callable[..., None], items: Sequence[object]) -> None:
    for item in items:
        work(item)


def broken(sites: dict[int, Site], verdict: Verdict, ledgers: Sequence[ChainLedger]) -> list[Finding]:
    """Return every broken invariant of safety."""
    found = [Finding(item.invariant, item.chain, item.what) for item in verdict.violations]
    for ledger in ledgers:
        found += _check_posts(sites[ledger.registration], ledger, ledgers)
    return found


def _check_posts(site: Site, ledger: ChainLedger, ledgers: Sequence[ChainLedger]) -> list[Finding]:
    """Check the effects of the ordered ledger, which the oracle does not know."""
    packets = {packet.id: packet for item in ledgers for packet in item.sent}
    found: list[Finding] = []
    seen: set[bytes] = set()
    last: dict[tuple[int, int], int] = {}
    for made in site.chain.made:
        for log in made.logs:
            if log.address != site.ledger.address or log.topics[0] != POSTED:
                continue
            packet_id = log.topics[1]
            source, relay, sequence, value = (int.from_bytes(log.data[32 * i : 32 * i + 32], "big") for i in range(4))
            packet = packets.get(packet_id)
            if packet is None or packet.destination != ledger.registration or packet.application != LEDGER:
                found.append(Finding("I3", ledger.name, f"entry of a packet that nobody sent: {packet_id.hex()[:16]}"))
                continue
            if (packet.source, packet.relay, packet.sequence, int.from_bytes(packet.body, "big")) != (
                source,
                relay,
                sequence,
                value,
            ):
                found.append(Finding("I10", ledger.name, f"entry {packet_id.hex()[:16]} is not what its packet says"))
            if packet_id in seen:
                found.append(Finding("I2", ledger.name, f"entry {packet_id.hex()[:16]} was made twice"))
            seen.add(packet_id)
            if packet.expiry and made.block.timestamp >= packet.expiry:
                found.append(Finding("I10", ledger.name, f"entry {packet_id.hex()[:16]} was made after its expiry"))
            if packet.ordered:
                if sequence <= last.get((source, relay), 0):
                    found.append(
                        Finding("I7", ledger.name, f"entry {sequence} of lane {(source, relay)} came out of order")
                    )
                last[source, relay] = sequence
            if packet.bound and ledger.status(packet) != 2:
                found.append(Finding("I6", ledger.name, f"entry {packet_id.hex()[:16]} is there and not committed"))
            if not ledger.reached_end(packet):
                found.append(Finding("I2", ledger.name, f"entry {packet_id.hex()[:16]} can be made again"))
    for packet in packets.values():
        # Every sequence of an ordered lane ends before the next one does: executed, failed, expired or entombed.
        if packet.destination == ledger.registration and packet.application == LEDGER and packet.ordered:
            before = next(
                (
                    other
                    for other in packets.values()
                    if other.lane == packet.lane and other.sequence == packet.sequence - 1
                ),
                None,
            )
            executed = packet.id in seen
            if executed and before is not None and not ledger.reached_end(before):
                found.append(
                    Finding("I7", ledger.name, f"entry {packet.sequence} was made before the one before it ended")
                )
    return found


def expired_too_early(sites: dict[int, Site], ledgers: Sequence[ChainLedger]) -> list[Finding]:
    """Check that no token credit or record came at or after the expiry of its packet."""
    packets = {packet.id: packet for item in ledgers for packet in item.sent}
    found = []
    for ledger in ledgers:
        made = sites[ledger.registration].chain.made
        moves = [(move.packet_id, move.block) for move in (ledger.token.credits if ledger.token else [])]
        for packet_id, block in moves:
            packet = packets.get(packet_id)
            if packet is not None and packet.expiry and made[block].block.timestamp >= packet.expiry:
                found.append(Finding("I10", ledger.name, f"{packet_id.hex()[:16]} took effect after its expiry"))
    return found
