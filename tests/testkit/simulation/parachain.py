"""An EVM chain without an EVM: contracts are Python, state is storage words, blocks and reorganisations are real.

Gateways' transactions wait in a pool, in nonce order for each sender; users' calls are taken from anybody at any time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from piebridge.chains.endpoint import Block, HubEntry, Receipt
from piebridge.chains.errors import AlreadyKnownError, CallRevertedError, NonceError
from piebridge.chains.evm.hub import FORM_OF_TOPIC
from piebridge.crypto.errors import PermanentChainError
from piebridge.crypto.hash import keccak256

START_SECONDS = 1_700_000_000
"""Unix time at which every simulation begins."""
BASE_FEE_WEI = 1_000_000_000
GAS_LIMIT = 30_000_000
_CALL_GAS = 60_000
_MARK = b"simulated transaction/"

Word = tuple[bytes, bytes]
"""Address of a contract and slot."""


@dataclass(frozen=True, slots=True)
class Log:
    """A log."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int


class Execution:
    """A call in execution: storage that can be taken back, and logs."""

    def __init__(self, state: dict[Word, int], number: int, time_seconds: int) -> None:
        self._state = state
        self._undo: list[tuple[Word, int]] = []
        self.number = number
        """Block."""
        self.time_seconds = time_seconds
        """Time of the block, Unix seconds."""
        self.logs: list[Log] = []

    def load(self, address: bytes, slot: bytes) -> int:
        return self._state.get((address, slot), 0)

    def store(self, address: bytes, slot: bytes, value: int) -> None:
        word = (address, slot)
        self._undo.append((word, self._state.get(word, 0)))
        if value:
            self._state[word] = value
        else:
            self._state.pop(word, None)

    def log(self, address: bytes, topics: tuple[bytes, ...], data: bytes = b"") -> None:
        self.logs.append(Log(address, topics, data, self.number))

    def mark(self) -> tuple[int, int]:
        """Return where one can go back to."""
        return len(self._undo), len(self.logs)

    def revert(self, mark: tuple[int, int]) -> None:
        """Take everything back that happened since."""
        undone, logged = mark
        while len(self._undo) > undone:
            word, value = self._undo.pop()
            if value:
                self._state[word] = value
            else:
                self._state.pop(word, None)
        del self.logs[logged:]

    def changes(self) -> list[Word]:
        """Return the words that were written, in order."""
        return [word for word, _ in self._undo]


class Contract(Protocol):
    """A contract that transactions call."""

    address: bytes

    def call(self, execution: Execution, sender: bytes, data: bytes) -> bytes:
        """Execute a call; raises :class:`CallRevertedError`."""
        ...


UserCall = Callable[[Execution], None]
"""What a user's transaction does; raises :class:`CallRevertedError`."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """A gateway's transaction."""

    sender: bytes
    nonce: int
    fee: int
    data: bytes
    hash: bytes


@dataclass(slots=True)
class Made:
    """A block with everything that belongs to it."""

    block: Block
    state: dict[Word, int]
    digest: bytes
    nonces: dict[bytes, int]
    logs: tuple[Log, ...]
    entries: tuple[HubEntry, ...]
    receipts: dict[bytes, Receipt]
    pooled: tuple[Pooled, ...]
    users: tuple[tuple[int, UserCall], ...]
    calls: tuple[tuple[bytes, bytes, bool], ...] = ()
    """Sender, call data of the hub, success: for whoever runs the same on the compiled contract."""


