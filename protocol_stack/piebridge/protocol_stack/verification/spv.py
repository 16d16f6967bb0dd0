"""SPV: storage slots of a hub under a header that a light client trusts.

A trusted CometBFT header of an EVM-on-ABCI chain carries the hash of an EVM block as its app hash. The block's header
gives the state root, an account proof the hub's storage root, a storage proof each slot. Every step is a hash, so there
is nobody to trust beside the light client.

**Depth.** The kinds of chains proven so are final at once: a trusted header is never taken back, and every later
trusted one descends from it. So the depth of an entry is the number of the newest EVM block that was ever proven for
the registration, less the height of the entry; whoever demands depth waits until the chain has gone on.

Sources: Yellow Paper section 4.3 (header), EIP-1186 (proofs), EIP-7685 (21 fields since Prague);
``docs/protocol/formats.md`` sections 7 and 11.2.
"""

from dataclasses import dataclass

from piebridge.crypto.errors import DecodingError, VerificationError
from piebridge.crypto.hash import HASH_LENGTH, keccak256
from piebridge.crypto.patricia import verify_account, verify_storage
from piebridge.crypto.rlp_strict import read_bytes, read_integer, read_list
from piebridge.protocol_stack.authentication import SpvAuthentication
from piebridge.protocol_stack.verification.slots import AuthenticatedSlots

HEADER_FIELDS_MIN = 16
"""Fields of an EVM header since London (base fee)."""
HEADER_FIELDS_MAX = 21
"""Fields since Prague (requests hash)."""

_STATE_ROOT, _NUMBER, _TIME = 3, 8, 11


@dataclass(frozen=True, slots=True)
class EvmHeader:
    """What PieBridge reads of an EVM block header."""

    hash: bytes
    """Block hash, 32 bytes."""
    number: int
    """Block number."""
    time_seconds: int
    """``timestamp``, Unix seconds."""
    state_root: bytes
    """Root of the state trie, 32 bytes."""


def decode_header(encoded: bytes) -> EvmHeader:
    """Read number, time and state root of an EVM block header.

    Raises:
        DecodingError: not one list of 16 to 21 byte strings in the shortest encoding, or a field of wrong form.
    """
    items = read_list(encoded)
    if not HEADER_FIELDS_MIN <= len(items) <= HEADER_FIELDS_MAX:
        raise DecodingError(f"an EVM header has {HEADER_FIELDS_MIN} to {HEADER_FIELDS_MAX} fields", actual=len(items))
    if any(item.is_list for item in items):
        raise DecodingError("a field of an EVM header is a list")
    state_root = read_bytes(encoded, items[_STATE_ROOT])
    if len(state_root) != HASH_LENGTH:
        raise DecodingError("state root length", expected=HASH_LENGTH, actual=len(state_root))
    return EvmHeader(
        hash=keccak256(encoded),
        number=read_integer(encoded, items[_NUMBER], length_max=8),
        time_seconds=read_integer(encoded, items[_TIME], length_max=8),
        state_root=state_root,
    )


def verify_slots(app_hash: bytes, hub: bytes, proof: SpvAuthentication) -> AuthenticatedSlots:
    """Prove storage slots of a hub under a trusted app hash.

    Args:
        app_hash: app hash of a header that the light client trusts, 32 bytes: the hash of an EVM block.
        hub: address of the hub, 20 bytes.
        proof: the claim; its client height is the one that carries this app hash.

    Raises:
        DecodingError: header or a trie node is not in its only encoding.
        VerificationError: the header is not the one of the app hash, the hub has no account there, or a proof does not
            hold.
    """
    if keccak256(proof.block_header) != app_hash:
        raise VerificationError(
            "EVM header is not the one that the trusted header commits to",
            expected=app_hash,
            actual=keccak256(proof.block_header),
        )
    header = decode_header(proof.block_header)
    account = verify_account(header.state_root, hub, proof.account_proof)
    if account is None:
        raise VerificationError(f"there is no account at the hub's address 0x{hub.hex()} in block {header.number}")
    values = [verify_storage(account.storage_root, int.from_bytes(s.slot, "big"), s.proof) for s in proof.slots]
    return AuthenticatedSlots(
        block_number=header.number,
        block_time_seconds=header.time_seconds,
        block_hash=header.hash,
        slots=tuple(slot.slot for slot in proof.slots),
        values=tuple(value.to_bytes(32, "big") for value in values),
    )
