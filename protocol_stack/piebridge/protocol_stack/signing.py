"""What is signed: one prefix in front of everything (``docs/protocol/formats.md``, section 2).

A signer builds the digest itself with the functions of this file and is never given one.
"""

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.codec import address, hash32, u8, u32, u64
from piebridge.protocol_stack.commitment import (
    TAG_ENDORSE,
    TAG_GOVERNOR_HUB,
    TAG_GOVERNOR_RELAY,
    TAG_NOTARY,
    TAG_RELAY_TX,
)
from piebridge.protocol_stack.identifiers import DomainId, EntryNumber, KeyEpoch, RegistrationNumber, RelayId, SetEpoch

KIND_ENDORSEMENT = 1
"""The only kind under the tag ENDORSE."""
KIND_STATEMENT = 1
"""The only kind under the tag NOTARY."""


def signed_digest(tag: bytes, domain: DomainId, target: int, epoch: int, kind: int, body: bytes) -> bytes:
    """Return ``H(tag || domain || target || epoch || kind || body)``, 32 bytes."""
    return keccak256(hash32(tag) + u32(domain) + u32(target) + u32(epoch) + u8(kind) + body)


def endorsement_digest(
    domain: DomainId,
    relay: RelayId,
    destination: RegistrationNumber,
    epoch: SetEpoch,
    number: EntryNumber,
    value: bytes,
) -> bytes:
    """Return what a relay validator signs: ``chain[number]`` of the outbox toward ``destination`` is ``value``.

    Args:
        domain: relay domain.
        relay: the relay chain whose outbox it is.
        destination: registration of the hub that the outbox leads to.
        epoch: epoch of the signer's endorsement set.
        number: a committed entry number.
        value: chain value, 32 bytes.
    """
    body = u32(relay) + u64(number) + hash32(value)
    return signed_digest(TAG_ENDORSE, domain, destination, epoch, KIND_ENDORSEMENT, body)


def notary_digest(domain: DomainId, registration: RegistrationNumber, epoch: SetEpoch, statement: bytes) -> bytes:
    """Return what a notary signs.

    Args:
        domain: relay domain.
        registration: the hub that was read.
        epoch: epoch of the notary set.
        statement: encoded statement body (section 9).
    """
    return signed_digest(TAG_NOTARY, domain, registration, epoch, KIND_STATEMENT, statement)


def governor_hub_digest(
    domain: DomainId,
    hub_registration: RegistrationNumber,
    key_epoch: KeyEpoch,
    kind: int,
    hub: bytes,
    counter: int,
    body: bytes,
) -> bytes:
    """Return what the governor signs for a hub.

    Args:
        domain: relay domain, 0 for the hub as a whole.
        hub_registration: the hub's number.
        key_epoch: epoch of the governor key.
        kind: kind of the message to a hub.
        hub: the hub's address, 20 bytes.
        counter: counter per (target, domain), or the life-cycle number for unordered kinds.
        body: encoded body of the kind.
    """
    signed = address(hub) + u64(counter) + body
    return signed_digest(TAG_GOVERNOR_HUB, domain, hub_registration, key_epoch, kind, signed)


def governor_relay_digest(
    domain: DomainId, relay: RelayId, key_epoch: KeyEpoch, kind: int, counter: int, body: bytes
) -> bytes:
    """Return what the governor signs for a relay chain, whose contract field is zero. Arguments as for a hub."""
    signed = bytes(20) + u64(counter) + body
    return signed_digest(TAG_GOVERNOR_RELAY, domain, relay, key_epoch, kind, signed)


def relay_transaction_digest(
    domain: DomainId, relay: RelayId, kind: int, valid_until: int, salt: int, body: bytes
) -> bytes:
    """Return what a gateway signs.

    Args:
        domain: relay domain.
        relay: the relay chain that it is for.
        kind: kind of the relay transaction.
        valid_until: last height of the relay chain at which it may be executed.
        salt: tells two transactions of equal content apart.
        body: encoded body of the kind.
    """
    return signed_digest(TAG_RELAY_TX, domain, relay, 0, kind, u64(valid_until) + u64(salt) + body)
