"""Endorsement: what one validator of a relay chain signs for hubs, on request.

A signer vouches for the chain value of a *committed* entry, and for nothing else: it reads the value from the committed
state of its own node, builds the digest itself, and writes down what it signs before it gives it away. So it never
signs two values for one (relay chain, destination, number), whatever happens to the process; the same value under a
later set epoch is a new signature and no contradiction.
"""

import logging
from typing import Protocol

from piebridge.abci.messages import CODE_OK, QueryRequest, QueryResponse
from piebridge.crypto.errors import PieBridgeError, ProtocolError
from piebridge.crypto.signature import address_of_private_key, sign_recoverable
from piebridge.protocol_stack.codec import u32, u64
from piebridge.protocol_stack.endorsement import EndorsementAnswer
from piebridge.protocol_stack.identifiers import DomainId, EntryNumber, RegistrationNumber, RelayId, SetEpoch
from piebridge.protocol_stack.relay_queries import EndorseQuery
from piebridge.protocol_stack.signing import endorsement_digest
from piebridge.relay.app.application import RelayApplication
from piebridge.relay.app.queries import UnknownKeyError, refusal
from piebridge.relay.app.store import View

_log = logging.getLogger(__name__)


class EquivocationRefusedError(PieBridgeError):
    """The node's state holds another value than this key has signed before: the node is not sane and must stop."""


class NotAMemberError(ProtocolError):
    """The key of this validator is not in the current endorsement set."""


class SignedValues(Protocol):
    """What a signer has signed: the port to its durable memory, which belongs to the key and outlives the node."""

    def get(self, key: bytes) -> bytes | None:
        """Return what was put under ``key``, or None."""
        ...

    def put(self, key: bytes, value: bytes) -> None:
        """Write a value; durable when it returns."""
        ...


class EndorsementSigner:
    """The endorsement key of one validator."""

    def __init__(self, private_key: bytes, signed: SignedValues) -> None:
        """Hold a key.

        Args:
            private_key: secp256k1 scalar, 32 bytes; of no other purpose.
            signed: memory of this key.

        Raises:
            ConfigurationError: the key is no scalar.
        """
        self._private_key = private_key
        self._signed = signed
        self.address = address_of_private_key(private_key)
        """Endorsement address, 20 bytes."""

    def sign(
        self,
        domain: DomainId,
        relay: RelayId,
        destination: RegistrationNumber,
        epoch: SetEpoch,
        number: EntryNumber,
        value: bytes,
    ) -> bytes:
        """Sign a chain value that the own node has committed.

        Returns:
            65 bytes over the endorsement digest.

        Raises:
            EquivocationRefusedError: another value was signed for this entry before.
        """
        key = u32(domain) + u32(relay) + u32(destination) + u64(number)
        before = self._signed.get(key)
        if before is None:
            self._signed.put(key, value)
        elif before != value:
            raise EquivocationRefusedError(
                f"entry {number} toward registration {destination} has the value 0x{value.hex()} in the state of this "
                f"node, but this key has signed 0x{before.hex()}: stop the node and find out why"
            )
        return sign_recoverable(endorsement_digest(domain, relay, destination, epoch, number, value), self._private_key)


class ValidatorQueries:
    """What one validator's node answers to ABCI queries: its own endorsements, and whatever the application knows."""

    def __init__(self, application: RelayApplication, signer: EndorsementSigner) -> None:
        """Answer for one validator.

        Args:
            application: the relay chain.
            signer: the validator's endorsement key.
        """
        self._application, self._signer = application, signer

    def __call__(self, request: QueryRequest) -> QueryResponse:
        """Answer a query; a query handler of an engine."""
        if request.path != EndorseQuery.PATH:
            return self._application.query(request)
        height = self._application.state.height
        try:
            return QueryResponse(CODE_OK, value=self._endorse(request.data).encode(), height=height)
        except ProtocolError as error:
            return refusal(str(error), height)
        except EquivocationRefusedError as error:
            _log.critical("%s", error)
            return refusal(str(error), height)

    def _endorse(self, data: bytes) -> EndorsementAnswer:
        query = EndorseQuery.decode(data)
        view = View(self._application.state)
        if not view.is_initialised:
            raise UnknownKeyError("the chain has no block yet")
        relay, validators = view.relay, view.validators
        if relay.frozen:
            raise UnknownKeyError("this relay chain is frozen and endorses nothing any more")
        members = [item.endorsement_address for item in validators.validators]
        if self._signer.address not in members:
            raise NotAMemberError(
                f"endorsement key 0x{self._signer.address.hex()} is not in the set of epoch {validators.epoch}"
            )
        entry = view.entry(query.destination, query.number)
        if entry is None:
            raise UnknownKeyError(
                f"entry {query.number} toward registration {query.destination} is not committed, or not kept any more"
            )
        signature = self._signer.sign(
            relay.domain, relay.relay, query.destination, validators.epoch, query.number, entry.value
        )
        return EndorsementAnswer(
            validators.epoch, members.index(self._signer.address), self._signer.address, entry.value, signature
        )
