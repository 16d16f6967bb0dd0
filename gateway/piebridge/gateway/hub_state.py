"""Reads slots of a hub at its newest and its newest final block."""

from collections.abc import Iterable, Mapping, Sequence

from piebridge.gateway.connections import Connections, HubConnection
from piebridge.gateway.forwarder import Delivery
from piebridge.gateway.slots import Evidence


class HubState:
    """What hubs have, as their storage says. Unproven: a node that lies here wastes the gateway's gas and no more."""

    def __init__(self, connections: Connections) -> None:
        """Read these chains."""
        self._connections = connections

    async def words(self, hub: HubConnection, slots: Iterable[bytes], block_number: int | None) -> dict[bytes, int]:
        """Return the values of slots; at the newest block unless told."""
        wanted = sorted(set(slots))
        values = await hub.endpoint.storage(wanted, block_number) if wanted else []
        return {slot: int.from_bytes(value, "big") for slot, value in zip(wanted, values, strict=True)}

    async def deliveries(
        self, registration: int, relay: int, evidence: Mapping[int, Sequence[Evidence]]
    ) -> dict[int, Delivery]:
        """Return for each number: DONE if a final block shows the evidence, WAITING if only a newer one does."""
        hub = self._connections.hubs[registration]
        slots = {piece.name.slot for pieces in evidence.values() for piece in pieces}
        newest = await self.words(hub, slots, None)
        shown = {number for number, pieces in evidence.items() if _all_hold(pieces, newest)}
        final: dict[bytes, int] = {}
        if shown:
            wanted = {piece.name.slot for number in shown for piece in evidence[number]}
            final = await self.words(hub, wanted, await self.final_block_number(registration, relay))
        states = {}
        for number, pieces in evidence.items():
            if number not in shown:
                states[number] = Delivery.PENDING
            else:
                states[number] = Delivery.DONE if _all_hold(pieces, final) else Delivery.WAITING
        return states

    async def final_block_number(self, registration: int, relay: int) -> int:
        """Return the newest block of a hub's chain that counts as final on a relay chain."""
        connection = self._connections.relays[relay]
        known = await connection.known(registration)
        return (await connection.provers[registration].final_block(known)).number


def _all_hold(pieces: Sequence[Evidence], words: Mapping[bytes, int]) -> bool:
    return all(piece.name.slot in words and piece.holds(words[piece.name.slot]) for piece in pieces)
