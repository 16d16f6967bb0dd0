"""Governor messages to the contracts of the management chain (``docs/protocol/management.md``, sections 2 and 3)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, unique
from typing import Final

from piebridge.crypto.threshold.verification import verify
from piebridge.protocol_stack.codec import address, bytes16, one_of, u8, u32, u64
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.governor_messages import VERSION
from piebridge.protocol_stack.management.digests import governor_management_digest
from piebridge.protocol_stack.management.request import DomainRequest
from piebridge.protocol_stack.management.tags import ManagementContract, Place
from piebridge.protocol_stack.signers import check_threshold_signature

TARGET_KIND: Final = 3
"""Target kind of these messages in the container that all governor messages share."""
NO_OP: Final = 1
"""Kind that every contract takes: it does nothing but use up its number."""


@unique
class BoardOrder(IntEnum):
    """Kinds of messages to the GovernorBoard."""

    ROTATE = 13
    RESHARED = 14


@unique
class MarketOrder(IntEnum):
    """Kinds of messages to the NodeMarket."""

    ADMIT = 2
    SLASH = 3
    SUSPEND = 4
    DISBURSE = 5
    RESTORE = 6


@unique
class RegistryOrder(IntEnum):
    """Kinds of messages to the DomainRegistry."""

    EXECUTED = 2
    REFUSE = 3
    RELAY_STATE = 4
    CLOSE_REGISTRATION = 5
    SET_REPRESENTATIVE = 6


@unique
class DirectoryOrder(IntEnum):
    """Kinds of messages to the ApplicationDirectory."""

    ASSIGN = 2
    SUSPEND = 3


_LENGTHS: Final[Mapping[ManagementContract, Mapping[int, int]]] = {
    ManagementContract.BOARD: {BoardOrder.ROTATE: 106, BoardOrder.RESHARED: 8},
    ManagementContract.MARKET: {
        MarketOrder.ADMIT: 20,
        MarketOrder.SLASH: 58,
        MarketOrder.SUSPEND: 5,
        MarketOrder.DISBURSE: 36,
        MarketOrder.RESTORE: 6,
    },
    ManagementContract.REGISTRY: {
        RegistryOrder.REFUSE: 32,
        RegistryOrder.RELAY_STATE: 5,
        RegistryOrder.CLOSE_REGISTRATION: 12,
        RegistryOrder.SET_REPRESENTATIVE: 24,
    },
    ManagementContract.DIRECTORY: {DirectoryOrder.ASSIGN: 24, DirectoryOrder.SUSPEND: 5},
}
"""Length of the body by contract and kind, bytes. Only that of EXECUTED differs from request to request."""


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
        if (self.target, self.kind) == (ManagementContract.REGISTRY, RegistryOrder.EXECUTED):
            if not self.body:
                raise FormatError(ErrorCode.GOVERNOR_BODY, "EXECUTED names its request")
            return
        lengths = {**_LENGTHS[self.target], NO_OP: 0}
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


def admit_body(account: bytes) -> bytes:
    """Return the body of ADMIT: the account of a new operator."""
    return address(account)


def executed_body(request: DomainRequest) -> bytes:
    """Return the body of EXECUTED: the request that was carried out, whole, as the registry keeps only its hash."""
    return request.encode()
