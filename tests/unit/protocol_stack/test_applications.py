"""Bodies of the standard applications."""

import pytest

from piebridge.protocol_stack.application import APPLICATIONS
from piebridge.protocol_stack.application.door import DoorMessage, InteroperableAddress
from piebridge.protocol_stack.application.token import TokenTransfer
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.header import ApplicationHeader
from testkit.samples import Samples


def test_an_address_on_mainnet_is_the_one_of_erc_7930() -> None:
    # The example of ERC-7930 for an address on Ethereum mainnet (chain id 1).
    address = bytes.fromhex("d8da6bf26964af9d7eed9e03e53415d37aa96045")
    encoded = InteroperableAddress(1, address).encode()
    assert encoded.hex() == "00010000010114d8da6bf26964af9d7eed9e03e53415d37aa96045"


@pytest.mark.parametrize("chain_id", [0, -1, 1 << 256])
def test_a_chain_id_has_1_to_32_bytes(chain_id: int) -> None:
    with pytest.raises(FormatError):
        InteroperableAddress(chain_id, bytes(20)).encode()


def test_a_door_message_cut_inside_its_addresses_is_refused() -> None:
    message = Samples(1).door_message()
    head = len(message.encode()) - len(message.payload)
    for length in range(head):
        with pytest.raises(FormatError):
            DoorMessage.decode(message.encode()[:length])
    assert DoorMessage.decode(message.encode()[:head]).payload == b""


def test_bodies_are_read_by_application_and_function() -> None:
    token = APPLICATIONS.get(2)
    transfer = TokenTransfer(5, b"\x01" * 20, b"\x02" * 20)
    assert token.decode_body(ApplicationHeader(2, 1, 56), transfer.encode()) == transfer
    for header in (ApplicationHeader(2, 2, 56), ApplicationHeader(2, 1, 56, codec=1)):
        with pytest.raises(FormatError) as caught:
            token.decode_body(header, transfer.encode())
        assert caught.value.code is ErrorCode.APPLICATION_BODY


def test_an_amount_fits_128_bits() -> None:
    assert len(TokenTransfer((1 << 128) - 1, bytes(20), bytes(20)).encode()) == 56
    with pytest.raises(FormatError):
        TokenTransfer(1 << 128, bytes(20), bytes(20)).encode()
