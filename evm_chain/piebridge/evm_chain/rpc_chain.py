"""What the RPC methods need of the chain: naming blocks, reading their contents, simulating on them.

Everything reads committed data only and may be called from any thread.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from piebridge.crypto.hash import keccak256
from piebridge.evm_chain.app import EvmApplication
from piebridge.evm_chain.block import Outcome
from piebridge.evm_chain.chain_database import ChainDatabase, ChainHead
from piebridge.evm_chain.execution.messages import AccountOverride, BlockEnvironment, CallRequest
from piebridge.evm_chain.execution.simulation import Simulation
from piebridge.evm_chain.header import EvmHeader
from piebridge.evm_chain.rpc_errors import LIMIT_EXCEEDED, SERVER_ERROR, RpcError, invalid_params
from piebridge.evm_chain.rpc_format import Document, block_logs
from piebridge.evm_chain.rpc_parameters import BlockName, CallParameters, LogFilter
from piebridge.evm_chain.state_reader import StateReader
from piebridge.evm_chain.transaction import SignedTransaction, decode_transaction

LOGS_MAX = 10_000
"""Logs of one answer."""
LOG_BLOCKS_MAX = 10_000
"""Blocks that one search looks into, after the index has sorted out the others."""


@dataclass(frozen=True, slots=True)
class View:
    """A committed state and the block that messages are simulated in."""

    header: EvmHeader
    """Block whose state is read."""
    pending: bool
    """Whether messages run in the block that would follow."""


class RpcChain:
    """The chain as the RPC sees it."""

    def __init__(self, app: EvmApplication, clock: Callable[[], float]) -> None:
        """Serve an application; ``clock`` gives seconds since the Unix epoch for the ``pending`` block."""
        self._app = app
        self._clock = clock

    @property
    def app(self) -> EvmApplication:
        """The application."""
        return self._app

    @property
    def head(self) -> ChainHead:
        """Newest committed state."""
        head = self._app.database.head
        if head is None:
            raise RpcError(SERVER_ERROR, "the chain has not started yet")
        return head

    def find_header(self, name: BlockName) -> EvmHeader | None:
        """Header of a named block, None where it does not exist. ``pending`` names the newest."""
        if isinstance(name, bytes):
            number = self._database.number_of_hash(name)
        elif isinstance(name, str):
            number = 0 if name == "earliest" else self.head.header.number
        else:
            number = name
        return None if number is None or number > self.head.header.number else self._database.header(number)

    def header(self, name: BlockName) -> EvmHeader:
        """Header of a named block that must exist."""
        header = self.find_header(name)
        if header is None:
            raise RpcError(SERVER_ERROR, "header not found")
        return header

    def transaction(self, header: EvmHeader, index: int) -> SignedTransaction | None:
        """A transaction of a block, None where the block has fewer."""
        raws = self._database.raw_transactions(header.number)
        return None if index >= len(raws) else decode_transaction(raws[index], self._app.genesis.chain_id)

    def transactions(self, header: EvmHeader) -> list[SignedTransaction]:
        """All transactions of a block."""
        chain_id = self._app.genesis.chain_id
        return [decode_transaction(raw, chain_id) for raw in self._database.raw_transactions(header.number)]

    def reader(self, name: BlockName) -> StateReader:
        """State after a named block."""
        return StateReader(self._database.node, self.header(name).state_root)

    def view(self, name: BlockName) -> View:
        """Where a message named so is simulated."""
        return View(self.header(name), name == "pending")

    def simulation(self, view: View, overrides: Mapping[bytes, AccountOverride]) -> Simulation:
        """A state in memory to try messages on."""
        header = view.header
        number = header.number if view.pending else header.number - 1
        return self._app.executor.simulation(
            header.state_root, self._environment(view), self._database.ancestor_hashes(number), overrides
        )

    def call_request(self, call: CallParameters, gas_limit_max: int) -> CallRequest:
        """Fill in what a caller may leave out."""
        return CallRequest(
            sender=bytes(20) if call.sender is None else call.sender,
            to=call.to,
            gas_limit=gas_limit_max if call.gas_limit is None else min(call.gas_limit, gas_limit_max),
            value=call.value,
            data=call.data,
            gas_price=call.gas_price or 0,
            access_list=call.access_list,
        )

    def logs(self, wanted: LogFilter) -> list[Document]:
        """Logs that a filter takes, in the order of the chain.

        Raises:
            RpcError: unknown block, empty range, or more than may be answered.
        """
        if wanted.block_hash is not None:
            header = self.find_header(wanted.block_hash)
            if header is None:
                raise RpcError(SERVER_ERROR, "unknown block")
            return self._logs_of_block(header, wanted)
        newest = self.head.header.number
        first, last = self._number(wanted.first, newest), min(self._number(wanted.last, newest), newest)
        if first > self._number(wanted.last, newest):
            raise invalid_params("invalid block range params: fromBlock is after toBlock")
        return self.logs_between(wanted, first, last)

    def logs_between(self, wanted: LogFilter, first: int, last: int) -> list[Document]:
        """Logs of the blocks ``first..last``."""
        found: list[Document] = []
        for count, number in enumerate(self._candidates(wanted, first, last)):
            if count == LOG_BLOCKS_MAX:
                raise RpcError(
                    LIMIT_EXCEEDED, f"query looks into more than {LOG_BLOCKS_MAX} blocks, narrow range or filter"
                )
            found += self._logs_of_block(self.header(number), wanted)
            if len(found) > LOGS_MAX:
                raise RpcError(LIMIT_EXCEEDED, f"query returned more than {LOGS_MAX} results, narrow the range")
        return found

    def _logs_of_block(self, header: EvmHeader, wanted: LogFilter) -> list[Document]:
        outcomes = self._database.outcomes(header.number)
        hashes = [keccak256(raw) for raw in self._database.raw_transactions(header.number)]
        return matching_logs(header, hashes, outcomes, wanted)

    @property
    def _database(self) -> ChainDatabase:
        return self._app.database

    def _environment(self, view: View) -> BlockEnvironment:
        header = view.header
        if view.pending:
            timestamp = max(header.timestamp + 1, int(self._clock()))
            return self._app.executor.next_environment(header, timestamp, header.hash, header.fee_recipient)
        return BlockEnvironment(
            number=header.number,
            timestamp=header.timestamp,
            fee_recipient=header.fee_recipient,
            prev_randao=header.prev_randao,
            gas_limit=header.gas_limit,
            base_fee_per_gas=header.base_fee_per_gas,
        )

    def _number(self, name: BlockName, newest: int) -> int:
        if isinstance(name, int):
            return name
        if isinstance(name, bytes):
            return self.header(name).number
        return 0 if name == "earliest" else newest

    def _candidates(self, wanted: LogFilter, first: int, last: int) -> Iterator[int]:
        """Blocks that may have wanted logs: the index names those of one criterion, point look-ups check the others."""
        database = self._database
        criteria = [alternatives for alternatives in (wanted.addresses, *wanted.topics) if alternatives]
        if not criteria:
            yield from range(first, last + 1)
            return
        lead, *others = sorted(criteria, key=len)
        numbers = {number for item in lead for number in database.blocks_with_log(item, first, last)}
        for number in sorted(numbers):
            if all(any(database.has_log(item, number) for item in alternatives) for alternatives in others):
                yield number


def matching_logs(
    header: EvmHeader, transaction_hashes: Sequence[bytes], outcomes: Sequence[Outcome], wanted: LogFilter
) -> list[Document]:
    """Logs of one block that a filter takes."""
    return [
        document
        for log, document in block_logs(header, transaction_hashes, outcomes)
        if wanted.matches(log.address, log.topics)
    ]