@dataclass(slots=True)
class SimulatedChain:
    """One parachain."""

    name: str
    registration: int
    evm_chain_id: int
    made: list[Made] = field(default_factory=list)
    pool: dict[bytes, dict[int, Pooled]] = field(default_factory=dict)
    waiting: list[tuple[int, UserCall]] = field(default_factory=list)
    """Users' calls with a number of their own."""
    users_sent: int = 0
    forks: int = 0
    hub: Contract = field(init=False)
    on_hub_call: Callable[[bytes], None] = field(default=lambda data: None)
    """Told of the call data of every transaction that reaches the pool: what a pool is, anybody can see."""

    def begin(self, hub: Contract, time_seconds: int, setup: Callable[[Execution], None]) -> None:
        """Make block 0, with all contracts in it."""
        self.hub = hub
        state: dict[Word, int] = {}
        execution = Execution(state, 0, time_seconds)
        setup(execution)
        self._close(bytes(32), bytes(32), execution, state, {}, time_seconds, {}, (), (), ())

    # --- blocks ---

    @property
    def latest(self) -> Made:
        return self.made[-1]

    def mine(self, time_seconds: int, limit: int = 40) -> None:
        """Make a block of what waits."""
        before = self.latest
        time_seconds = max(time_seconds, before.block.timestamp + 1)
        users, self.waiting = self.waiting, []
        pooled = self._take(before.nonces, limit)
        if not users and not pooled:
            self._close(
                before.block.hash, before.digest, None, before.state, before.nonces, time_seconds, {}, (), (), ()
            )
            return
        state, nonces = dict(before.state), dict(before.nonces)
        execution = Execution(state, before.block.number + 1, time_seconds)
        for _, call in users:
            mark = execution.mark()
            try:
                call(execution)
            except CallRevertedError:
                execution.revert(mark)
        outcomes: dict[bytes, bool] = {}
        calls = []
        for item in pooled:
            nonces[item.sender] = item.nonce + 1
            mark = execution.mark()
            try:
                self.hub.call(execution, item.sender, item.data)
                outcomes[item.hash] = True
            except CallRevertedError:
                execution.revert(mark)
                outcomes[item.hash] = False
            calls.append((item.sender, item.data, outcomes[item.hash]))
        self._close(
            before.block.hash,
            before.digest,
            execution,
            state,
            nonces,
            time_seconds,
            outcomes,
            pooled,
            tuple(users),
            tuple(calls),
        )

    def reorganise(self, depth: int, times: list[int], keep: Callable[[], bool]) -> None:
        """Replace the newest blocks by as many others; ``keep`` decides of each transaction whether it comes again."""
        lost = self.made[len(self.made) - depth :]
        del self.made[len(self.made) - depth :]
        self.forks += 1
        for made in lost:
            self.waiting += [item for item in made.users if keep()]
            for pooled in made.pooled:
                if keep():
                    self.pool.setdefault(pooled.sender, {}).setdefault(pooled.nonce, pooled)
        for time_seconds in times:
            self.mine(time_seconds)

    # --- transactions ---

    def user(self, call: UserCall) -> None:
        """Take a user's transaction."""
        self.users_sent += 1
        self.waiting.append((self.users_sent, call))

    def submit(self, raw: bytes) -> bytes:
        """Take a gateway's transaction into the pool; return its hash."""
        item = decode_transaction(raw, self.hub.address, self.evm_chain_id)
        self.on_hub_call(item.data)
        next_nonce = self.latest.nonces.get(item.sender, 0)
        mine = self.pool.setdefault(item.sender, {})
        known = mine.get(item.nonce)
        if item.nonce < next_nonce:
            raise NonceError(f"nonce {item.nonce} is used, the next one is {next_nonce}")
        if known is not None:
            if known.hash == item.hash:
                raise AlreadyKnownError("already known")
            if item.fee * 100 < known.fee * 112:
                raise NonceError(f"nonce {item.nonce} is taken by a transaction that pays as much")
        elif item.nonce > self.nonce(item.sender, pending=True):
            raise NonceError(f"nonce {item.nonce} leaves a gap")
        mine[item.nonce] = item
        return item.hash

    def nonce(self, sender: bytes, *, pending: bool) -> int:
        nonce = self.latest.nonces.get(sender, 0)
        if pending:
            mine = self.pool.get(sender, {})
            while nonce in mine:
                nonce += 1
        return nonce

    def call(self, data: bytes, sender: bytes) -> bytes:
        """Run a call on the newest state and forget it."""
        made = self.latest
        execution = Execution(dict(made.state), made.block.number + 1, made.block.timestamp + 1)
        return self.hub.call(execution, sender, data)

    # --- internal ---

    def _take(self, nonces: dict[bytes, int], limit: int) -> tuple[Pooled, ...]:
        taken: list[Pooled] = []
        for sender, mine in self.pool.items():
            nonce = nonces.get(sender, 0)
            for old in [number for number in mine if number < nonce]:
                del mine[old]
            while nonce in mine and len(taken) < limit:
                taken.append(mine.pop(nonce))
                nonce += 1
        return tuple(taken)

    def _close(
        self,
        parent: bytes,
        digest: bytes,
        execution: Execution | None,
        state: dict[Word, int],
        nonces: dict[bytes, int],
        time_seconds: int,
        outcomes: dict[bytes, bool],
        pooled: tuple[Pooled, ...],
        users: tuple[tuple[int, UserCall], ...],
        calls: tuple[tuple[bytes, bytes, bool], ...],
    ) -> None:
        number = len(self.made)
        logs: tuple[Log, ...] = ()
        if execution is not None:
            parts = [digest]
            for address, slot in dict.fromkeys(execution.changes()):
                parts += [address, slot, state.get((address, slot), 0).to_bytes(32, "big")]
            digest, logs = keccak256(b"".join(parts)), tuple(execution.logs)
        header = b"".join(
            (
                parent,
                digest,
                self.registration.to_bytes(4, "big"),
                number.to_bytes(8, "big"),
                time_seconds.to_bytes(8, "big"),
                self.forks.to_bytes(4, "big"),
            )
        )
        block = Block(number, keccak256(header), parent, time_seconds, digest, header, BASE_FEE_WEI, GAS_LIMIT)
        receipts = {
            hash_: Receipt(hash_, number, block.hash, succeeded, _CALL_GAS) for hash_, succeeded in outcomes.items()
        }
        entries = tuple(
            entry for log in logs if log.address == self.hub.address and (entry := _entry_of(log)) is not None
        )
        self.made.append(Made(block, state, digest, nonces, logs, entries, receipts, pooled, users, calls))


