"""What a gateway and a notary must know before they start: addresses of nodes, keys, folders.

Everything that chains can say is asked of them (finality depths, verification methods, sets); here is only what they
cannot. Both configurations can be read from a network file (``piebridge network up`` writes one; its schema is
``cli/piebridge/cli/data/network.schema.json``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from eth_utils.address import to_checksum_address

from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.signature import address_of_private_key
from piebridge.gateway.forwarder import ForwarderSettings
from piebridge.protocol_stack.endorsement import EndorsementMethod


@dataclass(frozen=True, slots=True)
class ChainConfig:
    """A parachain with a hub."""

    name: str
    """For people; unique."""
    registration: int
    """Number of the hub."""
    evm_chain_id: int
    """EIP-155 chain id."""
    hub_address: bytes
    """20 bytes."""
    rpc_url: str
    """``eth_*`` over HTTP."""
    websocket_url: str | None = None
    """``eth_*`` over WebSocket, for wake-ups."""
    cometbft_rpc_urls: tuple[str, ...] = ()
    """CometBFT RPC, where the chain is followed by light client."""
    first_block: int = 0
    """Block from which a listener without cursor reads."""


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """A relay chain."""

    relay: int
    """Relay id."""
    chain_id: str
    """CometBFT chain id."""
    validator_rpc_urls: tuple[str, ...]
    """CometBFT RPC of each validator."""
    endorsement: EndorsementMethod = EndorsementMethod.SIGNATURES
    """Method with which the hubs have registered it: its validators' signatures or its own commit."""

    @property
    def name(self) -> str:
        """For people."""
        return f"relay-{self.relay}"


@dataclass(frozen=True, slots=True)
class NotaryAddress:
    """Where a notary answers."""

    url: str
    """Address of its HTTP service, without path."""
    registrations: tuple[int, ...]
    """Chains that it reads."""


@dataclass(frozen=True, slots=True)
class DomainConfig:
    """What is needed to read the chains of a domain, without any right to write to them."""

    domain: int
    """Relay domain."""
    chains: tuple[ChainConfig, ...]
    """Parachains of the domain."""
    relays: tuple[RelayConfig, ...]
    """Relay chains of the domain."""
    notaries: tuple[NotaryAddress, ...]
    """Notaries of its parachains."""
    timeout_seconds: float
    """Deadline of a request to a node."""


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """A Redis broker and the workers of one gateway behind it. Redis may lose everything at any time."""

    url: str = field(repr=False)
    """``redis://`` or ``rediss://``, with the password if it has one."""
    workers: int = 1
    """Worker processes."""
    threads: int = 8
    """Tasks that one worker has under way at the same time; most of their time is waiting for nodes."""
    task_seconds: float = 8.0
    """A task that has not ended by then gives up and answers that it failed."""
    visibility_seconds: int = 10
    """After this, Redis hands a task whose worker has not acknowledged it to another one."""
    redo_seconds: float = 12.0
    """After this, the gateway puts a task that was not answered into the broker again."""
    silent_seconds: float = 12.0
    """A worker that has answered nothing for so long, not even a probe, is started again."""
    start_seconds: float = 40.0
    """How long a worker may take until its first answer."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: the address is none of Redis, or a number or the order of the times makes no sense.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in ("redis", "rediss") or not parts.hostname:
            raise ConfigurationError("the broker must be redis://HOST:PORT or rediss://HOST:PORT")
        if not 1 <= self.workers <= 64 or not 1 <= self.threads <= 256:
            raise ConfigurationError("a gateway has 1 to 64 workers with 1 to 256 threads each")
        if not self.task_seconds < self.silent_seconds:
            raise ConfigurationError("a worker may be silent for longer than a task may take")

    @property
    def address(self) -> str:
        """Where it is, for people: without its password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}{parts.path}"


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """A gateway."""

    name: str
    """For people."""
    domain: int
    """Relay domain that it serves."""
    private_key: bytes = field(repr=False)
    """Gateway key: signs relay transactions and pays for hub transactions, 32 bytes."""
    data_directory: Path
    """Folder of its database; may be deleted at any time."""
    chains: tuple[ChainConfig, ...]
    """Parachains of the domain."""
    relays: tuple[RelayConfig, ...]
    """Relay chains of the domain."""
    notaries: tuple[NotaryAddress, ...] = ()
    """Notaries of its parachains."""
    takeover_blocks: int = 6
    """How many blocks of both ends of a path each gateway leaves to the one before it in turn."""
    broker: BrokerConfig | None = None
    """Redis and workers; without, everything is done in the gateway's own process."""
    status_address: tuple[str, int] | None = None
    """Loopback host and port of the status page; None serves none."""
    reconcile_seconds: float = 30.0
    """Interval of full comparisons with the chains."""
    look_again_seconds: float = 60.0
    """How long after a relay chain has taken a free packet or a receipt this gateway looks whether it has arrived."""
    poll_seconds: float = 1.0
    """Longest interval between two looks at a chain; subscriptions make it look earlier."""
    timeout_seconds: float = 10.0
    """Deadline of a request to a node."""
    forwarder: ForwarderSettings = field(default_factory=ForwarderSettings)
    """Batches, time-outs, pauses."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: chains or relays are missing or named twice, or the key has not 32 bytes.
        """
        if not self.chains or not self.relays:
            raise ConfigurationError(f"gateway {self.name}: at least one chain and one relay chain must be configured")
        _refuse_twice([str(chain.registration) for chain in self.chains], f"gateway {self.name}: registration")
        _refuse_twice([str(relay.relay) for relay in self.relays], f"gateway {self.name}: relay")
        if len(self.private_key) != 32:
            raise ConfigurationError(f"gateway {self.name}: the private key must have 32 bytes")

    @property
    def reading(self) -> DomainConfig:
        """What a worker has to know: everything but the key."""
        return DomainConfig(self.domain, self.chains, self.relays, self.notaries, self.timeout_seconds)

    @property
    def database(self) -> Path:
        """The file with archive and cursors."""
        return self.data_directory / "gateway.sqlite3"


