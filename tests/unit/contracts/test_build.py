"""The check of artifacts against sources, without a compiler."""

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

CONTRACTS = Path(__file__).resolve().parents[3] / "contracts"


@pytest.fixture
def build(tmp_path: Path) -> ModuleType:
    """build.py of a copy of the contracts, which a test may change."""
    for part in ("src", "piebridge"):
        shutil.copytree(CONTRACTS / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("build.py", "foundry.toml"):
        shutil.copy(CONTRACTS / part, tmp_path / part)
    specification = importlib.util.spec_from_file_location("contracts_build_copy", tmp_path / "build.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_committed_artifacts_match_their_sources(build: ModuleType) -> None:
    build.check()


def test_a_changed_import_is_found(build: ModuleType) -> None:
    source = build.ROOT / "src" / "hub" / "Tags.sol"
    source.write_text(source.read_text() + "\n")
    with pytest.raises(build.BuildError, match=r"cancun/Hub was compiled from other sources: src/hub/Tags\.sol"):
        build.check()


def test_a_change_behind_a_remapping_concerns_one_profile(build: ModuleType) -> None:
    source = build.ROOT / "src" / "guard" / "london" / "Guard.sol"
    source.write_text(source.read_text() + "\n")
    with pytest.raises(build.BuildError) as caught:
        build.check()
    assert "london/Hub" in str(caught.value)
    assert "cancun/Hub" not in str(caught.value)


def test_other_settings_missing_and_stray_artifacts_are_found(build: ModuleType) -> None:
    path = build.artifact_path("cancun", "Hub")
    artifact = json.loads(path.read_text())
    artifact["settings"]["optimizer"]["runs"] += 1
    path.write_text(build.serialise(artifact))
    build.artifact_path("london", "Hub").unlink()
    (build.ARTIFACTS / "cancun" / "Old.json").write_text("{}")
    with pytest.raises(build.BuildError) as caught:
        build.check()
    assert "cancun/Hub was compiled with other settings" in str(caught.value)
    assert "london/Hub.json is missing" in str(caught.value)
    assert "Old.json belongs to no deployable contract" in str(caught.value)
