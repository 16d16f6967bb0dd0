"""Stable numbers for everything that a PieBridge decoder refuses.

The numbers are part of the test vectors and of the answers of relay chains, so one is never given a second meaning. The
hundreds name the layer or format: 0 common, 1 transport, 2 verification, 3 transaction, 4 application, 5 outbox,
6 messages, 7 sets and signatures, 8 governor messages, 9 relay transactions and genesis, 10 the management chain.
"""

from enum import IntEnum, unique
from typing import Final

from piebridge.crypto.errors import DecodingError


@unique
class ErrorCode(IntEnum):
    """Which rule of ``docs/protocol/formats.md`` or ``docs/protocol/management.md`` the bytes break."""

    TRUNCATED = 1
    """The bytes end inside a field."""
    TRAILING_BYTES = 2
    """Bytes are left over behind the last field."""
    OUT_OF_RANGE = 3
    """A value does not fit its field, or is not among the values of its field."""
    ZERO = 4
    """A number that starts at 1 is 0, or a hash or address that must not be zero is."""
    COUNT = 5
    """A list has fewer or more items than it may have."""
    VERSION = 6
    """The version byte is not 1."""
    KIND = 7
    """The kind byte names no message."""
    NOT_ASCENDING = 8
    """Items stand in another order than the one that is accepted, or one is repeated."""

    TRANSPORT_PROTOCOL = 101
    """The transport protocol is unknown."""
    TRANSPORT_FLAGS = 102
    """A reserved transport flag is set."""
    TRANSPORT_ORDERED = 103
    """The flag ORDERED does not fit the transport protocol."""
    TRANSPORT_HEADER_LENGTH = 104
    """The header length is not 17 times 8."""
    TRANSPORT_DOMAIN = 105
    """The domain is 0."""
    TRANSPORT_SOURCE = 106
    """The source registration is 0."""
    TRANSPORT_DESTINATION = 107
    """The destination registration is 0 or the source."""
    TRANSPORT_RELAY = 108
    """The relay does not fit the transaction protocol."""
    TRANSPORT_CHANNEL = 109
    """A reliable packet is in channel 0."""
    TRANSPORT_SEQUENCE = 110
    """The sequence is 0."""

    VERIFICATION_METHOD = 201
    """The verification method is unknown."""
    VERIFICATION_RESERVED = 202
    """A reserved byte of the verification header is not 0."""

    TRANSACTION_PROTOCOL = 301
    """The transaction protocol is unknown or not accepted yet."""
    TRANSACTION_RESERVED = 302
    """The reserved byte of the transaction header is not 0."""
    TRANSACTION_KIND = 303
    """The kind does not fit the transaction protocol."""
    TRANSACTION_FLAGS = 304
    """A transaction flag is set that is reserved or not accepted yet."""
    TRANSACTION_RETURN = 305
    """RETURN is set without RECEIPT_WANTED."""
    TRANSACTION_PARTICIPANT = 306
    """Participant index or count do not fit the kind."""
    TRANSACTION_ORIGIN = 307
    """The origin registration does not fit the kind and the source."""
    TRANSACTION_NONCE = 308
    """The transaction nonce does not fit the kind."""
    TRANSACTION_DEADLINE = 309
    """The deadline does not fit the kind, or is before the expiry."""
    TRANSACTION_EXPIRY = 310
    """A request or a packet of an ordered lane has no expiry."""

    APPLICATION_ID = 401
    """The application id is 0."""
    APPLICATION_COMPENSATION = 402
    """A compensation function is named, which no accepted protocol uses."""
    APPLICATION_CODEC = 403
    """The codec is unknown."""
    APPLICATION_BODY_LENGTH = 404
    """The body length is not the number of bytes that follow the header."""
    APPLICATION_RESERVED = 405
    """A reserved byte of the application header is not 0."""
    APPLICATION_BODY = 406
    """The body is not the one that this function of this application takes."""

    OUTBOX_FORM = 501
    """The form of an entry is unknown or not made by this kind of chain."""
    OUTBOX_HEIGHT = 502
    """The height of an entry is below that of the entry before."""
    OUTBOX_NUMBER = 503
    """The first number is 0, or the last does not fit 64 bits."""
    OUTBOX_VALUE = 504
    """A chain value is zero."""

    RECEIPT_CODE = 601
    """A receipt's code is unknown, or bit 7 does not fit it."""
    RETURNED_DATA = 602
    """Returned data is too long or stands where none may stand."""
    VERDICT_FORM = 603
    """The form of a verdict list is unknown."""
    VERDICT = 604
    """A verdict is neither COMMIT nor ABORT."""
    REPORT_KIND = 605
    """The kind of a report is unknown or its other fields do not fit it."""

    SET_METHOD = 701
    """The endorsement method is unknown."""
    SET_THRESHOLD = 702
    """The threshold k or the size n of a set is out of bounds."""
    SET_MEMBER = 703
    """A member of a set is zero, repeated or no valid key."""
    SIGNER_BITMAP = 704
    """The signer bits are not exactly k members of the set."""
    SIGNATURE = 705
    """A signature is not in its one encoding."""

    GOVERNOR_TARGET_KIND = 801
    """A governor message is neither for a hub nor for a relay chain."""
    GOVERNOR_SCOPE = 802
    """The domain or contract of a governor message does not fit its kind."""
    GOVERNOR_BODY = 803
    """A field of a governor message's body has a value that its kind does not accept."""

    AUTHENTICATION_METHOD = 901
    """The method of an authentication is unknown or not allowed here."""
    SLOT_BASE = 902
    """A slot is named that the relay chain does not read, or its key does not fit the base."""
    GENESIS = 903
    """A genesis document is not the one that its values give."""

    DOMAIN_PARAMETER = 1001
    """A parameter of a domain has a value that is not accepted."""
    REQUEST = 1002
    """A field of a request has a value that its kind does not accept."""
    DECISION = 1003
    """Parts of a decision do not fit each other or its kind."""
    NODE_OFFER = 1004
    """A field of an offer has a value that is not accepted."""
    DRAW = 1005
    """The candidates of a draw do not suffice, or are none."""


class FormatError(DecodingError):
    """Bytes are not the one accepted encoding, or values are not encodable; ``code`` says which rule they break."""

    def __init__(self, code: ErrorCode, message: str, *, expected: object = None, actual: object = None) -> None:
        """Say which rule is broken, and by what."""
        super().__init__(message, expected=expected, actual=actual)
        self.code: Final = code
        """Stable number of the broken rule."""
