"""Governor messages to the management contracts: the container and digest of management.md, sections 2 and 3."""

from piebridge.crypto.hash import keccak256
from piebridge.crypto.threshold.ciphersuite import base_times, encode_element
from piebridge.crypto.threshold.signing import sign_single
from piebridge.crypto.threshold.verification import verify
from piebridge.protocol_stack.management.governor_message import ManagementMessage, MarketOrder, admit_body
from piebridge.protocol_stack.management.tags import ManagementContract, Place

MESSAGE = ManagementMessage(
    Place(91_000, b"\x02" * 20), ManagementContract.MARKET, 0, 7, MarketOrder.ADMIT, 5, admit_body(b"\xaa" * 20)
)


def test_the_digest_is_built_as_the_page_says() -> None:
    expected = keccak256(
        keccak256(b"PIEBRIDGE/GOVERNOR_MANAGEMENT/v1")
        + bytes(4)
        + (2).to_bytes(4, "big")
        + (7).to_bytes(4, "big")
        + bytes([2])
        + (91_000).to_bytes(8, "big")
        + b"\x02" * 20
        + (5).to_bytes(8, "big")
        + b"\xaa" * 20
    )
    assert MESSAGE.digest == expected


def test_the_container_carries_target_counter_body_and_signature() -> None:
    encoded = MESSAGE.signed(lambda digest: sign_single(9, digest, bytes(32))).encode()
    assert encoded[:2] == bytes([1, 3])
    assert encoded[2:6] == bytes(4)
    assert int.from_bytes(encoded[6:10], "big") == 2
    assert int.from_bytes(encoded[10:14], "big") == 7
    assert encoded[14] == MarketOrder.ADMIT
    assert encoded[15:35] == b"\x02" * 20
    assert int.from_bytes(encoded[35:43], "big") == 5
    assert encoded[43:45] == (20).to_bytes(2, "big")
    assert encoded[45:65] == b"\xaa" * 20
    verify(encoded[65:], MESSAGE.digest, encode_element(base_times(9)))
