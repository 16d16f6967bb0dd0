"""Where other validators were reached last: an agent that starts while the management chain is away goes on with it."""

import json
from collections.abc import Mapping
from pathlib import Path

from piebridge.crypto.errors import DecodingError
from piebridge.management_chain.durable_file import read_if_there, write_durably
from piebridge.protocol_stack.management.offer import Peer


class PeersFile:
    """A file that may be lost: it only helps to find others."""

    def __init__(self, path: Path) -> None:
        """Keep peers in a file."""
        self._path = path

    def load(self) -> dict[int, Peer]:
        """Return what was kept; nothing where there is no file, or none that can be read."""
        data = read_if_there(self._path)
        try:
            document = json.loads(data) if data else {}
            return {int(node): Peer.decode(bytes.fromhex(peer)) for node, peer in document.items()}
        except (ValueError, AttributeError, TypeError, DecodingError):
            return {}

    def save(self, peers: Mapping[int, Peer]) -> None:
        """Keep peers by the numbers of their nodes."""
        document = {str(node): peer.encode().hex() for node, peer in sorted(peers.items())}
        write_durably(self._path, json.dumps(document).encode())
