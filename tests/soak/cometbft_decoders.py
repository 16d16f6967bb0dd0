"""Decoders of CometBFT's data under changed and random input: one encoding of a value, declared errors, no delay."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from piebridge.abci.embedded.engine import EmbeddedEngine
from piebridge.cometbft.block import Block
from piebridge.cometbft.commit import Commit
from piebridge.cometbft.header import Header
from piebridge.cometbft.validator_set import ValidatorSet
from piebridge.cometbft.verification import LightBlock
from piebridge.crypto.errors import ProtocolError
from testkit.key_value_application import KeyValueApplication
from testkit.validators import GENESIS_TIME_NS, genesis_for, validator_keys

INPUTS_OF_EACH_DECODER = 20_000
SLOWEST_SECONDS = 0.5


class _Encodable(Protocol):
    def encode(self) -> bytes: ...


def run_round(seed: int) -> Mapping[str, int]:
    """Feeds each decoder with changed encodings of honest values, and with random bytes."""
    random_source = random.Random(seed)
    counts = {"inputs": 0, "refused": 0, "accepted": 0}
    for decode, honest in _honest_values():
        for _ in range(INPUTS_OF_EACH_DECODER):
            data = changed(honest, random_source)
            begin = time.perf_counter()
            accepted = is_accepted(decode, data)
            assert time.perf_counter() - begin < SLOWEST_SECONDS, data.hex()
            counts["inputs"] += 1
            counts["accepted" if accepted else "refused"] += 1
    return counts


def _honest_values() -> list[tuple[Callable[[bytes], _Encodable], bytes]]:
    keys = validator_keys(4)
    engine = EmbeddedEngine(KeyValueApplication(), genesis_for(keys), keys)
    engine.faults.absent.add(keys[0].address)
    for step in range(3):
        engine.submit_tx(b"k%d=v" % step)
        stored = engine.make_block(GENESIS_TIME_NS + step)
    light_block = engine.light_block(3)
    engine.close()
    return [
        (Header.decode, stored.block.header.encode()),
        (Commit.decode, stored.seen_commit.encode()),
        (Block.decode, stored.block.encode()),
        (ValidatorSet.decode, light_block.validators.encode()),
        (LightBlock.decode, light_block.encode()),
    ]


def changed(honest: bytes, random_source: random.Random) -> bytes:
    """Returns the bytes with one to four differences; now and then other bytes altogether."""
    if random_source.random() < 0.05:
        return random_source.randbytes(random_source.randrange(200))
    data = bytearray(honest)
    for _ in range(random_source.randint(1, 4)):
        place, kind = random_source.randrange(len(data)), random_source.randrange(5)
        if kind == 0:
            data[place] ^= 1 << random_source.randrange(8)
        elif kind == 1:
            data[place] = random_source.randrange(256)
        elif kind == 2 and len(data) > 1:
            del data[place : place + (random_source.randint(1, 8) if len(data) > 9 else 1)]
        elif kind == 3:
            data[place:place] = random_source.randbytes(random_source.randint(1, 8))
        else:
            other = random_source.randrange(len(data))
            data[place:place] = data[other : other + random_source.randint(1, 60)]
    return bytes(data)


def is_accepted(decode: Callable[[bytes], _Encodable], data: bytes) -> bool:
    """Tells whether a decoder accepts; what it accepts must be the one encoding of its value. Other errors go up."""
    try:
        value = decode(data)
    except ProtocolError:
        return False
    assert value.encode() == data, data.hex()
    return True
