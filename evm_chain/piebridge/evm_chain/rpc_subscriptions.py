"""Subscriptions of WebSocket connections: newHeads, logs, newPendingTransactions.

Anybody may subscribe, and the event loop is that of the engine. So subscriptions are counted over all connections, what
many want is made once, and whoever publishes gives the loop back again and again.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from piebridge.evm_chain import rpc_parameters as read
from piebridge.evm_chain.block import EvmBlock
from piebridge.evm_chain.chain_database import ChainHead
from piebridge.evm_chain.rpc_chain import RpcChain
from piebridge.evm_chain.rpc_errors import LIMIT_EXCEEDED, RpcError, invalid_params
from piebridge.evm_chain.rpc_format import Document, block_logs, header_document
from piebridge.evm_chain.rpc_methods import subscription_transaction
from piebridge.evm_chain.rpc_parameters import LogFilter
from piebridge.evm_chain.transaction import SignedTransaction

SUBSCRIPTIONS_MAX = 256
"""Subscriptions of one connection."""
SUBSCRIPTIONS_TOTAL_MAX = 4_096
"""Subscriptions of all connections together."""
NEWS_MAX = 4_096
"""Blocks and transactions that wait to be published; connections that subscribed are cut off when there are more."""
_LOOKS_PER_TURN = 256
"""Subscriptions or logs looked at before the event loop has its turn again."""

Send = Callable[[Document], None]
"""Queues a message for a connection."""
News = EvmBlock | SignedTransaction
"""What subscribers are told of."""


@dataclass(frozen=True, slots=True)
class _Subscription:
    kind: str
    wanted: LogFilter | None
    full_transactions: bool


class _BlockNews:
    """A block as subscribers get it; each part is made when the first of them wants it."""

    def __init__(self, block: EvmBlock) -> None:
        self._block = block
        self._header: Document | None = None
        self._logs: list[tuple[bytes, tuple[bytes, ...], Document]] | None = None

    @property
    def header(self) -> Document:
        if self._header is None:
            self._header = header_document(self._block.header)
        return self._header

    @property
    def logs(self) -> list[tuple[bytes, tuple[bytes, ...], Document]]:
        if self._logs is None:
            hashes = [transaction.hash for transaction in self._block.transactions]
            found = block_logs(self._block.header, hashes, self._block.outcomes)
            self._logs = [(log.address, log.topics, document) for log, document in found]
        return self._logs


class Connection:
    """The subscriptions of one connection."""

    def __init__(self, send: Send, abort: Callable[[], None], room: Callable[[], bool]) -> None:
        """Start with none.

        Args:
            send: queues a message.
            abort: ends the connection, when it cannot be told what it subscribed to.
            room: tells whether the server takes one more subscription.
        """
        self.send, self.abort = send, abort
        self._room = room
        self._subscriptions: dict[str, _Subscription] = {}

    @property
    def count(self) -> int:
        """Number of subscriptions."""
        return len(self._subscriptions)

    def subscribe(self, kind: object, argument: object = None) -> str:
        """Start a subscription; its identifier is returned."""
        if len(self._subscriptions) >= SUBSCRIPTIONS_MAX:
            raise RpcError(LIMIT_EXCEEDED, f"a connection has at most {SUBSCRIPTIONS_MAX} subscriptions")
        if not self._room():
            raise RpcError(LIMIT_EXCEEDED, f"this node serves at most {SUBSCRIPTIONS_TOTAL_MAX} subscriptions")
        if kind == "logs":
            subscription = _Subscription("logs", read.log_filter(argument), False)
        elif kind == "newHeads":
            subscription = _Subscription("newHeads", None, False)
        elif kind == "newPendingTransactions":
            full = False if argument is None else read.boolean(argument, "full transactions")
            subscription = _Subscription("newPendingTransactions", None, full)
        else:
            raise invalid_params(f"no {read.shown(kind)} subscription in eth namespace")
        identifier = hex(secrets.randbits(128))
        self._subscriptions[identifier] = subscription
        return identifier

    def unsubscribe(self, identifier: object) -> bool:
        """End a subscription; whether there was one."""
        return isinstance(identifier, str) and self._subscriptions.pop(identifier, None) is not None

    def block_notices(self, news: _BlockNews) -> Iterator[Document | None]:
        """Give the messages about a block to those that want them, and None wherever nothing was to be said."""
        for identifier, subscription in list(self._subscriptions.items()):
            if subscription.kind == "newHeads":
                yield _notice(identifier, news.header)
            elif subscription.wanted is not None:
                yield None
                for address, topics, document in news.logs:
                    wants = subscription.wanted.matches(address, topics)
                    yield _notice(identifier, document) if wants else None

    def transaction_notices(self, transaction: SignedTransaction) -> Iterator[Document | None]:
        """Give the messages about a transaction that is new to the mempool."""
        for identifier, subscription in list(self._subscriptions.items()):
            wants = subscription.kind == "newPendingTransactions"
            full = subscription.full_transactions
            yield _notice(identifier, subscription_transaction(transaction, full=full)) if wants else None


class Publisher:
    """Carries what the application reports from the engine's thread to the connections on the server's loop."""

    def __init__(self, chain: RpcChain, loop: asyncio.AbstractEventLoop) -> None:
        """Listen to an application for as long as it lives."""
        self._loop = loop
        self._connections: dict[int, Connection] = {}
        self._news: deque[News] = deque()
        self._publishing: asyncio.Task[None] | None = None
        chain.app.add_commit_listener(self._on_commit)
        chain.app.add_admission_listener(self._on_transaction)

    @property
    def connection_count(self) -> int:
        """Number of connections."""
        return len(self._connections)

    def has_room(self) -> bool:
        """Tell whether one more subscription is taken."""
        return sum(connection.count for connection in self._connections.values()) < SUBSCRIPTIONS_TOTAL_MAX

    def add(self, connection: Connection) -> None:
        """Publish to a connection from now on."""
        self._connections[id(connection)] = connection

    def remove(self, connection: Connection) -> None:
        """Publish to it no more."""
        self._connections.pop(id(connection), None)

    async def stop(self) -> None:
        """Publish nothing more."""
        if self._publishing is not None:
            self._publishing.cancel()
            await asyncio.gather(self._publishing, return_exceptions=True)

    def _on_commit(self, head: ChainHead, block: EvmBlock | None) -> None:
        if block is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take, block)

    def _on_transaction(self, transaction: SignedTransaction) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take, transaction)

    def _take(self, news: News) -> None:
        subscribed = [connection for connection in self._connections.values() if connection.count]
        if not subscribed:
            return
        if len(self._news) >= NEWS_MAX:  # nobody is told half of what happened
            self._news.clear()
            for connection in subscribed:
                connection.abort()
            return
        self._news.append(news)
        if self._publishing is None or self._publishing.done():
            self._publishing = self._loop.create_task(self._publish())

    async def _publish(self) -> None:
        looks = 0
        while self._news:
            news = self._news.popleft()
            block = _BlockNews(news) if isinstance(news, EvmBlock) else None
            for connection in list(self._connections.values()):
                notices = connection.block_notices(block) if block else connection.transaction_notices(news)  # type: ignore[arg-type]
                for document in notices:
                    if id(connection) not in self._connections:
                        break  # it was cut off
                    if document is not None:
                        connection.send(document)
                    looks += 1
                    if looks % _LOOKS_PER_TURN == 0:
                        await asyncio.sleep(0)


def _notice(identifier: str, result: Document | str) -> Document:
    return {"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": identifier, "result": result}}
