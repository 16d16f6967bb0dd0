"""The gateway's decisions, without IO, clock or randomness.

Five verbs, as of a network protocol's core: :meth:`PacketForwarder.receive` takes what happened,
:meth:`~PacketForwarder.effects` tells what to do, :meth:`~PacketForwarder.next_timeout` and
:meth:`~PacketForwarder.handle_timeout` carry time. Whoever runs it carries effects out, in any order and with any luck:
answers may be lost, late or doubled. Safety does not rest on it at all; hubs and relay chains check everything.
"""

from dataclasses import replace
from itertools import count

from piebridge.gateway.forwarder.model import (
    Authenticated,
    Checked,
    Defer,
    Effect,
    Event,
    Failed,
    Flow,
    Item,
    ItemsObserved,
    PathKey,
    Recheck,
    Submitted,
)
from piebridge.gateway.forwarder.path import Path, PathStatus
from piebridge.gateway.forwarder.settings import ForwarderSettings


class PacketForwarder:
    """Decides for all paths of a gateway. ``now`` is Unix seconds and must never run backwards."""

    def __init__(self, settings: ForwarderSettings | None = None) -> None:
        """Start with nothing known; the reconciler tells what is on the chains."""
        self._settings = settings or ForwarderSettings()
        self._paths: dict[PathKey, Path] = {}
        # Most paths have nothing to do most of the time, so each is asked only after an event, or when its time has
        # come by its own word.
        self._stirred: set[Path] = set()
        self._due: dict[Path, float] = {}
        self._ids = count(1)
        self._owners: dict[int, Path] = {}
        self._finished: list[tuple[PathKey, Item]] = []

    def receive(self, event: Event, now: float) -> None:
        """Take an event."""
        if isinstance(event, ItemsObserved):
            self._path(event.path).observe(event, now)
            return
        if isinstance(event, Recheck):
            self._path(event.path).recheck()
            return
        if isinstance(event, Defer):
            self._path(event.path).defer(event)
            return
        path = self._owners.pop(event.effect_id, None)
        if path is None:
            return  # late or doubled
        self._stirred.add(path)
        if isinstance(event, Checked):
            path.checked(event, now)
            self._collect_finished(path, now)
        elif isinstance(event, Authenticated):
            path.authenticated(event, now)
        elif isinstance(event, Submitted):
            if path.submitted(event, now):
                self._recheck_after(path)
        elif isinstance(event, Failed):
            path.failed(event, now)

    def effects(self, now: float) -> list[Effect]:
        """Return what is to be done now. Each effect is returned once."""
        wanted: list[Effect] = []
        for path in self._paths_to_ask(now):
            self._stirred.add(path)
            for effect in path.effects(now, self._ids):
                self._owners[effect.id] = path
                wanted.append(effect)
        return wanted

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` is due at the latest; None if only an event can change anything."""
        for path in self._stirred:
            time = path.next_timeout()
            if time is None:
                self._due.pop(path, None)
            else:
                self._due[path] = time
        self._stirred.clear()
        return min(self._due.values(), default=None)

    def handle_timeout(self, now: float) -> None:
        """Let time pass; then ask for :meth:`effects`."""
        for path in self._paths_to_ask(now):
            self._stirred.add(path)
            path.handle_timeout(now)

    def take_finished(self) -> list[tuple[PathKey, Item]]:
        """Return the items found done since the last call, for archive and telemetry."""
        finished, self._finished = self._finished, []
        return finished

    def status(self, now: float) -> list[PathStatus]:
        """Return figures of all paths, in the order of their keys."""
        return [self._paths[key].status(now) for key in sorted(self._paths)]

    def _paths_to_ask(self, now: float) -> list[Path]:
        """Return those that may have something to do, in the order in which they were begun."""
        due, stirred = self._due, self._stirred
        return [path for path in self._paths.values() if path in stirred or due.get(path, now + 1) <= now]

    def _path(self, key: PathKey) -> Path:
        """Return a path to which something happens."""
        path = self._paths.get(key)
        if path is None:
            path = self._paths[key] = Path(key, self._settings)
        self._stirred.add(path)
        return path

    def _collect_finished(self, path: Path, now: float) -> None:
        for item in path.take_finished():
            self._finished.append((path.key, item))
            if path.key.flow is Flow.RELAY_TO_HUB:
                # The relay chain keeps the message until it is shown that the hub has it; a receipt may do that first.
                sibling = _sibling(path.key, Flow.ACKNOWLEDGE)
                later = replace(item, eligible_after_seconds=self._settings.acknowledge_after_seconds)
                self._path(sibling).observe(ItemsObserved(sibling, (later,)), now)

    def _recheck_after(self, path: Path) -> None:
        """A hub has taken something: a verdict may be among it, and then a transaction waits to be settled."""
        if path.key.flow is Flow.RELAY_TO_HUB:
            sibling = _sibling(path.key, Flow.SETTLE)
            if sibling in self._paths:
                self._path(sibling).recheck()


def _sibling(key: PathKey, flow: Flow) -> PathKey:
    return PathKey(flow.value, key.registration, key.relay)
