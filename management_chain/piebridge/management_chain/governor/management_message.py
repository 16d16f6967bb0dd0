"""Governor messages to the contracts of the management chain (``docs/protocol/management.md``, sections 2 and 3)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from piebridge.crypto.threshold.verification import verify
from piebridge.management_chain.governor.board_view import BoardView
from piebridge.protocol_stack.codec import address, bytes16, one_of, u8, u32, u64
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.governor_messages import VERSION
from piebridge.protocol_stack.management.digests import governor_management_digest
from piebridge.protocol_stack.management.tags import ManagementContract, Place
from piebridge.protocol_stack.signers import check_threshold_signature

TARGET_KIND: Final = 3
"""Target kind of these messages in the container that all governor messages share."""
ROTATE: Final = 13
RESHARED: Final = 14

_NO_OP: Final = 1
_EXECUTED: Final = 2
_LENGTHS: Final = {
    ManagementContract.BOARD: {ROTATE: 106, RESHARED: 8},
    ManagementContract.MARKET: {2: 20, 3: 58, 4: 5, 5: 36, 6: 6},
    ManagementContract.REGISTRY: {3: 32, 4: 5, 5: 12, 6: 24},
    ManagementContract.DIRECTORY: {2: 24, 3: 5},
}
"""Length of the body by contract and kind, bytes."""


@dataclass(frozen=True, slots=True)
class ManagementMessage:
    """One message of the governor to a contract of the management chain."""

    place: Place
    """The contract."""
    target: ManagementContract
    """Its number."""
    domain: int
    """Domain concerned, or 0."""
    key_epoch: int
    """Current epoch of the governor key on the board."""
    kind: int
    """Kind of the body."""
    counter: int
    """Last counter of (contract, domain) + 1."""
    body: bytes
    """Encoded body."""
    signature: bytes = b""
    """FROST signature, 65 bytes; empty while unsigned."""

    @property
    def digest(self) -> bytes:
        """What the governor signs, 32 bytes."""
        return governor_management_digest(
            self.place, self.target, self.domain, self.key_epoch, self.kind, self.counter, self.body
        )

    def decode_body(self) -> None:
        """Check that the contract knows the kind and that the body has its length.

        Raises:
            FormatError: it does not.
        """
        if (self.target, self.kind) == (ManagementContract.REGISTRY, _EXECUTED):
            if not self.body:
                raise FormatError(ErrorCode.GOVERNOR_BODY, "EXECUTED names its request")
            return
        lengths = _LENGTHS[self.target] | {_NO_OP: 0}
        one_of(self.kind, tuple(lengths), "kind of a message to a management contract", ErrorCode.KIND)
        one_of(len(self.body), (lengths[self.kind],), "length of a body", ErrorCode.GOVERNOR_BODY)

    def signed(self, sign: Callable[[bytes], bytes]) -> "ManagementMessage":
        """Return the message with a signature; ``sign`` gives 65 bytes over a 32-byte digest."""
        return replace(self, signature=check_threshold_signature(sign(self.digest)))

    def verify(self, group_key: bytes) -> None:
        """Check that the governor signed it.

        Raises:
            DecodingError: the signature or the key is not in its one encoding.
            VerificationError: it is not signed by this key.
        """
        verify(self.signature, self.digest, group_key)

    def encode(self) -> bytes:
        """Return the message's bytes, the argument of ``governor(bytes)``.

        Raises:
            FormatError: it is unsigned, or a field is not encodable.
        """
        return (
            u8(VERSION)
            + u8(TARGET_KIND)
            + u32(self.domain)
            + u32(self.target)
            + u32(self.key_epoch)
            + u8(self.kind)
            + address(self.place.contract)
            + u64(self.counter)
            + bytes16(self.body)
            + check_threshold_signature(self.signature)
        )


def rotate_board(view: BoardView, ceremony: int, counter: int) -> ManagementMessage:
    """Return the unsigned message by which the board takes the new key of a ceremony. It is signed last of all ROTATEs.

    Args:
        view: the board; the ceremony is among its ``made``.
        ceremony: the key generation.
        counter: last counter of (board, domain 0) + 1.
    """
    body = u64(ceremony) + view.made[ceremony].key.public_key + view.registration_signature(ceremony)
    return ManagementMessage(view.place, ManagementContract.BOARD, 0, view.key_epoch, ROTATE, counter, body)


def reshared(view: BoardView, ceremony: int, counter: int) -> ManagementMessage:
    """Return the unsigned message by which the members of a resharing become the current set. Arguments as above."""
    return ManagementMessage(view.place, ManagementContract.BOARD, 0, view.key_epoch, RESHARED, counter, u64(ceremony))
