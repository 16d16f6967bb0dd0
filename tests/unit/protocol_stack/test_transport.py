"""Windows and channels: what a hub and a relay chain say of the next sequence."""

import pytest

from piebridge.crypto.errors import ProtocolError
from piebridge.protocol_stack.transport.base import Reception
from piebridge.protocol_stack.transport.basic import BasicTransport, UnorderedWindow
from piebridge.protocol_stack.transport.channel import SHARED, Channel
from piebridge.protocol_stack.transport.reliable import OrderedWindow, ReliableTransport, SendWindow


def test_an_unordered_window_takes_every_sequence_once_in_any_order() -> None:
    window = UnorderedWindow(1)
    for sequence in (511, 256, 300):
        assert window.receive(sequence) is Reception.NEXT
        window = window.end(sequence)
        assert window.receive(sequence) is Reception.DUPLICATE
    assert window.word == 1 << 255 | 1 | 1 << 44


def test_an_unordered_window_is_about_its_page_only() -> None:
    with pytest.raises(AssertionError):
        UnorderedWindow(1).receive(255)


def test_an_ordered_window_takes_the_next_sequence_only() -> None:
    window = OrderedWindow()
    assert window.receive(2) is Reception.GAP
    assert window.receive(1) is Reception.NEXT
    window = window.end(1, lambda _: False)
    assert window.receive(1) is Reception.DUPLICATE
    assert window.next == 2


def test_an_ordered_window_passes_over_tombstones() -> None:
    tombstones = {2, 3, 5}
    window = OrderedWindow().end(1, lambda sequence: sequence in tombstones)
    assert window == OrderedWindow(3)
    assert window.receive(3) is Reception.DUPLICATE
    assert window.end(4, lambda sequence: sequence in tombstones) == OrderedWindow(5)


def test_an_ordered_window_cannot_end_what_was_not_due() -> None:
    with pytest.raises(AssertionError):
        OrderedWindow(4).end(6, lambda _: False)


def test_a_send_window_counts_from_one() -> None:
    sequence, window = SendWindow().take()
    assert (sequence, window.take()[0]) == (1, 2)


def test_a_channel_is_of_one_application_and_the_shared_one_of_all() -> None:
    channel = Channel(3, 7, ReliableTransport())
    channel.check_sender(7)
    with pytest.raises(ProtocolError):
        channel.check_sender(8)
    SHARED.check_sender(8)
    assert isinstance(SHARED.protocol, BasicTransport)
