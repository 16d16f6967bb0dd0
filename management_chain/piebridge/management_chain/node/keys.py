"""The keys of a node, made when it is offered and used in one relay chain only.

A node's folder holds three keystores and ``node.json``, which says what is not secret. After a seat has ended the node
is offered again with new keys in a new folder.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from piebridge.abci.cometbft.config import node_id
from piebridge.crypto import keystore
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.keystore import KeyPurpose
from piebridge.crypto.signature import public_key_of, sign_recoverable
from piebridge.management_chain.durable_file import read_if_there, write_durably
from piebridge.protocol_stack.management.digests import OfferKey
from piebridge.protocol_stack.management.offer import NodeOffer, Peer
from piebridge.protocol_stack.management.tags import Place

FILE_NAME: Final = "node.json"
_KEY_FILES: Final = {
    KeyPurpose.CONSENSUS: "consensus.json",
    KeyPurpose.ENDORSEMENT: "endorsement.json",
    KeyPurpose.P2P: "p2p.json",
}


@dataclass(frozen=True, slots=True)
class OwnNode:
    """A node of this agent: what is not secret, and where the rest is."""

    folder: Path
    """Where its keys are."""
    consensus_key: bytes
    """Compressed, 33 bytes."""
    endorsement_address: bytes
    """20 bytes."""
    peer_id: str
    """CometBFT's node id, 40 hex digits."""
    rpc_port: int
    """Port of CometBFT's RPC."""
    p2p_port: int
    """Port for the other validators."""
    host: str = "127.0.0.1"
    """Address on which the RPC listens."""
    p2p_host: str = "127.0.0.1"
    """Address on which the node listens for other validators."""

    def key_file(self, purpose: KeyPurpose) -> Path:
        """Return the keystore of one of its keys."""
        return self.folder / _KEY_FILES[purpose]

    def offer(
        self, agent: bytes, capacity: int, available_from: int, available_until: int, peer_address: str, endpoint: str
    ) -> NodeOffer:
        """Return what its operator offers to the market.

        Args:
            agent: account that reports for it, 20 bytes.
            capacity: packets a second, as measured.
            available_from: Unix seconds.
            available_until: Unix seconds.
            peer_address: ``host:port`` at which other validators reach it.
            endpoint: URL of its RPC for gateways.
        """
        peer = Peer(bytes.fromhex(self.peer_id), peer_address)
        return NodeOffer(
            self.consensus_key,
            self.endorsement_address,
            agent,
            capacity,
            available_from,
            available_until,
            peer,
            endpoint,
        )

    def sign_offer(
        self, offer: NodeOffer, market: Place, operator: int, passphrase: str, *, dev: bool = False
    ) -> tuple[bytes, bytes]:
        """Show possession of both keys.

        Args:
            offer: of this node.
            market: the NodeMarket.
            operator: number of the operator.
            passphrase: of the keystores.
            dev: accept light scrypt.

        Returns:
            Signatures of the endorsement key and of the consensus key, 65 bytes each.
        """
        signatures = []
        for purpose, key in (
            (KeyPurpose.ENDORSEMENT, OfferKey.ENDORSEMENT),
            (KeyPurpose.CONSENSUS, OfferKey.CONSENSUS),
        ):
            secret = keystore.load(self.key_file(purpose), purpose, passphrase, dev=dev)
            signatures.append(sign_recoverable(offer.digest(market, operator, key), secret))
        return signatures[0], signatures[1]


def make_node(
    folder: Path,
    passphrase: str,
    *,
    rpc_port: int,
    p2p_port: int,
    host: str = "127.0.0.1",
    p2p_host: str = "127.0.0.1",
    dev: bool = False,
) -> OwnNode:
    """Make fresh keys for a node in a new folder, and its ``node.json``.

    Raises:
        ConfigurationError: the folder holds a node already, or cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be made: {error}") from error
    for purpose in _KEY_FILES:
        keystore.generate(folder / _KEY_FILES[purpose], purpose, passphrase, dev=dev)
    consensus, endorsement, p2p = (
        keystore.load(folder / _KEY_FILES[purpose], purpose, passphrase, dev=dev) for purpose in _KEY_FILES
    )
    from piebridge.crypto.signature import address_of_private_key

    document = {
        "version": 1,
        "consensus_key": public_key_of(consensus).hex(),
        "endorsement_address": address_of_private_key(endorsement).hex(),
        "peer_id": node_id(p2p),
        "rpc_port": rpc_port,
        "p2p_port": p2p_port,
        "host": host,
        "p2p_host": p2p_host,
    }
    write_durably(folder / FILE_NAME, json.dumps(document, indent=2, sort_keys=True).encode() + b"\n")
    return load_node(folder)


def load_node(folder: Path) -> OwnNode:
    """Read what a node's folder says of it.

    Raises:
        ConfigurationError: it holds no node.
    """
    path = folder / FILE_NAME
    data = read_if_there(path)
    if data is None:
        raise ConfigurationError(f"{path} does not exist: `piebridge node offer` makes it")
    try:
        document = json.loads(data)
        return OwnNode(
            folder,
            bytes.fromhex(document["consensus_key"]),
            bytes.fromhex(document["endorsement_address"]),
            str(document["peer_id"]),
            int(document["rpc_port"]),
            int(document["p2p_port"]),
            str(document["host"]),
            str(document["p2p_host"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is no description of a node: {error!r}") from error
