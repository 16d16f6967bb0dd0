"""The state machine of one path.

======================  ==========================================================================================
item                    is in exactly one of these
======================  ==========================================================================================
left to others          observed, but it is not its turn yet: nothing is asked about it before
unchecked               observed, or handled by a batch since: chain state must tell where it stands
pending                 chain state says that it is to be carried
waiting                 chain state says that nothing can be done now; checked again at intervals
(done)                  chain state says that the far end has it; forgotten here
======================  ==========================================================================================

At most one check and a few batches are under way at a time. A batch is *authenticating*, then *submitting*; batches are
submitted in the order in which they were begun, since ordered lanes suffer otherwise. Whatever a batch's end, its items
go back to unchecked, so what happened is never concluded from our own deeds. An answer that belongs to no effect under
way (late, doubled) is ignored.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush, nlargest, nsmallest
from itertools import zip_longest

from piebridge.gateway.forwarder.liveness import Arrival, Arrivals
from piebridge.gateway.forwarder.model import (
    FORM_FULL,
    FORM_WITHOUT_BODY,
    Authenticate,
    Authenticated,
    Check,
    Checked,
    Defer,
    Delivery,
    Effect,
    Failed,
    Flow,
    Item,
    ItemsObserved,
    PathKey,
    Submit,
    Submitted,
)
from piebridge.gateway.forwarder.settings import ForwarderSettings
from piebridge.gateway.forwarder.yielding import Yielding
from piebridge.gateway.retry import retry_delays

_EXPRESS_DIVISOR = 4
"""A batch of the newest items is that much smaller than others: it is soon under way, and soon there is another."""

_EXPRESS_MAX = 3
"""Such batches under way: while one waits for its block, the next are filled."""

_CHECK_DIVISOR = 4
"""Such a share of a check is about the youngest items: they shall not wait for a backlog to be asked about."""

_AUTHENTICATED_FLOWS = (Flow.HUB_TO_RELAY, Flow.RELAY_TO_HUB)


@dataclass(slots=True)
class _Known:
    """What is known of an item that is not done."""

    item: Item
    observed_at: float
    eligible_at: float
    arrival: Arrival
    state: Delivery | None = None
    """None: unchecked."""
    checked_at: float = 0.0
    """When the check that told the state was asked for."""
    delays: Iterator[float] | None = None
    """Pauses after failures that were this item's own."""
    reason: str = ""
    """Why it is still here, as far as known."""
    needs_body: bool = False
    """Whether the far end has skipped it although it has expired by our clock: by the clock there it has not."""


@dataclass(slots=True)
class _Batch:
    """A batch under way."""

    effect_id: int
    deadline: float
    numbers: tuple[int, ...]
    submitting: bool
    kept_allowed: bool
    began_at: float
    authenticated: tuple[int, bytes] | None = None
    """Last entry and evidence, while it waits for the batches before it."""
    express: bool = False
    """Whether it is one of the youngest items, which wait for nothing."""


@dataclass(slots=True)
class _OpenCheck:
    effect_id: int
    asked_at: float
    deadline: float
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PathStatus:
    """What people want to know of a path."""

    key: PathKey
    pending: int
    """Items to be carried."""
    waiting: int
    """Items for which nothing can be done now."""
    unchecked: int
    """Items about which chain state is being asked."""
    oldest_age_seconds: float
    """Age of the oldest item that is not done; 0 without items."""
    last_failure: str
    """Reason of the newest failure since the last success; empty if there is none."""
    stuck: tuple[tuple[int, str], ...] = field(default=())
    """Number and reason of items that failed on their own."""


