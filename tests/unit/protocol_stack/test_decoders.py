"""Every decoder of the protocol: round trips, one encoding each, and only declared errors, on any bytes."""

import pytest

from piebridge.crypto.errors import DecodingError
from testkit.fuzzing import DECODERS, DecoderUnderTest, fuzz
from testkit.samples import Samples

parametrised = pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)

OPEN_ENDED = {"door-message", "governor-body-to-hub", "draw-candidates"}
"""End in a payload or list of any length; test_applications, test_draw and the vectors cut them elsewhere."""


@parametrised
def test_reads_back_what_it_wrote(decoder: DecoderUnderTest) -> None:
    samples = Samples(1)
    for _ in range(60):
        value = decoder.sample(samples)
        data = decoder.encode(value)
        assert decoder.decode(data) == value
        assert decoder.encode(decoder.decode(data)) == data


@pytest.mark.parametrize(
    "decoder",
    [decoder for decoder in DECODERS if decoder.name not in OPEN_ENDED],
    ids=lambda decoder: decoder.name,
)
def test_refuses_every_shorter_and_longer_input(decoder: DecoderUnderTest) -> None:
    samples = Samples(2)
    for _ in range(6):
        data = decoder.encode(decoder.sample(samples))
        for length in range(len(data)):
            with pytest.raises(DecodingError):
                decoder.decode(data[:length])
        with pytest.raises(DecodingError):
            decoder.decode(data + b"\x00")


@parametrised
def test_few_inputs_raise_nothing_else(decoder: DecoderUnderTest) -> None:
    counts = fuzz(decoder, seed=3, inputs=600)
    assert counts["inputs"] == 600
    assert counts["accepted"] > 0
    assert counts["refused"] > 0


@pytest.mark.slow
@parametrised
def test_20_000_inputs_raise_nothing_else(decoder: DecoderUnderTest) -> None:
    counts = fuzz(decoder, seed=4, inputs=20_000)
    assert counts["inputs"] == 20_000
    assert counts["accepted"] > 0
    assert counts["refused"] > 0
