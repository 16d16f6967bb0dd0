"""Collects notaries' signatures over one statement, by their HTTP interface (formats.md, section 9)."""

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp
import orjson

from piebridge.chains.endpoint import StorageProof
from piebridge.crypto.errors import TransientChainError, VerificationError
from piebridge.crypto.quorum import Quorum
from piebridge.crypto.signature import recover_address
from piebridge.protocol_stack.authentication import NotaryAuthentication
from piebridge.protocol_stack.notary_statement import NotarySet, NotaryStatement, SlotValue

_ANSWER_BYTES_MAX = 1 << 16


class NotariesMissingError(TransientChainError):
    """Fewer than k notaries signed."""

    def __init__(self, message: str, missing: Sequence[str]) -> None:
        """Name who is missing and why."""
        super().__init__(f"{message}; {'; '.join(missing)}")
        self.missing = tuple(missing)
        """One text for each notary that did not sign."""


class NotaryClient:
    """Asks the notaries of one hub."""

    def __init__(self, urls: Sequence[str], *, domain: int, registration: int, timeout_seconds: float = 10.0) -> None:
        """Ask at these addresses."""
        self._urls = tuple(urls)
        self._domain = domain
        self._registration = registration
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)

    async def collect(self, notary_set: NotarySet, hub: bytes, proof: StorageProof) -> NotaryAuthentication:
        """Ask all notaries at once; return as soon as k have signed what the proof says.

        A notary that signs something else than what was proven here is not counted: its signature would be refused.

        Raises:
            NotariesMissingError: fewer than k signed; it says of each why not.
        """
        statement = NotaryStatement(
            hub,
            proof.block.number,
            proof.block.hash,
            proof.block.timestamp,
            tuple(SlotValue(slot, value) for slot, value in zip(proof.slots, proof.values, strict=True)),
        )
        digest = statement.digest(self._domain, self._registration, notary_set.epoch)
        signatures: dict[int, bytes] = {}
        reasons: list[str] = []
        asked = [asyncio.create_task(self.ask(url, statement)) for url in self._urls]
        try:
            for answered in asyncio.as_completed(asked):
                try:
                    index, signature = _checked(await answered, digest, notary_set)
                except (TransientChainError, VerificationError) as error:
                    reasons.append(str(error))
                    continue
                signatures[index] = signature
                if len(signatures) == notary_set.threshold:
                    break
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if len(signatures) < notary_set.threshold:
            raise NotariesMissingError(
                f"registration {self._registration}, block {proof.block.number}: {len(signatures)} of "
                f"{notary_set.threshold} notaries signed",
                reasons or ["no other notary is configured"],
            )
        members = sorted(signatures)
        quorum = Quorum(sum(1 << index for index in members), tuple(signatures[index] for index in members))
        return NotaryAuthentication(notary_set, quorum, statement)

    async def ask(self, url: str, statement: NotaryStatement) -> dict[str, Any]:
        """Ask one notary to sign a statement; return its answer with its address.

        Raises:
            TransientChainError: it does not answer, or refuses.
        """
        request = {
            "domain": self._domain,
            "registration": self._registration,
            "hub": statement.hub.hex(),
            "block_number": statement.block_number,
            "slots": [item.slot.hex() for item in statement.slots],
        }
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.post(f"{url}/v1/statement", json=request) as response,
            ):
                content = await response.content.read(_ANSWER_BYTES_MAX)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TransientChainError(f"notary {url}: {type(error).__name__} {error}") from error
        try:
            answer = orjson.loads(content)
        except ValueError as error:
            raise TransientChainError(f"notary {url}: the answer is not JSON") from error
        if not isinstance(answer, dict):
            raise TransientChainError(f"notary {url}: the answer is no object")
        refusal = answer.get("error")
        if refusal is not None:
            raise TransientChainError(f"notary {url}: {refusal}")
        return {**answer, "url": url}


def _checked(answer: dict[str, Any], digest: bytes, notary_set: NotarySet) -> tuple[int, bytes]:
    url = answer["url"]
    try:
        epoch, index, signature = int(answer["epoch"]), int(answer["index"]), bytes.fromhex(answer["signature"])
    except (KeyError, ValueError, TypeError) as error:
        raise TransientChainError(f"notary {url}: malformed answer: {error!r}") from error
    if epoch != notary_set.epoch:
        raise VerificationError(f"notary {url} signs for another epoch", expected=notary_set.epoch, actual=epoch)
    if not 0 <= index < len(notary_set.members):
        raise VerificationError(f"notary {url} is member {index}, which the set does not have")
    if recover_address(digest, signature) != notary_set.members[index]:
        raise VerificationError(f"notary {url} signed another statement than the one that was proven here")
    return index, signature