def _entry_of(log: Log) -> HubEntry | None:
    form = FORM_OF_TOPIC.get(log.topics[0])
    if form is None:
        return None
    entry = int.from_bytes(log.topics[1], "big")
    return HubEntry(
        entry >> 96 & 0xFFFFFFFF,
        entry >> 64 & 0xFFFFFFFF,
        entry & (1 << 64) - 1,
        log.block_number,
        form,
        log.data,
    )


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """What an account's signing gives."""

    raw_transaction: bytes
    hash: bytes


class SimulatedAccount:
    """Stands in for a local account of eth-account: nobody checks its signatures but this module."""

    def __init__(self, address: bytes) -> None:
        self._address = address

    @property
    def address(self) -> str:
        return "0x" + self._address.hex()

    def sign_transaction(self, transaction_dict: dict[str, object]) -> SignedTransaction:
        raw = b"".join(
            (
                _MARK,
                self._address,
                int(transaction_dict["chainId"]).to_bytes(8, "big"),  # type: ignore[call-overload]
                int(transaction_dict["nonce"]).to_bytes(8, "big"),  # type: ignore[call-overload]
                int(transaction_dict["maxFeePerGas"]).to_bytes(16, "big"),  # type: ignore[call-overload]
                bytes(transaction_dict["to"]),  # type: ignore[call-overload]
                bytes(transaction_dict["data"]),  # type: ignore[call-overload]
            )
        )
        return SignedTransaction(raw, keccak256(raw))


def decode_transaction(raw: bytes, hub: bytes, chain_id: int) -> Pooled:
    """Read what a :class:`SimulatedAccount` has signed."""
    start = len(_MARK)
    if raw[:start] != _MARK:
        raise PermanentChainError("not a transaction")
    sender = raw[start : start + 20]
    rest = raw[start + 20 :]
    if int.from_bytes(rest[:8], "big") != chain_id or rest[32:52] != hub:
        raise PermanentChainError("transaction is for another chain or another contract")
    return Pooled(
        sender, int.from_bytes(rest[8:16], "big"), int.from_bytes(rest[16:32], "big"), rest[52:], keccak256(raw)
    )
