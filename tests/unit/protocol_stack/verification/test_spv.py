from dataclasses import replace

import pytest
import rlp  # type: ignore[import-untyped]

from piebridge.crypto.errors import DecodingError, ProtocolError, VerificationError
from piebridge.crypto.hash import keccak256
from piebridge.protocol_stack.authentication import SpvAuthentication
from piebridge.protocol_stack.verification.slots import require_agreement
from piebridge.protocol_stack.verification.spv import decode_header, verify_slots
from testkit.source_chain import SourceChain, evm_header

HUB = b"\x0c" * 20
SLOTS = [keccak256(bytes([i])) for i in range(40)]
ABSENT = keccak256(b"absent")


@pytest.fixture
def chain() -> SourceChain:
    chain = SourceChain("spv", HUB)
    for i, slot in enumerate(SLOTS):
        chain.write(slot, int.from_bytes(keccak256(b"value" + bytes([i])), "big"))
    chain.close_block()
    chain.write(SLOTS[0], 5)
    chain.close_block()
    return chain


def test_values_absence_and_block_are_proven(chain: SourceChain) -> None:
    proven = verify_slots(chain.block_at(3).hash, HUB, chain.prove([SLOTS[3], ABSENT, SLOTS[0]], 3))
    assert proven.values == (keccak256(b"value\x03"), bytes(32), keccak256(b"value\x00"))
    assert proven.slots == (SLOTS[3], ABSENT, SLOTS[0])
    assert (proven.block_number, proven.block_hash) == (1, chain.block_at(3).hash)
    assert proven.block_time_seconds == chain.blocks[1].time_seconds


def test_later_header_proves_the_later_value(chain: SourceChain) -> None:
    assert verify_slots(chain.block_at(4).hash, HUB, chain.prove([SLOTS[0]], 4)).values == ((5).to_bytes(32, "big"),)


def test_header_of_another_block_is_refused(chain: SourceChain) -> None:
    with pytest.raises(VerificationError):
        verify_slots(chain.block_at(4).hash, HUB, chain.prove([SLOTS[0]], 3))


def test_proof_for_another_account_is_refused(chain: SourceChain) -> None:
    with pytest.raises(VerificationError):
        verify_slots(chain.block_at(4).hash, b"\x0d" * 20, chain.prove([SLOTS[0]], 4))


def test_address_without_account_is_refused(chain: SourceChain) -> None:
    proof = chain.prove([], 4)
    missing = b"\x0d" * 20
    from testkit.source_chain import _nodes

    nodes = _nodes(chain.block_at(4).state, keccak256(missing))
    with pytest.raises(VerificationError, match="no account"):
        verify_slots(chain.block_at(4).hash, missing, replace(proof, account_proof=nodes))


def test_storage_proof_of_another_slot_is_refused(chain: SourceChain) -> None:
    proof = chain.prove([SLOTS[1], SLOTS[2]], 4)
    swapped = (replace(proof.slots[0], slot=SLOTS[2]), proof.slots[1])
    with pytest.raises(VerificationError):
        verify_slots(chain.block_at(4).hash, HUB, replace(proof, slots=swapped))


@pytest.mark.parametrize("count", [15, 22])
def test_header_with_too_few_or_too_many_fields_is_refused(count: int) -> None:
    fields = [*rlp.decode(evm_header(bytes(32), bytes(32), 1, 2)), b""][:count]
    with pytest.raises(DecodingError):
        decode_header(rlp.encode(fields))


def test_headers_since_london_are_read() -> None:
    fields = rlp.decode(evm_header(bytes(32), b"\x07" * 32, 300, 1_700_000_000))
    for count in (16, 17, 20, 21):
        header = decode_header(rlp.encode(fields[:count]))
        assert (header.number, header.time_seconds, header.state_root) == (300, 1_700_000_000, b"\x07" * 32)


def test_header_with_a_list_as_field_or_padded_number_is_refused() -> None:
    fields = rlp.decode(evm_header(bytes(32), bytes(32), 300, 2))
    for position, value in ((8, b"\x00\x01"), (8, [b"\x01"]), (12, [b""]), (3, bytes(31)), (11, b"\x01" * 9)):
        with pytest.raises(DecodingError):
            decode_header(rlp.encode([*fields[:position], value, *fields[position + 1 :]]))


def test_deeply_nested_list_is_refused_without_recursion() -> None:
    nested = b"\xc0"
    for _ in range(5_000):
        nested = _wrapped(nested)
    with pytest.raises(DecodingError):
        decode_header(nested)


def _wrapped(payload: bytes) -> bytes:
    if len(payload) < 56:
        return bytes([0xC0 + len(payload)]) + payload
    size = len(payload).to_bytes((len(payload).bit_length() + 7) // 8, "big")
    return bytes([0xF7 + len(size)]) + size + payload


def test_both_methods_must_prove_the_same(chain: SourceChain) -> None:
    first = verify_slots(chain.block_at(4).hash, HUB, chain.prove([SLOTS[0]], 4))
    require_agreement(first, first)
    for other in (replace(first, values=(bytes(32),)), replace(first, slots=(SLOTS[1],))):
        with pytest.raises(VerificationError):
            require_agreement(first, other)


def _flip_bits(chain: SourceChain, step: int) -> int:
    proof, app_hash = chain.prove([SLOTS[5], ABSENT], 4), chain.block_at(4).hash
    tried = 0

    def refused(changed: SpvAuthentication) -> None:
        with pytest.raises(ProtocolError):
            verify_slots(app_hash, HUB, changed)

    def flips(data: bytes) -> list[bytes]:
        number = int.from_bytes(data, "big")
        return [(number ^ 1 << bit).to_bytes(len(data), "big") for bit in range(0, 8 * len(data), step)]

    for header in flips(proof.block_header):
        refused(replace(proof, block_header=header))
        tried += 1
    for i, node in enumerate(proof.account_proof):
        for changed in flips(node):
            nodes = (*proof.account_proof[:i], changed, *proof.account_proof[i + 1 :])
            refused(replace(proof, account_proof=nodes))
            tried += 1
    for s, slot in enumerate(proof.slots):
        for i, node in enumerate(slot.proof):
            for changed in flips(node):
                forged = replace(slot, proof=(*slot.proof[:i], changed, *slot.proof[i + 1 :]))
                refused(replace(proof, slots=(*proof.slots[:s], forged, *proof.slots[s + 1 :])))
                tried += 1
        refused(replace(proof, slots=(*proof.slots[:s], replace(slot, proof=slot.proof[:-1]), *proof.slots[s + 1 :])))
        refused(
            replace(proof, slots=(*proof.slots[:s], replace(slot, proof=(*slot.proof, b"\x80")), *proof.slots[s + 1 :]))
        )
    return tried


def test_sampled_single_bit_changes_of_a_proof_are_refused(chain: SourceChain) -> None:
    assert _flip_bits(chain, 29) > 300


@pytest.mark.slow
def test_every_single_bit_change_of_a_proof_is_refused(chain: SourceChain) -> None:
    assert _flip_bits(chain, 1) > 10_000
