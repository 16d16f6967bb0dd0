"""Which contracts make a management chain, in which order they are made, and with what.

They are made with each other's addresses and write nothing into storage, so the addresses are known before anything is
made, and a genesis may hold their code as it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from piebridge.contracts.loader import Artifact, load
from piebridge.crypto.errors import ConfigurationError
from piebridge.evm_chain.block import create_address
from piebridge.management_chain.chain.founders import Founders
from piebridge.protocol_stack.management.tags import ManagementContract, Place

DAY_SECONDS: Final = 24 * 3600


class ContractName(StrEnum):
    """The contracts, in the order in which they are made."""

    BOARD = "GovernorBoard"
    MARKET = "NodeMarket"
    RULES = "DomainRules"
    DESK = "DomainDesk"
    REGISTRY = "DomainRegistry"
    DIRECTORY = "ApplicationDirectory"


_GOVERNED: Final[Mapping[ContractName, ManagementContract]] = MappingProxyType(
    {
        ContractName.BOARD: ManagementContract.BOARD,
        ContractName.MARKET: ManagementContract.MARKET,
        ContractName.REGISTRY: ManagementContract.REGISTRY,
        ContractName.DIRECTORY: ManagementContract.DIRECTORY,
    }
)


@dataclass(frozen=True, slots=True)
class ManagementRules:
    """What is fixed for ever when the contracts are made."""

    founders: Founders
    """First set of governors."""
    dev: bool
    """Whether sets without a byzantine quorum are accepted. Anybody can read it from the board."""
    bond_per_node_wei: int = 10**18
    """What an operator has to post for each node."""
    withdrawal_delay_seconds: int = 14 * DAY_SECONDS
    """How long a bond that was taken back waits."""
    period_seconds: int = 3600
    """Least time between two periods of uptime."""

    def check(self) -> None:
        """Check the rules before anything is made with them.

        Raises:
            ConfigurationError: one is out of range or too weak.
        """
        self.founders.check(dev=self.dev)
        if not 0 < self.bond_per_node_wei < 1 << 128:
            raise ConfigurationError(f"a bond of {self.bond_per_node_wei} wei a node: 1 to 2^128 - 1 is possible")
        for name, value in (("withdrawal delay", self.withdrawal_delay_seconds), ("period", self.period_seconds)):
            if not 0 <= value < 1 << 32:
                raise ConfigurationError(f"{name} of {value} s: 0 to 2^32 - 1 is possible")
        if not self.dev and self.withdrawal_delay_seconds < DAY_SECONDS:
            raise ConfigurationError(
                f"withdrawal delay of {self.withdrawal_delay_seconds} s: outside --dev it is at least a day, or who "
                "has cheated is paid before anybody can prove it"
            )


@dataclass(frozen=True, slots=True)
class ManagementContracts:
    """Where the contracts of a management chain stand, 20 bytes each."""

    chain_id: int
    """EVM chain id of the chain."""
    addresses: Mapping[ContractName, bytes]
    """Every contract."""

    @classmethod
    def made_by(cls, creator: bytes, first_nonce: int, chain_id: int) -> "ManagementContracts":
        """Return the addresses that an account gives which makes all contracts one after the other."""
        return cls(
            chain_id,
            MappingProxyType(
                {name: create_address(creator, first_nonce + index) for index, name in enumerate(ContractName)}
            ),
        )

    def address(self, name: ContractName) -> bytes:
        """Return the address of a contract, 20 bytes."""
        return self.addresses[name]

    def place(self, name: ContractName) -> Place:
        """Return the place for which something is signed or hashed."""
        return Place(self.chain_id, self.addresses[name])

    def name_of(self, address: bytes) -> ContractName | None:
        """Return which contract stands at an address."""
        return next((name for name, own in self.addresses.items() if own == address), None)


def number_of(name: ContractName) -> ManagementContract:
    """Return the number of a contract that takes governor messages: their target."""
    return _GOVERNED[name]


def artifact(name: ContractName) -> Artifact:
    """Return the compiled contract."""
    return load(name.value)


def creation_data(contracts: ManagementContracts, rules: ManagementRules) -> Iterator[tuple[ContractName, bytes]]:
    """Give the data of each creating transaction, in the order of their nonces.

    Raises:
        ConfigurationError: a contract wants something that is not known here.
    """
    values: dict[str, object] = {
        "board": contracts.address(ContractName.BOARD),
        "market": contracts.address(ContractName.MARKET),
        "rules": contracts.address(ContractName.RULES),
        "desk": contracts.address(ContractName.DESK),
        "registry": contracts.address(ContractName.REGISTRY),
        "directory": contracts.address(ContractName.DIRECTORY),
        "foundingSet": rules.founders.hash,
        "dev": rules.dev,
        "bondPerNode": rules.bond_per_node_wei,
        "withdrawalDelaySeconds": rules.withdrawal_delay_seconds,
        "periodSeconds": rules.period_seconds,
    }
    for name in ContractName:
        compiled = artifact(name)
        inputs: list[dict[str, Any]] = next(
            (entry["inputs"] for entry in compiled.abi if entry["type"] == "constructor"), []
        )
        missing = [parameter["name"] for parameter in inputs if parameter["name"] not in values]
        if missing:
            raise ConfigurationError(f"{name} is made with {', '.join(missing)}, which nothing here gives")
        yield name, compiled.deployment_data(*(values[parameter["name"]] for parameter in inputs))
