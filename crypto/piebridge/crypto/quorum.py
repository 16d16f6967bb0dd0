"""k signatures of distinct members of one committed set over one digest, in the one form that is accepted.

A quorum is a bitmap of the signing members and exactly k signatures in ascending order of their positions. Fewer prove
nothing; more would cost the verifier work and give one statement several encodings, so both are refused. The form
leaves no room for a signer that names itself: position and address come from the committed set alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from piebridge.crypto.errors import VerificationError
from piebridge.crypto.signature import ADDRESS_LENGTH, recover_address

MEMBERS_MAX = 32
"""Largest set: one bit each in a 32-bit bitmap."""

_ZERO_ADDRESS = bytes(ADDRESS_LENGTH)


@dataclass(frozen=True, slots=True)
class SignerSet:
    """Committed set of signers: who may sign, in which order, and how many must."""

    members: tuple[bytes, ...]
    """20-byte addresses, all different and none zero, in the order in which the set was committed."""
    threshold: int
    """k, the number of signatures of a quorum, in 1..n."""

    def __post_init__(self) -> None:
        """Check the form of the set.

        Raises:
            VerificationError: no members or more than 32, an address of wrong length, zero or repeated, k not in 1..n.
        """
        if not 1 <= len(self.members) <= MEMBERS_MAX:
            raise VerificationError(f"a signer set has 1 to {MEMBERS_MAX} members", actual=len(self.members))
        for member in self.members:
            if len(member) != ADDRESS_LENGTH or member == _ZERO_ADDRESS:
                raise VerificationError("a member of a signer set is a 20-byte address other than zero", actual=member)
        if len(frozenset(self.members)) != len(self.members):
            raise VerificationError("a signer set names a member twice")
        if not 1 <= self.threshold <= len(self.members):
            raise VerificationError(f"threshold of a set of {len(self.members)} members", actual=self.threshold)


@dataclass(frozen=True, slots=True)
class Quorum:
    """Signatures of k members. A claim until :func:`verify_quorum` has accepted it."""

    bitmap: int
    """Bit i (value ``1 << i``) is set if member i signed."""
    signatures: tuple[bytes, ...]
    """65 bytes ``r || s || v`` each (EVM form), in ascending order of the members' positions."""


def verify_quorum(signers: SignerSet, digest: bytes, quorum: Quorum) -> None:
    """Check that exactly k distinct members of the set signed a 32-byte digest.

    Raises:
        VerificationError: bits outside of the set, not exactly k bits and k signatures, a malformed signature, or one
            that is not of the member at its position.
    """
    if not 0 <= quorum.bitmap < 1 << len(signers.members):
        raise VerificationError(
            f"signer bitmap has bits outside of a set of {len(signers.members)}", actual=quorum.bitmap
        )
    if quorum.bitmap.bit_count() != signers.threshold:
        raise VerificationError(
            "signer bitmap does not name exactly the threshold",
            expected=signers.threshold,
            actual=quorum.bitmap.bit_count(),
        )
    if len(quorum.signatures) != signers.threshold:
        raise VerificationError(
            "number of signatures is not the threshold", expected=signers.threshold, actual=len(quorum.signatures)
        )
    for position, signature in zip(_positions(quorum.bitmap), quorum.signatures, strict=True):
        recovered = recover_address(digest, signature)
        if recovered != signers.members[position]:
            raise VerificationError(
                f"signature is not of member {position}", expected=signers.members[position], actual=recovered
            )


def select_quorum(signers: SignerSet, signatures: Mapping[bytes, bytes]) -> Quorum:
    """Return the quorum of the first k members, in the order of the set, whose signatures are at hand.

    Args:
        signers: the committed set.
        signatures: 65-byte signatures over one digest by member address; checked by nobody yet. Others than members are
            left out.

    Raises:
        VerificationError: fewer than k members have signed; the message says whose are missing.
    """
    present = [position for position, member in enumerate(signers.members) if member in signatures]
    if len(present) < signers.threshold:
        missing = ", ".join(f"0x{member.hex()}" for member in signers.members if member not in signatures)
        raise VerificationError(
            f"not enough signatures, missing from {missing}", expected=signers.threshold, actual=len(present)
        )
    chosen = present[: signers.threshold]
    return Quorum(
        bitmap=sum(1 << position for position in chosen),
        signatures=tuple(signatures[signers.members[position]] for position in chosen),
    )


def _positions(bitmap: int) -> Sequence[int]:
    return [position for position in range(bitmap.bit_length()) if bitmap >> position & 1]
