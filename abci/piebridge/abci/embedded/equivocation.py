"""A second, forged header for a height that is decided. Nothing here runs unless a test asks."""

from collections.abc import Collection
from dataclasses import replace

from piebridge.abci.embedded.engine import EmbeddedEngine
from piebridge.abci.embedded.faults import Faults
from piebridge.cometbft.block import part_set_header
from piebridge.cometbft.commit import BlockId
from piebridge.cometbft.verification import LightBlock, SignedHeader


def double_sign(
    engine: EmbeddedEngine,
    height: int,
    *,
    app_hash: bytes | None = None,
    time_ns: int | None = None,
    signers: Collection[bytes] | None = None,
) -> LightBlock:
    """Sign a second, forged header for a height that is decided. The chain itself does not change.

    Args:
        engine: Whose keys sign.
        height: A committed height.
        app_hash: Forged app hash; the honest one where None.
        time_ns: Forged time; the honest one where None.
        signers: Addresses that sign; all that the engine holds where None.

    Returns:
        The forged light block; with more than 2/3 of the signers it passes any light client.
    """
    honest = engine.light_block(height)
    header = replace(
        honest.header,
        app_hash=honest.header.app_hash if app_hash is None else app_hash,
        time_ns=honest.header.time_ns if time_ns is None else time_ns,
    )
    if header == honest.header:
        header = replace(header, time_ns=header.time_ns + 1)
    block_id = BlockId(header.hash(), part_set_header(header.encode()))
    absent = set() if signers is None else {member.address for member in honest.validators.validators} - set(signers)
    commit = engine.sign_commit(
        height,
        honest.signed_header.commit.round,
        block_id,
        honest.validators,
        earliest_ns=header.time_ns + 1_000_000,
        now_ns=0,
        faults=Faults(absent=absent),
    )
    return LightBlock(SignedHeader(header, commit), honest.validators)
