"""Governor messages by which the board takes what a ceremony has made (``docs/protocol/management.md``, section 8)."""

from piebridge.management_chain.governor.board_view import BoardView
from piebridge.protocol_stack.codec import u64
from piebridge.protocol_stack.management.governor_message import BoardOrder, ManagementMessage
from piebridge.protocol_stack.management.tags import ManagementContract


def rotate_board(view: BoardView, ceremony: int, counter: int) -> ManagementMessage:
    """Return the unsigned message by which the board takes the new key of a ceremony. It is signed last of all ROTATEs.

    Args:
        view: the board; the ceremony is among its ``made``.
        ceremony: the key generation.
        counter: last counter of (board, domain 0) + 1.
    """
    body = u64(ceremony) + view.made[ceremony].key.public_key + view.registration_signature(ceremony)
    return _to_board(view, BoardOrder.ROTATE, counter, body)


def reshared(view: BoardView, ceremony: int, counter: int) -> ManagementMessage:
    """Return the unsigned message by which the members of a resharing become the current set. Arguments as above."""
    return _to_board(view, BoardOrder.RESHARED, counter, u64(ceremony))


def _to_board(view: BoardView, order: BoardOrder, counter: int, body: bytes) -> ManagementMessage:
    return ManagementMessage(view.place, ManagementContract.BOARD, 0, view.key_epoch, order, counter, body)
