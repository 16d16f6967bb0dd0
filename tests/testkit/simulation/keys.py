"""Keys of everybody, from names."""

from functools import cache

from piebridge.crypto.hash import sha256
from piebridge.crypto.signature import address_of_private_key

DOMAIN = 7
"""The relay domain of a simulation."""


@cache
def private_key(name: str) -> bytes:
    """Return the key of somebody."""
    return sha256(b"simulation/" + name.encode())


@cache
def address(name: str) -> bytes:
    """Return the address of somebody."""
    return address_of_private_key(private_key(name))


GOVERNOR_SECRET = int.from_bytes(private_key("governor"), "big")