@dataclass(frozen=True, slots=True)
class NotaryChainConfig:
    """A parachain that a notary reads."""

    registration: int
    """Number of the hub."""
    evm_chain_id: int
    """EIP-155 chain id."""
    hub_address: bytes
    """20 bytes."""
    rpc_urls: tuple[str, ...]
    """Independent nodes, at least two; all of them must agree."""
    finality_depth: int
    """Blocks that must lie above one that is signed."""


@dataclass(frozen=True, slots=True)
class NotaryConfig:
    """A notary."""

    name: str
    """For people."""
    domain: int
    """Relay domain."""
    private_key: bytes = field(repr=False)
    """Notary key, 32 bytes."""
    index: int
    """Position in the notary set."""
    set_epoch: int
    """Epoch of the set that it signs under."""
    chains: tuple[NotaryChainConfig, ...]
    """What it reads."""
    data_directory: Path
    """Folder of its evidence log, which must be kept."""
    host: str
    """Address that it listens on."""
    port: int
    """TCP port."""
    endpoint_timeout_seconds: float = 5.0
    """A node that has not answered within this has hung: no statement, alarm."""

    def __post_init__(self) -> None:
        """Refuse what cannot be safe.

        Raises:
            ConfigurationError: fewer than two nodes for a chain, one node twice, or a chain twice.
        """
        if not self.chains:
            raise ConfigurationError(f"notary {self.name}: at least one chain must be configured")
        _refuse_twice([str(chain.registration) for chain in self.chains], f"notary {self.name}: registration")
        for chain in self.chains:
            if len(chain.rpc_urls) < 2:
                raise ConfigurationError(
                    f"notary {self.name}: registration {chain.registration} has {len(chain.rpc_urls)} node(s); a "
                    "notary compares at least two that are run independently"
                )
            _refuse_twice(list(chain.rpc_urls), f"notary {self.name}: node of registration {chain.registration}")
        if len(self.private_key) != 32:
            raise ConfigurationError(f"notary {self.name}: the private key must have 32 bytes")


