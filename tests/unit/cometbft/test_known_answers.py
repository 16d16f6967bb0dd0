"""Known answers of CometBFT's own tests: a header hash (``types/block_test.go``) and six votes (``vote_test.go``)."""

import pytest

from piebridge.cometbft.block import consensus_params_hash, data_hash, evidence_hash, part_set_header, results_hash
from piebridge.cometbft.commit import BlockId, Commit, CommitSig, PartSetHeader
from piebridge.cometbft.encoding import ZERO_TIME_NS
from piebridge.cometbft.header import Header, Version
from piebridge.cometbft.vote import VoteType, vote_sign_bytes
from piebridge.crypto.hash import sha256

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ZERO_TIME = "2a0b088092b8c398feffffff01"
HEIGHT_AND_ROUND = "110100000000000000190100000000000000"


def test_header_hash() -> None:
    header = Header(
        version=Version(block=1, app=2),
        chain_id="chainId",
        height=3,
        time_ns=1_570_983_284 * 10**9,  # 2019-10-13T16:14:44Z
        last_block_id=BlockId(bytes(32), PartSetHeader(6, bytes(32))),
        last_commit_hash=sha256(b"last_commit_hash"),
        data_hash=sha256(b"data_hash"),
        validators_hash=sha256(b"validators_hash"),
        next_validators_hash=sha256(b"next_validators_hash"),
        consensus_hash=sha256(b"consensus_hash"),
        app_hash=sha256(b"app_hash"),
        last_results_hash=sha256(b"last_results_hash"),
        evidence_hash=sha256(b"evidence_hash"),
        proposer_address=sha256(b"proposer_address")[:20],
    )
    assert header.hash().hex().upper() == "F740121F553B5418C3EFBD343C2DBFE9E007BB67B0D020A0741374BAB65242A4"
    assert Header.decode(header.encode()) == header


@pytest.mark.parametrize(
    ("chain_id", "vote_type", "height", "expected"),
    [
        ("", VoteType.UNKNOWN, 0, "0d" + ZERO_TIME),
        ("", VoteType.PRECOMMIT, 1, "210802" + HEIGHT_AND_ROUND + ZERO_TIME),
        ("", VoteType.PREVOTE, 1, "210801" + HEIGHT_AND_ROUND + ZERO_TIME),
        ("", VoteType.UNKNOWN, 1, "1f" + HEIGHT_AND_ROUND + ZERO_TIME),
        # CometBFT's sixth vector is this one with a vote extension, which is signed apart and no argument here.
        ("test_chain_id", VoteType.UNKNOWN, 1, "2e" + HEIGHT_AND_ROUND + ZERO_TIME + "320d" + b"test_chain_id".hex()),
    ],
)
def test_vote_sign_bytes(chain_id: str, vote_type: VoteType, height: int, expected: str) -> None:
    assert vote_sign_bytes(chain_id, vote_type, height, height, BlockId(), ZERO_TIME_NS).hex() == expected


def test_sign_bytes_of_a_usual_precommit() -> None:
    block_id = BlockId(b"\xaa" * 32, PartSetHeader(1, b"\xbb" * 32))
    signed = vote_sign_bytes("relay-1", VoteType.PRECOMMIT, 7, 0, block_id, 1_700_000_000 * 10**9 + 123_456_789)
    assert signed.hex() == (
        "6b"
        "0802"
        "110700000000000000"
        "2248"
        "0a20" + "aa" * 32 + "1224"
        "0801"
        "1220" + "bb" * 32 + "2a0b"
        "0880e2cfaa06"
        "10959aef3a"
        "3207" + b"relay-1".hex()
    )


def test_hashes_of_nothing() -> None:
    assert data_hash(()).hex() == evidence_hash(()).hex() == results_hash(()).hex() == Commit().hash().hex() == EMPTY


def test_empty_structures() -> None:
    assert BlockId().encode().hex() == "1200"
    assert CommitSig.absent().encode().hex() == "08011a0b088092b8c398feffffff01"
    assert Commit().encode().hex() == "1a021200"


def test_consensus_hash_covers_size_and_gas() -> None:
    # Recorded from CometBFT v0.40.0 with max_bytes 4194304 and max_gas -1.
    expected = "BAB5041D16246E2757DB17AF4B55FAAFBFD8660F7EB32871C99F91D0E58D5BF2"
    assert consensus_params_hash(4_194_304, -1).hex().upper() == expected


@pytest.mark.parametrize(("length", "total"), [(1, 1), (65_536, 1), (65_537, 2), (131_073, 3)])
def test_part_count(length: int, total: int) -> None:
    header = part_set_header(b"x" * length)
    assert header.total == total
    if total == 1:
        assert header.hash == sha256(b"\x00" + b"x" * length)
