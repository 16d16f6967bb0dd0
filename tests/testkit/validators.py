"""Keys, genesis documents and signed blocks for tests."""

from piebridge.abci.embedded.genesis import GenesisDocument, build_genesis
from piebridge.abci.embedded.keys import ValidatorKey

GENESIS_TIME_NS = 1_700_000_000 * 10**9
SECOND_NS = 10**9


def validator_keys(count: int, first: int = 1) -> list[ValidatorKey]:
    """Keys whose secrets are first, first + 1, ...; for tests only."""
    return [ValidatorKey(number.to_bytes(32, "big")) for number in range(first, first + count)]


def genesis_for(keys: list[ValidatorKey], chain_id: str = "relay-1", power: int = 1) -> GenesisDocument:
    """A genesis document in which these keys have the same power."""
    return build_genesis(chain_id, GENESIS_TIME_NS, [key.public_key for key in keys], {"a": "b"}, power=power)