class Path:
    """Carries the items of one path; see the module's text."""

    def __init__(self, key: PathKey, settings: ForwarderSettings) -> None:
        """Start with nothing known."""
        self.key = key
        self._settings = settings
        self._limits = settings.limits_of(key.flow)
        self._items: dict[int, _Known] = {}
        # Which items are in which state, so that a long queue does not cost a walk for each event; those in a batch
        # are in neither set.
        self._left: list[tuple[float, int]] = []
        """Heap of items left to others: when their turn comes, and numbers; some have gone since."""
        self._left_numbers: set[int] = set()
        self._unchecked: set[int] = set()
        self._pending: set[int] = set()
        self._busy: set[int] = set()
        self._arrivals = Arrivals()
        self._ready_now: list[_Known] | None = None
        """Pending items by number; None after a change."""
        self._flush: tuple[int, float] | None = None
        """Size of a full batch, and when these items are worth one; None after a change."""
        self._check: _OpenCheck | None = None
        self._batches: dict[int, _Batch] = {}
        self._items_max = self._limits.items_max
        self._kept_allowed = True
        self._yielding = Yielding(self._limits.batches_max) if self._limits.yields else None
        self._delays = self._new_delays()
        self._not_before = 0.0
        self._next_recheck = 0.0
        self._last_failure = ""
        self._finished: list[Item] = []

    # Input

    def observe(self, event: ItemsObserved, now: float) -> None:
        """Take note of items; one that is known already is left alone."""
        for item in event.items:
            if item.number in self._items:
                continue
            known = _Known(item, now, now + item.eligible_after_seconds, self._arrivals.note(item, now))
            self._items[item.number] = known
            if known.eligible_at > now:
                self._left_numbers.add(item.number)
                heappush(self._left, (known.eligible_at, item.number))
            else:
                self._unchecked.add(item.number)

    def defer(self, event: Defer) -> None:
        """Leave items to others for longer, but for those in the batch under way and those that are too old."""
        for number, known in self._items.items():
            if number not in self._busy:
                until = min(event.until, known.observed_at + event.patience_seconds)
                known.eligible_at = max(known.eligible_at, until)
        self._flush = None  # it was worth a batch by the old times

    def recheck(self) -> None:
        """Have everything that is not in a batch checked again."""
        for number, known in self._items.items():
            if known.state is Delivery.WAITING and number not in self._busy:
                self._enter(number, known, None)

    def recheck_all(self) -> None:
        """Have pending items checked again too: another gateway may have carried them."""
        for number, known in self._items.items():
            if number not in self._busy and number not in self._left_numbers:
                self._enter(number, known, None)

    def checked(self, event: Checked, now: float) -> None:
        """Take over what chain state says."""
        if self._check is None or self._check.effect_id != event.effect_id:
            return
        asked, asked_at, self._check = set(self._check.numbers), self._check.asked_at, None
        for number, state in event.states:
            known = self._items.get(number)
            if known is None or number not in asked:
                continue
            if state is Delivery.DONE:
                self._finished.append(known.item)
                self._forget(number)
            else:
                known.checked_at = asked_at
                if state is Delivery.WAITING:
                    known.reason = ""  # nobody has refused it; it has only to become final
                self._enter(number, known, state)
        for number in asked - {number for number, _ in event.states}:
            # Nobody knows, and asking again at once would be asking without end.
            known = self._items.get(number)
            if known is not None:
                known.checked_at = asked_at
                self._enter(number, known, Delivery.WAITING)
        self._next_recheck = now + self._settings.recheck_seconds

    def authenticated(self, event: Authenticated, now: float) -> None:
        """Take evidence; the batch is submitted when those before it are, or ends if it covers nothing."""
        batch = self._batches.get(event.effect_id)
        if batch is None or batch.submitting:
            return
        covered = tuple(number for number in batch.numbers if number <= event.last and number in self._items)
        if not covered:
            self._end_batch(batch, now, failure=f"only up to entry {event.last} can be authenticated yet")
            return
        for number in batch.numbers:
            if number not in covered:
                self._release(number, Delivery.PENDING)
        batch.numbers, batch.authenticated = covered, (event.last, event.evidence)

    def submitted(self, event: Submitted, now: float) -> bool:
        """Take note that a batch is in a block; return whether it was under way."""
        batch = self._batches.get(event.effect_id)
        if batch is None or not batch.submitting:
            return False
        self._last_failure = ""
        self._delays = self._new_delays()
        self._items_max = min(self._limits.items_max, self._items_max * 2)
        self._kept_allowed = True
        if self._yielding is not None:
            self._yielding.took(now - batch.began_at, now, is_backlog=not batch.express)
        for number in batch.numbers:  # if chain state still says pending afterwards, the batch did not help this item
            if number in self._items:
                known = self._items[number]
                known.needs_body |= self._has_expired(known.item, now)
                self._postpone(known, now, "the far end skipped it")
        self._end_batch(batch, now)
        return True

    def failed(self, event: Failed, now: float) -> None:
        """Take note of a failure and decide when and how to go on."""
        if self._check is not None and self._check.effect_id == event.effect_id:
            self._check = None
            self._back_off(now, event.reason)
            return
        batch = self._batches.get(event.effect_id)
        if batch is None:
            return
        if event.permanent and batch.submitting:
            self._split(batch, now, event.reason)
        self._end_batch(batch, now, failure=event.reason)

    # Output

    def effects(self, now: float, next_id: Iterator[int]) -> list[Effect]:
        """Return what is to be done now; each is returned once."""
        wanted: list[Effect] = self._submissions(now, next_id)
        if now < self._not_before:
            return wanted
        if self._has_room(now) and self._flush_at_is_past(now):
            self._forget_stale_answers(now)
        self._take_turns(now)
        if self._check is None and self._unchecked:
            numbers = self._check_numbers()
            check = Check(next(next_id), self.key, numbers)
            self._check = _OpenCheck(check.id, now, now + self._settings.effect_timeout_seconds, numbers)
            wanted.append(check)
        if numbers := self._express_batch(now):
            wanted.append(self._start_batch(numbers, now, next(next_id), express=True))
        while self._has_room(now) and (numbers := self._next_batch(now)):
            wanted.append(self._start_batch(numbers, now, next(next_id)))
        return wanted

    def take_finished(self) -> list[Item]:
        """Return the items that were found done since the last call."""
        finished, self._finished = self._finished, []
        return finished

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` or :meth:`effects` has something to do without any event."""
        times = [batch.deadline for batch in self._batches.values()]
        if self._check is not None:
            times.append(self._check.deadline)
        elif self._unchecked:
            times.append(self._not_before)
        if self._left:
            times.append(max(self._left[0][0], self._not_before))
        if self._free_places > 0 and (flush_at := self._flush_at()) is not None:
            times.append(max(flush_at, self._not_before, self._pause_until))
        if len(self._items) > len(self._unchecked) + len(self._left_numbers):
            times.append(max(self._next_recheck, self._not_before))
        return min(times) if times else None

    def handle_timeout(self, now: float) -> None:
        """Give up effects that were not answered, and look again at what waits."""
        if self._check is not None and self._check.deadline <= now:
            self._check = None
        for batch in [batch for batch in self._batches.values() if batch.deadline <= now]:
            self._end_batch(batch, now, failure="no answer; taken for lost")
        if self._next_recheck <= now:
            self._next_recheck = now + self._settings.recheck_seconds
            self.recheck_all()

    def status(self, now: float) -> PathStatus:
        """Return figures for people."""
        states = [known.state for known in self._items.values()]
        return PathStatus(
            key=self.key,
            pending=states.count(Delivery.PENDING),
            waiting=states.count(Delivery.WAITING) + len(self._left_numbers),
            unchecked=states.count(None) - len(self._left_numbers),
            oldest_age_seconds=max((now - known.observed_at for known in self._items.values()), default=0.0),
            last_failure=self._last_failure,
            stuck=tuple((number, known.reason) for number, known in sorted(self._items.items()) if known.reason),
        )

    # Internal

    @property
    def _has_backlog(self) -> bool:
        return len(self._pending) > self._items_max

    @property
    def _free_places(self) -> int:
        """Places for batches that are not express; a backlog may have to give way."""
        places = self._limits.batches_max
        if self._yielding is not None and self._has_backlog:
            places = self._yielding.places
        return places - sum(not batch.express for batch in self._batches.values())

    @property
    def _pause_until(self) -> float:
        return self._yielding.pause_until if self._yielding is not None and self._has_backlog else 0.0

    def _has_room(self, now: float) -> bool:
        return self._free_places > 0 and now >= self._pause_until

    def _take_turns(self, now: float) -> None:
        """Have the items checked whose turn has come."""
        while self._left and self._left[0][0] <= now:
            _, number = heappop(self._left)
            if number not in self._left_numbers:
                continue
            known = self._items[number]
            if known.eligible_at > now:  # it was left to others for longer since
                heappush(self._left, (known.eligible_at, number))
            else:
                self._enter(number, known, None)

    def _check_numbers(self) -> tuple[int, ...]:
        """Choose what is asked about next: the oldest, and for a share of it the youngest."""
        count = self._settings.check_items_max
        if len(self._unchecked) <= count:
            return tuple(sorted(self._unchecked))
        youngest = count // _CHECK_DIVISOR
        oldest = nsmallest(count - youngest, self._unchecked)
        return tuple(oldest + nlargest(youngest, self._unchecked)[::-1])

    def _enter(self, number: int, known: _Known, state: Delivery | None) -> None:
        """Put an item that is in no batch into a state."""
        known.state = state
        self._left_numbers.discard(number)
        self._unchecked.discard(number)
        self._pending.discard(number)
        if number in self._busy:
            return
        if state is None:
            self._unchecked.add(number)
        elif state is Delivery.PENDING:
            self._pending.add(number)
        self._ready_now = None

    def _release(self, number: int, state: Delivery | None = None) -> None:
        """Take an item out of its batch; unless it was never sent, chain state must tell where it stands."""
        self._busy.discard(number)
        if number in self._items:
            self._enter(number, self._items[number], state)

    def _forget(self, number: int) -> None:
        del self._items[number]
        self._left_numbers.discard(number)
        self._unchecked.discard(number)
        self._pending.discard(number)
        self._ready_now = None

    def _ready(self) -> list[_Known]:
        if self._ready_now is None:
            self._ready_now = [self._items[number] for number in sorted(self._pending)]
            self._flush = None
        return self._ready_now

    def _flush_at(self) -> float | None:
        """Return when the pending items are worth a batch; None without any."""
        ready = self._ready()
        if not ready:
            return None
        if self._flush is None or self._flush[0] != self._items_max:
            self._flush = self._items_max, self._flush_time(ready)
        return self._flush[1]

    def _flush_time(self, ready: list[_Known]) -> float:
        if len(ready) >= self._items_max:  # full as soon as so many are eligible
            times = nsmallest(self._items_max, (known.eligible_at for known in ready))
            return min(times[-1], times[0] + self._limits.age_seconds)
        return min(known.eligible_at for known in ready) + self._limits.age_seconds

    def _flush_at_is_past(self, now: float) -> bool:
        flush_at = self._flush_at()
        return flush_at is not None and flush_at <= now

    def _forget_stale_answers(self, now: float) -> None:
        """Drop answers from before an item's turn: others, to whom it was left, may have carried it since."""
        for known in list(self._ready()):
            if known.checked_at < known.eligible_at <= now:
                self._enter(known.item.number, known, None)

    def _next_batch(self, now: float) -> tuple[int, ...]:
        """Choose the items of the next batch, in order of their numbers; empty while it is better to wait."""
        eligible = [known for known in self._ready() if known.eligible_at <= now]
        chosen, full = self._fill(eligible)
        oldest = min((known.eligible_at for known in eligible), default=now)
        due = oldest + self._limits.age_seconds <= now
        return tuple(chosen) if full or due else ()

    def _fill(self, candidates: Iterable[_Known]) -> tuple[list[int], bool]:
        """Take candidates while they fit; return their numbers, and whether the batch is full."""
        chosen: list[int] = []
        size = gas = 0
        for known in candidates:
            size += known.item.size_bytes
            gas += known.item.gas
            if chosen and (size > self._limits.bytes_max or gas > self._limits.gas_max):
                return chosen, True
            chosen.append(known.item.number)
            if len(chosen) >= self._items_max:
                return chosen, True
        return chosen, False

    def _express_batch(self, now: float) -> tuple[int, ...]:
        """Choose the youngest items while there are more than fit: live traffic shall not wait behind a backlog.

        None of an ordered lane, which are of use in their order alone; of other lanes in turn, so that none of them
        waits for another. Only what was the youngest of its lane when it came: a backlog that is carried piece by piece
        to the start of this path must not take the places of live traffic.
        """
        under_way = sum(batch.express for batch in self._batches.values())
        if self._limits.batches_max == 1 or under_way >= _EXPRESS_MAX:
            return ()
        eligible = [known for known in self._ready() if known.eligible_at <= now]
        if len(eligible) <= self._items_max * self._free_places and now >= self._pause_until:
            return ()
        lanes: dict[bytes, list[_Known]] = {}
        for known in eligible:
            if known.arrival.is_live and not known.item.in_order:
                lanes.setdefault(known.item.lane, []).append(known)
        count = max(1, self._items_max // _EXPRESS_DIVISOR)
        youngest = [nlargest(count, lane, key=lambda known: known.item.sequence) for lane in lanes.values()]
        in_turn = [known for turn in zip_longest(*youngest) for known in turn if known is not None]
        chosen, _ = self._fill(in_turn[:count])
        return tuple(sorted(chosen))

    def _start_batch(self, numbers: tuple[int, ...], now: float, effect_id: int, *, express: bool = False) -> Effect:
        self._busy.update(numbers)
        self._pending.difference_update(numbers)
        self._ready_now = None
        deadline = now + self._settings.effect_timeout_seconds
        batch = _Batch(effect_id, deadline, numbers, submitting=False, kept_allowed=self._kept_allowed, began_at=now)
        batch.express = express
        self._batches[effect_id] = batch
        if self.key.flow not in _AUTHENTICATED_FLOWS:
            return self._submit(batch, numbers[-1], b"", now, effect_id)
        return Authenticate(effect_id, self.key, numbers[-1], self._kept_allowed, self._forms(numbers, now))

    def _submissions(self, now: float, next_id: Iterator[int]) -> list[Effect]:
        """Return the batches that are authenticated and have none before them that is not submitted."""
        released: list[Effect] = []
        is_held = False
        for batch in list(self._batches.values()):
            if batch.submitting:
                continue
            if batch.authenticated is None:
                is_held |= not batch.express
            elif batch.express or not is_held:
                last, evidence = batch.authenticated
                released.append(self._submit(batch, last, evidence, now, next(next_id)))
        return released

    def _submit(self, batch: _Batch, last: int, evidence: bytes, now: float, effect_id: int) -> Submit:
        # Under its new id it keeps its place: those before it are submitted, and those behind it come again in order.
        behind = [other for other in self._batches.values() if other is not batch and not other.submitting]
        for other in (batch, *behind):
            del self._batches[other.effect_id]
        batch.effect_id, batch.submitting, batch.authenticated = effect_id, True, None
        batch.deadline = now + self._settings.effect_timeout_seconds
        for other in (batch, *behind):
            self._batches[other.effect_id] = other
        return Submit(effect_id, self.key, batch.numbers[0], last, self._forms(batch.numbers, now), evidence)

    def _forms(self, numbers: tuple[int, ...], now: float) -> tuple[tuple[int, int], ...]:
        return tuple((number, self._form(self._items[number], now)) for number in numbers)

    def _form(self, known: _Known, now: float) -> int:
        return FORM_WITHOUT_BODY if self._has_expired(known.item, now) and not known.needs_body else FORM_FULL

    def _has_expired(self, item: Item, now: float) -> bool:
        return item.expiry != 0 and now >= item.expiry + self._settings.expiry_margin_seconds

    def _end_batch(self, batch: _Batch, now: float, failure: str = "") -> None:
        del self._batches[batch.effect_id]
        for number in batch.numbers:
            self._release(number)
        if failure:
            self._back_off(now, failure)

    def _split(self, batch: _Batch, now: float, reason: str) -> None:
        """Learn from a refused batch: prove anew without kept values, then halve, until one item is to blame."""
        if self.key.flow is Flow.HUB_TO_RELAY and batch.kept_allowed:
            self._kept_allowed = False
        elif len(batch.numbers) > 1:
            self._items_max = max(1, len(batch.numbers) // 2)
        elif batch.numbers[0] in self._items:
            self._postpone(self._items[batch.numbers[0]], now, reason)

    def _postpone(self, known: _Known, now: float, reason: str) -> None:
        if known.delays is None:
            known.delays = self._new_delays()
        known.reason = reason
        known.eligible_at = now + next(known.delays)

    def _back_off(self, now: float, reason: str) -> None:
        """Pause, longer than the last time; what fails together, or was under way when the pause began, is one time."""
        self._last_failure = reason
        if now >= self._not_before:
            self._not_before = now + next(self._delays)

    def _new_delays(self) -> Iterator[float]:
        return retry_delays(self._settings.first_retry_seconds, self._settings.last_retry_seconds)
