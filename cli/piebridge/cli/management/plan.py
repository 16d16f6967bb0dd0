"""The plan of a management chain on this machine. Pure: the same wishes give the same plan."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from piebridge.cli.local_network.plan import ACCOUNT_NAMES, HOST, PORT_LEAST, PORT_LIMIT, Engine, KeyPlan
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import KeyPurpose

PORT_BASE_DEFAULT = 19_500
"""First port of a management chain; below those of a network."""
EVM_CHAIN_ID_DEFAULT = 91_000
"""EVM chain id; parachains of a local network have the ones that follow."""
CHAIN_NAME = "management"
"""Name of the chain, of its process on the embedded engine, and of its folder."""
OPERATOR_NAME = "operator-{}"
"""Name of a local operator's account."""

_VALIDATORS_MAX = 32
_OPERATORS_MAX = 64


@dataclass(frozen=True, slots=True)
class ManagementWishes:
    """What the user asked for."""

    engine: Engine = Engine.EMBEDDED
    """Who makes the blocks."""
    validators: int | None = None
    """Number of validators; None for 1 on the embedded engine and 4 on CometBFT."""
    operators: int = 4
    """Local operator accounts with money."""
    founders: tuple[bytes, ...] = ()
    """Accounts of the first governors; none for one local --dev governor with the whole key."""
    founder_threshold: int | None = None
    """k of them; None for the least that is more than two thirds."""
    evm_chain_id: int = EVM_CHAIN_ID_DEFAULT
    """EVM chain id."""
    port_base: int = PORT_BASE_DEFAULT
    """First port."""


@dataclass(frozen=True, slots=True)
class ManagementNode:
    """One validator."""

    name: str
    """Name of its process; the same for all on the embedded engine."""
    home: str
    """Its folder, relative to that of the chain."""
    cometbft_port: int
    """CometBFT RPC."""
    eth_port: int
    """``eth_*`` JSON-RPC; the same for all on the embedded engine."""
    consensus_key: KeyPlan
    """Votes."""
    p2p: tuple[KeyPlan, int] | None
    """Identity and port among its peers; None on the embedded engine."""


@dataclass(frozen=True, slots=True)
class ManagementPlan:
    """All of it."""

    wishes: ManagementWishes
    """What it was made from."""
    nodes: tuple[ManagementNode, ...]
    """Validators."""
    accounts: tuple[KeyPlan, ...]
    """Accounts with money: representatives, then operators."""
    founder: KeyPlan | None
    """Account of the one local governor; None where others found the chain."""
    governor: KeyPlan | None
    """The --dev governor key; None where others found the chain."""

    @property
    def cometbft_chain_id(self) -> str:
        """CometBFT's name of the chain."""
        return f"piebridge-management-{self.wishes.evm_chain_id}"

    @property
    def ports(self) -> dict[int, str]:
        """Every port, with what listens there."""
        users: dict[int, str] = {}
        for node in self.nodes:
            users[node.eth_port] = f"RPC of {node.name}"
            users[node.cometbft_port] = f"CometBFT RPC of {node.name}"
            if node.p2p is not None:
                users[node.p2p[1]] = f"P2P port of {node.name}"
        return users

    @property
    def rpc_urls(self) -> tuple[str, ...]:
        """Addresses of the ``eth_*`` JSON-RPC, each once."""
        return tuple(dict.fromkeys(f"http://{HOST}:{node.eth_port}" for node in self.nodes))

    @property
    def cometbft_urls(self) -> tuple[str, ...]:
        """Addresses of the CometBFT RPC."""
        return tuple(f"http://{HOST}:{node.cometbft_port}" for node in self.nodes)

    @property
    def funded(self) -> tuple[KeyPlan, ...]:
        """Local accounts that get money."""
        return (*self.accounts, *(() if self.founder is None else (self.founder,)))

    @property
    def keys(self) -> tuple[KeyPlan, ...]:
        """Every key to make."""
        nodes = (key for node in self.nodes for key in (node.consensus_key, node.p2p[0] if node.p2p else None))
        return tuple(key for key in (*nodes, self.governor, *self.funded) if key is not None)


def make_plan(wishes: ManagementWishes) -> ManagementPlan:
    """Lay out a management chain.

    Raises:
        ConfigurationError: a wish is out of range; the message names its option.
    """
    cometbft = wishes.engine is Engine.COMETBFT
    validators = wishes.validators if wishes.validators is not None else (4 if cometbft else 1)
    for option, value, least, most in (
        ("--validators", validators, 1, _VALIDATORS_MAX),
        ("--operators", wishes.operators, 0, _OPERATORS_MAX),
        ("--chain-id", wishes.evm_chain_id, 1, 2**53 - 1),
        ("--port-base", wishes.port_base, PORT_LEAST, PORT_LIMIT - 1),
    ):
        if not least <= value <= most:
            raise ConfigurationError(f"{option} {value}: from {least} to {most} is possible")
    if wishes.founder_threshold is not None and not wishes.founders:
        raise ConfigurationError("--governor-threshold needs --governor, once for each account")
    ports = count(wishes.port_base)
    eth_port = next(ports)
    local = not wishes.founders
    plan = ManagementPlan(
        wishes=wishes,
        nodes=tuple(_node(index, eth_port, ports, cometbft=cometbft) for index in range(validators)),
        accounts=tuple(
            KeyPlan(name, KeyPurpose.USER)
            for name in (*ACCOUNT_NAMES, *(OPERATOR_NAME.format(number + 1) for number in range(wishes.operators)))
        ),
        founder=KeyPlan("founder", KeyPurpose.USER) if local else None,
        governor=KeyPlan("governor", KeyPurpose.GOVERNOR) if local else None,
    )
    if (highest := max(plan.ports)) >= PORT_LIMIT:
        raise ConfigurationError(
            f"--port-base {wishes.port_base}: this chain needs ports up to {highest}, which is not below {PORT_LIMIT}"
        )
    return plan


def _node(index: int, eth_port: int, ports: Iterator[int], *, cometbft: bool) -> ManagementNode:
    name = f"{CHAIN_NAME}-validator-{index}"
    return ManagementNode(
        name=name if cometbft else CHAIN_NAME,
        home=f"chain/validator-{index}" if cometbft else "chain",
        eth_port=next(ports) if cometbft and index else eth_port,
        cometbft_port=next(ports),
        consensus_key=KeyPlan(f"{name}-consensus", KeyPurpose.CONSENSUS),
        p2p=(KeyPlan(f"{name}-p2p", KeyPurpose.P2P), next(ports)) if cometbft else None,
    )
