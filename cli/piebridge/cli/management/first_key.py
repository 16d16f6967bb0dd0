"""The first governor key of a --dev chain, which one local governor holds whole."""

import secrets

from piebridge.cli.wallet import Call
from piebridge.crypto.errors import PermanentChainError
from piebridge.crypto.threshold.ciphersuite import base_times, encode_element
from piebridge.crypto.threshold.signing import sign_single
from piebridge.management_chain.chain.contracts import ContractName, ManagementContracts, artifact
from piebridge.management_chain.chain.founders import Founders, key_digest

_KEY_GENERATION = 1
_FIRST_CEREMONY = 1
_FIRST_EPOCH = 1
_ROUNDS = 1
_ROUND_BLOCKS = 1
_GAS = 1_500_000


def first_key_calls(contracts: ManagementContracts, founders: Founders, private_key: bytes) -> list[Call]:
    """Return what the one founder of a new chain sends to register its key, as its first transactions.

    Args:
        contracts: the chain's contracts, that nobody has used yet.
        founders: the founding set: the sender alone.
        private_key: the whole governor key, 32 bytes.

    Raises:
        PermanentChainError: there are other founders.
    """
    if len(founders.accounts) != 1:
        raise PermanentChainError(f"a key of {len(founders.accounts)} governors is made by all of them together")
    board, target = artifact(ContractName.BOARD), contracts.address(ContractName.BOARD)
    secret = int.from_bytes(private_key, "big")
    group_key = encode_element(base_times(secret))
    digest = key_digest(contracts.place(ContractName.BOARD), _FIRST_EPOCH, _FIRST_CEREMONY, founders, group_key)
    signature = sign_single(secret, digest, secrets.token_bytes(32))
    data = [
        board.function_data("declareSet", founders.encode()),
        board.function_data("openCeremony", _KEY_GENERATION, founders.hash, bytes(32), _ROUNDS, _ROUND_BLOCKS),
        board.function_data("confirmKey", _FIRST_CEREMONY, group_key),
        board.function_data("registerFirstKey", _FIRST_CEREMONY, group_key, signature),
    ]
    return [Call(item, target, _GAS) for item in data]
