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
PASSWORD_FILE = "keys/password"
"""Passphrase of all keys of the network, which have no value."""

_PARACHAINS_MAX = 32
_RELAY_CHAINS_MAX = 8
_VALIDATORS_MAX = 32
_GATEWAYS_MAX = 16


class ParachainKind(StrEnum):
    """What a parachain is."""

    EMBEDDED = "embedded"
    """EVM-on-ABCI on the embedded engine, verified by light client."""
    ANVIL = "anvil"
    """Foundry's anvil, verified by notaries."""


class Engine(StrEnum):
    """What drives the ABCI applications of a local network."""

    EMBEDDED = "embedded"
    """One process holds all validator keys of a chain."""


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
    rpc_port: int
    """eth_* JSON-RPC, HTTP and WebSocket."""
    cometbft_port: int | None
    """CometBFT RPC of its validator; None for anvil."""
    proxy_port: int | None
    """Second endpoint for notaries; None for a chain with a light client."""
    validator_key: KeyPlan | None
    """Consensus key; None for anvil."""

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
        """Folder of the node, relative to the network folder."""
        return f"relays/{self.name}"


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
        for relay in self.relays:
            users |= {item.rpc_port: f"RPC of {relay.name} validator {item.index}" for item in relay.validators}
        users |= {gateway.status_port: f"status of {gateway.name}" for gateway in self.gateways}
        return users | {notary.port: f"API of {notary.name}" for notary in self.notaries}

    @property
    def keys(self) -> tuple[KeyPlan, ...]:
        """Every key."""
        chain_keys = tuple(chain.validator_key for chain in self.parachains if chain.validator_key is not None)
        relay_keys = tuple(
            key
            for relay in self.relays
            for item in relay.validators
            for key in (item.consensus_key, item.endorsement_key)
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
    if wishes.port_base >= PORT_LIMIT:
        raise ConfigurationError(
            f"--port-base {wishes.port_base}: ports from {PORT_LIMIT} on are given out by the operating system to any "
            f"program; choose a base below, for example {PORT_BASE_DEFAULT}"
        )
    _within("--port-base", wishes.port_base, PORT_LEAST, PORT_LIMIT - 1)
    ports = count(wishes.port_base)
    plan = NetworkPlan(
        wishes=wishes,
        parachains=tuple(
            _parachain(number, wishes.parachain_kind, ports) for number in range(1, wishes.parachains + 1)
        ),
        relays=tuple(_relay(number, wishes.validators, ports) for number in range(1, wishes.relay_chains + 1)),
        gateways=tuple(_gateway(number, ports) for number in range(1, wishes.gateways + 1)),
        notaries=_notaries(ports) if wishes.parachain_kind is ParachainKind.ANVIL else (),
        accounts=tuple(KeyPlan(name, KeyPurpose.USER) for name in ACCOUNT_NAMES),
        governor=KeyPlan("governor", KeyPurpose.GOVERNOR),
        deployer=KeyPlan("deployer", KeyPurpose.USER),
    )
    if (highest := max(plan.ports)) >= PORT_LIMIT:
        raise ConfigurationError(
            f"--port-base {wishes.port_base}: this network needs {len(plan.ports)} ports, up to {highest}, which is "
            f"not below {PORT_LIMIT}; choose a base of at most {PORT_LIMIT - len(plan.ports)}"
        )
    return plan


def _parachain(number: int, kind: ParachainKind, ports: Iterator[int]) -> ParachainPlan:
    name = f"chain-{number}"
    embedded = kind is ParachainKind.EMBEDDED
    return ParachainPlan(
        name=name,
        kind=kind,
        registration=number,
        evm_chain_id=EVM_CHAIN_ID_FIRST + number - 1,
        rpc_port=next(ports),
        cometbft_port=next(ports) if embedded else None,
        proxy_port=None if embedded else next(ports),
        validator_key=KeyPlan(f"{name}-consensus", KeyPurpose.CONSENSUS) if embedded else None,
    )


def _relay(number: int, validators: int, ports: Iterator[int]) -> RelayPlan:
    return RelayPlan(
        relay=number,
        validators=tuple(
            ValidatorPlan(
                index=index,
                rpc_port=next(ports),
                consensus_key=KeyPlan(f"relay-{number}-validator-{index}-consensus", KeyPurpose.CONSENSUS),
                endorsement_key=KeyPlan(f"relay-{number}-validator-{index}-endorsement", KeyPurpose.ENDORSEMENT),
            )
            for index in range(validators)
        ),
        threshold=quorum(validators),
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
