"""State of a relay chain: two authenticated stores over one key-value backend.

* ``state``: everything, a sparse Merkle tree over SHA-256 of the key, so that our own client can prove absence too;
* ``endorsed``: the few values that a stock CometBFT client reads, a simple map.

The app hash is the simple map of both roots (formats, section 12.1). Values live in the backend, trees in memory; they
are rebuilt from the values when a chain starts again.

Nothing reaches the backend before :meth:`RelayState.commit`, which writes values, height and an undo log of that height
in one atomic batch. So a backend opens exactly at the last commit, and :func:`roll_back` can take back that one
version (``cometbft rollback``).

Values are proven for the newest height and for the one before it: the header that carries an app hash is the next one,
so the newest height whose proof can be checked already is the one before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from piebridge.crypto import simple_map
from piebridge.crypto.errors import ConfigurationError
from piebridge.crypto.simple_map import ValueOperator
from piebridge.crypto.sparse_merkle import SparseMerkleProof, SparseMerkleTree

STORE_STATE = b"state"
"""Name of the store that holds everything."""
STORE_ENDORSED = b"endorsed"
"""Name of the store for stock clients."""

STATE_PREFIX = b"s"
"""First byte of a backend key whose rest is a key of the store ``state``."""
ENDORSED_PREFIX = b"e"
"""First byte of a backend key whose rest is a key of the store ``endorsed``."""

READ_CACHE_MAX = 20_000
"""Committed values that are kept in memory, at most."""

_META_HEIGHT = b"m/height"
_META_APP_HASH = b"m/app_hash"
_META_UNDO = b"m/undo"


class Backend(Protocol):
    """Durable key-value storage: the port to the disk."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or None."""
        ...

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the values of those of the ``keys`` that are there."""
        ...

    def items(self, prefix: bytes) -> Iterable[tuple[bytes, bytes]]:
        """Return all pairs whose key starts with ``prefix``, in any order."""
        ...

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Apply all changes or none, durable when it returns; None deletes."""
        ...


class MemoryBackend:
    """A backend for tests and tools: a dictionary."""

    def __init__(self, pairs: Mapping[bytes, bytes] | None = None) -> None:
        """Start from a copy of ``pairs``."""
        self.pairs: dict[bytes, bytes] = dict(pairs or {})

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, or None."""
        return self.pairs.get(key)

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the values of those of the ``keys`` that are there."""
        return {key: self.pairs[key] for key in keys if key in self.pairs}

    def items(self, prefix: bytes) -> Iterable[tuple[bytes, bytes]]:
        """Return all pairs whose key starts with ``prefix``."""
        return [(key, value) for key, value in self.pairs.items() if key.startswith(prefix)]

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Apply all changes."""
        for key, value in changes.items():
            if value is None:
                self.pairs.pop(key, None)
            else:
                self.pairs[key] = value


class Reader(Protocol):
    """What can be read, committed or in the making."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a backend key, or None."""
        ...


class Overlay:
    """Changes above a reader, to be kept or thrown away: a block above committed state, a transaction above a block."""

    def __init__(self, below: Reader) -> None:
        """Start without changes."""
        self._below = below
        self.changes: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """Return the newest value of ``key``, or None."""
        if key in self.changes:
            return self.changes[key]
        return self._below.get(key)

    def set(self, key: bytes, value: bytes | None) -> None:
        """Change one value; None deletes."""
        self.changes[key] = value

    def child(self) -> "Overlay":
        """Return an overlay above this one."""
        return Overlay(self)

    def absorb(self, child: "Overlay") -> None:
        """Take over the changes of a child."""
        self.changes.update(child.changes)


@dataclass(frozen=True, slots=True)
class _Version:
    """Both authenticated stores at one height."""

    state: SparseMerkleTree
    endorsed: Mapping[bytes, bytes]

    @property
    def roots(self) -> dict[bytes, bytes]:
        return {STORE_STATE: self.state.root, STORE_ENDORSED: simple_map.root(self.endorsed)}

    @property
    def app_hash(self) -> bytes:
        return simple_map.root(self.roots)

    def updated(self, changes: Mapping[bytes, bytes | None]) -> "_Version":
        """Return the version with new values by backend key (first byte: the store); None deletes."""
        endorsed = dict(self.endorsed)
        for key, value in changes.items():
            if not key.startswith(ENDORSED_PREFIX):
                continue
            if value is None:
                endorsed.pop(key[1:], None)
            else:
                endorsed[key[1:]] = value
        state = {key[1:]: value for key, value in changes.items() if key.startswith(STATE_PREFIX)}
        return _Version(self.state.update(state), endorsed)


