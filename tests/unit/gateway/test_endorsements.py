"""k endorsements out of validators that are honest, down, confused or dishonest."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from piebridge.chains.endpoint import RelayTransactionResult
from piebridge.chains.errors import TransactionRefusedError
from piebridge.crypto.errors import TransientChainError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.quorum import Quorum, SignerSet, verify_quorum
from piebridge.crypto.signature import address_of_private_key, sign_recoverable
from piebridge.gateway.endorsements import EndorsementsMissingError, collect_endorsement
from piebridge.protocol_stack.codec import Reader
from piebridge.protocol_stack.endorsement import EndorsementAnswer, EndorsementMethod, EndorsementSet, read_proof
from piebridge.protocol_stack.signing import endorsement_digest

DOMAIN, RELAY, DESTINATION, NUMBER, EPOCH = 7, 11, 2, 5, 3
VALUE, OTHER = keccak256(b"value"), keccak256(b"other")
KEYS = [keccak256(b"endorser %d" % i) for i in range(4)]
SET = EndorsementSet(
    EPOCH, EndorsementMethod.SIGNATURES, 3, 4, tuple(address_of_private_key(private_key) for private_key in KEYS)
)
DIGEST = endorsement_digest(DOMAIN, RELAY, DESTINATION, EPOCH, NUMBER, VALUE)


class Relay:
    """Four validators, each with a behaviour."""

    name = "relay"
    validator_count = 4

    def __init__(self, behaviours: Sequence[str]) -> None:
        self.behaviours = behaviours
        self.asked = [0] * len(behaviours)

    async def query(self, path: str, data: bytes) -> bytes:
        assert path == "/set"
        return SET.encode()

    async def endorse(self, validator: int, destination: int, number: int) -> EndorsementAnswer:
        behaviour = self.behaviours[validator]
        self.asked[validator] += 1
        if behaviour == "behind" and self.asked[validator] < 3:
            raise TransactionRefusedError("not committed", 8, "not committed")
        if behaviour == "refuses":
            raise TransactionRefusedError("frozen", 8, "frozen")
        if behaviour == "down":
            raise TransientChainError("connection refused")
        if behaviour == "hangs":
            await asyncio.sleep(60)
        value = OTHER if behaviour == "equivocates" else VALUE
        epoch = EPOCH - 1 if behaviour == "old epoch" else EPOCH
        digest = endorsement_digest(DOMAIN, RELAY, destination, epoch, number, value)
        signature = sign_recoverable(digest, KEYS[(validator + 1) % 4] if behaviour == "wrong key" else KEYS[validator])
        index = (validator + 1) % 4 if behaviour == "wrong index" else validator
        return EndorsementAnswer(epoch, index, SET.keys[validator], value, signature)

    async def queries(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes]:
        return [await self.query(path, data) for path, data in calls]

    async def check(self) -> None: ...
    async def close(self) -> None: ...
    async def latest_height(self) -> int:
        return 1

    async def latest_time(self) -> int:
        return 1

    async def wakes(self) -> AsyncIterator[None]:
        for _ in ():
            yield None

    async def broadcast(self, transaction: bytes) -> bytes:
        raise AssertionError

    async def transaction_result(self, transaction_hash: bytes) -> RelayTransactionResult | None:
        raise AssertionError


@pytest.mark.parametrize("faulty", ["down", "hangs", "old epoch", "wrong key", "wrong index", "equivocates"])
@pytest.mark.parametrize("position", [0, 3])
async def test_three_of_four_are_enough_whatever_the_fourth_does(faulty: str, position: int) -> None:
    behaviours = ["honest"] * 4
    behaviours[position] = faulty
    async with asyncio.timeout(5):
        collected = await collect_endorsement(Relay(behaviours), DOMAIN, RELAY, DESTINATION, NUMBER)
    assert collected.value == VALUE
    reader = Reader(collected.encoded)
    signers = EndorsementSet.read(reader)
    proof = read_proof(reader, signers)
    reader.finish()
    assert signers == SET
    assert isinstance(proof, Quorum)
    verify_quorum(SignerSet(SET.keys, 3), DIGEST, proof)
    assert proof.bitmap == 0b1111 & ~(1 << position)


@pytest.mark.parametrize("faulty", ["down", "old epoch", "wrong key"])
async def test_with_two_of_four_nothing_is_endorsed_and_the_missing_are_named(faulty: str) -> None:
    with pytest.raises(EndorsementsMissingError) as caught:
        await collect_endorsement(Relay(["honest", faulty, "honest", faulty]), DOMAIN, RELAY, DESTINATION, NUMBER)
    named = " ".join(caught.value.missing)
    assert SET.keys[1].hex() in named
    assert SET.keys[3].hex() in named
    assert f"0x{SET.keys[0].hex()}" not in [text.split("(")[-1].rstrip(")") for text in caught.value.missing]
    assert "2 of 3" in str(caught.value)


async def test_two_values_for_one_entry_are_an_alarm() -> None:
    with pytest.raises(VerificationError, match="different values"):
        await collect_endorsement(
            Relay(["honest", "equivocates", "equivocates", "down"]), DOMAIN, RELAY, DESTINATION, NUMBER
        )


async def test_validators_that_have_not_committed_yet_are_asked_again() -> None:
    relay = Relay(["honest", "behind", "behind", "down"])
    collected = await collect_endorsement(relay, DOMAIN, RELAY, DESTINATION, NUMBER)
    assert collected.value == VALUE
    assert relay.asked == [1, 3, 3, 1], "one that is down is not waited for"


async def test_validators_that_go_on_refusing_are_asked_a_few_times_and_named() -> None:
    relay = Relay(["honest", "honest", "refuses", "down"])
    with pytest.raises(EndorsementsMissingError) as error:
        await collect_endorsement(relay, DOMAIN, RELAY, DESTINATION, NUMBER)
    assert any("frozen" in reason for reason in error.value.missing)
    assert relay.asked[2] == 6
