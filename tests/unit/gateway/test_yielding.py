"""A backlog that gives way when batches take longer than they should."""

from piebridge.gateway.forwarder.yielding import Yielding


def test_more_batches_go_while_they_take_no_longer() -> None:
    yielding = Yielding(3)
    assert yielding.places == 1
    for _ in range(5):
        yielding.took(0.5, 10, is_backlog=True)
    assert yielding.places == 3, "and never more than there may be"
    assert yielding.pause_until <= 10


def test_fewer_go_when_they_take_longer_and_one_alone_makes_pauses() -> None:
    yielding = Yielding(3)
    for _ in range(3):
        yielding.took(0.5, 10, is_backlog=True)
    yielding.took(1.5, 11, is_backlog=True)
    yielding.took(1.5, 12, is_backlog=True)
    assert (yielding.places, yielding.pause_until) == (1, 10)
    yielding.took(1.5, 13, is_backlog=True)
    assert yielding.places == 1
    assert 13.9 < yielding.pause_until <= 14, "as long as the delay that it made"
    yielding.took(100, 20, is_backlog=True)
    assert yielding.pause_until == 25, "but not for ever"


def test_live_batches_tell_how_fast_it_could_be_and_no_more() -> None:
    yielding = Yielding(3)
    yielding.took(0.5, 10, is_backlog=False)
    yielding.took(5.0, 11, is_backlog=False)
    assert (yielding.places, yielding.pause_until) == (1, 0)
    yielding.took(2.0, 12, is_backlog=True)
    assert yielding.pause_until > 13, "two seconds are long where half a second was enough"


def test_a_far_end_that_has_become_slower_for_good_is_not_taken_for_busy_for_ever() -> None:
    yielding = Yielding(3)
    yielding.took(0.5, 0, is_backlog=True)
    for moment in range(1, 200):
        yielding.took(1.0, moment, is_backlog=True)
    assert yielding.places == 3
