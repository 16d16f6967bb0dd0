"""The state machine of one path.

======================  ==========================================================================================
item                    is in exactly one of these
======================  ==========================================================================================
unchecked               observed, or handled by a batch since: chain state must tell where it stands
pending                 chain state says that it is to be carried
waiting                 chain state says that nothing can be done now; checked again at intervals
(done)                  chain state says that the far end has it; forgotten here
======================  ==========================================================================================

At most one check and one batch are under way at a time. A batch is *authenticating*, then *submitting*; whatever its
end, its items go back to unchecked, so what happened is never concluded from our own deeds. An answer that belongs to
no effect under way (late, doubled) is ignored.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

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
from piebridge.gateway.retry import retry_delays

_AUTHENTICATED_FLOWS = (Flow.HUB_TO_RELAY, Flow.RELAY_TO_HUB)


@dataclass(slots=True)
class _Known:
    """What is known of an item that is not done."""

    item: Item
    observed_at: float
    eligible_at: float
    state: Delivery | None = None
    """None: unchecked."""
    checked_at: float = 0.0
    """When the check that told the state was asked for."""
    delays: Iterator[float] | None = None
    """Pauses after failures that were this item's own."""
    reason: str = ""
    """Why it is still here, as far as known."""


@dataclass(slots=True)
class _Batch:
    """The batch under way."""

    effect_id: int
    deadline: float
    numbers: tuple[int, ...]
    submitting: bool
    kept_allowed: bool


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
        self._check: _OpenCheck | None = None
        self._batch: _Batch | None = None
        self._items_max = self._limits.items_max
        self._kept_allowed = True
        self._delays = self._new_delays()
        self._not_before = 0.0
        self._next_recheck = 0.0
        self._last_failure = ""
        self._finished: list[Item] = []

    # Input

    def observe(self, event: ItemsObserved, now: float) -> None:
        """Take note of items; one that is known already is left alone."""
        for item in event.items:
            if item.number not in self._items:
                self._items[item.number] = _Known(item, now, now + item.eligible_after_seconds)

    def defer(self, event: Defer) -> None:
        """Leave items to others for longer, but for those in the batch under way and those that are too old."""
        busy = self._batch.numbers if self._batch else ()
        for number, known in self._items.items():
            if number not in busy:
                until = min(event.until, known.observed_at + event.patience_seconds)
                known.eligible_at = max(known.eligible_at, until)

    def recheck(self) -> None:
        """Have everything that is not in a batch checked again."""
        busy = self._batch.numbers if self._batch else ()
        for number, known in self._items.items():
            if number not in busy and known.state is not Delivery.PENDING:
                known.state = None

    def recheck_all(self) -> None:
        """Have pending items checked again too: another gateway may have carried them."""
        self.recheck()
        busy = self._batch.numbers if self._batch else ()
        for number, known in self._items.items():
            if number not in busy:
                known.state = None

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
                del self._items[number]
            else:
                known.state = state
                known.checked_at = asked_at
                if state is Delivery.WAITING:
                    known.reason = ""  # nobody has refused it; it has only to become final
        self._next_recheck = now + self._settings.recheck_seconds

    def authenticated(self, event: Authenticated, now: float, effect_id: int) -> Submit | None:
        """Take evidence; return the batch to be submitted, or None if nothing is covered by it."""
        batch = self._batch
        if batch is None or batch.submitting or batch.effect_id != event.effect_id:
            return None
        numbers = tuple(number for number in batch.numbers if number <= event.last and number in self._items)
        if not numbers:
            self._end_batch(now, failure=f"only up to entry {event.last} can be authenticated yet")
            return None
        return self._submit(numbers, event.last, event.evidence, now, effect_id)

    def submitted(self, event: Submitted, now: float) -> bool:
        """Take note that a batch is in a block; return whether it was the one under way."""
        batch = self._batch
        if batch is None or not batch.submitting or batch.effect_id != event.effect_id:
            return False
        self._last_failure = ""
        self._delays = self._new_delays()
        self._items_max = min(self._limits.items_max, self._items_max * 2)
        self._kept_allowed = True
        for number in batch.numbers:  # if chain state still says pending afterwards, the batch did not help this item
            if number in self._items:
                self._postpone(self._items[number], now, "the far end skipped it")
        self._end_batch(now)
        return True

    def failed(self, event: Failed, now: float) -> None:
        """Take note of a failure and decide when and how to go on."""
        if self._check is not None and self._check.effect_id == event.effect_id:
            self._check = None
            self._back_off(now, event.reason)
            return
        batch = self._batch
        if batch is None or batch.effect_id != event.effect_id:
            return
        if event.permanent and batch.submitting:
            self._split(batch, now, event.reason)
        self._end_batch(now, failure=event.reason)

    # Output

    def effects(self, now: float, next_id: Iterator[int]) -> list[Effect]:
        """Return what is to be done now; each is returned once."""
        wanted: list[Effect] = []
        if now < self._not_before:
            return wanted
        if self._batch is None and self._flush_at_is_past(now):
            self._forget_stale_answers(now)
        if self._check is None:
            unchecked = sorted(self._unchecked())[: self._settings.check_items_max]
            if unchecked:
                check = Check(next(next_id), self.key, tuple(unchecked))
                deadline = now + self._settings.effect_timeout_seconds
                self._check = _OpenCheck(check.id, now, deadline, check.numbers)
                wanted.append(check)
        if self._batch is None:
            numbers = self._next_batch(now)
            if numbers:
                wanted.append(self._start_batch(numbers, now, next(next_id)))
        return wanted

    def take_finished(self) -> list[Item]:
        """Return the items that were found done since the last call."""
        finished, self._finished = self._finished, []
        return finished

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` or :meth:`effects` has something to do without any event."""
        times = []
        if self._check is not None:
            times.append(self._check.deadline)
        if self._batch is not None:
            times.append(self._batch.deadline)
        elif (flush_at := self._flush_at()) is not None:
            times.append(max(flush_at, self._not_before))
        if self._check is None and any(True for _ in self._unchecked()):
            times.append(self._not_before)
        if any(known.state is not None for known in self._items.values()):
            times.append(max(self._next_recheck, self._not_before))
        return min(times) if times else None

    def handle_timeout(self, now: float) -> None:
        """Give up effects that were not answered, and look again at what waits."""
        if self._check is not None and self._check.deadline <= now:
            self._check = None
        if self._batch is not None and self._batch.deadline <= now:
            self._end_batch(now, failure="no answer; taken for lost")
        if self._next_recheck <= now:
            self._next_recheck = now + self._settings.recheck_seconds
            self.recheck_all()

    def status(self, now: float) -> PathStatus:
        """Return figures for people."""
        states = [known.state for known in self._items.values()]
        return PathStatus(
            key=self.key,
            pending=states.count(Delivery.PENDING),
            waiting=states.count(Delivery.WAITING),
            unchecked=states.count(None),
            oldest_age_seconds=max((now - known.observed_at for known in self._items.values()), default=0.0),
            last_failure=self._last_failure,
            stuck=tuple((number, known.reason) for number, known in sorted(self._items.items()) if known.reason),
        )

    # Internal

    def _unchecked(self) -> Iterator[int]:
        busy = self._batch.numbers if self._batch else ()
        return (number for number, known in self._items.items() if known.state is None and number not in busy)

    def _ready(self) -> list[_Known]:
        return sorted(
            (known for known in self._items.values() if known.state is Delivery.PENDING),
            key=lambda known: known.item.number,
        )

    def _flush_at(self) -> float | None:
        """Return when the pending items are worth a batch; None without any."""
        times = sorted(known.eligible_at for known in self._ready())
        if not times:
            return None
        if len(times) >= self._items_max:  # full as soon as so many are eligible
            return min(times[self._items_max - 1], times[0] + self._limits.age_seconds)
        return times[0] + self._limits.age_seconds

    def _flush_at_is_past(self, now: float) -> bool:
        flush_at = self._flush_at()
        return flush_at is not None and flush_at <= now

    def _forget_stale_answers(self, now: float) -> None:
        """Drop answers from before an item's turn: others, to whom it was left, may have carried it since."""
        for known in self._ready():
            if known.checked_at < known.eligible_at <= now:
                known.state = None

    def _next_batch(self, now: float) -> tuple[int, ...]:
        """Choose the items of the next batch, in order of their numbers; empty while it is better to wait."""
        eligible = [known for known in self._ready() if known.eligible_at <= now]
        chosen: list[int] = []
        size = gas = 0
        full = False
        for known in eligible:
            size += known.item.size_bytes
            gas += known.item.gas
            if chosen and (size > self._limits.bytes_max or gas > self._limits.gas_max):
                full = True
                break
            chosen.append(known.item.number)
            if len(chosen) >= self._items_max:
                full = True
                break
        oldest = min((known.eligible_at for known in eligible), default=now)
        due = oldest + self._limits.age_seconds <= now
        return tuple(chosen) if full or due else ()

    def _start_batch(self, numbers: tuple[int, ...], now: float, effect_id: int) -> Effect:
        if self.key.flow not in _AUTHENTICATED_FLOWS:
            return self._submit(numbers, numbers[-1], b"", now, effect_id)
        deadline = now + self._settings.effect_timeout_seconds
        self._batch = _Batch(effect_id, deadline, numbers, submitting=False, kept_allowed=self._kept_allowed)
        return Authenticate(effect_id, self.key, numbers[-1], self._kept_allowed, self._forms(numbers, now))

    def _submit(self, numbers: tuple[int, ...], last: int, evidence: bytes, now: float, effect_id: int) -> Submit:
        kept_allowed = self._batch.kept_allowed if self._batch else True
        deadline = now + self._settings.effect_timeout_seconds
        self._batch = _Batch(effect_id, deadline, numbers, submitting=True, kept_allowed=kept_allowed)
        return Submit(effect_id, self.key, numbers[0], last, self._forms(numbers, now), evidence)

    def _forms(self, numbers: tuple[int, ...], now: float) -> tuple[tuple[int, int], ...]:
        return tuple((number, self._form(self._items[number].item, now)) for number in numbers)

    def _form(self, item: Item, now: float) -> int:
        expired = item.expiry and now >= item.expiry + self._settings.expiry_margin_seconds
        return FORM_WITHOUT_BODY if expired else FORM_FULL

    def _end_batch(self, now: float, failure: str = "") -> None:
        batch, self._batch = self._batch, None
        assert batch is not None, "a batch that is not under way cannot end"
        for number in batch.numbers:
            if number in self._items:
                self._items[number].state = None
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
        self._last_failure = reason
        self._not_before = now + next(self._delays)

    def _new_delays(self) -> Iterator[float]:
        return retry_delays(self._settings.first_retry_seconds, self._settings.last_retry_seconds)
