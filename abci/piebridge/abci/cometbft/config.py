"""The files of a CometBFT node as pure functions of what it is to be.

``config.toml`` names only what differs from CometBFT's defaults or what safety rests on.

Sources: ``config/config.go``, ``config/toml.go``, ``p2p/key.go``, ``privval/file.go`` of CometBFT v0.40.0.
"""

import base64
import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from piebridge.abci.embedded.keys import ValidatorKey
from piebridge.cometbft.json_format import hex_bytes, public_key_to_json
from piebridge.crypto import ed25519
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.hash import sha256

SOCKET_NAME: Final = "abci.sock"
"""Unix socket of the application, in the folder in which the node runs."""

_NODE_ID = re.compile(r"[0-9a-f]{40}")
_HOST = re.compile(r"[0-9A-Za-z.:\[\]-]+")
_SAFE_TEXT = re.compile(r"[0-9A-Za-z._-]{1,64}")


class Timing(StrEnum):
    """How far apart the validators are."""

    LOCAL = "local"
    """On one machine or in one room: a round costs little, so it may fail soon."""
    WIDE = "wide"
    """Anywhere: CometBFT's defaults."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another validator's node."""

    node_id: str
    """40 hex digits, see :func:`node_id`."""
    host: str
    """Name or address."""
    port: int
    """P2P port."""

    @classmethod
    def parse(cls, text: str) -> "Peer":
        """Read ``ID@HOST:PORT``.

        Raises:
            ConfigurationError: not of this form.
        """
        identity, at, address = text.partition("@")
        host, _, port = address.rpartition(":")
        if not (at and _NODE_ID.fullmatch(identity) and _HOST.fullmatch(host) and port.isascii() and port.isdigit()):
            raise ConfigurationError(f"peer {text!r} is not ID@HOST:PORT with an id of 40 hex digits")
        if not 0 < int(port) < 65_536:
            raise ConfigurationError(f"peer {text!r}: {port} is no port")
        return cls(identity, host, int(port))

    def __str__(self) -> str:
        """Write ``ID@HOST:PORT``."""
        return f"{self.node_id}@{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What a node is to be. The genesis document says what its chain is."""

    moniker: str
    """Name for people: letters, digits, dot, underscore, hyphen."""
    rpc_port: int
    """TCP port of the RPC."""
    p2p_port: int
    """TCP port for its peers."""
    peers: tuple[Peer, ...] = ()
    """All others, to which it keeps a connection."""
    rpc_host: str = "127.0.0.1"
    """Address that the RPC listens on."""
    p2p_host: str = "127.0.0.1"
    """Address that it listens on for peers."""
    block_interval_seconds: float = 1.0
    """Least time between two blocks (``timeout_commit``)."""
    create_empty_blocks: bool = False
    """Make blocks although nothing waits."""
    create_empty_blocks_interval_seconds: float = 5.0
    """Make one at least this often, so that the chain's time goes on; 0 never."""
    timing: Timing = Timing.LOCAL
    """How far apart the validators are."""
    log_level: str = field(default="main:info,*:error")
    """CometBFT's own log."""

    @property
    def own_rpc_address(self) -> str:
        """``http://host:port`` at which the node's own machine reaches its RPC."""
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(self.rpc_host, self.rpc_host)
        return f"http://{host}:{self.rpc_port}"

    def __post_init__(self) -> None:
        """Refuse what would break the file or the node.

        Raises:
            ConfigurationError: names the setting.
        """
        if not _SAFE_TEXT.fullmatch(self.moniker):
            raise ConfigurationError(f"moniker {self.moniker!r}: 1 to 64 letters, digits, dots, underscores, hyphens")
        for name, host in (("rpc_host", self.rpc_host), ("p2p_host", self.p2p_host)):
            if not _HOST.fullmatch(host):
                raise ConfigurationError(f"{name} {host!r} is no host name or address")
        for name, port in (("RPC port", self.rpc_port), ("P2P port", self.p2p_port)):
            if not 0 < port < 65_536:
                raise ConfigurationError(f"{name} {port} is no port")
        if self.block_interval_seconds <= 0 or self.create_empty_blocks_interval_seconds < 0:
            raise ConfigurationError("block interval must be above 0, interval of empty blocks at least 0")
        if not re.fullmatch(r"[a-z0-9:,*-]+", self.log_level):
            raise ConfigurationError(f"log level {self.log_level!r} is none of CometBFT's")


