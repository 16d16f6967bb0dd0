"""Which transactions of gateways were in vain, told by the chains alone: what they carry had been carried before."""

import base64
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from piebridge.chains.errors import MissingStateError
from piebridge.cli.view import ChainView, NetworkView, RelayView
from piebridge.protocol_stack.relay_messages import RelayTransaction, TransactionKind
from piebridge.protocol_stack.transport.outbox import BareEntry


@dataclass(slots=True)
class Redundancy:
    """Transactions of all gateways of a network, and those of them that brought nothing."""

    transactions: Counter[str] = field(default_factory=Counter)
    """By kind."""
    redundant: Counter[str] = field(default_factory=Counter)
    """Of these, by kind: reverted or refused, or without anything new."""
    senders: Counter[str] = field(default_factory=Counter)
    """By gateway."""

    @property
    def share(self) -> float:
        """Redundant transactions among all of them."""
        return self.redundant.total() / max(1, self.transactions.total())

    def count(self, kind: str, sender: str, *, redundant: bool) -> None:
        """Count one."""
        self.transactions[kind] += 1
        self.senders[sender] += 1
        self.redundant[kind] += redundant


async def redundancy(view: NetworkView) -> Redundancy:
    """Walk over all blocks of all chains of a network."""
    names = {entry.address.lower(): entry.name for entry in view.network.gateways}
    found = Redundancy()
    for chain in view.chains.values():
        await _count_hub(chain, names, found)
    for relay in view.relays.values():
        await _count_relay(relay, names, found)
    return found


async def _count_hub(chain: ChainView, names: dict[str, str], found: Redundancy) -> None:
    carried: set[tuple[int, int]] = set()
    head, _ = await chain.head()
    for number in range(1, head + 1):
        try:
            block = await chain.block(number)
        except MissingStateError:
            break
        ranges = {item.transaction: item.envelope for item in await chain.received_ranges(number)}
        for item in block["transactions"]:
            if (name := names.get(item["from"].lower())) is None:
                continue
            envelope = ranges.get(item["hash"])
            if envelope is None:
                receipt = await chain.receipt(item["hash"])
                found.count("settle or reverted", name, redundant=int(receipt["status"], 16) != 1)
                continue
            entries = {
                (envelope.relay, envelope.range.first + offset)
                for offset, entry in enumerate(envelope.range.entries)
                if not isinstance(entry, BareEntry)
            }
            found.count("receiveRange", name, redundant=entries <= carried)
            carried |= entries


async def _count_relay(relay: RelayView, names: dict[str, str], found: Redundancy) -> None:
    client = relay.clients[0]
    for height in range(1, (await relay.nodes[0].status()).height + 1):
        block: Any = await client.call("block", {"height": str(height)})
        transactions = block["block"]["data"]["txs"] or []
        if not transactions:
            continue
        answer: Any = await client.call("block_results", {"height": str(height)})
        for encoded, result in zip(transactions, answer["txs_results"], strict=True):
            transaction = RelayTransaction.decode(base64.b64decode(encoded))
            name = names.get(f"0x{transaction.sender().hex()}")
            if name is None:
                continue
            news = int.from_bytes(base64.b64decode(result["data"] or ""), "big")
            kind = TransactionKind(transaction.kind).name
            found.count(kind, name, redundant=bool(result["code"]) or not news)
