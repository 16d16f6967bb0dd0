"""Subscriptions to events of the chain.

Queries are conditions ``key='value'`` joined by AND, the part of CometBFT's query language that light tools and
gateways use; another operator is refused, not misunderstood.

Source: ``libs/pubsub``, ``types/event_bus.go`` of CometBFT v0.40.0.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from piebridge.abci.embedded.rpc_json import (
    Json,
    event_attributes,
    new_block_event,
    new_block_header_event,
    tx_event,
)
from piebridge.abci.embedded.store import StoredBlock
from piebridge.cometbft.block import transaction_hash
from piebridge.cometbft.json_format import hex_bytes
from piebridge.crypto.errors import PieBridgeError

MAX_QUERY_LENGTH = 512

_CONDITION = re.compile(r"\s*([A-Za-z_][\w.\-/]*)\s*=\s*(?:'([^']*)'|(-?[0-9]+))\s*", re.ASCII)


class QueryError(PieBridgeError):
    """A subscription query is not understood."""


@dataclass(frozen=True, slots=True)
class Query:
    """Conditions that all must hold."""

    text: str
    """As the client wrote it."""
    conditions: tuple[tuple[str, str], ...]
    """Composite key and value."""

    @classmethod
    def parse(cls, text: str) -> "Query":
        """Read a query.

        Raises:
            QueryError: longer than 512 characters, or something else than equalities joined by AND.
        """
        if len(text) > MAX_QUERY_LENGTH:
            raise QueryError("maximum query length exceeded")
        conditions: list[tuple[str, str]] = []
        position = 0
        while True:
            match = _CONDITION.match(text, position)
            if match is None:
                raise QueryError(
                    f"failed to parse query: expected key='value' at character {position} (only equalities joined by "
                    "AND are supported)"
                )
            conditions.append((match.group(1), match.group(2) if match.group(2) is not None else match.group(3)))
            position = match.end()
            if position == len(text):
                return cls(text, tuple(conditions))
            if not text.startswith("AND ", position):
                raise QueryError(f"failed to parse query: expected AND at character {position}")
            position += len("AND ")

    def matches(self, attributes: dict[str, list[str]]) -> bool:
        """Tell whether an event with these attributes is wanted."""
        return all(value in attributes.get(key, ()) for key, value in self.conditions)


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """An event with its attributes; the data are built only when somebody wants them."""

    attributes: dict[str, list[str]]
    """Values by composite key; ``tm.event`` names the kind."""
    data: Callable[[], Json]
    """Builds the JSON."""


def events_of(stored: StoredBlock) -> Iterator[PublishedEvent]:
    """Return the events of a committed block, in CometBFT's order."""
    block_attributes = event_attributes(stored.response.events)
    yield PublishedEvent({**block_attributes, "tm.event": ["NewBlock"]}, lambda: new_block_event(stored))
    yield PublishedEvent({"tm.event": ["NewBlockHeader"]}, lambda: new_block_header_event(stored))
    for position, (tx, result) in enumerate(zip(stored.block.txs, stored.response.tx_results, strict=True)):
        attributes = event_attributes(result.events)
        attributes["tm.event"] = ["Tx"]
        attributes["tx.hash"] = [hex_bytes(transaction_hash(tx))]
        attributes["tx.height"] = [str(stored.block.header.height)]
        yield PublishedEvent(attributes, lambda position=position: tx_event(stored, position))  # type: ignore[misc]