@dataclass(frozen=True, slots=True)
class _Staged:
    """The version that is being made."""

    height: int
    version: _Version
    changes: Mapping[bytes, bytes | None]
    """New values by backend key, where they differ from the committed ones."""
    before: Mapping[bytes, bytes | None]
    """The committed values of the same keys."""


@dataclass(frozen=True, slots=True)
class _Previous:
    """The version before the committed one."""

    height: int
    version: _Version
    undo: Mapping[bytes, bytes | None]
    """Values of that version by backend key, where they differ from the committed ones."""


@dataclass(frozen=True, slots=True)
class StateProof:
    """Proof of a value, or of an absence, in the store ``state``."""

    value: bytes | None
    """The value, or None where the key is absent."""
    proof: SparseMerkleProof
    """From the key to the root of the store."""
    store: ValueOperator
    """From the root of the store to the app hash."""


@dataclass(frozen=True, slots=True)
class EndorsedProof:
    """Proof of a value in the store ``endorsed``."""

    value: bytes
    """The value."""
    inner: ValueOperator
    """From the value to the root of the store."""
    outer: ValueOperator
    """From the root of the store to the app hash."""


class RelayState:
    """Committed state with the version that is being made above it."""

    def __init__(self, backend: Backend) -> None:
        """Open the state exactly at its last commit.

        Raises:
            ConfigurationError: the values on disk do not hash to the app hash that was committed with them.
        """
        self._backend = backend
        pairs = {key[1:]: value for key, value in backend.items(STATE_PREFIX)}
        endorsed = {key[1:]: value for key, value in backend.items(ENDORSED_PREFIX)}
        self._version = _Version(SparseMerkleTree().update(pairs), endorsed)
        self._next: _Staged | None = None
        self._read: dict[bytes, bytes | None] = {}
        height = backend.get(_META_HEIGHT)
        self.height = int.from_bytes(height, "big") if height is not None else 0
        """Height of the last commit, 0 before the first."""
        self._previous = _previous_of(backend, self._version)
        if height is not None and backend.get(_META_APP_HASH) != self._version.app_hash:
            raise ConfigurationError(
                f"the relay chain's storage is damaged: its values at height {self.height} do not hash to the "
                "committed app hash; restore it from a copy or start this validator again from an empty directory"
            )

    @property
    def app_hash(self) -> bytes:
        """App hash of the last commit, 32 bytes."""
        return self._version.app_hash

    def get(self, key: bytes) -> bytes | None:
        """Return a committed value by its backend key (first byte: the store)."""
        try:
            return self._read[key]
        except KeyError:
            value = self._backend.get(key)
        self._keep(key, value)
        return value

    def items(self, prefix: bytes) -> Iterable[tuple[bytes, bytes]]:
        """Return all committed pairs whose backend key starts with ``prefix``, in any order."""
        return self._backend.items(prefix)

    def stage(self, height: int, changes: Mapping[bytes, bytes | None]) -> bytes:
        """Compute the next version in memory and return its app hash; a second call replaces the first.

        Args:
            height: height of the version.
            changes: new values by backend key (first byte: the store); None deletes.
        """
        known = self._get_many(changes)
        real = {key: value for key, value in changes.items() if known[key] != value}
        version = self._version.updated(real)
        self._next = _Staged(height, version, real, {key: known[key] for key in real})
        return version.app_hash

    def commit(self) -> None:
        """Make the staged version durable and current."""
        assert self._next is not None, "commit without a staged version"
        staged = self._next
        meta = {_META_HEIGHT: staged.height.to_bytes(8, "big"), _META_APP_HASH: staged.version.app_hash}
        undo = {**staged.before, **{key: self._backend.get(key) for key in meta}}
        ordered = dict(sorted(undo.items()))
        self._backend.write({**staged.changes, **meta, _META_UNDO: _encode_undo(ordered)})
        self._previous = _Previous(self.height, self._version, undo) if self.height else None
        self.height, self._version, self._next = staged.height, staged.version, None
        # What is kept in memory is what the backend holds; a value that no longer is has no place there.
        for key, value in staged.changes.items():
            if key in self._read:
                self._read[key] = value

    def _get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes | None]:
        """Return the committed values of many keys at once, without keeping those that were not kept before."""
        kept = self._read
        found = {key: kept[key] for key in keys if key in kept}
        missing = [key for key in keys if key not in found]
        read = self._backend.get_many(missing)
        for key in missing:
            found[key] = read.get(key)
        return found

    def _keep(self, key: bytes, value: bytes | None) -> None:
        if len(self._read) >= READ_CACHE_MAX:
            self._read.clear()
        self._read[key] = value

    @property
    def provable_height(self) -> int:
        """Newest height whose app hash is in a header already: the one before the last commit, where there is one."""
        return self._previous.height if self._previous is not None else self.height

    def has_height(self, height: int) -> bool:
        """Tell whether values of that height can be proven."""
        return height == self.height or (self._previous is not None and height == self._previous.height)

    def prove_state(self, key: bytes, height: int) -> StateProof:
        """Prove a value of ``state`` at a height of :meth:`has_height`, or its absence, by its key in that store."""
        version, undo = self._at(height)
        backend_key = STATE_PREFIX + key
        value = undo[backend_key] if backend_key in undo else self.get(backend_key)
        return StateProof(value, version.state.prove(key), simple_map.prove(version.roots, STORE_STATE))

    def prove_endorsed(self, key: bytes, height: int) -> EndorsedProof:
        """Prove a value of ``endorsed`` at a height of :meth:`has_height` by its key in that store.

        Raises:
            KeyError: there is no such key; absence cannot be proved in this store.
        """
        version, _ = self._at(height)
        return EndorsedProof(
            version.endorsed[key],
            simple_map.prove(version.endorsed, key),
            simple_map.prove(version.roots, STORE_ENDORSED),
        )

    def _at(self, height: int) -> tuple[_Version, Mapping[bytes, bytes | None]]:
        """Return the version of a height and the values in which it differs from the committed one."""
        if height == self.height:
            return self._version, {}
        assert self._previous is not None, f"height {height} is not kept"
        assert height == self._previous.height, f"height {height} is not kept"
        return self._previous.version, self._previous.undo