def gateway_config_from_network(
    network_file: Path, name: str, private_key: bytes, broker: BrokerConfig | None = None
) -> GatewayConfig:
    """Read the configuration of one gateway from a network file.

    Args:
        network_file: path of ``network.json``.
        name: which of its gateways.
        private_key: the gateway's key, already decrypted, 32 bytes.
        broker: Redis and workers; without, everything is done in the gateway's own process.

    Raises:
        ConfigurationError: the file cannot be read, or has no such gateway.
    """
    network = read_network_file(network_file)
    gateways = _get(network, "gateways", network_file)
    gateway = gateways[_position(gateways, name, network_file)]
    _require_own_key(gateway, name, private_key, network_file)
    try:
        return GatewayConfig(
            name=name,
            domain=int(network["domain"]["id"]),
            private_key=private_key,
            data_directory=network_file.parent / gateway["data_directory"],
            chains=tuple(_chain(chain) for chain in network["chains"]),
            relays=tuple(_relay(relay) for relay in network["relay_chains"]),
            notaries=tuple(
                NotaryAddress(notary["url"].rstrip("/"), tuple(notary["chains"])) for notary in network["notaries"]
            ),
            broker=broker,
            status_address=_host_and_port(gateway.get("status_url")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{network_file}: malformed network file: {error!r}") from error


def _require_own_key(gateway: dict[str, Any], name: str, private_key: bytes, network_file: Path) -> None:
    """Refuse the key of another gateway: both would pay from one account and spoil each other's nonces.

    Raises:
        ConfigurationError: the network file names another address for this gateway.
    """
    named, own = gateway.get("address"), to_checksum_address(address_of_private_key(private_key))
    if isinstance(named, str) and named.lower() != own.lower():
        raise ConfigurationError(
            f"{network_file}: {name} has the address {named}, and the key that was given belongs to {own}: give the "
            f"keystore of {name}, or the name of the gateway whose key this is"
        )


def notary_config_from_network(
    network_file: Path, index: int, private_key: bytes, data_directory: Path
) -> NotaryConfig:
    """Read the configuration of one notary from a network file.

    Args:
        network_file: path of ``network.json``.
        index: position in the notary set.
        private_key: the notary's key, already decrypted, 32 bytes.
        data_directory: folder of its evidence log.

    Raises:
        ConfigurationError: the file cannot be read, has no such notary, or names fewer than two nodes for a chain.
    """
    network = read_network_file(network_file)
    notary = next((notary for notary in _get(network, "notaries", network_file) if notary["index"] == index), None)
    if notary is None:
        raise ConfigurationError(f"{network_file}: there is no notary {index}")
    try:
        address = _host_and_port(notary["url"])
        assert address is not None
        chains = tuple(
            NotaryChainConfig(
                registration=int(chain["registration"]),
                evm_chain_id=int(chain["evm_chain_id"]),
                hub_address=bytes.fromhex(chain["hub"][2:]),
                rpc_urls=(chain["rpc_url"], *([chain["second_rpc_url"]] if chain["second_rpc_url"] else [])),
                finality_depth=int(chain["finality_depth"]),
            )
            for chain in network["chains"]
            if chain["registration"] in notary["chains"]
        )
        return NotaryConfig(
            name=f"notary-{index}",
            domain=int(network["domain"]["id"]),
            private_key=private_key,
            index=index,
            set_epoch=int(notary["set_epoch"]),
            chains=chains,
            data_directory=data_directory,
            host=address[0],
            port=address[1],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{network_file}: malformed network file: {error!r}") from error


def read_network_file(network_file: Path) -> dict[str, Any]:
    """Read a network file of the version that this program knows.

    Raises:
        ConfigurationError: it cannot be read, is not JSON, or has another version.
    """
    try:
        network = json.loads(network_file.read_text())
    except OSError as error:
        raise ConfigurationError(f"{network_file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{network_file} is not JSON: {error}") from error
    if not isinstance(network, dict) or network.get("version") != 1:
        raise ConfigurationError(f"{network_file} is not a network file of version 1")
    return network


def _chain(chain: Mapping[str, Any]) -> ChainConfig:
    return ChainConfig(
        name=chain["name"],
        registration=int(chain["registration"]),
        evm_chain_id=int(chain["evm_chain_id"]),
        hub_address=bytes.fromhex(chain["hub"][2:]),
        rpc_url=chain["rpc_url"],
        websocket_url=chain["websocket_url"],
        cometbft_rpc_urls=tuple(chain["cometbft_rpc_urls"]),
    )


def _relay(relay: Mapping[str, Any]) -> RelayConfig:
    return RelayConfig(
        relay=int(relay["id"]),
        chain_id=relay["chain_id"],
        validator_rpc_urls=tuple(validator["rpc_url"] for validator in relay["validators"]),
        endorsement=_endorsement(relay.get("endorsement", "signatures"), relay["id"]),
    )


def _endorsement(name: object, relay: object) -> EndorsementMethod:
    methods = {"signatures": EndorsementMethod.SIGNATURES, "commit": EndorsementMethod.COMMIT}
    if not isinstance(name, str) or name not in methods:
        raise ConfigurationError(
            f"relay chain {relay}: endorsement {name!r} is not known; choose one of {', '.join(methods)}"
        )
    return methods[name]


def _position(gateways: list[dict[str, Any]], name: str, where: Path) -> int:
    for position, gateway in enumerate(gateways):
        if gateway["name"] == name:
            return position
    known = ", ".join(gateway["name"] for gateway in gateways) or "none"
    raise ConfigurationError(f"{where}: there is no gateway {name!r}; known are {known}")


def _get(network: Mapping[str, Any], key: str, where: Path) -> list[dict[str, Any]]:
    value = network.get(key)
    if not isinstance(value, list):
        raise ConfigurationError(f"{where}: {key} is missing")
    return value


def _host_and_port(url: str | None) -> tuple[str, int] | None:
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.hostname is None or parts.port is None:
        raise ValueError(f"{url!r} has no host and port")
    return parts.hostname, parts.port


def _refuse_twice(values: list[str], what: str) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ConfigurationError(f"{what} {value} is configured twice")
