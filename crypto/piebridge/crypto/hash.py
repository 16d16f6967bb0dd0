"""The two hash functions of PieBridge and the tags that keep their uses apart.

Keccak-256 is Ethereum's variant (padding of the Keccak submission, not FIPS 202 SHA3-256); it serves whatever an EVM
contract must compute too. SHA-256 (FIPS 180-4) serves CometBFT's structures and the state tree of relay chains.
"""

import hashlib
import re

from sha3 import keccak_256  # type: ignore[import-untyped]

HASH_LENGTH = 32
"""Length of either digest, bytes."""

_TAG_NAME = re.compile(r"[A-Z0-9]+(?:[_-][A-Z0-9]+)*", re.ASCII)


def keccak256(data: bytes) -> bytes:
    """Return the 32-byte Keccak-256 digest of ``data``, the EVM's ``KECCAK256`` (Yellow Paper, section 3)."""
    digest: bytes = keccak_256(data).digest()
    return digest


def sha256(data: bytes) -> bytes:
    """Return the 32-byte SHA-256 digest of ``data`` (FIPS 180-4)."""
    return hashlib.sha256(data).digest()


def tag(name: str) -> bytes:
    """Return the 32-byte domain-separation tag ``keccak256("PIEBRIDGE/<name>/v1")``.

    Args:
        name: what is hashed or signed, in capital letters, digits and single inner ``_`` or ``-``; for example
            ``OUTBOX``.

    Raises:
        ValueError: the name has another form. Names are constants of the program, so this is a bug of the caller.
    """
    if not _TAG_NAME.fullmatch(name):
        raise ValueError(f"tag name {name!r} is not made of capital letters, digits and single inner '_' or '-'")
    return keccak256(b"PIEBRIDGE/" + name.encode("ascii") + b"/v1")