def _previous_of(backend: Backend, version: _Version) -> _Previous | None:
    undo = backend.get(_META_UNDO)
    if undo is None:
        return None
    values = _decode_undo(undo)
    height = values.get(_META_HEIGHT)
    return None if height is None else _Previous(int.from_bytes(height, "big"), version.updated(values), values)


def roll_back(backend: Backend) -> int:
    """Take back the last commit of a closed state, once, and return the height before it.

    Raises:
        ConfigurationError: there is no commit to take back, or it was taken back already.
    """
    undo = backend.get(_META_UNDO)
    if undo is None:
        raise ConfigurationError("the relay chain's storage keeps one previous version, and that is the current one")
    backend.write({**_decode_undo(undo), _META_UNDO: None})
    height = backend.get(_META_HEIGHT)
    return int.from_bytes(height, "big") if height is not None else 0


def _encode_undo(undo: Mapping[bytes, bytes | None]) -> bytes:
    parts = bytearray()
    for key, value in undo.items():
        parts += len(key).to_bytes(4, "big") + key
        parts += b"\x00" if value is None else b"\x01" + len(value).to_bytes(4, "big") + value
    return bytes(parts)


def _decode_undo(data: bytes) -> dict[bytes, bytes | None]:
    undo: dict[bytes, bytes | None] = {}
    position = 0

    def take(length: int) -> bytes:
        nonlocal position
        position += length
        return data[position - length : position]

    while position < len(data):
        key = take(int.from_bytes(take(4), "big"))
        undo[key] = take(int.from_bytes(take(4), "big")) if take(1) == b"\x01" else None
    return undo
