"""A notary: signs what it has read itself, from at least two independent nodes that agree in everything.

It asks all nodes of a chain at the same time. Each must answer in time, with a header that hashes to the block hash and
storage proofs that hold under it; then hash, time and values must be the same everywhere, and the block must lie at or
below the registered depth under every node's newest block. A node that hangs counts as one that disagrees: nothing is
signed, an alarm is raised, and no other node takes its place. (In 2026 a bridge lost $292M when attackers made two of
its nodes lie and kept the honest one from answering, and the verifier went on with those that did.) After a real
contradiction the chain is not signed for any more until an operator has looked and started the notary again.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from piebridge.chains.endpoint import ParachainEndpoint, StorageProof
from piebridge.chains.errors import MissingStateError
from piebridge.crypto.errors import ChainError, ConfigurationError, ProtocolError, VerificationError
from piebridge.crypto.signature import address_of_private_key, sign_recoverable
from piebridge.gateway.config import NotaryChainConfig, NotaryConfig
from piebridge.gateway.evidence import BeyondEvidenceError, EvidenceLog
from piebridge.gateway.telemetry import Counters
from piebridge.protocol_stack.notary_statement import SLOTS_MAX, NotaryStatement, SlotValue

_LOG = logging.getLogger(__name__)


class RefusalCode(StrEnum):
    """Why a notary does not sign."""

    NOT_FINAL = "not_final"
    """The block is not at or below the registered depth yet."""
    DISAGREEMENT = "disagreement"
    """Nodes contradict each other, themselves, or what was signed before."""
    ENDPOINT_UNREACHABLE = "endpoint_unreachable"
    """A node did not answer, or not in time."""
    UNKNOWN_CHAIN = "unknown_chain"
    """This notary does not read that hub."""
    STORAGE_FAILED = "storage_failed"
    """What is signed cannot be written down before."""
    BAD_REQUEST = "bad_request"
    """The request is malformed."""


class NotaryRefusal(ProtocolError):
    """A statement is not signed."""

    def __init__(self, code: RefusalCode, message: str) -> None:
        """Say why."""
        super().__init__(message)
        self.code = code
        """Stable name of the reason."""


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement with this notary's signature."""

    epoch: int
    """Epoch of the notary set."""
    index: int
    """Position in it."""
    address: bytes
    """Notary address, 20 bytes."""
    statement: NotaryStatement
    """What was read."""
    signature: bytes
    """65 bytes."""


@dataclass(frozen=True, slots=True)
class ReadChain:
    """A hub that the notary reads, through each of its nodes."""

    config: NotaryChainConfig
    """Hub, depth, addresses."""
    endpoints: tuple[ParachainEndpoint, ...]
    """At least two."""


