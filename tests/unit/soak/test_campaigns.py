import json
from pathlib import Path

import pytest

from bench.benchmark import Benchmark, Figure, Measured, Options, Plot, Series, run
from bench.benchmarks import BENCHMARKS
from soak.campaign import Campaign
from soak.campaigns import CAMPAIGNS

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
@pytest.mark.parametrize(
    "campaign", [each for each in CAMPAIGNS if not each.tested_by], ids=lambda campaign: campaign.name
)
def test_each_campaign_passes_a_round_and_counts_what_it_did(campaign: Campaign) -> None:
    counts = campaign.run_round(1)
    assert {name for name in campaign.counted if counts[name] > 0} == set(campaign.counted)


def test_campaigns_that_say_so_are_tested_elsewhere() -> None:
    elsewhere = [campaign.tested_by for campaign in CAMPAIGNS if campaign.tested_by]
    assert elsewhere
    assert all((ROOT / path).is_file() for path in elsewhere)


def test_names_are_unique() -> None:
    assert len({campaign.name for campaign in CAMPAIGNS}) == len(CAMPAIGNS) > 0
    assert len({benchmark.name for benchmark in BENCHMARKS}) == len(BENCHMARKS) > 0


def measured(options: Options) -> Measured:
    plot = Plot("speed", "s", "packets", (Series("all", ((0.0, 0.0), (1.0, options.rates[0]))),))
    return Measured({"speed": Figure.of([2.5, 4.0, 3.0], "us")}, plot, ["said"])


def test_a_result_names_commit_machine_versions_figures_and_ranges(tmp_path: Path) -> None:
    run(Benchmark("one", "how fast?", measured), Options(runs=3), commit="abc", folder=tmp_path)
    result = json.loads((tmp_path / "one.json").read_text())
    assert (result["commit"], result["notes"], result["options"]["runs"]) == ("abc", ["said"], 3)
    assert result["figures"] == {"speed": {"value": 3.0, "unit": "us", "lowest": 2.5, "highest": 4.0, "runs": 3}}
    assert result["machine"]["cpus"] >= 1
    assert {"python", "coincurve"} <= set(result["versions"])
    assert result["command"].startswith("python -m bench")
    assert (tmp_path / "one.svg").read_text().startswith("<?xml")


def test_results_of_other_shapes_lie_beside_each_other(tmp_path: Path) -> None:
    benchmark = Benchmark("one", "how fast?", measured, by_shape=True)
    for options in (Options(), Options(engine="cometbft"), Options(anvil_depth=0)):
        run(benchmark, options, commit="abc", folder=tmp_path)
    names = {path.name for path in tmp_path.glob("*.json")}
    assert names == {"one-anvil-embedded.json", "one-anvil-cometbft.json", "one-anvil-embedded-depth-0.json"}


def test_a_benchmark_without_figures_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="measured nothing"):
        run(Benchmark("none", "?", lambda options: Measured({})), Options(), commit="abc", folder=tmp_path)
