"""The network file: what ``piebridge network up`` leaves behind and every other command starts from.

The schema in ``data/network.schema.json`` is the authority; the classes here mirror it one to one.
"""

import json
import shlex
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from piebridge.cli import schema_file
from piebridge.crypto.errors import ConfigurationError


class UnknownNameError(ConfigurationError):
    """The network has no chain, account, application or packet of that name."""


FILE_NAME = "network.json"
"""Name of the file inside the folder of a network."""

DEFAULT_DIRECTORY = Path("piebridge-network")
"""Folder of a network unless the user names another."""


@dataclass(frozen=True, slots=True)
class ApplicationEntry:
    """An application contract on one chain."""

    id: int
    """Application id, equal on all chains of the domain."""
    name: str
    """``erc7786-door``, ``token`` or ``record-notary``."""
    address: str
    """EIP-55 address."""


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """A parachain."""

    name: str
    """Name that commands take, for example ``chain-1``."""
    kind: str
    """``embedded`` (EVM-on-ABCI) or ``anvil``."""
    registration: int
    """Number of its hub: source and destination in packets."""
    evm_chain_id: int
    """EIP-155 chain id."""
    rpc_url: str
    """eth_* JSON-RPC over HTTP."""
    websocket_url: str
    """eth_* JSON-RPC over WebSocket."""
    cometbft_rpc_urls: tuple[str, ...]
    """CometBFT RPC, one for each validator key; empty for anvil."""
    second_rpc_url: str | None
    """Second endpoint that notaries compare with."""
    verification: str
    """``spv`` or ``notary``."""
    finality_depth: int
    """Blocks on top before a packet is taken."""
    hub: str
    """Address of the hub contract."""
    applications: tuple[ApplicationEntry, ...]
    """Applications registered at the hub."""
    message_board: str | None
    """Example receiver of ERC-7786 messages; None where there is none."""
    log_file: str
    """Log of the chain's (first) process, relative to the network folder."""
    engine: str | None = None
    """``embedded`` or ``cometbft``; None for a node of others."""
    rpc_urls: tuple[str, ...] = ()
    """eth_* JSON-RPC of every validator's node, ``rpc_url`` first."""

    def application(self, name: str) -> ApplicationEntry:
        """Return the application of that name.

        Raises:
            ConfigurationError: the chain has none.
        """
        for application in self.applications:
            if application.name == name:
                return application
        known = ", ".join(application.name for application in self.applications) or "none"
        raise UnknownNameError(f"{self.name} has no application {name!r}; it has: {known}")


@dataclass(frozen=True, slots=True)
class ValidatorEntry:
    """A validator of a relay chain."""

    index: int
    """Position in the endorsement set."""
    consensus_address: str
    """Address of its consensus key, 20 bytes."""
    endorsement_address: str
    """Address of its endorsement key."""
    rpc_url: str
    """Its CometBFT RPC."""
    websocket_url: str
    """Its CometBFT RPC over WebSocket."""
    process: str | None = None
    """Name of the process that runs it; several validators share one on the embedded engine."""


@dataclass(frozen=True, slots=True)
class EndorseEntry:
    """How to ask a validator for its endorsement; see docs/protocol/formats.md sections 8 and 12."""

    method: str = "abci_query"
    """JSON-RPC method."""
    path: str = "/endorse"
    """ABCI query path."""
    data: str = "destination u32 || number u64, big-endian, hex"
    """Query data."""
    answer: str = "epoch u32 || index u8 || address 20 || chain value 32 || signature 65"
    """Value of the answer, base64."""


@dataclass(frozen=True, slots=True)
class RelayChainEntry:
    """A relay chain."""

    id: int
    """Relay id."""
    chain_id: str
    """CometBFT chain id."""
    engine: str
    """``embedded`` or ``cometbft``."""
    validators: tuple[ValidatorEntry, ...]
    """Validators by index."""
    trusted_height: int
    """Height from which a light client may start."""
    trusted_hash: str
    """Header hash at that height."""
    k: int
    """Endorsements that a hub demands."""
    n: int
    """Members of the endorsement set."""
    set_epoch: int
    """Epoch of the endorsement set."""
    log_file: str
    """Log of the relay chain's (first) process, relative to the network folder."""
    endorse: EndorseEntry = field(default_factory=EndorseEntry)
    """How to ask for endorsements."""


@dataclass(frozen=True, slots=True)
class NotaryEntry:
    """A notary."""

    index: int
    """Position in the notary set."""
    address: str
    """Address of its key."""
    url: str
    """Its HTTP API."""
    set_epoch: int
    """Epoch of the set."""
    k: int
    """Signatures that the relay chain demands."""
    chains: tuple[int, ...]
    """Registrations that it reads."""
    log_file: str
    """Its log, relative to the network folder."""


@dataclass(frozen=True, slots=True)
class GatewayEntry:
    """A gateway."""

    name: str
    """Name that commands take, for example ``gateway-1``."""
    address: str
    """Address of its account on every chain and its signer on relay chains."""
    key_file: str
    """Keystore of that account."""
    data_directory: str
    """Cursors and archive; may be deleted at any time."""
    status_url: str | None
    """/health and /metrics."""
    log_file: str
    """Its log, relative to the network folder."""


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """A user account with gas and tokens on every chain."""

    name: str
    """Name that commands take, for example ``alice``."""
    address: str
    """EIP-55 address."""
    key_file: str
    """Keystore v3."""
    password_file: str | None
    """Only in a --dev network."""


