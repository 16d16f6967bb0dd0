"""Transactions of users that send packets: what to call, and which packets came of it."""

import time
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, localcontext

from piebridge.cli.facts import SentPacket
from piebridge.cli.view import ChainView, NetworkView, artifact
from piebridge.cli.wallet import Call, Wallet
from piebridge.contracts.loader import load
from piebridge.crypto.errors import ConfigurationError, PermanentChainError
from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.application.door import InteroperableAddress
from piebridge.protocol_stack.application.token import TOKEN

DEFAULT_EXPIRES_IN_SECONDS = 3_600
"""How long the destination may execute a packet unless the user says otherwise."""
EXPIRES_IN_SECONDS_MAX = 100 * 365 * 86_400
"""Longest life of a packet, a hundred years; times have 40 bits."""
DEADLINE_MARGIN_SECONDS = 600
"""Time between the expiry and the relay chain's deadline."""

MESSAGE_GAS_LEAST = 200_000
"""Gas that the handler of a message is promised at least."""
_GAS_PER_PAYLOAD_BYTE = 800
"""What a recipient pays that stores the payload, as the message board does: 22 100 for each slot of 32 bytes (EIP-2200,
EIP-2929), 8 for each byte of its event, and what copying takes."""

TOKEN_DECIMALS = 18
"""Decimals of the token of a local network."""
TOKEN_UNIT = 10**TOKEN_DECIMALS
"""Smallest units of one token."""
_GAS_LIMIT_ATTRIBUTE = keccak256(b"gasLimit(uint32)")[:4]
_DIGITS_OF_AMOUNTS = 39
_EXACT = Context(prec=2 * _DIGITS_OF_AMOUNTS, traps=[Inexact, Overflow, InvalidOperation])
"""Calculates exactly or not at all; the default context would silently round large amounts to 28 digits."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A token transfer to another chain."""

    destination: int
    """Registration of the destination."""
    recipient: bytes
    """20 bytes."""
    amount: int
    """Smallest units."""
    expiry: int
    """Unix seconds, destination's clock."""


def expiry_in(seconds: int) -> int:
    """Return the expiry of a packet that is sent now."""
    return int(time.time()) + seconds


async def transfer_call(view: NetworkView, chain: ChainView, transfer: Transfer) -> Call:
    """Return the call that sends a transfer, bound to the relay chain that its hub names."""
    domain = view.network.domain.id
    (relay,) = await chain.call(chain.hub, load("Hub"), "route", domain, transfer.destination, TOKEN)
    data = artifact("token").function_data(
        "transferRemote",
        domain,
        transfer.destination,
        relay,
        transfer.recipient,
        transfer.amount,
        transfer.expiry,
        transfer.expiry + DEADLINE_MARGIN_SECONDS,
    )
    return Call(data, chain.application("token"))


def notarise_call(view: NetworkView, chain: ChainView, destination: int, key: bytes, value: bytes, expiry: int) -> Call:
    """Return the call that writes a record on another chain."""
    data = artifact("record-notary").function_data("notarise", view.network.domain.id, destination, key, value, expiry)
    return Call(data, chain.application("record-notary"))


@dataclass(frozen=True, slots=True)
class Message:
    """An ERC-7786 message to a contract on another chain."""

    evm_chain_id: int
    """EVM chain id of the destination."""
    recipient: bytes
    """Contract there, 20 bytes."""
    payload: bytes
    """What it gets."""
    gas: int | None = None
    """Gas that its handler is promised; None chooses by the size of the payload."""

    @property
    def handler_gas(self) -> int:
        """Gas that its handler is promised."""
        return self.gas if self.gas is not None else message_gas(len(self.payload))


def message_gas(payload_bytes: int) -> int:
    """Return the gas that is enough for a recipient that stores a payload."""
    return MESSAGE_GAS_LEAST + _GAS_PER_PAYLOAD_BYTE * payload_bytes


def message_call(view: NetworkView, chain: ChainView, message: Message) -> Call:
    """Return the call that sends an ERC-7786 message through the door.

    Raises:
        ConfigurationError: it is longer than the domain allows.
    """
    address = InteroperableAddress(message.evm_chain_id, message.recipient).encode()
    sender = InteroperableAddress(chain.entry.evm_chain_id, bytes(20)).encode()
    require_message_fits(len(message.payload), len(sender) + len(address), view.network.domain.max_body_bytes)
    data = artifact("erc7786-door").function_data(
        "sendMessage", address, message.payload, [_GAS_LIMIT_ATTRIBUTE + message.handler_gas.to_bytes(32, "big")]
    )
    return Call(data, chain.application("erc7786-door"))


def require_message_fits(payload_bytes: int, addresses_bytes: int, body_bytes_max: int) -> None:
    """Check that a message is not longer than its domain allows.

    Raises:
        ConfigurationError: it is; the message says how long it may be.
    """
    allowed = body_bytes_max - addresses_bytes - 4
    if payload_bytes > allowed:
        raise ConfigurationError(
            f"--payload has {payload_bytes} bytes; a message of this domain can have {allowed} (the body of a packet "
            f"{body_bytes_max}, of which the two addresses take {body_bytes_max - allowed}): send it in parts"
        )


async def send(chain: ChainView, private_key: bytes, calls: list[Call]) -> list[SentPacket]:
    """Send calls of one account together and return the packets that they sent, in order.

    Raises:
        PermanentChainError: a call reverts; the reason is told as far as the contracts declare it.
    """
    wallet = Wallet(chain.client, private_key, chain.entry.evm_chain_id)
    try:
        receipts = await wallet.execute(calls)
    except PermanentChainError as error:
        raise PermanentChainError(f"{chain.name}: {_reason(error)}") from error
    packets = [
        packet for receipt in receipts for log in receipt["logs"] if (packet := chain.sent_packet(log)) is not None
    ]
    if len(packets) != len(calls):
        raise PermanentChainError(f"{chain.name}: {len(calls)} calls sent {len(packets)} packets")
    return packets


def parse_amount(text: str, decimals: int = TOKEN_DECIMALS) -> int:
    """Return an amount of tokens in smallest units.

    Raises:
        ConfigurationError: it is no positive number with at most that many decimals.
    """
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ConfigurationError(f"--amount {text!r} is no number; write for example 2.5") from None
    refusal = ConfigurationError(f"--amount {text}: must be above 0 and have at most {decimals} decimals")
    if not amount.is_finite() or amount <= 0:
        raise refusal
    if amount.adjusted() > _DIGITS_OF_AMOUNTS:
        raise ConfigurationError(f"--amount {text} is more than any token has (2^128 smallest units)")
    try:
        with localcontext(_EXACT):
            units = amount.scaleb(decimals)
    except ArithmeticError:  # more digits than any amount has
        raise refusal from None
    if units != units.to_integral_value():
        raise refusal
    if units >= 1 << 128:
        raise ConfigurationError(f"--amount {text} is more than any token has (2^128 smallest units)")
    return int(units)


def format_amount(units: int, decimals: int = TOKEN_DECIMALS) -> str:
    """Return smallest units as an amount of tokens for people."""
    with localcontext(_EXACT):
        text = f"{Decimal(units).scaleb(-decimals):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _reason(error: PermanentChainError) -> str:
    """Return why a call reverted, in the words of the contract that declares the error."""
    data = getattr(error, "data", b"")
    for name in ("BridgeToken", "Hub", "RecordNotary", "ERC7786Door"):
        if data and (reason := load(name).decode_error(data)):
            return f"the call is refused: {reason}"
    return str(error)
