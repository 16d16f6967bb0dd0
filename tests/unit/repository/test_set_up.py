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


@pytest.fixture
def steps(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the steps that a profile takes; the one that is appended first, after a colon, fails."""
    taken: list[str] = []

    def record(name: str) -> None:
        def step(*arguments: str) -> None:
            taken.append(name)
            if f"fail:{name}" in taken:
                raise set_up.SetUpError(f"{name} does not answer")

        monkeypatch.setattr(set_up, f"prepare_{name}", step)

    for name in ("environment", "packages", "project", "node", "cometbft", "vectors"):
        record(name)
    monkeypatch.delenv("CI", raising=False)
    return taken


@pytest.mark.parametrize(
    ("profile", "last"),
    [("runtime", ["project"]), ("dev", ["node"]), ("cometbft", ["cometbft"]), ("test", ["cometbft", "vectors"])],
)
def test_only_tests_with_real_chains_build_cometbft(
    set_up: ModuleType, steps: list[str], profile: str, last: list[str]
) -> None:
    set_up.prepare(profile)
    assert steps[-len(last) :] == last
    assert ("cometbft" in steps) == (profile in ("cometbft", "test"))
    makefile = (ROOT / "Makefile").read_text()
    assert [line.split(":")[0] for line in makefile.split("\n\n") if "$(SET_UP) test" in line] == ["test"]


def test_an_unreachable_module_proxy_leaves_tests_out_but_not_in_ci(
    set_up: ModuleType, steps: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps.append("fail:cometbft")
    set_up.prepare("test")
    assert steps[-1] == "vectors"
    assert "cometbft does not answer. Tests that need it will be skipped." in capsys.readouterr().err
    with pytest.raises(set_up.SetUpError, match="cometbft does not answer"):
        set_up.prepare("cometbft")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(set_up.SetUpError, match="cometbft does not answer"):
        set_up.prepare("test")


def test_vectors_are_taken_out_of_their_module_and_the_module_is_deleted(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def download(title: str, arguments: list[str], *, log: str) -> None:
        module = f"{set_up.VECTORS_MODULE}@{set_up.VECTORS_VERSION}"
        assert arguments == ["mod", "download", module]
        folder = tmp_path / ".cache/go/pkg/mod" / module / set_up.VECTORS_FOLDER
        folder.mkdir(parents=True)
        (folder / "case.json").write_text("{}")

    monkeypatch.setattr(set_up, "_run_go", download)
    set_up.prepare_vectors()
    place = tmp_path / ".cache" / set_up.VECTORS_PLACE
    assert (place / "case.json").read_text() == "{}"
    assert not (tmp_path / ".cache" / "go").exists()
    monkeypatch.setattr(set_up, "_run_go", None)
    set_up.prepare_vectors()  # the second run downloads nothing
