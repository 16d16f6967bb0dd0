import pytest

from piebridge.cli import rendering, sending
from piebridge.cli.view import parse_address
from piebridge.cli.wallet import contract_address
from piebridge.crypto.errors import ConfigurationError
from piebridge.protocol_stack.application.door import DoorMessage, InteroperableAddress
from piebridge.protocol_stack.application.token import TokenTransfer
from piebridge.protocol_stack.header import (
    ApplicationHeader,
    Header,
    TransactionHeader,
    TransportHeader,
    VerificationHeader,
)
from piebridge.protocol_stack.packet import Packet


@pytest.mark.parametrize(
    ("text", "units"),
    [("5", 5 * 10**18), ("0.25", 25 * 10**16), ("1e-18", 1), ("340282366920938463463.374607431768211455", 2**128 - 1)],
)
def test_amounts(text: str, units: int) -> None:
    assert sending.parse_amount(text) == units
    assert sending.parse_amount(sending.format_amount(units)) == units


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-1",
        "abc",
        "",
        "nan",
        "inf",
        "1e-19",
        "1e999999999",
        "1e-999999999",
        "1." + "0" * 150 + "1",
        "340282366920938463463.374607431768211456",
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--amount"):
        sending.parse_amount(text)


@pytest.mark.parametrize(("units", "text"), [(0, "0"), (10**18, "1"), (10 * 10**18, "10"), (1, "0.000000000000000001")])
def test_amounts_for_people(units: int, text: str) -> None:
    assert sending.format_amount(units) == text


def test_an_address_with_a_wrong_checksum_is_refused_as_mistyped() -> None:
    right = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"  # EIP-55
    assert parse_address(right) == parse_address(right.lower())
    with pytest.raises(ConfigurationError, match="wrong EIP-55 checksum"):
        parse_address(right.replace("aA", "Aa"))
    for wrong in ("0x12", "alice", right + "00"):
        with pytest.raises(ConfigurationError, match="is no address"):
            parse_address(wrong)


def test_addresses_of_new_contracts() -> None:
    # The first contracts of this account on Ethereum, an often cited example.
    creator = bytes.fromhex("6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0")
    assert contract_address(creator, 0).hex() == "cd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"
    assert contract_address(creator, 1).hex() == "343c43a37d37dff08ae8c4a11544c718abb4fcf8"


def packet(body: bytes, application: int, function: int = 1) -> Packet:
    return Packet(
        Header(
            TransportHeader(1, 2, 1, 1, 2, 0, 0, 9),
            VerificationHeader(1, 4),
            TransactionHeader(0, 0, 0, 0, 0, 0, 0, 0, 1_700_000_000, 5),
            ApplicationHeader(application, function, len(body)),
        ),
        body,
    )


def name(number: int) -> str:
    return f"chain-{number}"


@pytest.mark.parametrize(
    ("body", "application"),
    [
        (TokenTransfer(7, b"\x01" * 20, b"\x02" * 20).encode(), 2),
        (
            DoorMessage(
                InteroperableAddress(91_001, b"\x01" * 20), InteroperableAddress(91_002, b"\x02" * 20), b"hi"
            ).encode(),
            1,
        ),
        (b"unknown", 99),
        (b"", 99),
        (b"broken", 2),
    ],
)
def test_the_fields_shown_are_the_bytes_of_the_packet(body: bytes, application: int) -> None:
    shown = packet(body, application)
    data = shown.encode()
    fields = rendering.dissect(shown, name)
    assert all(data[field.offset : field.offset + len(field.data)] == field.data for field in fields)
    header = [field for field in fields if field.layer != "body"]
    assert b"".join(field.data for field in header) == data[:136]
    assert list(dict.fromkeys(field.layer for field in fields)) == [
        "transport",
        "verification",
        "transaction",
        "application",
        "body",
    ]


def test_meanings_are_told_in_words() -> None:
    fields = {(field.layer, field.name): field.meaning for field in rendering.dissect(packet(b"", 99), name)}
    assert fields["transport", "flags"] == "RECEIPT_WANTED"
    assert fields["transport", "source"] == "chain-1"
    assert fields["transport", "relay"] == "free: any relay chain"
    assert fields["transport", "sequence"] == "9"
    assert fields["verification", "finality depth"] == "4"
    assert fields["transaction", "execution expiry"] == "2023-11-14 22:13:20 UTC, destination time"
    assert fields["transaction", "deadline"] == "none"
    assert fields["application", "application"] == "99"


def test_a_payload_that_is_no_text_is_not_printed_as_text() -> None:
    address = InteroperableAddress(1, bytes(range(20)))
    for payload, meaning in ((b"\x1b[2J", "4 bytes"), (b"\xff", "1 bytes"), (b"hello", "'hello'")):
        fields = rendering.dissect(packet(DoorMessage(address, address, payload).encode(), 1), name)
        assert fields[-1].meaning == meaning


def test_long_fields_are_cut_with_their_length_told() -> None:
    assert rendering.shorten(bytes(32)) == "00" * 32
    assert rendering.shorten(bytes(33)).endswith("… (33 bytes)")


def test_a_message_that_is_too_long_is_told_with_what_fits() -> None:
    sending.require_message_fits(8_000, 60, 8_192)
    sending.require_message_fits(8_128, 60, 8_192)
    with pytest.raises(ConfigurationError, match=r"--payload has 8129 bytes; .* can have 8128 "):
        sending.require_message_fits(8_129, 60, 8_192)


def test_a_handler_is_promised_gas_for_what_it_may_store() -> None:
    per_slot = 22_100
    for size in (0, 32, 5_000, 8_128):
        assert sending.Message(1, bytes(20), bytes(size)).handler_gas >= 100_000 + per_slot * (size // 32)
    assert sending.Message(1, bytes(20), bytes(5_000), gas=70_000).handler_gas == 70_000
    assert sending.message_gas(5) < 210_000


def test_a_long_text_is_shortened_with_its_length() -> None:
    assert rendering._text(b"hello") == "'hello'"
    shown = rendering._text(b"x" * 5_000)
    assert shown.endswith("… (5000 bytes)")
    assert len(shown) < 100
