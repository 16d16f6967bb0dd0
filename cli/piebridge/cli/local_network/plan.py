"""The plan of a local network: names, numbers, ports, keys and files. Pure: the same wishes give the same plan."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import count

from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import KeyPurpose

PORT_BASE_DEFAULT = 20_000
"""First port of a network."""
PORT_LIMIT = 32_768
"""Ports from here on are given out by the operating system to others; the network stays below."""
PORT_LEAST = 1_024
"""Ports below need privileges."""

DOMAIN = 1
"""Relay domain of a local network."""
EVM_CHAIN_ID_FIRST = 91_001
"""EVM chain id of the first parachain; the others follow."""
NOTARY_COUNT = 4
"""Notaries of a network of anvil chains: k = 3 of them are more than two thirds."""
ACCOUNT_NAMES = ("alice", "bob", "carol")
"""User accounts with money and tokens."""

HOST = "127.0.0.1"
"""Everything listens here and nowhere else."""
OWN_BROKER = "redis"
"""Broker of a network that starts a Redis of its own."""
REDIS_NAME = "redis"
"""Name of that process, and of its folder."""
PASSWORD_FILE = "keys/password"
"""Passphrase of all keys of the network, which have no value."""

_BROKER_SCHEMES = ("redis://", "rediss://")
_PARACHAINS_MAX = 32
_RELAY_CHAINS_MAX = 8
_VALIDATORS_MAX = 32
_GATEWAYS_MAX = 16
_WORKERS_MAX = 64
_ANVIL_DEPTH_MAX = 16


class ParachainKind(StrEnum):
    """What a parachain is."""

    EMBEDDED = "embedded"
    """EVM-on-ABCI, verified by light client."""
    ANVIL = "anvil"
    """Foundry's anvil, verified by notaries."""


class Engine(StrEnum):
    """What drives the ABCI applications of a local network."""

    EMBEDDED = "embedded"
    """One process holds all validator keys of a chain."""
    COMETBFT = "cometbft"
    """Each validator is a process with a CometBFT node of its own."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked for."""

    parachains: int = 3
    """Number of parachains."""
    parachain_kind: ParachainKind = ParachainKind.EMBEDDED
    """What they are."""
    relay_chains: int = 1
    """Number of relay chains of the domain."""
    validators: int = 4
    """Validators of each relay chain."""
    gateways: int = 2
    """Number of gateways."""
    port_base: int = PORT_BASE_DEFAULT
    """First port."""
    engine: Engine = Engine.EMBEDDED
    """Engine of relay chains and embedded parachains."""
    parachain_validators: int = 1
    """Validators of each embedded parachain."""
    broker: str | None = None
    """Where the gateways' tasks go: address of a Redis, OWN_BROKER for one that is started too, None for no broker."""
    workers: int = 1
    """Worker processes of each gateway, where there is a broker."""
    anvil_depth: int = 1
    """Blocks that must stand on a block of an anvil chain before notaries sign it. Anvil never reorganises by itself;
    0 would leave the rule untested."""


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """A key to make."""

    name: str
    """Name, unique in the network."""
    purpose: KeyPurpose
    """The one thing that it is for."""

    @property
    def file(self) -> str:
        """Keystore, relative to the network folder."""
        return f"keys/{self.name}.json"


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One validator's node of an EVM chain on CometBFT."""

    name: str
    """Name of its process."""
    home: str
    """Its folder, relative to the network folder."""
    eth_port: int
    """eth_* JSON-RPC."""
    cometbft_port: int
    """CometBFT RPC."""
    p2p_port: int
    """For its peers."""
    consensus_key: KeyPlan
    """Votes."""
    p2p_key: KeyPlan
    """Its identity among its peers."""


