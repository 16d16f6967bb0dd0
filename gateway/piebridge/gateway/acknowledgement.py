"""Slots of a hub to a relay chain: proof that the hub has messages, so that the relay chain may drop them."""

from piebridge.crypto.errors import TransientChainError
from piebridge.gateway.connections import Connections
from piebridge.gateway.forwarder import Authenticate, Delivery, PathKey, Submit
from piebridge.gateway.prepared import Prepared
from piebridge.gateway.slots import evidence_of
from piebridge.protocol_stack.notary_statement import SLOTS_MAX
from piebridge.protocol_stack.relay_messages import HubSlots, SlotName, TransactionKind
from piebridge.protocol_stack.transport.outbox import BareEntry


class AcknowledgementCarrier:
    """See the module's text. Numbers of its items are entries of the relay chain's outbox."""

    def __init__(self, connections: Connections) -> None:
        """Prove from these hubs to these relay chains."""
        self._connections = connections

    async def check(self, path: PathKey, numbers: tuple[int, ...]) -> dict[int, Delivery]:
        """Say which messages the relay chain keeps: what it shows bare, or not at all, it has dropped."""
        relay = self._connections.relays[path.relay]
        entries = await relay.reader.entries_by_number(path.registration, numbers, anew=True)
        return {
            number: Delivery.PENDING
            if number in entries and not isinstance(entries[number], BareEntry)
            else Delivery.DONE
            for number in numbers
        }

    async def authenticate(self, effect: Authenticate) -> tuple[int, bytes]:
        """Never asked for: slots are proven when they are sent."""
        raise AssertionError("acknowledgements are authenticated when they are sent")

    async def prepare(self, effect: Submit) -> Prepared:
        """Prove as many slots as one transaction may have; what is left over stays pending."""
        path = effect.path
        relay = self._connections.relays[path.relay]
        entries = await relay.reader.entries_by_number(
            path.registration, [number for number, _ in effect.forms], anew=True
        )
        names: dict[bytes, SlotName] = {}
        for _, entry in sorted(entries.items()):
            if isinstance(entry, BareEntry):
                continue
            wanted = {piece.name.slot: piece.name for piece in evidence_of(entry, self._connections.domain, path.relay)}
            if len(names.keys() | wanted.keys()) > SLOTS_MAX:
                break
            names |= wanted
        if not names:
            raise TransientChainError(f"{path}: nothing is left to acknowledge")
        known = await relay.known(path.registration)
        shown = await relay.provers[path.registration].authenticate(known, list(names))
        slots = HubSlots(path.registration, shown.authentication, tuple(names[slot] for slot in shown.proof.slots))
        transactions: list[tuple[int, bytes]] = [(slots.KIND, slots.encode())]
        if shown.update is not None:
            transactions.insert(0, (TransactionKind.UPDATE_CLIENT, shown.update))
        return Prepared(relay_transactions=tuple(transactions))
