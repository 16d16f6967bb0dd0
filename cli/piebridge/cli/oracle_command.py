"""."""


def oracle() -> None:
    """x"""
