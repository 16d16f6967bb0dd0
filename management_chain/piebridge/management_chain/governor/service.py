"""The shell of a governor: reads the board, carries effects out in order, and waits."""

import asyncio
import logging
from collections.abc import Callable

from piebridge.crypto.errors import PermanentChainError, TransientChainError
from piebridge.failpoints import reach
from piebridge.management_chain.governor.board import Board
from piebridge.management_chain.governor.board_view import BoardView
from piebridge.management_chain.governor.decisions import DecidedMessage, DecisionSource
from piebridge.management_chain.governor.effects import BoardEffect, Deliver, StoreEffect
from piebridge.management_chain.governor.governor import Entropy, Governor, GovernorSettings
from piebridge.management_chain.governor.store import GovernorStore
from piebridge.protocol_stack.management.tags import Place

_LOG = logging.getLogger(__name__)

Deliverer = Callable[[DecidedMessage], None]
"""Takes a signed message; whoever carries it to its target is not the governor's business."""


class GovernorService:
    """One governor that runs until it is cancelled."""

    def __init__(
        self,
        account: bytes,
        place: Place,
        board: Board,
        store: GovernorStore,
        decisions: DecisionSource,
        entropy: Entropy,
        deliver: Deliverer,
        *,
        settings: GovernorSettings | None = None,
        poll_seconds: float = 0.5,
    ) -> None:
        """Prepare.

        Args:
            account: of this governor on the management chain, 20 bytes.
            place: where the board stands.
            board: access to it.
            store: this governor's secrets.
            decisions: what may be signed and taken part in.
            entropy: ``secrets.token_bytes``, outside of tests.
            deliver: takes messages that were signed.
            settings: what all governors have agreed on.
            poll_seconds: how long to wait for new blocks.

        Raises:
            ConfigurationError: the store cannot be read.
        """
        self.governor = Governor(
            account, BoardView(place), store.load(), decisions, settings or GovernorSettings(), entropy
        )
        self._board, self._store, self._deliver = board, store, deliver
        self._poll_seconds = poll_seconds
        self._reported: dict[int, str] = {}

    async def run(self) -> None:
        """Follow the board and do what is due.

        Raises:
            ConfigurationError: the store fails: a governor that cannot write must not sign.
            PermanentChainError: the board is not the board that it was.
            VerificationError: likewise.
        """
        while True:
            try:
                await self.step()
            except TransientChainError as error:
                _LOG.warning("the management chain does not answer: %s", error)
            await asyncio.sleep(self._poll_seconds)

    async def step(self) -> None:
        """Read what is new, then carry out what is due.

        Raises:
            TransientChainError: the board could not be read.
            ConfigurationError: the store fails.
        """
        reading = await self._board.read(self.governor.view.height)
        for event in reading.events:
            self.governor.receive(event)
        self.governor.advance(reading.height)
        for effect in self.governor.effects():
            if isinstance(effect, StoreEffect):
                self._store.write(effect)
            elif isinstance(effect, Deliver):
                self._deliver(effect.message)
            else:
                await self._submit(effect)
        self._report_problems()

    async def _submit(self, effect: BoardEffect) -> None:
        reach("governor.board.before_submit")
        try:
            await self._board.submit(effect)
        except (TransientChainError, PermanentChainError) as error:
            # Either it stands on the board already, or it will be wanted again: the board decides, not this answer.
            _LOG.info("%s was not taken: %s", type(effect).__name__, error)
        reach("governor.board.after_submit")

    def _report_problems(self) -> None:
        for ceremony, problem in self.governor.problems.items():
            if self._reported.get(ceremony) != problem:
                _LOG.warning("ceremony %d: %s", ceremony, problem)
        self._reported = dict(self.governor.problems)
