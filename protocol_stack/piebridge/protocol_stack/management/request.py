"""Requests to the DomainRegistry (``docs/protocol/management.md``, section 5.3)."""

from dataclasses import dataclass
from typing import Final

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.codec import Reader, one_of, u8, u32, u64
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.identifiers import DomainId
from piebridge.protocol_stack.management.request_bodies import Form, RequestBody, RequestKind, decode_request_body
from piebridge.protocol_stack.management.tags import TAG_DOMAIN_REQUEST, Place

VERSION: Final = 1
"""Version byte of the only format."""


@dataclass(frozen=True, slots=True)
class DomainRequest:
    """What representatives ask for."""

    domain: DomainId
    """The domain; 0 exactly in FORM."""
    basis: int
    """Number of the domain's decisions so far, u32; 0 exactly in FORM. Made for an older state, a request is stale."""
    expires: int
    """Unix seconds, u64: from then on it can be ended in every state before executing."""
    salt: int
    """Tells two requests of equal content apart, u64."""
    body: RequestBody
    """What is asked for."""

    @property
    def kind(self) -> RequestKind:
        """What kind of request it is."""
        return self.body.KIND

    def encode(self) -> bytes:
        """Return the request's bytes.

        Raises:
            FormatError: a field is not accepted.
        """
        self._check()
        return (
            u8(VERSION)
            + u8(self.kind)
            + u32(self.domain)
            + u32(self.basis)
            + u64(self.expires)
            + u64(self.salt)
            + self.body.encode()
        )

    @classmethod
    def decode(cls, data: bytes) -> "DomainRequest":
        """Read a request.

        Raises:
            FormatError: the bytes are no request.
        """
        reader = Reader(data)
        one_of(reader.u8(), (VERSION,), "version of a request", ErrorCode.VERSION)
        kind = reader.u8()
        domain, basis, expires, salt = reader.u32(), reader.u32(), reader.u64(), reader.u64()
        request = cls(domain, basis, expires, salt, decode_request_body(kind, reader.rest()))
        request._check()
        return request

    def request_id(self, registry: Place) -> bytes:
        """Return the 32 bytes that name the request at this DomainRegistry."""
        return keccak256(TAG_DOMAIN_REQUEST + registry.encode() + self.encode())

    def _check(self) -> None:
        forms = isinstance(self.body, Form)
        if (self.domain == 0) is not forms or (self.basis == 0) is not forms:
            raise FormatError(
                ErrorCode.REQUEST, "domain and basis are 0 exactly in FORM", actual=(self.kind, self.domain, self.basis)
            )
