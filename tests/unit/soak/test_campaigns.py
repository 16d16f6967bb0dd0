import json
from pathlib import Path

import pytest

from bench.benchmark import Benchmark, Figure, run
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


def test_a_result_names_commit_figures_and_units(tmp_path: Path) -> None:
    run(Benchmark("one", "how fast?", lambda: {"speed": Figure(2.5, "us")}), commit="abc", folder=tmp_path)
    result = json.loads((tmp_path / "one.json").read_text())
    assert (result["commit"], result["figures"]) == ("abc", {"speed": {"value": 2.5, "unit": "us"}})


def test_a_benchmark_without_figures_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="measured nothing"):
        run(Benchmark("one", "how fast?", dict), commit="abc", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
