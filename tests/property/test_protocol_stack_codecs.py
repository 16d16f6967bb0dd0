"""Codecs under any bytes and any values (Hypothesis); the campaign in ``testkit.fuzzing`` tries many more."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piebridge.crypto.errors import DecodingError
from testkit.fuzzing import DECODERS, DecoderUnderTest, mutate
from testkit.samples import Samples

parametrised = pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)


@parametrised
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**64))
def test_round_trip_and_one_encoding(decoder: DecoderUnderTest, seed: int) -> None:
    samples = Samples(seed)
    value = decoder.sample(samples)
    data = decoder.encode(value)
    assert decoder.decode(data) == value
    changed = mutate(data, samples.random)
    try:
        other = decoder.decode(changed)
    except DecodingError:
        return
    assert decoder.encode(other) == changed
    assert (other == value) == (changed == data), "two encodings of one value"


@parametrised
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(decoder: DecoderUnderTest, data: bytes) -> None:
    try:
        value = decoder.decode(data)
    except DecodingError:
        return
    assert decoder.encode(value) == data
