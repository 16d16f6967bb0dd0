"""."""


def demo() -> None:
    """x"""
