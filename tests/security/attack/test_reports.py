"""Reports of a hub to the governors: the newest counts, and no hub fills the state with them."""

import pytest

from piebridge.protocol_stack.report import Report, ReportKind
from piebridge.protocol_stack.transport.outbox import ReportEntry
from piebridge.relay.app.handlers import hub_range
from testkit.hub_model import HubModel
from testkit.relay_world import RelayWorld, two_chains


def report(hub: HubModel, relay: int, last_entry: int) -> Report:
    told = Report(ReportKind.RELAY_DRAINING, relay, hub.chain.next_number, 0, last_entry)
    hub.append(0, ReportEntry(hub.chain.next_number, told))
    return told


def newest(world: RelayWorld, relay: int) -> tuple[int, Report] | None:
    record = world.view.report(10, ReportKind.RELAY_DRAINING, relay)
    return None if record is None else (record.entry, record.report)


def test_an_older_report_never_takes_the_place_of_a_newer_one() -> None:
    """Old entries stay provable for ever: whoever shows them again must not turn the governors' view back."""
    world = two_chains()
    hub = world.hubs[10]
    report(hub, 7, last_entry=5)
    world.carry_from(hub)
    later = report(hub, 7, last_entry=9)
    world.carry_from(hub)
    assert newest(world, 7) == (2, later)
    world.must(hub.range_message(0))
    world.must(hub.range_message(0, bare=[2]))
    assert newest(world, 7) == (2, later)


def test_a_report_that_was_left_out_counts_when_it_comes_and_is_the_newest() -> None:
    world = two_chains()
    hub = world.hubs[10]
    first = report(hub, 7, last_entry=5)
    later = report(hub, 7, last_entry=9)
    world.carry_from(hub, bare=[2])
    assert newest(world, 7) == (1, first)
    world.must(hub.range_message(0))
    assert newest(world, 7) == (2, later)


def test_a_hub_does_not_fill_the_state_with_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names relay chains as it likes; those that are kept can still be renewed, and other hubs do not suffer."""
    monkeypatch.setattr(hub_range, "REPORTS_PER_HUB_MAX", 8)
    world = two_chains()
    hub, other = world.hubs[10], world.hubs[20]
    for relay in range(1, 21):
        report(hub, relay, last_entry=1)
    renewed = report(hub, 3, last_entry=2)
    world.carry_from(hub)
    kept = [relay for relay in range(1, 21) if newest(world, relay) is not None]
    assert kept == list(range(1, 9))
    assert world.view.report_count(10) == 8
    assert newest(world, 3) == (21, renewed)
    told = report(other, 9, last_entry=1)
    world.carry_from(other)
    record = world.view.report(20, ReportKind.RELAY_DRAINING, 9)
    assert record is not None
    assert record.report == told
