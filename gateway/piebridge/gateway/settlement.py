"""Aborted transactions at their origin: the hub is shown their packets and has the application undo its effect."""

from piebridge.chains.evm.hub import settle_data
from piebridge.crypto.errors import TransientChainError
from piebridge.gateway.archive import Archive, ArchivedEntry
from piebridge.gateway.connections import Connections
from piebridge.gateway.forwarder import Authenticate, Delivery, PathKey, Submit
from piebridge.gateway.hub_state import HubState
from piebridge.gateway.prepared import HubCall, Prepared
from piebridge.protocol_stack.commitment import origin_status_slot, settlement_slot, status_bits
from piebridge.protocol_stack.transport.outbox import Form
from piebridge.protocol_stack.verdicts import Verdict

_NONCE = slice(50, 58)
"""Transaction nonce in a packet's header, formats.md section 4.1."""
_SETTLED = 1
_GAS_PER_BYTE = 60
_SETTLE_GAS = 700_000
"""The hub's own work and the application's refund; what is not used is not paid."""


class SettlementCarrier:
    """See the module's text. Numbers of its items are transaction nonces."""

    def __init__(self, connections: Connections, archive: Archive, hub_state: HubState) -> None:
        """Settle on these chains, from this archive."""
        self._connections = connections
        self._archive = archive
        self._hub_state = hub_state

    async def check(self, path: PathKey, numbers: tuple[int, ...]) -> dict[int, Delivery]:
        """Say what the hub's status and settlement slots say, at the newest block."""
        domain = self._connections.domain
        hub = self._connections.hubs[path.registration]
        status = {nonce: origin_status_slot(domain, path.relay, nonce) for nonce in numbers}
        settlement = {nonce: settlement_slot(path.relay, nonce) for nonce in numbers}
        newest = await self._hub_state.words(hub, [*status.values(), *settlement.values()], None)
        states = {
            nonce: _state(status_bits(newest[status[nonce]], nonce), newest[settlement[nonce]]) for nonce in numbers
        }
        done = [nonce for nonce, state in states.items() if state is Delivery.DONE]
        if done:
            number = await self._hub_state.final_block_number(path.registration, path.relay)
            wanted = [slot for nonce in done for slot in (status[nonce], settlement[nonce])]
            final = await self._hub_state.words(hub, wanted, number)
            for nonce in done:
                if _state(status_bits(final[status[nonce]], nonce), final[settlement[nonce]]) is not Delivery.DONE:
                    states[nonce] = Delivery.WAITING
        return states

    async def authenticate(self, effect: Authenticate) -> tuple[int, bytes]:
        """Never asked for: a settlement needs no evidence, the hub has the verdict."""
        raise AssertionError("settlements are not authenticated")

    async def prepare(self, effect: Submit) -> Prepared:
        """Show the hub the packets of transactions, each by a call of its own."""
        return Prepared(hub_calls=tuple(self._settle(effect.path, nonce) for nonce, _ in effect.forms))

    def _settle(self, path: PathKey, nonce: int) -> HubCall:
        packet = self._packet(path, nonce)
        data = settle_data(self._connections.domain, path.relay, nonce, packet.content)
        gas = _SETTLE_GAS + _GAS_PER_BYTE * len(data)
        return HubCall(data, gas, gas)

    def _packet(self, path: PathKey, nonce: int) -> ArchivedEntry:
        """Return the entry of a transaction's packet. Nonces of an outbox are dense but for reports of other kinds."""
        low, high = 1, self._newest(path)
        while low <= high:
            middle = (low + high) // 2
            found = self._first_packet_from(path, middle, high)
            if found is None or nonce_of(found) > nonce:
                high = middle - 1
            elif nonce_of(found) == nonce:
                return found
            else:
                low = found.number + 1
        raise TransientChainError(f"{path}: the packet of transaction {nonce} is not in the archive")

    def _first_packet_from(self, path: PathKey, number: int, last: int) -> ArchivedEntry | None:
        while number <= last:
            entry = self._archive.get(path.registration, path.relay, number)
            if entry is not None and entry.form == Form.PACKET:
                return entry
            number += 1
        return None

    def _newest(self, path: PathKey) -> int:
        newest = self._archive.head(path.registration, path.relay)
        return newest.number if newest is not None else 0


def nonce_of(archived: ArchivedEntry) -> int:
    """Return the transaction nonce of an archived packet; 0 if it belongs to no transaction."""
    return int.from_bytes(archived.content[_NONCE], "big")


def _state(bits: int, settlement: int) -> Delivery:
    if bits == Verdict.COMMIT or settlement == _SETTLED:
        return Delivery.DONE
    return Delivery.PENDING if bits == Verdict.ABORT and settlement else Delivery.WAITING
