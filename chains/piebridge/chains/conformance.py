"""What every adapter of a parachain must do, as one suite: run it against a new adapter before anything else.

It needs a chain that it may write to, with a contract that does what the caller says (see :class:`ChainUnderTest`), and
an adapter that stands in front of it. A broken adapter fails with an :class:`AssertionError` that names the rule.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from piebridge.chains.endpoint import Block, ParachainEndpoint, Receipt
from piebridge.chains.errors import AlreadyKnownError, CallRevertedError, MissingStateError, NonceError
from piebridge.crypto.errors import ChainError, TransientChainError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.patricia import verify_account, verify_storage

DOMAIN = 9
"""Domain of the outbox entries that the suite has made."""
_WAIT_SECONDS = 15.0
_Answer = TypeVar("_Answer")


class ChainUnderTest(Protocol):
    """A chain with the suite's contract, and the means to make it do things."""

    @property
    def endpoint(self) -> ParachainEndpoint:
        """The adapter under test."""
        ...

    @property
    def account(self) -> bytes:
        """Address of an account with money, used by nobody else, 20 bytes."""
        ...

    @property
    def can_reorganise(self) -> bool:
        """Whether :meth:`reorganise` works: a chain with instant finality never does."""
        ...

    @property
    def can_be_silenced(self) -> bool:
        """Whether :meth:`silence` works."""
        ...

    def sign(self, nonce: int, data: bytes) -> bytes:
        """Return a signed transaction of the account to the contract."""
        ...

    def write(self, slot: int, value: int, number: int, content: bytes) -> bytes:
        """Return call data that writes a slot, and makes outbox entry ``number`` (domain 9, relay 0, form 1)."""
        ...

    def revert(self) -> bytes:
        """Return call data that reverts."""
        ...

    async def make_blocks(self, count: int) -> None:
        """Have so many blocks made, the first with all waiting transactions."""
        ...

    async def reorganise(self, depth: int) -> None:
        """Replace the newest blocks by other ones."""
        ...

    async def silence(self, *, silent: bool) -> None:
        """Have the node take requests and answer none, or go on as before."""
        ...


async def check_endpoint(chain: ChainUnderTest) -> None:
    """Run the whole suite.

    Raises:
        AssertionError: a rule is broken; the message names it.
    """
    await chain.endpoint.check()
    await check_blocks(chain)
    await check_transactions(chain)
    await check_entries(chain)
    await check_proofs(chain)
    await check_refusals(chain)
    if chain.can_reorganise:
        await check_reorganisation(chain)
    if chain.can_be_silenced:
        await check_silence(chain)
    await chain.endpoint.close()


async def check_blocks(chain: ChainUnderTest) -> None:
    """Blocks form a chain of hashes, time does not run backwards, finality is counted from the newest block."""
    await _transact(chain, 1, 1, 1, b"first")
    await chain.make_blocks(3)
    endpoint = chain.endpoint
    latest = await endpoint.latest_block()
    assert latest.number >= 1, "the newest block is block 0 although blocks were made"
    child = latest
    for number in range(latest.number - 1, max(-1, latest.number - 4), -1):
        block = await endpoint.block(number)
        assert block.number == number, "another block was returned than the one asked for"
        assert keccak256(block.header) == block.hash, "a header does not hash to the block hash"
        assert child.parent_hash == block.hash, "a block's parent hash is not the hash of the block before"
        assert child.timestamp >= block.timestamp, "time runs backwards"
        child = block
    final = await endpoint.final_block(1)
    assert final.number >= latest.number - 1, "the final block lies deeper than the depth asked for"
    assert final.number <= (await endpoint.latest_block()).number - 1, "the final block is not deep enough"
    assert (await endpoint.final_block(10**6)).number == 0, "finality deeper than the chain does not end at block 0"
    await _raises(endpoint.block(latest.number + 10**6), MissingStateError, "a block that does not exist")


async def check_transactions(chain: ChainUnderTest) -> None:
    """A nonce is used once and in order; a receipt names the block; a revert is seen as one."""
    endpoint = chain.endpoint
    nonce = await endpoint.nonce(chain.account)
    raw = chain.sign(nonce, chain.write(2, 7, 2, b"second"))
    transaction_hash = await endpoint.send(raw)
    assert transaction_hash == keccak256(raw), "the transaction hash is not the hash of the transaction"
    again = await _error_of(endpoint.send(raw))
    assert again is None or isinstance(again, AlreadyKnownError | NonceError), f"sent twice: {again!r}"
    await chain.make_blocks(1)
    receipt = await _wait(lambda: endpoint.receipt(transaction_hash), "no receipt of a transaction that was mined")
    assert receipt.succeeded, "a transaction that succeeded has a receipt that says it did not"
    assert (await endpoint.block(receipt.block_number)).hash == receipt.block_hash, "the receipt names another block"
    assert receipt.gas_used > 0, "a transaction used no gas"
    assert await endpoint.nonce(chain.account) == nonce + 1, "the nonce did not move on"
    used = chain.sign(nonce, chain.write(2, 8, 3, b"third"))
    await _raises(endpoint.send(used), NonceError, "a transaction with a used nonce")
    reverted = await endpoint.send(chain.sign(nonce + 1, chain.revert()))
    await chain.make_blocks(1)
    receipt = await _wait(lambda: endpoint.receipt(reverted), "no receipt of a transaction that reverted")
    assert not receipt.succeeded, "a transaction that reverted has a receipt that says it succeeded"
    assert await endpoint.receipt(bytes(32)) is None, "a receipt of a transaction that does not exist"