_CONSENSUS: Final = {
    # A validator that is down costs its turn as proposer timeout_propose each time. Rounds that fail get longer by the
    # delta, so a machine under load makes progress all the same.
    Timing.LOCAL: {
        "timeout_propose": '"500ms"',
        "timeout_propose_delta": '"500ms"',
        "timeout_prevote": '"200ms"',
        "timeout_prevote_delta": '"200ms"',
        "timeout_precommit": '"200ms"',
        "timeout_precommit_delta": '"200ms"',
        "peer_gossip_sleep_duration": '"10ms"',
    },
    Timing.WIDE: {},
}
_P2P: Final = {
    Timing.LOCAL: {"flush_throttle_timeout": '"5ms"', "send_rate": "52428800", "recv_rate": "52428800"},
    Timing.WIDE: {},
}


def config_toml(settings: NodeSettings) -> str:
    """Write ``config.toml``: the same text for the same settings."""
    sections: dict[str, dict[str, str]] = {
        "": {
            "moniker": _text(settings.moniker),
            "proxy_app": _text(f"unix://{SOCKET_NAME}"),
            "abci": _text("socket"),
            "log_level": _text(settings.log_level),
            "log_format": _text("plain"),
        },
        "rpc": {
            "laddr": _text(f"tcp://{settings.rpc_host}:{settings.rpc_port}"),
            "grpc_laddr": _text(""),
            "pprof_laddr": _text(""),
            "unsafe": "false",
            "max_request_batch_size": "100",
            "max_body_bytes": "8388608",
        },
        "p2p": {
            "laddr": _text(f"tcp://{settings.p2p_host}:{settings.p2p_port}"),
            "persistent_peers": _text(",".join(map(str, settings.peers))),
            "unconditional_peer_ids": _text(",".join(peer.node_id for peer in settings.peers)),
            # The peers of a relay chain are named; nobody else is looked for or told of.
            "pex": "false",
            "addr_book_strict": "false",
            "allow_duplicate_ip": "true",
            "persistent_peers_max_dial_period": _text("2s"),
            **_P2P[settings.timing],
        },
        "mempool": {"type": _text("flood"), "recheck": "true"},
        "statesync": {"enable": "false"},
        "consensus": {
            "timeout_commit": _text(f"{round(settings.block_interval_seconds * 1000)}ms"),
            "skip_timeout_commit": "false",
            "create_empty_blocks": "true" if settings.create_empty_blocks else "false",
            "create_empty_blocks_interval": _text(f"{round(settings.create_empty_blocks_interval_seconds * 1000)}ms"),
            **_CONSENSUS[settings.timing],
        },
        "storage": {"discard_abci_responses": "false"},
        "tx_index": {"indexer": _text("kv")},
        "instrumentation": {"prometheus": "false"},
    }
    lines = ["# Written by PieBridge at every start of the node; change the options of `piebridge chain run` instead."]
    for name, values in sections.items():
        lines += ["", f"[{name}]"] if name else []
        lines += [f"{key} = {value}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def node_id(seed: bytes) -> str:
    """Return the id by which peers know a node: 40 hex digits of its ed25519 key.

    Args:
        seed: private key, 32 bytes.
    """
    return sha256(ed25519.public_key_of(seed))[:20].hex()


def node_key_json(seed: bytes) -> str:
    """Write ``node_key.json``: the identity of a node among its peers.

    Args:
        seed: private key, 32 bytes.
    """
    value = base64.b64encode(seed + ed25519.public_key_of(seed)).decode()
    return json.dumps({"priv_key": {"type": "tendermint/PrivKeyEd25519", "value": value}}) + "\n"


def validator_key_json(key: ValidatorKey) -> str:
    """Write ``priv_validator_key.json`` of type ``secp256k1eth``."""
    document = {
        "address": hex_bytes(key.address),
        "pub_key": public_key_to_json(key.public_key),
        "priv_key": {
            "type": "tendermint/PrivKeySecp256k1eth",
            "value": base64.b64encode(key.private_key).decode(),
        },
    }
    return json.dumps(document, indent=2) + "\n"


FIRST_VALIDATOR_STATE: Final = '{"height": "0", "round": 0, "step": 0}\n'
"""``priv_validator_state.json`` of a key that has never signed."""


def _text(value: str) -> str:
    return json.dumps(value)