@dataclass(frozen=True, slots=True)
class ParachainPlan:
    """A parachain to start."""

    name: str
    """Name that commands take."""
    kind: ParachainKind
    """What it is."""
    registration: int
    """Number of its hub."""
    evm_chain_id: int
    """EIP-155 chain id."""
    finality_depth: int
    """Finality depth of its registration; blocks of an embedded chain are final at once."""
    rpc_port: int
    """eth_* JSON-RPC, HTTP and WebSocket."""
    cometbft_port: int | None
    """CometBFT RPC of its validator; None for anvil."""
    proxy_port: int | None
    """Second endpoint for notaries; None for a chain with a light client."""
    validator_key: KeyPlan | None
    """Consensus key of the first validator; None for anvil."""
    nodes: tuple[NodePlan, ...] = ()
    """Validators' nodes on CometBFT, of which the first has the ports and the key named above; else none."""

    @property
    def validator_keys(self) -> tuple[KeyPlan, ...]:
        """Consensus keys, none for anvil."""
        if self.nodes:
            return tuple(node.consensus_key for node in self.nodes)
        return () if self.validator_key is None else (self.validator_key,)

    @property
    def rpc_urls(self) -> tuple[str, ...]:
        """Addresses of the eth_* JSON-RPC of all nodes."""
        return tuple(f"http://{HOST}:{node.eth_port}" for node in self.nodes) or (self.rpc_url,)

    @property
    def cometbft_urls(self) -> tuple[str, ...]:
        """Addresses of the CometBFT RPC of all nodes; none for anvil."""
        if self.nodes:
            return tuple(f"http://{HOST}:{node.cometbft_port}" for node in self.nodes)
        return () if self.cometbft_port is None else (f"http://{HOST}:{self.cometbft_port}",)

    @property
    def home(self) -> str:
        """Folder of the node, relative to the network folder."""
        return f"chains/{self.name}"

    @property
    def rpc_url(self) -> str:
        """Address of the eth_* JSON-RPC."""
        return f"http://{HOST}:{self.rpc_port}"

    @property
    def cometbft_chain_id(self) -> str:
        """CometBFT's name of the chain."""
        return f"piebridge-evm-{self.evm_chain_id}"


@dataclass(frozen=True, slots=True)
class ValidatorPlan:
    """A validator of a relay chain."""

    index: int
    """Position in the endorsement set."""
    rpc_port: int
    """Its CometBFT RPC."""
    consensus_key: KeyPlan
    """Votes."""
    endorsement_key: KeyPlan
    """Endorses outboxes."""
    process: str
    """Name of the process that runs it."""
    p2p_port: int | None = None
    """For its peers; None on the embedded engine."""
    p2p_key: KeyPlan | None = None
    """Its identity among its peers; None on the embedded engine."""

    @property
    def rpc_url(self) -> str:
        """Address of its CometBFT RPC."""
        return f"http://{HOST}:{self.rpc_port}"


@dataclass(frozen=True, slots=True)
class RelayPlan:
    """A relay chain to start."""

    relay: int
    """Relay id."""
    validators: tuple[ValidatorPlan, ...]
    """By index."""
    threshold: int
    """k: endorsements that hubs demand."""

    @property
    def name(self) -> str:
        """Name that commands take."""
        return f"relay-{self.relay}"

    @property
    def home(self) -> str:
        """Folder of the chain, relative to the network folder."""
        return f"relays/{self.name}"

    def home_of(self, validator: ValidatorPlan) -> str:
        """Folder of one validator on CometBFT, relative to the network folder."""
        return f"{self.home}/validator-{validator.index}"


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    """A gateway to start."""

    name: str
    """Name that commands take."""
    status_port: int
    """/health and /metrics."""
    key: KeyPlan
    """Its account."""

    @property
    def data_directory(self) -> str:
        """Cursors and archive, relative to the network folder."""
        return f"gateways/{self.name}"


