"""Packets that no hub has sent: what a forging test puts into a range."""

from dataclasses import replace
from typing import Any

from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.application.record_notary import NOTARISE, RECORD_NOTARY
from piebridge.protocol_stack.application.token import TOKEN, TRANSFER, TokenTransfer
from piebridge.protocol_stack.header import (
    FLAG_ORDERED,
    FLAG_RECEIPT_WANTED,
    FLAG_RETURN,
    KIND_REQUEST,
    ApplicationHeader,
    Header,
    TransactionHeader,
    TransportHeader,
    VerificationHeader,
)
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.transaction.atp import ATP
from piebridge.protocol_stack.transaction.forward import FORWARD
from piebridge.protocol_stack.transaction.none import NONE
from testkit.world.hub import DOMAIN
from testkit.world.keys import START_SECONDS, address_of

LATER = START_SECONDS + 86_400
"""An expiry that no test reaches unless it wants to."""


def packet(
    *,
    domain: int = DOMAIN,
    source: int = 2,
    destination: int = 1,
    relay: int = 0,
    channel: int = 0,
    sequence: int = 1,
    nonce: int | None = None,
    ordered: bool = False,
    receipt: bool = False,
    returns: bool = False,
    method: int = 1,
    depth: int = 0,
    oldest_set_epoch: int = 0,
    protocol: int | None = None,
    expiry: int | None = None,
    deadline: int | None = None,
    gas: int = 150_000,
    application: int,
    function: int,
    callback: int = 0,
    body: bytes,
) -> Packet:
    """Build a packet; bound to a relay chain it is an ATP request."""
    bound = relay != 0
    expiry = (LATER if bound or ordered else 0) if expiry is None else expiry
    flags = (FLAG_ORDERED if ordered else 0) | (FLAG_RECEIPT_WANTED if receipt or returns else 0)
    header = Header(
        TransportHeader(2 if ordered else 1, flags, domain, source, destination, relay, channel, sequence),
        VerificationHeader(method, depth, oldest_set_epoch),
        TransactionHeader(
            protocol=(ATP if bound else NONE) if protocol is None else protocol,
            kind=KIND_REQUEST if bound else 0,
            flags=FLAG_RETURN if returns else 0,
            participant_count=1 if bound else 0,
            origin=source if bound else 0,
            nonce=(sequence if nonce is None else nonce) if bound else 0,
            deadline=((expiry if deadline is None else deadline) if bound else 0),
            execution_expiry=expiry,
            handler_gas=gas,
        ),
        ApplicationHeader(application, function, len(body), callback_function=callback),
    )
    return Packet(header, body)


def transfer(amount: int = 1_000, *, sender: str = "alice", recipient: str | bytes = "bob", **fields: Any) -> Packet:  # noqa: ANN401
    """A token transfer, bound to relay chain 11 unless said otherwise."""
    to = address_of(recipient) if isinstance(recipient, str) else recipient
    fields = {"relay": 11, **fields}
    return packet(
        application=TOKEN, function=TRANSFER, body=TokenTransfer(amount, address_of(sender), to).encode(), **fields
    )


def notarisation(key: str = "record", value: str = "value", **fields: Any) -> Packet:  # noqa: ANN401
    """A record for the record notary, in a free lane."""
    fields = {"returns": True, "protocol": FORWARD, "callback": 2, **fields}
    return packet(
        application=RECORD_NOTARY,
        function=NOTARISE,
        body=keccak256(key.encode()) + keccak256(value.encode()),
        **fields,
    )


def with_transport(original: Packet, **fields: Any) -> Packet:  # noqa: ANN401
    """The packet with other transport fields, rules unchecked."""
    return replace(original, header=replace(original.header, transport=replace(original.header.transport, **fields)))


def with_transaction(original: Packet, **fields: Any) -> Packet:  # noqa: ANN401
    """The packet with other transaction fields, rules unchecked."""
    header = original.header
    return replace(original, header=replace(header, transaction=replace(header.transaction, **fields)))


def with_body(original: Packet, body: bytes) -> Packet:
    """The packet with another body of any length."""
    header = original.header
    return replace(
        original, body=body, header=replace(header, application=replace(header.application, body_length=len(body)))
    )
