"""The ERC-7786 door: messages between contracts that know no PieBridge, addressed by ERC-7930.

Sources: ERC-7786 (cross-chain messaging gateway), ERC-7930 (interoperable addresses), CAIP-2 ``eip155``.
"""

from dataclasses import dataclass
from typing import Final

from piebridge.protocol_stack.codec import ADDRESS_LENGTH, Reader, address, bytes16, u8, unsigned
from piebridge.protocol_stack.errors import ErrorCode, FormatError

DOOR: Final = 1
"""Application id of the door on every chain."""
MESSAGE: Final = 1
"""Function: give the payload to the recipient."""

_PREFIX: Final = bytes.fromhex("00010000")
"""ERC-7930 version 1, chain type eip155."""
_CHAIN_ID_LENGTH_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class InteroperableAddress:
    """An address on an EVM chain, as ERC-7930 writes it."""

    chain_id: int
    """EVM chain id (EIP-155), at least 1."""
    address: bytes
    """20 bytes."""

    def encode(self) -> bytes:
        """Return the ERC-7930 version 1 bytes.

        Raises:
            FormatError: the chain id is 0 or longer than 32 bytes, or the address has another length.
        """
        length = (self.chain_id.bit_length() + 7) // 8
        if not 1 <= length <= _CHAIN_ID_LENGTH_MAX or self.chain_id < 0:
            raise FormatError(ErrorCode.OUT_OF_RANGE, "a chain id has 1 to 32 bytes", actual=self.chain_id)
        return _PREFIX + u8(length) + unsigned(self.chain_id, length) + u8(ADDRESS_LENGTH) + address(self.address)

    @classmethod
    def decode(cls, data: bytes) -> "InteroperableAddress":
        """Read an ERC-7930 address of an EVM chain.

        Raises:
            FormatError: another version or chain type, a chain id that is empty or has a leading zero, an address that
                has not 20 bytes, or bytes left over.
        """
        reader = Reader(data)
        if (prefix := reader.take(len(_PREFIX))) != _PREFIX:
            raise FormatError(
                ErrorCode.APPLICATION_BODY, "no ERC-7930 address of an EVM chain", expected=_PREFIX, actual=prefix
            )
        reference = reader.take(reader.u8())
        if not 1 <= len(reference) <= _CHAIN_ID_LENGTH_MAX or reference[0] == 0:
            raise FormatError(ErrorCode.APPLICATION_BODY, "a chain id is not in its shortest form", actual=reference)
        if (length := reader.u8()) != ADDRESS_LENGTH:
            raise FormatError(
                ErrorCode.APPLICATION_BODY, "an EVM address has 20 bytes", expected=ADDRESS_LENGTH, actual=length
            )
        decoded = cls(int.from_bytes(reference, "big"), reader.address())
        reader.finish()
        return decoded


@dataclass(frozen=True, slots=True)
class DoorMessage:
    """Body of ``message``."""

    sender: InteroperableAddress
    """Who called the door; written by the door."""
    recipient: InteroperableAddress
    """Whom the payload is for."""
    payload: bytes
    """The message."""

    def encode(self) -> bytes:
        """Return ``senderLength || sender || recipientLength || recipient || payload``.

        Raises:
            FormatError: ``OUT_OF_RANGE``.
        """
        return bytes16(self.sender.encode()) + bytes16(self.recipient.encode()) + self.payload

    @classmethod
    def decode(cls, data: bytes) -> "DoorMessage":
        """Read a body of the door.

        Raises:
            FormatError: sender or recipient is no ERC-7930 address of an EVM chain in its one encoding.
        """
        reader = Reader(data)
        sender = InteroperableAddress.decode(reader.bytes16())
        recipient = InteroperableAddress.decode(reader.bytes16())
        return cls(sender, recipient, reader.rest())
