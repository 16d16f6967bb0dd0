"""How the command of a relay chain is called: the agent never imports the relay chain, it starts its program."""

from dataclasses import dataclass
from pathlib import Path

from piebridge.crypto.keystore import KeyPurpose
from piebridge.management_chain.node.keys import OwnNode
from piebridge.protocol_stack.management.parameters import Consensus


@dataclass(frozen=True, slots=True)
class LaunchSettings:
    """What is the same for all processes of an agent."""

    command: tuple[str, ...]
    """Program and arguments that stand for ``piebridge``."""
    passphrase_file: Path
    """Passphrase of the nodes' keystores."""
    dev: bool = False
    """Accept keys of a local network."""
    timing: str = "wide"
    """How far apart validators are, ``local`` or ``wide``."""


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """What a process is to be."""

    consensus: Consensus
    """Engine."""
    chain_id: str
    """CometBFT's name of its chain."""
    home: Path
    """Its folder."""
    genesis: Path
    """Genesis document."""
    nodes: tuple[OwnNode, ...]
    """Its validators, in the order of the set."""
    peers: tuple[str, ...]
    """``ID@HOST:PORT`` of the other validators."""
    block_interval_milliseconds: int
    """Wished time between two blocks."""

    @property
    def rpc_url(self) -> str:
        """CometBFT's RPC of the first validator."""
        return f"http://{self.nodes[0].host}:{self.nodes[0].rpc_port}"

    def arguments(self, settings: LaunchSettings) -> list[str]:
        """Return the command line."""
        first = self.nodes[0]
        line = [*settings.command, "chain", "run", "relay"]
        line += ["--home", str(self.home), "--genesis", str(self.genesis), "--host", first.host]
        for node in self.nodes:
            line += ["--validator-key", str(node.key_file(KeyPurpose.CONSENSUS))]
            line += ["--endorsement-key", str(node.key_file(KeyPurpose.ENDORSEMENT))]
            line += ["--rpc-port", str(node.rpc_port)]
        line += ["--block-interval", f"{self.block_interval_milliseconds / 1000:.3f}"]
        line += ["--passphrase-file", str(settings.passphrase_file)]
        if settings.dev:
            line.append("--dev")
        if self.consensus is Consensus.COMETBFT:
            line += ["--engine", "cometbft", "--timing", settings.timing]
            line += ["--p2p-port", str(first.p2p_port), "--p2p-host", first.p2p_host]
            line += ["--p2p-key", str(first.key_file(KeyPurpose.P2P))]
            for peer in self.peers:
                line += ["--peer", peer]
        return line
