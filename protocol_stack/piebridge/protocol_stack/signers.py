"""Encodings that endorsements and notary statements share: members of a set, and the signatures of k of them."""

from piebridge.crypto.errors import DecodingError
from piebridge.crypto.quorum import MEMBERS_MAX, Quorum
from piebridge.crypto.signature import (
    COMPRESSED_KEY_LENGTH,
    GROUP_ORDER,
    SIGNATURE_LENGTH,
    address_of,
    uncompress_public_key,
)
from piebridge.protocol_stack.codec import ZERO_ADDRESS, Reader, address, u32
from piebridge.protocol_stack.errors import ErrorCode, FormatError

_HALF_ORDER = GROUP_ORDER // 2


def check_threshold(threshold: int, size: int) -> None:
    """Check ``1 <= threshold <= size <= 32``.

    Raises:
        FormatError: ``SET_THRESHOLD``.
    """
    if not 1 <= threshold <= size <= MEMBERS_MAX:
        raise FormatError(
            ErrorCode.SET_THRESHOLD,
            "k and n of a set are out of bounds",
            expected=f"1 <= k <= n <= {MEMBERS_MAX}",
            actual=(threshold, size),
        )


def is_byzantine_quorum(threshold: int, size: int) -> bool:
    """Return whether ``k > 2n/3`` and ``n >= 2``, which is demanded outside ``--dev``."""
    return 3 * threshold > 2 * size and size >= 2


def check_members(members: tuple[bytes, ...]) -> None:
    """Check that member addresses are all different and none is zero.

    Raises:
        FormatError: ``SET_MEMBER`` or ``OUT_OF_RANGE``.
    """
    if len({address(member) for member in members}) != len(members):
        raise FormatError(ErrorCode.SET_MEMBER, "a member stands in a set twice")
    if ZERO_ADDRESS in members:
        raise FormatError(ErrorCode.SET_MEMBER, "a member of a set is the zero address")


def check_group_key(key: bytes) -> bytes:
    """Return a FROST group key after checking that it is a compressed point with x below the group order.

    Raises:
        FormatError: ``SET_MEMBER``.
    """
    try:
        if len(key) != COMPRESSED_KEY_LENGTH:
            raise DecodingError("a group key has 33 bytes", actual=len(key))
        address_of(key)
    except DecodingError as error:
        raise FormatError(ErrorCode.SET_MEMBER, f"no group key: {error}") from error
    if int.from_bytes(key[1:], "big") >= GROUP_ORDER:
        raise FormatError(ErrorCode.SET_MEMBER, "x of a group key is not below the group order", actual=key)
    return key


def check_signature(signature: bytes) -> bytes:
    """Return an ECDSA signature after checking that it is in its one encoding.

    Raises:
        FormatError: ``SIGNATURE``.
    """
    if len(signature) != SIGNATURE_LENGTH:
        raise FormatError(ErrorCode.SIGNATURE, "an ECDSA signature has 65 bytes", actual=len(signature))
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    if not (1 <= r < GROUP_ORDER and 1 <= s <= _HALF_ORDER and signature[64] in (27, 28)):
        raise FormatError(ErrorCode.SIGNATURE, "r, s or v of a signature is out of bounds", actual=signature)
    return signature


def check_threshold_signature(signature: bytes) -> bytes:
    """Return a FROST signature after checking that it has the form ``R || z`` with ``1 <= z < n``.

    Raises:
        FormatError: ``SIGNATURE``.
    """
    if len(signature) != SIGNATURE_LENGTH:
        raise FormatError(ErrorCode.SIGNATURE, "a FROST signature has 65 bytes", actual=len(signature))
    if signature[0] not in (2, 3) or not 1 <= int.from_bytes(signature[33:], "big") < GROUP_ORDER:
        raise FormatError(ErrorCode.SIGNATURE, "R or z of a FROST signature is out of bounds", actual=signature)
    return signature


def show_threshold_signature(signature: bytes) -> bytes:
    """Return a FROST signature with the ordinate of R behind it: ``R || z || y(R)``, 97 bytes.

    A contract that is shown the ordinate need not take a root.

    Raises:
        FormatError: ``SIGNATURE``; also if R is no point.
    """
    check_threshold_signature(signature)
    try:
        point = uncompress_public_key(signature[:COMPRESSED_KEY_LENGTH])
    except DecodingError as error:
        raise FormatError(ErrorCode.SIGNATURE, "R of a FROST signature is no point", actual=signature) from error
    return signature + point[COMPRESSED_KEY_LENGTH:]


def encode_quorum(quorum: Quorum, threshold: int, size: int) -> bytes:
    """Return ``signers || k signatures``.

    Raises:
        FormatError: the quorum is not exactly k members of n, or a signature is not in its one encoding.
    """
    _check_bitmap(quorum.bitmap, threshold, size)
    if len(quorum.signatures) != threshold:
        raise FormatError(
            ErrorCode.SIGNER_BITMAP, "number of signatures", expected=threshold, actual=len(quorum.signatures)
        )
    return u32(quorum.bitmap) + b"".join(map(check_signature, quorum.signatures))


def read_quorum(reader: Reader, threshold: int, size: int) -> Quorum:
    """Take the signatures of k members of a set of n.

    Raises:
        FormatError: not exactly k bits, one at or above n, or a signature that is not in its one encoding.
    """
    bitmap = reader.u32()
    _check_bitmap(bitmap, threshold, size)
    return Quorum(bitmap, reader.many(threshold, lambda: check_signature(reader.take(SIGNATURE_LENGTH))))


def _check_bitmap(bitmap: int, threshold: int, size: int) -> None:
    if bitmap.bit_count() != threshold or bitmap >> size:
        raise FormatError(
            ErrorCode.SIGNER_BITMAP, f"signer bits are not {threshold} members of {size}", actual=bin(bitmap)
        )


def read_threshold_signature(reader: Reader) -> bytes:
    """Take a FROST signature of 65 bytes.

    Raises:
        FormatError: ``SIGNATURE`` or ``TRUNCATED``.
    """
    return check_threshold_signature(reader.take(SIGNATURE_LENGTH))


def read_shown_threshold_signature(reader: Reader) -> bytes:
    """Take a FROST signature and the ordinate of its R, 97 bytes; return the signature.

    Raises:
        FormatError: ``SIGNATURE`` or ``TRUNCATED``.
    """
    signature = read_threshold_signature(reader)
    ordinate = reader.hash()
    if show_threshold_signature(signature)[SIGNATURE_LENGTH:] != ordinate:
        raise FormatError(ErrorCode.SIGNATURE, "the ordinate is not that of R", actual=ordinate)
    return signature
