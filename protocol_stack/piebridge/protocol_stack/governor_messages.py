"""The one way in which hubs and relay chains are administered (``docs/protocol/formats.md``, section 10).

A message is signed once, by the governor key, and carried by anybody. Its container is decoded, and its signature
checked, apart from its body: a body that cannot be decoded or executed uses up its number and never blocks the next.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from piebridge.crypto.threshold.verification import verify
from piebridge.protocol_stack.codec import ZERO_ADDRESS, Reader, address, bytes16, one_of, u8, u32, u64
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.governor_hub_bodies import (
    ANY_DOMAIN_KINDS,
    HUB_WIDE_KINDS,
    HubBody,
    HubKind,
    Pause,
    PauseScope,
    Unpause,
    decode_hub_body,
)
from piebridge.protocol_stack.governor_relay_bodies import RelayBody, RelayKind, decode_relay_body
from piebridge.protocol_stack.identifiers import DomainId, KeyEpoch
from piebridge.protocol_stack.signers import check_threshold_signature, read_threshold_signature
from piebridge.protocol_stack.signing import governor_hub_digest, governor_relay_digest

VERSION: Final = 1
"""Version byte of the only format."""

UNORDERED_HUB_KINDS: Final = frozenset({HubKind.PAUSE, HubKind.FREEZE_RELAY})
"""Kinds to a hub that carry a life-cycle number in place of a counter."""
UNORDERED_RELAY_KINDS: Final = frozenset({RelayKind.FREEZE, RelayKind.PAUSE})
"""Kinds to a relay chain that carry a life-cycle number in place of a counter."""


class TargetKind(IntEnum):
    """What a governor message is for."""

    HUB = 1
    RELAY = 2


@dataclass(frozen=True, slots=True)
class GovernorMessage:
    """One signed message of the governor."""

    target_kind: TargetKind
    """Hub or relay chain."""
    domain: DomainId
    """Relay domain; 0 is the hub as a whole."""
    target: int
    """Registration of the hub, or relay id."""
    key_epoch: KeyEpoch
    """Epoch of the governor key that signed."""
    kind: int
    """Kind of the body: a :class:`HubKind` or :class:`RelayKind`, or one that the target does not know."""
    contract: bytes
    """Address of the hub, 20 bytes; zero for a relay chain."""
    counter: int
    """Last counter of (target, domain) + 1; in an unordered message the life-cycle number that it was signed for."""
    body: bytes
    """Encoded body, at most 65 535 bytes."""
    signature: bytes = b""
    """FROST signature, 65 bytes; empty while unsigned."""

    @property
    def ordered(self) -> bool:
        """Whether the counter counts."""
        unordered = UNORDERED_HUB_KINDS if self.target_kind is TargetKind.HUB else UNORDERED_RELAY_KINDS
        return self.kind not in unordered

    @property
    def digest(self) -> bytes:
        """What the governor signs, 32 bytes."""
        if self.target_kind is TargetKind.HUB:
            return governor_hub_digest(
                self.domain, self.target, self.key_epoch, self.kind, self.contract, self.counter, self.body
            )
        return governor_relay_digest(self.domain, self.target, self.key_epoch, self.kind, self.counter, self.body)

    def signed(self, sign: Callable[[bytes], bytes]) -> "GovernorMessage":
        """Return the message with a signature.

        Args:
            sign: gives the FROST signature, 65 bytes, over a 32-byte digest.
        """
        return replace(self, signature=check_threshold_signature(sign(self.digest)))

    def verify(self, group_key: bytes) -> None:
        """Check that the governor signed it.

        Args:
            group_key: the target's governor key, 33 bytes.

        Raises:
            DecodingError: the signature or the key is not in its one encoding.
            VerificationError: it is not signed by this key.
        """
        verify(self.signature, self.digest, group_key)

    def decode_body(self) -> HubBody | RelayBody:
        """Read the body as its kind demands.

        Raises:
            FormatError: unknown kind, a body that is none of its kind, or a domain that does not fit the kind.
        """
        if self.target_kind is TargetKind.RELAY:
            return decode_relay_body(self.kind, self.body)
        body = decode_hub_body(self.kind, self.body)
        check_hub_domain(self.domain, self.kind, body)
        return body

    def encode(self) -> bytes:
        """Return the message's bytes.

        Raises:
            FormatError: it is unsigned, or a field is not encodable.
        """
        self._check()
        return (
            u8(VERSION)
            + u8(self.target_kind)
            + u32(self.domain)
            + u32(self.target)
            + u32(self.key_epoch)
            + u8(self.kind)
            + address(self.contract)
            + u64(self.counter)
            + bytes16(self.body)
            + check_threshold_signature(self.signature)
        )

    @classmethod
    def decode(cls, data: bytes) -> "GovernorMessage":
        """Read a message. The body stays bytes, see :meth:`decode_body`.

        Raises:
            FormatError: the bytes are no governor message.
        """
        reader = Reader(data)
        one_of(reader.u8(), (VERSION,), "version of a governor message", ErrorCode.VERSION)
        target_kind = TargetKind(
            one_of(reader.u8(), tuple(TargetKind), "kind of target", ErrorCode.GOVERNOR_TARGET_KIND)
        )
        message = cls(
            target_kind,
            reader.u32(),
            reader.positive_u32("target"),
            reader.positive_u32("key epoch"),
            reader.u8(),
            reader.address(),
            reader.u64(),
            reader.bytes16(),
            read_threshold_signature(reader),
        )
        reader.finish()
        message._check()
        return message

    def _check(self) -> None:
        if self.target_kind is TargetKind.RELAY:
            if self.contract != ZERO_ADDRESS or self.domain == 0:
                raise FormatError(ErrorCode.GOVERNOR_SCOPE, "a relay chain has a domain and no contract address")
        elif self.contract == ZERO_ADDRESS:
            raise FormatError(ErrorCode.GOVERNOR_SCOPE, "a message to a hub names its address")


def check_hub_domain(domain: DomainId, kind: int, body: HubBody) -> None:
    """Check that the domain of a message to a hub is 0 exactly for what concerns the hub as a whole.

    Raises:
        FormatError: ``GOVERNOR_SCOPE``.
    """
    if kind in ANY_DOMAIN_KINDS:
        return
    hub_wide = kind in HUB_WIDE_KINDS
    if isinstance(body, Pause | Unpause):
        hub_wide = body.scope is PauseScope.APPLICATION
        if body.scope is PauseScope.DOMAIN and body.identifier != domain:
            raise FormatError(
                ErrorCode.GOVERNOR_SCOPE,
                "a domain is paused by its own messages",
                expected=domain,
                actual=body.identifier,
            )
    if hub_wide != (domain == 0):
        raise FormatError(ErrorCode.GOVERNOR_SCOPE, "the domain does not fit the kind of the message", actual=domain)