async def check_entries(chain: ChainUnderTest) -> None:
    """Entries come in the order in which they were made, of the blocks asked for and the domain asked for only."""
    endpoint = chain.endpoint
    first = (await endpoint.latest_block()).number + 1
    nonce = await endpoint.nonce(chain.account)
    sent = [
        await endpoint.send(chain.sign(nonce + offset, chain.write(3, offset + 1, 10 + offset, b"entry %d" % offset)))
        for offset in range(5)
    ]
    await chain.make_blocks(2)
    receipts = [await _receipt(endpoint, item) for item in sent]
    last = max(receipt.block_number for receipt in receipts)
    entries = await endpoint.outbox_entries(DOMAIN, first, last)
    assert [entry.number for entry in entries] == [10, 11, 12, 13, 14], "entries are missing, doubled or out of order"
    assert [entry.content for entry in entries] == [b"entry %d" % offset for offset in range(5)], "contents differ"
    heights = [receipt.block_number for receipt in receipts]
    assert [entry.height for entry in entries] == heights, "an entry names another block than its transaction's"
    assert {(entry.domain, entry.relay, entry.form) for entry in entries} == {(DOMAIN, 0, 1)}
    assert await endpoint.outbox_entries(DOMAIN + 1, first, last) == [], "entries of another domain"
    assert await endpoint.outbox_entries(DOMAIN, last + 1, last + 1) == [], "entries of blocks not asked for"


async def check_proofs(chain: ChainUnderTest) -> None:
    """Proofs verify against the header, for slots with values and without, at the newest block and at older ones."""
    endpoint = chain.endpoint
    before = await endpoint.latest_block()
    await _transact(chain, 4, 0xABCDEF, 20, b"proof")
    latest = await endpoint.latest_block()
    slots = [_slot(4), _slot(1), _slot(77)]
    proof = await endpoint.prove(slots, latest.number)
    assert proof.slots == tuple(slots), "slots come back in another order"
    assert proof.values == (_slot(0xABCDEF), _slot(1), _slot(0)), "proven values are not those that were written"
    assert keccak256(proof.block.header) == proof.block.hash, "the proof's header does not hash to its block"
    account = verify_account(proof.block.state_root, endpoint.hub_address, proof.account_proof)
    assert account is not None, "the account proof shows no account"
    for slot, value, nodes in zip(slots, proof.values, proof.proofs, strict=True):
        proven = verify_storage(account.storage_root, int.from_bytes(slot, "big"), nodes)
        assert proven == int.from_bytes(value, "big"), "a storage proof shows another value"
    assert await endpoint.storage(slots, latest.number) == list(proof.values), "told and proven values differ"
    older = await endpoint.prove([_slot(4)], before.number)
    assert older.values == (_slot(0),), "a proof of an older block shows the newest state"
    await _raises(endpoint.prove([_slot(4)], latest.number + 10**6), MissingStateError, "a proof of a block to come")


async def check_refusals(chain: ChainUnderTest) -> None:
    """A call that reverts is a revert, not an outage."""
    endpoint = chain.endpoint
    await _raises(
        endpoint.call(chain.revert(), sender=chain.account, gas=100_000), CallRevertedError, "a call that reverts"
    )


async def check_reorganisation(chain: ChainUnderTest) -> None:
    """A reorganisation shows by parent hashes, and only above the final block."""
    endpoint = chain.endpoint
    await chain.make_blocks(5)
    latest = await endpoint.latest_block()
    final = await endpoint.block(latest.number - 3)
    replaced: list[Block] = [await endpoint.block(latest.number - offset) for offset in range(2)]
    await chain.reorganise(2)
    assert (await endpoint.block(final.number)).hash == final.hash, "a block below the reorganisation has changed"
    for block in replaced:
        assert (await endpoint.block(block.number)).hash != block.hash, "the reorganised block is served still"
    child = await endpoint.block(latest.number - 1)
    parent = await endpoint.block(latest.number - 2)
    assert child.parent_hash == parent.hash, "the new branch does not stand on the old chain"


async def check_silence(chain: ChainUnderTest) -> None:
    """A node that hangs is an outage, in bounded time; when it answers again, so does the adapter."""
    endpoint = chain.endpoint
    await chain.silence(silent=True)
    async with asyncio.timeout(_WAIT_SECONDS):
        error = await _error_of(endpoint.latest_block())
    assert type(error) is TransientChainError, f"a node that hangs gives {error!r}"
    await chain.silence(silent=False)
    await endpoint.latest_block()


async def _transact(chain: ChainUnderTest, slot: int, value: int, number: int, content: bytes) -> None:
    nonce = await chain.endpoint.nonce(chain.account)
    transaction_hash = await chain.endpoint.send(chain.sign(nonce, chain.write(slot, value, number, content)))
    await chain.make_blocks(1)
    receipt = await _wait(lambda: chain.endpoint.receipt(transaction_hash), "a transaction was not mined")
    assert receipt.succeeded, "the contract of the suite refuses to write"


async def _receipt(endpoint: ParachainEndpoint, transaction_hash: bytes) -> Receipt:
    return await _wait(lambda: endpoint.receipt(transaction_hash), "no receipt of a transaction that was mined")


async def _wait(ask: Callable[[], Awaitable[_Answer | None]], what: str) -> _Answer:
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            while (answer := await ask()) is None:  # noqa: ASYNC110 - a chain is polled
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise AssertionError(what) from error
    return answer


async def _error_of(question: Awaitable[object]) -> Exception | None:
    try:
        await question
    except (ChainError, VerificationError) as error:
        return error
    return None


async def _raises(question: Awaitable[object], kind: type[Exception], what: str) -> None:
    error = await _error_of(question)
    assert isinstance(error, kind), f"{what} gives {error!r}, not {kind.__name__}"


def _slot(value: int) -> bytes:
    return value.to_bytes(32, "big")
