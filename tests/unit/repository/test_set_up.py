"""The set-up does each step once, does it again when its input changed, and says in one line what is missing."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


def load(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load("set_up")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "CACHE", tmp_path / ".cache")
    return module


def test_a_stamp_counts_only_for_its_own_key(set_up: ModuleType, tmp_path: Path) -> None:
    stamp = tmp_path / "stamps" / "step"
    assert not set_up.is_current(stamp, "a")
    set_up.write_stamp(stamp, "a")
    assert set_up.is_current(stamp, "a")
    assert not set_up.is_current(stamp, "b")
    assert list(stamp.parent.iterdir()) == [stamp]


def test_the_digest_separates_its_parts(set_up: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("ab")
    assert set_up.digest("ab", "c") != set_up.digest("a", "bc")
    assert set_up.digest(tmp_path / "file") == set_up.digest("ab")


@pytest.mark.parametrize(
    ("output", "registry", "says"),
    [
        ("npm error code ENOTFOUND", "the npm registry", "the npm registry does not answer"),
        ("ConnectTimeoutError: connect timed out", "the index", "the index does not answer"),
        ("dial tcp: lookup host: no such host", "the proxy", "the proxy does not answer"),
        ("ERROR: hashes do not match", "the index", "failed with status 3"),
        ("ENOTFOUND, but this step needs no network", None, "failed with status 3"),
    ],
)
def test_a_failed_step_says_in_one_line_why(set_up: ModuleType, output: str, registry: str | None, says: str) -> None:
    program = f"import sys; print({output!r}); sys.exit(3)"
    with pytest.raises(set_up.SetUpError, match=says) as caught:
        set_up.run_step("step", [sys.executable, "-c", program], log="step", registry=registry)
    assert "\n" not in str(caught.value)
    assert "step" in str(caught.value)


def test_a_long_step_says_that_it_is_still_at_work(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(set_up, "HEARTBEAT_SECONDS", 0.05)
    program = "import time; print('fetching', flush=True); time.sleep(0.6)"
    set_up.run_step("step", [sys.executable, "-c", program], log="step")
    assert "(fetching)" in capsys.readouterr().err


def test_help_names_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    documented = load("make_help").documented_targets(makefile)
    phony = next(line for line in makefile.splitlines() if line.startswith(".PHONY:")).split()[1:]
    assert list(documented) == phony
    assert {"help", "demo", "test", "test-fast", "check", "bench", "soak", "lock", "fmt", "clean"} <= set(documented)


def test_ci_runs_check_before_test_and_ends_with_it() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert script.read_text().splitlines()[-1] == "exec make check test"
    subprocess.run(["/bin/sh", "-n", str(script)], check=True)