@dataclass(frozen=True, slots=True)
class ProcessEntry:
    """A process that ``network up`` started."""

    name: str
    """Name, for example ``chain-1``."""
    role: str
    """``parachain``, ``relay``, ``gateway``, ``notary`` or ``proxy``."""
    pid: int
    """Process id."""
    started_at: int
    """Start time as the operating system tells it; together with the pid it names one process for good."""
    command: tuple[str, ...]
    """Command line; never holds a key."""
    log_file: str
    """Its output, relative to the network folder."""


@dataclass(frozen=True, slots=True)
class DomainEntry:
    """The relay domain."""

    id: int
    """Domain id."""
    max_body_bytes: int
    """Largest packet body."""
    governor_public_key: str
    """FROST group key, 33 bytes."""
    governor_key_file: str | None
    """The --dev governor key."""


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """A whole network."""

    name: str
    """Name of the network."""
    created_at: int
    """Unix seconds."""
    dev: bool
    """True for a local network of one operator."""
    domain: DomainEntry
    """Its domain."""
    chains: tuple[ChainEntry, ...]
    """Parachains."""
    relay_chains: tuple[RelayChainEntry, ...]
    """Relay chains."""
    notaries: tuple[NotaryEntry, ...]
    """Notaries."""
    gateways: tuple[GatewayEntry, ...]
    """Gateways."""
    accounts: tuple[AccountEntry, ...]
    """User accounts."""
    processes: tuple[ProcessEntry, ...]
    """Processes that belong to it."""
    version: int = 1
    """Version of the schema."""

    def chain(self, name: str) -> ChainEntry:
        """Return a chain by its name or its registration number.

        Raises:
            ConfigurationError: there is none.
        """
        for chain in self.chains:
            if name in (chain.name, str(chain.registration)):
                return chain
        raise UnknownNameError(f"no chain {name!r}; the network has: {', '.join(c.name for c in self.chains)}")

    def account(self, name: str) -> AccountEntry:
        """Return a user account by its name or address.

        Raises:
            ConfigurationError: there is none.
        """
        for account in self.accounts:
            if name == account.name or name.lower() == account.address.lower():
                return account
        raise UnknownNameError(f"no account {name!r}; the network has: {', '.join(a.name for a in self.accounts)}")

    def with_processes(self, processes: tuple[ProcessEntry, ...]) -> "NetworkFile":
        """Return the same network with other processes."""
        return replace(self, processes=processes)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the network file."""
    text = resources.files("piebridge.cli").joinpath("data/network.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def load(directory: Path) -> NetworkFile:
    """Read and check the network file of a folder.

    Raises:
        ConfigurationError: there is no such file, it is not JSON, or it does not fit the schema.
    """
    path = directory / FILE_NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"no network in {directory}: {path} does not exist. "
            "Start one with `piebridge network up`, or name its folder with --dir"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}; {_way_out(directory)}") from error
    try:
        return from_document(document, source=str(path))
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}; {_way_out(directory)}") from error


def _way_out(directory: Path) -> str:
    """Return what to do with a network whose file is damaged."""
    option = "" if directory == DEFAULT_DIRECTORY else f" --dir {shlex.quote(str(directory))}"
    return (
        f"put a copy of it back if there is one. Without, `piebridge network down{option}` still ends what runs, and "
        f"`piebridge network up --replace{option}` begins anew, without its chains and keys"
    )


def from_document(document: object, source: str) -> NetworkFile:
    """Check a parsed network file and turn it into classes.

    Raises:
        ConfigurationError: it does not fit the schema; the message names the place.
    """
    checked = schema_file.check(document, schema(), source=source, kind="network file")
    return NetworkFile(
        version=checked["version"],
        name=checked["name"],
        created_at=checked["created_at"],
        dev=checked["dev"],
        domain=DomainEntry(**checked["domain"]),
        chains=tuple(_chain(entry) for entry in checked["chains"]),
        relay_chains=tuple(_relay_chain(entry) for entry in checked["relay_chains"]),
        notaries=tuple(NotaryEntry(**{**entry, "chains": tuple(entry["chains"])}) for entry in checked["notaries"]),
        gateways=tuple(GatewayEntry(**entry) for entry in checked["gateways"]),
        accounts=tuple(AccountEntry(**entry) for entry in checked["accounts"]),
        processes=tuple(
            ProcessEntry(**{**entry, "command": tuple(entry["command"])}) for entry in checked["processes"]
        ),
    )


def save(network: NetworkFile, directory: Path) -> Path:
    """Write the network file so that a reader finds either the old or the new one, never half of it."""
    document = json.loads(json.dumps(asdict(network)))
    return schema_file.write(document, schema(), directory / FILE_NAME)


def _chain(entry: dict[str, Any]) -> ChainEntry:
    applications = tuple(ApplicationEntry(**application) for application in entry["applications"])
    lists = {name: tuple(entry.get(name, ())) for name in ("cometbft_rpc_urls", "rpc_urls")}
    return ChainEntry(**{**entry, **lists, "applications": applications})


def _relay_chain(entry: dict[str, Any]) -> RelayChainEntry:
    validators = tuple(ValidatorEntry(**validator) for validator in entry["validators"])
    return RelayChainEntry(**{**entry, "validators": validators, "endorse": EndorseEntry(**entry["endorse"])})
