"""Subscriptions of WebSocket connections: newHeads, logs, newPendingTransactions."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from piebridge.evm_chain import rpc_parameters as read
from piebridge.evm_chain.block import EvmBlock
from piebridge.evm_chain.chain_database import ChainHead
from piebridge.evm_chain.rpc_chain import RpcChain, matching_logs
from piebridge.evm_chain.rpc_errors import LIMIT_EXCEEDED, RpcError, invalid_params
from piebridge.evm_chain.rpc_format import Document, header_document
from piebridge.evm_chain.rpc_methods import subscription_transaction
from piebridge.evm_chain.rpc_parameters import LogFilter
from piebridge.evm_chain.transaction import SignedTransaction

SUBSCRIPTIONS_MAX = 256
"""Subscriptions of one connection."""

Send = Callable[[Document], None]
"""Queues a message for a connection."""


@dataclass(frozen=True, slots=True)
class _Subscription:
    kind: str
    wanted: LogFilter | None
    full_transactions: bool


class Connection:
    """The subscriptions of one connection."""

    def __init__(self, send: Send) -> None:
        """Start with none; ``send`` queues a message."""
        self._send = send
        self._subscriptions: dict[str, _Subscription] = {}

    def subscribe(self, kind: object, argument: object = None) -> str:
        """Start a subscription; its identifier is returned."""
        if len(self._subscriptions) >= SUBSCRIPTIONS_MAX:
            raise RpcError(LIMIT_EXCEEDED, f"a connection has at most {SUBSCRIPTIONS_MAX} subscriptions")
        if kind == "logs":
            subscription = _Subscription("logs", read.log_filter(argument), False)
        elif kind == "newHeads":
            subscription = _Subscription("newHeads", None, False)
        elif kind == "newPendingTransactions":
            full = False if argument is None else read.boolean(argument, "full transactions")
            subscription = _Subscription("newPendingTransactions", None, full)
        else:
            raise invalid_params(f'no "{kind}" subscription in eth namespace')
        identifier = hex(secrets.randbits(128))
        self._subscriptions[identifier] = subscription
        return identifier

    def unsubscribe(self, identifier: object) -> bool:
        """End a subscription; whether there was one."""
        return isinstance(identifier, str) and self._subscriptions.pop(identifier, None) is not None

    def publish_block(self, block: EvmBlock) -> None:
        """Send a new block to the subscriptions that want it."""
        for identifier, subscription in self._subscriptions.items():
            if subscription.kind == "newHeads":
                self._notify(identifier, header_document(block.header))
            elif subscription.wanted is not None:
                hashes = [transaction.hash for transaction in block.transactions]
                for document in matching_logs(block.header, hashes, block.outcomes, subscription.wanted):
                    self._notify(identifier, document)

    def publish_transaction(self, transaction: SignedTransaction) -> None:
        """Send a transaction that is new to the mempool."""
        for identifier, subscription in self._subscriptions.items():
            if subscription.kind == "newPendingTransactions":
                self._notify(identifier, subscription_transaction(transaction, full=subscription.full_transactions))

    def _notify(self, identifier: str, result: Document | str) -> None:
        self._send(
            {"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": identifier, "result": result}}
        )


class Publisher:
    """Carries what the application reports from the engine's thread to the connections on the server's loop."""

    def __init__(self, chain: RpcChain, loop: asyncio.AbstractEventLoop) -> None:
        """Listen to an application for as long as it lives."""
        self._loop = loop
        self._connections: dict[int, Connection] = {}
        chain.app.add_commit_listener(self._on_commit)
        chain.app.add_admission_listener(self._on_transaction)

    def add(self, connection: Connection) -> None:
        """Publish to a connection from now on."""
        self._connections[id(connection)] = connection

    def remove(self, connection: Connection) -> None:
        """Publish to it no more."""
        self._connections.pop(id(connection), None)

    def _on_commit(self, head: ChainHead, block: EvmBlock | None) -> None:
        if block is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._publish_block, block)

    def _on_transaction(self, transaction: SignedTransaction) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._publish_transaction, transaction)

    def _publish_block(self, block: EvmBlock) -> None:
        for connection in list(self._connections.values()):
            connection.publish_block(block)

    def _publish_transaction(self, transaction: SignedTransaction) -> None:
        for connection in list(self._connections.values()):
            connection.publish_transaction(transaction)
