from itertools import islice

from piebridge.gateway.retry import retry_delays


def test_delays_double_up_to_the_longest_and_stay_there() -> None:
    assert list(islice(retry_delays(0.5, 5.0), 7)) == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_a_first_delay_above_the_longest_is_cut() -> None:
    assert list(islice(retry_delays(9.0, 5.0), 2)) == [5.0, 5.0]