@dataclass(frozen=True, slots=True)
class NotaryPlan:
    """A notary to start; it reads every parachain."""

    index: int
    """Position in the notary set."""
    port: int
    """Its HTTP API."""
    key: KeyPlan
    """Signs statements."""

    @property
    def name(self) -> str:
        """Name that commands take."""
        return f"notary-{self.index}"

    @property
    def data_directory(self) -> str:
        """Evidence log, relative to the network folder."""
        return f"notaries/{self.name}"


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """All of it."""

    wishes: Wishes
    """What it was made from."""
    parachains: tuple[ParachainPlan, ...]
    """Parachains, registrations 1, 2, ..."""
    relays: tuple[RelayPlan, ...]
    """Relay chains, ids 1, 2, ..."""
    gateways: tuple[GatewayPlan, ...]
    """Gateways."""
    notaries: tuple[NotaryPlan, ...]
    """Notaries; none where light clients verify."""
    accounts: tuple[KeyPlan, ...]
    """User accounts."""
    governor: KeyPlan
    """The --dev governor key."""
    deployer: KeyPlan
    """Account that deploys the contracts; of no importance afterwards."""
    redis_port: int | None = None
    """Redis of the gateways; None where none is started."""

    @property
    def broker_url(self) -> str | None:
        """Where the gateways' tasks go; None for no broker."""
        return self.wishes.broker if self.redis_port is None else f"redis://{HOST}:{self.redis_port}/0"

    @property
    def notary_threshold(self) -> int:
        """k of the notary sets."""
        return quorum(len(self.notaries))

    @property
    def ports(self) -> dict[int, str]:
        """Every port, with what listens there."""
        users: dict[int, str] = {}
        for chain in self.parachains:
            users[chain.rpc_port] = f"RPC of {chain.name}"
            if chain.cometbft_port is not None:
                users[chain.cometbft_port] = f"CometBFT RPC of {chain.name}"
            if chain.proxy_port is not None:
                users[chain.proxy_port] = f"second RPC of {chain.name}"
            for node in chain.nodes:
                users[node.eth_port] = f"RPC of {node.name}"
                users[node.cometbft_port] = f"CometBFT RPC of {node.name}"
                users[node.p2p_port] = f"P2P port of {node.name}"
        for relay in self.relays:
            users |= {item.rpc_port: f"RPC of {relay.name} validator {item.index}" for item in relay.validators}
            users |= {
                item.p2p_port: f"P2P port of {relay.name} validator {item.index}"
                for item in relay.validators
                if item.p2p_port is not None
            }
        if self.redis_port is not None:
            users[self.redis_port] = f"the gateways' {REDIS_NAME}"
        users |= {gateway.status_port: f"status of {gateway.name}" for gateway in self.gateways}
        return users | {notary.port: f"API of {notary.name}" for notary in self.notaries}

    @property
    def keys(self) -> tuple[KeyPlan, ...]:
        """Every key."""
        chain_keys = (
            *(key for chain in self.parachains for key in chain.validator_keys),
            *(node.p2p_key for chain in self.parachains for node in chain.nodes),
        )
        relay_keys = tuple(
            key
            for relay in self.relays
            for item in relay.validators
            for key in (item.consensus_key, item.endorsement_key, item.p2p_key)
            if key is not None
        )
        others = (*(gateway.key for gateway in self.gateways), *(notary.key for notary in self.notaries))
        return (self.governor, self.deployer, *chain_keys, *relay_keys, *others, *self.accounts)


def quorum(members: int) -> int:
    """Return the least k with ``k > 2n/3``."""
    return 2 * members // 3 + 1


def make_plan(wishes: Wishes) -> NetworkPlan:
    """Lay out a network.

    Raises:
        ConfigurationError: a wish is out of range; the message names its option.
    """
    _within("--parachains", wishes.parachains, 2, _PARACHAINS_MAX)
    _within("--relay-chains", wishes.relay_chains, 1, _RELAY_CHAINS_MAX)
    _within("--validators", wishes.validators, 2, _VALIDATORS_MAX)
    _within("--gateways", wishes.gateways, 1, _GATEWAYS_MAX)
    _within("--anvil-depth", wishes.anvil_depth, 0, _ANVIL_DEPTH_MAX)
    _within("--parachain-validators", wishes.parachain_validators, 1, _VALIDATORS_MAX)
    _within("--workers", wishes.workers, 1, _WORKERS_MAX)
    broker = wishes.broker
    if broker is not None and broker != OWN_BROKER and not broker.startswith(_BROKER_SCHEMES):
        raise ConfigurationError(
            f"--broker {broker} is no address of a Redis: give redis://HOST:PORT, or redis to start one here"
        )
    if wishes.workers > 1 and wishes.broker is None:
        raise ConfigurationError("--workers needs --broker: redis, or the address of a running one")
    on_cometbft = wishes.engine is Engine.COMETBFT
    if wishes.parachain_validators > 1 and not (on_cometbft and wishes.parachain_kind is ParachainKind.EMBEDDED):
        raise ConfigurationError(
            "--parachain-validators above 1 needs --engine cometbft and --parachain-kind embedded: an anvil chain "
            "has no validators, and the embedded engine one process"
        )
    if wishes.port_base >= PORT_LIMIT:
        raise ConfigurationError(
            f"--port-base {wishes.port_base}: ports from {PORT_LIMIT} on are given out by the operating system to any "
            f"program; choose a base below, for example {PORT_BASE_DEFAULT}"
        )
    _within("--port-base", wishes.port_base, PORT_LEAST, PORT_LIMIT - 1)
    ports = count(wishes.port_base)
    plan = NetworkPlan(
        wishes=wishes,
        parachains=tuple(_parachain(number, wishes, ports) for number in range(1, wishes.parachains + 1)),
        relays=tuple(_relay(number, wishes, ports) for number in range(1, wishes.relay_chains + 1)),
        gateways=tuple(_gateway(number, ports) for number in range(1, wishes.gateways + 1)),
        notaries=_notaries(ports) if wishes.parachain_kind is ParachainKind.ANVIL else (),
        accounts=tuple(KeyPlan(name, KeyPurpose.USER) for name in ACCOUNT_NAMES),
        governor=KeyPlan("governor", KeyPurpose.GOVERNOR),
        deployer=KeyPlan("deployer", KeyPurpose.USER),
        redis_port=next(ports) if wishes.broker == OWN_BROKER else None,
    )
    if (highest := max(plan.ports)) >= PORT_LIMIT:
        raise ConfigurationError(
            f"--port-base {wishes.port_base}: this network needs {len(plan.ports)} ports, up to {highest}, which is "
            f"not below {PORT_LIMIT}; choose a base of at most {PORT_LIMIT - len(plan.ports)}"
        )
    return plan


