"""Collects the endorsement of a relay chain's outbox: k validators' signatures over number and chain value."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from piebridge.chains.endpoint import RelayEndpoint
from piebridge.chains.errors import TransactionRefusedError
from piebridge.crypto.errors import ChainError, TransientChainError, VerificationError
from piebridge.crypto.quorum import Quorum
from piebridge.crypto.signature import recover_address
from piebridge.protocol_stack.endorsement import EndorsementAnswer, EndorsementMethod, EndorsementSet, encode_proof
from piebridge.protocol_stack.signing import endorsement_digest

_LOG = logging.getLogger(__name__)

_PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Before a validator that has refused is asked again: validators commit a block within a moment of each other, and one
that is behind has not yet what the first one told of."""


class EndorsementsMissingError(TransientChainError):
    """Fewer than k validators endorsed."""

    def __init__(self, message: str, missing: Sequence[str]) -> None:
        """Name who is missing and why."""
        super().__init__(f"{message}; missing: {', '.join(missing)}")
        self.missing = tuple(missing)
        """One text for each validator without a usable endorsement."""


@dataclass(frozen=True, slots=True)
class CollectedEndorsement:
    """k signatures, ready for an envelope."""

    value: bytes
    """Chain value that was endorsed, 32 bytes."""
    encoded: bytes
    """Set and proof as they stand in an envelope, formats.md section 8."""


async def collect_endorsement(
    endpoint: RelayEndpoint, domain: int, relay: int, destination: int, number: int
) -> CollectedEndorsement:
    """Ask all validators at once and return as soon as k have endorsed the same value.

    Every signature is checked here: one validator with a wrong key must not spoil the batch of all.

    Raises:
        EndorsementsMissingError: fewer than k; it names the validators that are missing.
        VerificationError: too few endorse one value, and others another: equivocation, or nodes of another chain.
    """
    signers = EndorsementSet.decode(await endpoint.query("/set", b""))
    if signers.method is not EndorsementMethod.SIGNATURES:
        raise TransientChainError(f"{endpoint.name}: endorsement method {signers.method.name} is not collected here")
    collector = _Collector(endpoint, signers, domain, relay, destination, number)
    asked = [asyncio.create_task(collector.ask(validator)) for validator in range(endpoint.validator_count)]
    try:
        for answered in asyncio.as_completed(asked):
            await answered
            if (collected := collector.result()) is not None:
                return collected
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    collector.refuse_contradiction()
    raise EndorsementsMissingError(
        f"{endpoint.name}: entry {number} toward {destination} has {len(collector.valid)} of {signers.threshold} "
        "endorsements",
        collector.missing(),
    )


class _Collector:
    """Endorsements of one entry, checked as they come in."""

    def __init__(
        self,
        endpoint: RelayEndpoint,
        signers: EndorsementSet,
        domain: int,
        relay: int,
        destination: int,
        number: int,
    ) -> None:
        self._endpoint = endpoint
        self._signers = signers
        self._domain, self._relay = domain, relay
        self._destination, self._number = destination, number
        self.valid: dict[int, EndorsementAnswer] = {}
        self._reasons: dict[int, str] = {}

    async def ask(self, validator: int) -> None:
        """Ask the node of one validator, a few times if it refuses; what goes wrong is its reason for missing."""
        for pause in (*_PAUSES_SECONDS, None):
            try:
                answer = await self._endpoint.endorse(validator, self._destination, self._number)
                self._check(answer)
            except (ChainError, VerificationError) as error:
                self._reasons[validator] = str(error)
                if pause is None or not isinstance(error, TransactionRefusedError):
                    return
                await asyncio.sleep(pause)
            else:
                self.valid[answer.index] = answer
                return

    def result(self) -> CollectedEndorsement | None:
        """Return the endorsement once there are k of one value; what a few others say beside it is reported."""
        by_value: dict[bytes, list[int]] = {}
        for index, answer in sorted(self.valid.items()):
            by_value.setdefault(answer.value, []).append(index)
        if len(by_value) > 1:
            _LOG.error(
                "ALARM: validators of %s endorse different values for entry %d toward %d: %s",
                self._endpoint.name,
                self._number,
                self._destination,
                {value.hex(): indexes for value, indexes in by_value.items()},
            )
        for value, indexes in by_value.items():
            if len(indexes) >= self._signers.threshold:
                members = indexes[: self._signers.threshold]
                signatures = tuple(self.valid[index].signature for index in members)
                quorum = Quorum(sum(1 << index for index in members), signatures)
                return CollectedEndorsement(value, self._signers.encode() + encode_proof(self._signers, quorum))
        return None

    def refuse_contradiction(self) -> None:
        """Raise if those who answered contradict each other."""
        values = {answer.value for answer in self.valid.values()}
        if len(values) > 1:
            raise VerificationError(
                f"{self._endpoint.name}: validators endorse different values for entry {self._number} toward "
                f"{self._destination}, none of them k times: {', '.join(sorted(value.hex() for value in values))}"
            )

    def missing(self) -> list[str]:
        """Name the members of the set without a usable endorsement."""
        unnamed = [reason for _, reason in sorted(self._reasons.items())]
        absent = [
            f"member {index} (0x{key.hex()})" for index, key in enumerate(self._signers.keys) if index not in self.valid
        ]
        return absent + unnamed

    def _check(self, answer: EndorsementAnswer) -> None:
        if answer.epoch != self._signers.epoch:
            raise VerificationError(
                "endorsement of another set epoch", expected=self._signers.epoch, actual=answer.epoch
            )
        if answer.index >= len(self._signers.keys) or self._signers.keys[answer.index] != answer.address:
            raise VerificationError(f"validator 0x{answer.address.hex()} is not member {answer.index} of the set")
        digest = endorsement_digest(
            self._domain, self._relay, self._destination, answer.epoch, self._number, answer.value
        )
        if recover_address(digest, answer.signature) != answer.address:
            raise VerificationError(f"signature of validator 0x{answer.address.hex()} does not hold")
