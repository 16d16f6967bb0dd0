"""`eth_getProof` answers (EIP-1186): read, and verified against a header before anybody uses them."""

from collections.abc import Sequence

from piebridge.chains.endpoint import Block, StorageProof
from piebridge.chains.errors import MissingStateError
from piebridge.chains.evm.header import octets, quantity
from piebridge.crypto.errors import TransientChainError, VerificationError
from piebridge.crypto.patricia import EMPTY_TRIE_ROOT, verify_account, verify_storage

_EMPTY_NODE = b"\x80"
"""The node that some clients return as the proof of an empty trie; the trie has none."""


def proof_from_json(fields: object, block: Block, address: bytes, slots: Sequence[bytes], where: str) -> StorageProof:
    """Read a proof and verify account, slots and values against the block's state root.

    Args:
        fields: result of ``eth_getProof``.
        block: the block that was asked about, its header verified.
        address: the account, 20 bytes.
        slots: 32 bytes each, in the order asked.
        where: node and chain, for messages.

    Raises:
        TransientChainError: the answer is malformed.
        VerificationError: it does not prove what it claims.
        MissingStateError: it proves that there is no such account.
    """
    if not isinstance(fields, dict) or not isinstance(fields.get("storageProof"), list):
        raise TransientChainError(f"{where}: the answer is no proof")
    account_proof = _nodes(fields.get("accountProof"), where)
    account = verify_account(block.state_root, address, account_proof)
    if account is None:
        raise MissingStateError(f"{where}: there is no account 0x{address.hex()} in block {block.number}")
    told = {quantity(item.get("key"), where): item for item in fields["storageProof"] if isinstance(item, dict)}
    values, proofs = [], []
    for slot in slots:
        item = told.get(int.from_bytes(slot, "big"))
        if item is None:
            raise TransientChainError(f"{where}: the proof lacks slot 0x{slot.hex()}")
        nodes = () if account.storage_root == EMPTY_TRIE_ROOT else _nodes(item.get("proof"), where)
        value = verify_storage(account.storage_root, int.from_bytes(slot, "big"), nodes)
        if quantity(item.get("value"), where) != value:
            raise VerificationError(f"{where}: told value of slot 0x{slot.hex()} is not the proven one", actual=value)
        values.append(value.to_bytes(32, "big"))
        proofs.append(nodes)
    return StorageProof(block, account_proof, tuple(slots), tuple(values), tuple(proofs))


def _nodes(value: object, where: str) -> tuple[bytes, ...]:
    if not isinstance(value, list):
        raise TransientChainError(f"{where}: a proof is not a list of nodes")
    nodes = tuple(octets(node, None, where) for node in value)
    return () if nodes == (_EMPTY_NODE,) else nodes