def _parachain(number: int, wishes: Wishes, ports: Iterator[int]) -> ParachainPlan:
    name = f"chain-{number}"
    embedded = wishes.parachain_kind is ParachainKind.EMBEDDED
    on_cometbft = embedded and wishes.engine is Engine.COMETBFT
    nodes = tuple(
        _node(name, index, wishes, ports) for index in range(wishes.parachain_validators if on_cometbft else 0)
    )
    if nodes:
        rpc_port, cometbft_port, validator_key = nodes[0].eth_port, nodes[0].cometbft_port, nodes[0].consensus_key
        return ParachainPlan(
            name=name,
            kind=wishes.parachain_kind,
            registration=number,
            evm_chain_id=EVM_CHAIN_ID_FIRST + number - 1,
            finality_depth=0,
            rpc_port=rpc_port,
            cometbft_port=cometbft_port,
            proxy_port=None,
            validator_key=validator_key,
            nodes=nodes,
        )
    return ParachainPlan(
        name=name,
        kind=wishes.parachain_kind,
        registration=number,
        evm_chain_id=EVM_CHAIN_ID_FIRST + number - 1,
        finality_depth=0 if embedded else wishes.anvil_depth,
        rpc_port=next(ports),
        cometbft_port=next(ports) if embedded else None,
        proxy_port=None if embedded else next(ports),
        validator_key=KeyPlan(f"{name}-consensus", KeyPurpose.CONSENSUS) if embedded else None,
    )


def _node(chain: str, index: int, wishes: Wishes, ports: Iterator[int]) -> NodePlan:
    name = chain if wishes.parachain_validators == 1 else f"{chain}-validator-{index}"
    return NodePlan(
        name=name,
        home=f"chains/{chain}/validator-{index}",
        eth_port=next(ports),
        cometbft_port=next(ports),
        p2p_port=next(ports),
        consensus_key=KeyPlan(f"{name}-consensus", KeyPurpose.CONSENSUS),
        p2p_key=KeyPlan(f"{name}-p2p", KeyPurpose.P2P),
    )


def _relay(number: int, wishes: Wishes, ports: Iterator[int]) -> RelayPlan:
    return RelayPlan(
        relay=number,
        validators=tuple(_validator(f"relay-{number}", index, wishes, ports) for index in range(wishes.validators)),
        threshold=quorum(wishes.validators),
    )


def _validator(relay: str, index: int, wishes: Wishes, ports: Iterator[int]) -> ValidatorPlan:
    name = f"{relay}-validator-{index}"
    on_cometbft = wishes.engine is Engine.COMETBFT
    return ValidatorPlan(
        index=index,
        rpc_port=next(ports),
        consensus_key=KeyPlan(f"{name}-consensus", KeyPurpose.CONSENSUS),
        endorsement_key=KeyPlan(f"{name}-endorsement", KeyPurpose.ENDORSEMENT),
        process=name if on_cometbft else relay,
        p2p_port=next(ports) if on_cometbft else None,
        p2p_key=KeyPlan(f"{name}-p2p", KeyPurpose.P2P) if on_cometbft else None,
    )


def _gateway(number: int, ports: Iterator[int]) -> GatewayPlan:
    return GatewayPlan(f"gateway-{number}", next(ports), KeyPlan(f"gateway-{number}", KeyPurpose.GATEWAY))


def _notaries(ports: Iterator[int]) -> tuple[NotaryPlan, ...]:
    return tuple(
        NotaryPlan(index, next(ports), KeyPlan(f"notary-{index}", KeyPurpose.NOTARY)) for index in range(NOTARY_COUNT)
    )


def _within(option: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ConfigurationError(f"{option} {value}: must be from {least} to {most}")
