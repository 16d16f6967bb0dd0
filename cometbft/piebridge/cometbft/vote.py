"""Canonical votes: the bytes that validators sign.

Source: ``types/canonical.go``, ``types/vote.go`` and ``proto/tendermint/types/canonical.proto`` of CometBFT v0.40.0.
"""

from enum import IntEnum

from piebridge.cometbft.commit import BlockId, BlockIdFlag, Commit
from piebridge.cometbft.encoding import (
    encode_timestamp,
    length_prefixed,
    message_field,
    sfixed64_field,
    string_field,
    varint_field,
)


class VoteType(IntEnum):
    """Kinds of signed messages."""

    UNKNOWN = 0
    """Only in test vectors."""
    PREVOTE = 1
    """First vote of a round."""
    PRECOMMIT = 2
    """Second vote; commits consist of these."""


def vote_sign_bytes(
    chain_id: str, vote_type: VoteType, height: int, round_: int, block_id: BlockId, timestamp_ns: int
) -> bytes:
    """Return the message that a validator signs: varint length, then ``CanonicalVote``.

    A zero height or round is left out, so is a nil block id; the timestamp is always written. Every validator has a
    timestamp of its own, so every signature of a commit has another message.

    Args:
        chain_id: Chain the vote is for.
        vote_type: Kind of vote.
        height: Height voted on.
        round_: Round of the vote.
        block_id: Block voted for; empty for nil.
        timestamp_ns: Time of the vote, nanoseconds since the Unix epoch.
    """
    canonical_block_id = b"" if block_id.is_nil else message_field(4, block_id.encode())
    return length_prefixed(
        varint_field(1, vote_type)
        + sfixed64_field(2, height)
        + sfixed64_field(3, round_)
        + canonical_block_id
        + message_field(5, encode_timestamp(timestamp_ns))
        + string_field(6, chain_id)
    )


def commit_sign_bytes(chain_id: str, commit: Commit, index: int) -> bytes:
    """Return the message that the validator at ``index`` of the commit signed."""
    signature = commit.signatures[index]
    block_id = commit.block_id if signature.flag is BlockIdFlag.COMMIT else BlockId()
    return vote_sign_bytes(chain_id, VoteType.PRECOMMIT, commit.height, commit.round, block_id, signature.timestamp_ns)
