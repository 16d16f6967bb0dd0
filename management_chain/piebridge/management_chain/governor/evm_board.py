"""The board on an EVM chain: the contract's events from its logs, transactions to it (``management.md``, section 8).

Logs are what one node says. Whoever does not trust its node gives a height that a light client has proven, and compares
several nodes; what a node holds back or makes up is no danger to the key, for every post is checked, but it may cost a
ceremony.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, assert_never

from piebridge.chains.evm.header import octets, quantity
from piebridge.chains.jsonrpc import JsonRpcClient
from piebridge.contracts.loader import Event, load
from piebridge.crypto.errors import DecodingError, TransientChainError
from piebridge.management_chain.governor.board import BoardReading
from piebridge.management_chain.governor.ceremony import GovernorSet
from piebridge.management_chain.governor.effects import (
    BoardEffect,
    ConfirmKey,
    Declare,
    Open,
    Publish,
    RegisterFirstKey,
)
from piebridge.management_chain.governor.events import (
    BoardEvent,
    CeremonyOpened,
    KeyRegistered,
    Posted,
    SetAdopted,
    SetDeclared,
)
from piebridge.protocol_stack.errors import FormatError
from piebridge.protocol_stack.management.tags import Place

Execute = Callable[[bytes, bytes], Awaitable[None]]
"""Sends call data (second) to a contract (first) from the governor's account; raises a chain error if it is refused."""
FinalHeight = Callable[[], Awaitable[int]]
"""Gives the newest height that is final."""

LOG_BLOCKS_MAX: Final = 2_000
"""Blocks asked for in one ``eth_getLogs``."""


class EvmBoard:
    """See :class:`~piebridge.management_chain.governor.board.Board`."""

    def __init__(
        self,
        client: JsonRpcClient,
        place: Place,
        execute: Execute,
        *,
        final_height: FinalHeight | None = None,
        first_block: int = 0,
        evm: str = "cancun",
    ) -> None:
        """Look at a board.

        Args:
            client: ``eth_*`` of a node of the management chain; whoever made it closes it.
            place: where the board stands.
            execute: sends transactions of this governor.
            final_height: newest final height, for example by light client; None takes the node's newest block, which is
                right only where every block is final.
            first_block: first block that can hold events of the board.
            evm: EVM version that the contract was compiled for.
        """
        self._client, self._place, self._execute = client, place, execute
        self._final_height = final_height or self._newest_height
        self._first_block = first_block
        self._contract = load("GovernorBoard", evm)

    async def read(self, after: int) -> BoardReading:
        """Return what final blocks above a height show; see the protocol."""
        height = await self._final_height()
        events: list[BoardEvent] = []
        for start in range(max(after + 1, self._first_block), height + 1, LOG_BLOCKS_MAX):
            events += await self._events(start, min(height, start + LOG_BLOCKS_MAX - 1))
        return BoardReading(tuple(events), max(height, after))

    async def submit(self, effect: BoardEffect) -> None:
        """Send a transaction; see the protocol."""
        await self._execute(self._place.contract, self._call_data(effect))

    def _call_data(self, effect: BoardEffect) -> bytes:
        contract = self._contract
        match effect:
            case Declare(governors):
                return contract.function_data("declareSet", governors.encode())
            case Open():
                return contract.function_data(
                    "openCeremony",
                    int(effect.kind),
                    effect.governors.hash,
                    effect.subject,
                    effect.rounds,
                    effect.round_blocks,
                )
            case Publish():
                return contract.function_data("post", effect.ceremony, effect.round, int(effect.kind), effect.payload)
            case ConfirmKey():
                return contract.function_data("confirmKey", effect.ceremony, effect.group_key)
            case RegisterFirstKey():
                return contract.function_data("registerFirstKey", effect.ceremony, effect.group_key, effect.signature)
            case _:
                assert_never(effect)

    async def _newest_height(self) -> int:
        return quantity(await self._client.call("eth_blockNumber", []), self._client.url)

    async def _events(self, first: int, last: int) -> list[BoardEvent]:
        query = {"address": "0x" + self._place.contract.hex(), "fromBlock": hex(first), "toBlock": hex(last)}
        logs = await self._client.call("eth_getLogs", [query])
        if not isinstance(logs, list):
            raise TransientChainError(f"{self._client.url}: logs are not a list")
        events, position = [], (-1, -1)
        for log in logs:
            if not isinstance(log, dict):
                raise TransientChainError(f"{self._client.url}: a log is not an object")
            height = quantity(log.get("blockNumber"), self._client.url)
            before, position = position, (height, quantity(log.get("logIndex"), self._client.url))
            if position <= before or not first <= height <= last:
                raise TransientChainError(
                    f"{self._client.url}: logs are out of order or of other blocks than asked for"
                )
            event = self._event(log, height)
            if event is not None:
                events.append(event)
        return events

    def _event(self, log: Mapping[str, Any], height: int) -> BoardEvent | None:
        where = self._client.url
        if octets(log.get("address"), 20, where) != self._place.contract or log.get("removed") is True:
            raise TransientChainError(f"{where}: a log of another contract, or one that was taken back")
        topics = [octets(topic, 32, where) for topic in log.get("topics") or ()]
        try:
            decoded = self._contract.decode_event(topics, octets(log.get("data"), None, where))
        except DecodingError as error:
            raise TransientChainError(f"{where}: a log of the board is malformed: {error}") from error
        return None if decoded is None else _board_event(decoded, height)


def _board_event(event: Event, height: int) -> BoardEvent | None:
    fields = event.arguments
    if event.name == "SetDeclared":
        try:
            return SetDeclared(GovernorSet.decode(fields["set"]))
        except FormatError:
            return None  # a set of one, which a board under --dev accepts, and which shares nothing
    if event.name == "CeremonyOpened":
        return CeremonyOpened(
            fields["ceremony"],
            fields["kind"],
            fields["setHash"],
            fields["subject"],
            fields["rounds"],
            fields["roundBlocks"],
            height,
        )
    if event.name == "Posted":
        return Posted(fields["ceremony"], fields["round"], fields["kind"], fields["member"], fields["payload"], height)
    if event.name == "KeyRegistered":
        return KeyRegistered(fields["ceremony"], fields["epoch"], fields["groupKey"])
    if event.name == "SetAdopted":
        return SetAdopted(fields["ceremony"], fields["epoch"])
    return None
