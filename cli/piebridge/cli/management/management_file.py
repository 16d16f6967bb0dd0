"""``management.json``: the description of a management chain that commands, agents and governors share."""

import json
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from eth_utils.address import to_checksum_address

from piebridge.cli import schema_file
from piebridge.cli.network_file import AccountEntry, ProcessEntry
from piebridge.crypto.errors import ConfigurationError
from piebridge.management_chain.chain.contracts import ContractName, ManagementContracts, ManagementRules
from piebridge.management_chain.chain.founders import Founders

FILE_NAME = "management.json"
"""Name of the file in its folder."""
DEFAULT_DIRECTORY = Path("piebridge-management")
"""Folder of the management chain unless the user names another."""

_CONTRACT_KEYS = {
    ContractName.BOARD: "governor_board",
    ContractName.MARKET: "node_market",
    ContractName.RULES: "domain_rules",
    ContractName.DESK: "domain_desk",
    ContractName.REGISTRY: "domain_registry",
    ContractName.DIRECTORY: "application_directory",
}


@dataclass(frozen=True, slots=True)
class ManagementFile:
    """A management chain and how to reach it."""

    name: str
    """For people."""
    created_at: int
    """Unix seconds."""
    dev: bool
    """Whether it is for one machine, with keys of no value."""
    engine: str | None
    """``embedded`` or ``cometbft``; None where the contracts stand on another EVM chain."""
    cometbft_chain_id: str | None
    """CometBFT's name of the chain, None as above."""
    rpc_urls: tuple[str, ...]
    """``eth_*`` JSON-RPC over HTTP."""
    websocket_urls: tuple[str, ...]
    """``eth_*`` JSON-RPC over WebSocket."""
    cometbft_rpc_urls: tuple[str, ...]
    """CometBFT RPC; empty on another EVM chain."""
    trusted_height: int | None
    """Height from which a light client may start."""
    trusted_hash: str | None
    """Header hash at that height."""
    deployed_in_block: int
    """First EVM block with the contracts."""
    contracts: ManagementContracts
    """Where they stand."""
    rules: ManagementRules
    """What they were made with."""
    governor_key_file: str | None
    """The whole governor key of a --dev chain, relative to the folder."""
    accounts: tuple[AccountEntry, ...]
    """Local accounts with money."""
    processes: tuple[ProcessEntry, ...]
    """What runs the chain here; none where others do."""

    @property
    def evm_chain_id(self) -> int:
        """EVM chain id."""
        return self.contracts.chain_id

    def with_processes(self, processes: tuple[ProcessEntry, ...]) -> "ManagementFile":
        """Return the same chain run by other processes."""
        return replace(self, processes=processes)

    def document(self) -> dict[str, Any]:
        """Return the file as JSON has it."""
        rules = self.rules
        return {
            "version": 1,
            "name": self.name,
            "created_at": self.created_at,
            "dev": self.dev,
            "evm_chain_id": self.evm_chain_id,
            "engine": self.engine,
            "cometbft_chain_id": self.cometbft_chain_id,
            "rpc_urls": list(self.rpc_urls),
            "websocket_urls": list(self.websocket_urls),
            "cometbft_rpc_urls": list(self.cometbft_rpc_urls),
            "trusted_height": self.trusted_height,
            "trusted_hash": self.trusted_hash,
            "deployed_in_block": self.deployed_in_block,
            "contracts": {
                key: to_checksum_address(self.contracts.address(name)) for name, key in _CONTRACT_KEYS.items()
            },
            "rules": {
                "founders": [to_checksum_address(account) for account in rules.founders.accounts],
                "founder_threshold": rules.founders.threshold,
                "bond_per_node_wei": str(rules.bond_per_node_wei),
                "withdrawal_delay_seconds": rules.withdrawal_delay_seconds,
                "period_seconds": rules.period_seconds,
            },
            "governor_key_file": self.governor_key_file,
            "accounts": [asdict(account) for account in self.accounts],
            "processes": [{**asdict(process), "command": list(process.command)} for process in self.processes],
        }


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the management file."""
    text = resources.files("piebridge.cli").joinpath("data/management.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def load(directory: Path) -> ManagementFile:
    """Read and check the management file of a folder, or a management file itself.

    Raises:
        ConfigurationError: there is none, it is not JSON, or it does not fit the schema.
    """
    path = directory if directory.is_file() else directory / FILE_NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"no management chain in {directory}: {path} does not exist. Start one with `piebridge management up "
            "--detach`, or name the folder (or the file that you were given) with --management"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    return from_document(document, source=str(path))


def from_document(document: object, source: str) -> ManagementFile:
    """Check a parsed management file and turn it into classes.

    Raises:
        ConfigurationError: it does not fit the schema; the message names the place.
    """
    checked = schema_file.check(document, schema(), source=source, kind="management file")
    rules = checked["rules"]
    return ManagementFile(
        name=checked["name"],
        created_at=checked["created_at"],
        dev=checked["dev"],
        engine=checked["engine"],
        cometbft_chain_id=checked["cometbft_chain_id"],
        rpc_urls=tuple(checked["rpc_urls"]),
        websocket_urls=tuple(checked["websocket_urls"]),
        cometbft_rpc_urls=tuple(checked["cometbft_rpc_urls"]),
        trusted_height=checked["trusted_height"],
        trusted_hash=checked["trusted_hash"],
        deployed_in_block=checked["deployed_in_block"],
        contracts=ManagementContracts(
            checked["evm_chain_id"],
            MappingProxyType(
                {name: bytes.fromhex(checked["contracts"][key][2:]) for name, key in _CONTRACT_KEYS.items()}
            ),
        ),
        rules=ManagementRules(
            founders=Founders(
                rules["founder_threshold"], tuple(bytes.fromhex(account[2:]) for account in rules["founders"])
            ),
            dev=checked["dev"],
            bond_per_node_wei=int(rules["bond_per_node_wei"]),
            withdrawal_delay_seconds=rules["withdrawal_delay_seconds"],
            period_seconds=rules["period_seconds"],
        ),
        governor_key_file=checked["governor_key_file"],
        accounts=tuple(AccountEntry(**account) for account in checked["accounts"]),
        processes=tuple(
            ProcessEntry(**{**process, "command": tuple(process["command"])}) for process in checked["processes"]
        ),
    )


def save(management: ManagementFile, directory: Path) -> Path:
    """Write the file so that a reader finds either the old or the new one, never half of it."""
    document = management.document()
    return schema_file.write(document, schema(), directory / FILE_NAME)
