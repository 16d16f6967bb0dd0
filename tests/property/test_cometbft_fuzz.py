import pytest

from soak.cometbft_decoders import INPUTS_OF_EACH_DECODER, run_round


@pytest.mark.slow
def test_a_round_of_the_decoder_campaign() -> None:
    counts = run_round(seed=1)
    assert counts["inputs"] == 5 * INPUTS_OF_EACH_DECODER
    assert counts["refused"] > counts["accepted"] > 0
