"""What a follower trusts: one header of the management chain, moved on by the light client and kept on disk.

Everything that counts is proven under it. Who loses the file starts again from the trust root of the configuration;
who does not look for longer than the trusting period needs a new one.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from piebridge.cometbft.verification import SignedHeader
from piebridge.crypto.errors import ConfigurationError, VerificationError
from piebridge.management_chain.durable_file import read_if_there, write_durably
from piebridge.protocol_stack.relay_messages import LightBlock
from piebridge.protocol_stack.verification.light_clients.cometbft import (
    ClientParameters,
    ConsensusState,
    is_misbehaviour,
    verify_update,
)

DEFAULT_TRUSTING_PERIOD_SECONDS: Final = 14 * 24 * 3600
"""How long a header may vouch for later ones, unless the configuration says otherwise."""
DEFAULT_CLOCK_DRIFT_SECONDS: Final = 10
"""How far a header's time may lie in the future."""


class ForkError(VerificationError):
    """Two headers of the management chain verify that exclude each other: more than a third of its power is corrupt."""


@dataclass(frozen=True, slots=True)
class TrustRoot:
    """Header from which a follower starts. A person vouches for it, who had it from several sources."""

    chain_id: str
    """CometBFT's name of the management chain."""
    height: int
    """Height of the header."""
    header_hash: bytes
    """Its hash, 32 bytes."""
    trusting_period_seconds: int = DEFAULT_TRUSTING_PERIOD_SECONDS
    """How long a header may vouch for later ones; below the time in which a validator can leave with its bond."""
    clock_drift_seconds: int = DEFAULT_CLOCK_DRIFT_SECONDS
    """How far a header's time may lie in the future."""

    @property
    def parameters(self) -> ClientParameters:
        """The light client's parameters."""
        return ClientParameters(self.chain_id, self.trusting_period_seconds, self.clock_drift_seconds)

    def first_state(self, signed: SignedHeader) -> ConsensusState:
        """Take over the header that the root names.

        Raises:
            VerificationError: it is another one.
        """
        header = signed.header
        found = (header.chain_id, header.height, header.hash())
        if found != (self.chain_id, self.height, self.header_hash):
            raise VerificationError(
                "header is not the one that the trust root names", expected=self.header_hash, actual=header.hash()
            )
        return ConsensusState(
            header.height, header.hash(), header.time_ns, header.app_hash, header.next_validators_hash
        )


class Trust:
    """The newest header that is trusted. Pure but for the file that it is kept in."""

    def __init__(self, root: TrustRoot, path: Path) -> None:
        """Take up what was trusted last.

        Args:
            root: where to start if nothing is kept.
            path: file in which it is kept; its folder exists.

        Raises:
            ConfigurationError: the file is none of ours, or of another chain.
        """
        self._root, self._path = root, path
        self._frozen = ""
        self.state: ConsensusState | None = self._load()
        """The header; None before the first one was fetched."""

    @property
    def root(self) -> TrustRoot:
        """Where trust starts."""
        return self._root

    def start(self, signed: SignedHeader) -> ConsensusState:
        """Take over the header of the root.

        Raises:
            VerificationError: it is another one.
        """
        state = self._root.first_state(signed)
        self._keep(state)
        return state

    def update(self, claim: LightBlock, now_ns: int) -> ConsensusState:
        """Verify a later header and trust it from now on.

        Raises:
            DecodingError: the claim is not well-formed.
            VerificationError: it may not be trusted.
        """
        assert self.state is not None, "nothing is trusted yet"
        state = verify_update(self._root.parameters, self.state, claim, now_ns)
        self._keep(state)
        return state

    def compare(self, before: ConsensusState, one: LightBlock, other: LightBlock, now_ns: int) -> None:
        """Look at what two nodes say that differ about a height.

        Args:
            before: what was trusted before the newest update: both claims are verified from there.
            one: header of one node.
            other: header of another node, of the same height.
            now_ns: nanoseconds since the Unix epoch.

        Raises:
            VerificationError: a claim does not verify: that node lies, and nothing follows from it.
            ForkError: both verify and exclude each other. Nothing is believed any more.
        """
        first, second = (verify_update(self._root.parameters, before, claim, now_ns) for claim in (one, other))
        if is_misbehaviour(second, (first,)):
            assert self.state is not None, "trust was started"
            self._frozen = (
                f"management chain {self._root.chain_id} has forked at height {first.height_on_source}: "
                f"0x{first.header_hash.hex()} and 0x{second.header_hash.hex()} are both signed; find out which "
                "chain goes on, then start from a new trust root in a new data folder"
            )
            self._keep(self.state)
            raise ForkError(self._frozen)

    def check(self) -> None:
        """Refuse to go on after a fork.

        Raises:
            ForkError: the chain has forked before, as far as this follower has seen.
        """
        if self._frozen:
            raise ForkError(self._frozen)

    def _keep(self, state: ConsensusState) -> None:
        document = {
            "chain_id": self._root.chain_id,
            "frozen": self._frozen,
            "state": {key: value.hex() if isinstance(value, bytes) else value for key, value in asdict(state).items()},
        }
        write_durably(self._path, json.dumps(document, sort_keys=True).encode())
        self.state = state

    def _load(self) -> ConsensusState | None:
        data = read_if_there(self._path)
        if data is None:
            return None
        try:
            document = json.loads(data)
            state = document["state"]
            loaded = ConsensusState(
                int(state["height_on_source"]),
                bytes.fromhex(state["header_hash"]),
                int(state["time_ns"]),
                bytes.fromhex(state["app_hash"]),
                bytes.fromhex(state["next_validators_hash"]),
            )
            chain_id, self._frozen = document["chain_id"], str(document["frozen"])
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                f"{self._path} is no trusted header ({error!r}): move it away to start again from the trust root"
            ) from error
        if chain_id != self._root.chain_id:
            raise ConfigurationError(
                f"{self._path} is of chain {chain_id}, not {self._root.chain_id}: give each chain a folder of its own"
            )
        return loaded