class Notary:
    """Reads and signs; see the module's text."""

    def __init__(
        self, config: NotaryConfig, chains: Sequence[ReadChain], evidence: EvidenceLog, counters: Counters
    ) -> None:
        """Sign for these chains.

        Args:
            config: key, set epoch and index.
            chains: what is read.
            evidence: what was signed before.
            counters: where to count.
        """
        assert all(len(chain.endpoints) >= 2 for chain in chains), "the configuration demands two nodes"
        self._config = config
        self._chains = {chain.config.registration: chain for chain in chains}
        self._evidence = evidence
        self._counters = counters
        self._stopped: dict[int, str] = {}
        self.address = address_of_private_key(config.private_key)
        """20 bytes."""

    @property
    def stopped(self) -> dict[int, str]:
        """Registrations for which nothing is signed any more, and why."""
        return dict(self._stopped)

    async def statement(
        self, domain: int, registration: int, hub: bytes, block_number: int, slots: Sequence[bytes]
    ) -> SignedStatement:
        """Read slots of a hub at a block and sign them.

        Args:
            domain: relay domain.
            registration: number of the hub.
            hub: its address, 20 bytes.
            block_number: a block at or below the registered depth.
            slots: 1 to 16 slots of 32 bytes, strictly ascending.

        Raises:
            NotaryRefusal: anything is not as it must be; its code says what.
        """
        chain = self._chains.get(registration)
        if chain is None or domain != self._config.domain or hub != chain.config.hub_address:
            raise NotaryRefusal(
                RefusalCode.UNKNOWN_CHAIN, f"hub 0x{hub.hex()} is not registration {registration} in domain {domain}"
            )
        if not 1 <= len(slots) <= SLOTS_MAX or list(slots) != sorted(set(slots)):
            raise NotaryRefusal(RefusalCode.BAD_REQUEST, f"slots must be 1 to {SLOTS_MAX}, strictly ascending")
        if block_number == 0:  # some nodes (anvil) have no true state root there, and no hub has ever stood in it
            raise NotaryRefusal(RefusalCode.BAD_REQUEST, "block 0 holds no hub")
        if registration in self._stopped:
            raise NotaryRefusal(RefusalCode.DISAGREEMENT, f"stopped: {self._stopped[registration]}")
        proof = await self._read(chain, block_number, slots)
        block = proof.block
        values = tuple(SlotValue(slot, value) for slot, value in zip(proof.slots, proof.values, strict=True))
        statement = NotaryStatement(hub, block.number, block.hash, block.timestamp, values)
        try:
            self._evidence.write(registration, statement)
        except BeyondEvidenceError as error:
            raise NotaryRefusal(RefusalCode.BAD_REQUEST, str(error)) from error
        except VerificationError as error:
            self._stop(registration, str(error))
            raise NotaryRefusal(RefusalCode.DISAGREEMENT, str(error)) from error
        except ConfigurationError as error:
            self._alarm(registration, str(error))
            raise NotaryRefusal(RefusalCode.STORAGE_FAILED, str(error)) from error
        signature = sign_recoverable(
            statement.digest(domain, registration, self._config.set_epoch), self._config.private_key
        )
        self._counters.add("statements_signed", registration=registration)
        _LOG.info(
            "signed a statement",
            extra={"registration": registration, "block_number": block.number, "block_hash": block.hash.hex()},
        )
        return SignedStatement(self._config.set_epoch, self._config.index, self.address, statement, signature)

    async def _read(self, chain: ReadChain, block_number: int, slots: Sequence[bytes]) -> StorageProof:
        """Read from all nodes at once; return what all of them say."""
        readings = await asyncio.gather(
            *(self._read_one(chain, endpoint, block_number, slots) for endpoint in chain.endpoints),
            return_exceptions=True,
        )
        registration = chain.config.registration
        for reading in readings:
            if isinstance(reading, BaseException) and not isinstance(reading, NotaryRefusal):
                raise reading
        refusals = [reading for reading in readings if isinstance(reading, NotaryRefusal)]
        for code in (
            RefusalCode.DISAGREEMENT,
            RefusalCode.ENDPOINT_UNREACHABLE,
            RefusalCode.NOT_FINAL,
            RefusalCode.BAD_REQUEST,
        ):
            for refusal in refusals:
                if refusal.code is code:
                    if code is RefusalCode.DISAGREEMENT:
                        self._stop(registration, str(refusal))
                    elif code is RefusalCode.ENDPOINT_UNREACHABLE:
                        self._alarm(registration, str(refusal))
                    raise refusal
        proofs = [reading for reading in readings if isinstance(reading, StorageProof)]
        first = proofs[0]
        for other in proofs[1:]:
            if (other.block.hash, other.block.timestamp, other.values) != (
                first.block.hash,
                first.block.timestamp,
                first.values,
            ):
                reason = (
                    f"nodes disagree about block {block_number}: 0x{first.block.hash.hex()} and "
                    f"0x{other.block.hash.hex()}"
                )
                self._stop(registration, reason)
                raise NotaryRefusal(RefusalCode.DISAGREEMENT, reason)
        return first

    async def _read_one(
        self, chain: ReadChain, endpoint: ParachainEndpoint, block_number: int, slots: Sequence[bytes]
    ) -> StorageProof:
        """Read from one node, within the time that a node has."""
        try:
            async with asyncio.timeout(self._config.endpoint_timeout_seconds):
                latest = await endpoint.latest_block()
                if latest.number < block_number + chain.config.finality_depth:
                    raise NotaryRefusal(
                        RefusalCode.NOT_FINAL,
                        f"{endpoint.name}: block {block_number} needs {chain.config.finality_depth} blocks above it, "
                        f"the newest is {latest.number}",
                    )
                return await endpoint.prove(slots, block_number)
        except TimeoutError as error:
            raise NotaryRefusal(
                RefusalCode.ENDPOINT_UNREACHABLE,
                f"{endpoint.name} has not answered within {self._config.endpoint_timeout_seconds} s",
            ) from error
        except VerificationError as error:
            raise NotaryRefusal(RefusalCode.DISAGREEMENT, f"{endpoint.name}: {error}") from error
        except MissingStateError as error:
            # Nobody lies here: the hub did not exist yet, or the node has pruned that state. Strangers may ask for it,
            # so it must neither stop the notary nor raise an alarm.
            raise NotaryRefusal(RefusalCode.BAD_REQUEST, f"{endpoint.name}: {error}") from error
        except ChainError as error:
            raise NotaryRefusal(RefusalCode.ENDPOINT_UNREACHABLE, f"{endpoint.name}: {error}") from error

    def _stop(self, registration: int, reason: str) -> None:
        self._stopped[registration] = reason
        self._counters.add("notary_stops", registration=registration)
        self._alarm(registration, f"{reason}; nothing is signed for this chain until the notary is started again")

    def _alarm(self, registration: int, reason: str) -> None:
        self._counters.add("notary_alarms", registration=registration)
        _LOG.error("ALARM: %s", reason, extra={"registration": registration})
