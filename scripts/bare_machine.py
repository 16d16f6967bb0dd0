"""Proves that a target needs nothing but Python, make, git and coreutils: fresh clone, empty HOME, empty environment.

Usage: bare_machine.py TARGET [VARIABLE=value ...]. Standard library only. Exit status is that of make.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

COREUTILS = """
[ arch b2sum base32 base64 basename basenc cat chgrp chmod chown cksum comm cp csplit cut date dd df dir
dircolors dirname du echo env expand expr factor false fmt fold groups head hostid id install join link ln
logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste pathchk pinky pr printenv
printf ptx pwd readlink realpath rm rmdir runcon seq sha1sum sha224sum sha256sum sha384sum sha512sum shred
shuf sleep sort split stat stdbuf stty sum sync tac tail tee test timeout touch tr true truncate tsort tty
uname unexpand uniq unlink users vdir wc who whoami yes
""".split()  # noqa: SIM905 - a hundred quoted names would be harder to read
"""All programs of GNU coreutils."""


def bare_path(folder: Path) -> None:
    """Fills a folder with links to python3.11, make, git, sh and coreutils: the whole PATH of the run."""
    folder.mkdir()
    interpreter = Path(sys.base_prefix) / "bin" / "python3.11"
    (folder / "python3.11").symlink_to(interpreter)
    for program in ("make", "git", "sh"):
        found = shutil.which(program)
        if found is None:
            raise SystemExit(f"{program} is not on the path")
        (folder / program).symlink_to(found)
    for program in COREUTILS:
        found = shutil.which(program)
        if found is not None:
            (folder / program).symlink_to(found)


def main(arguments: list[str]) -> int:
    """Clones HEAD, runs `make TARGET` there twice, says how long each took; returns the first status that is not 0."""
    with tempfile.TemporaryDirectory(prefix="piebridge-bare-") as scratch:
        place = Path(scratch)
        home, clone = place / "home", place / "piebridge"
        home.mkdir()
        bare_path(place / "bin")
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
        for attempt in ("first", "second"):
            started = time.monotonic()
            done = subprocess.run(
                ["make", *arguments],
                cwd=clone,
                env={"HOME": str(home), "PATH": str(place / "bin")},
                check=False,
                stdin=subprocess.DEVNULL,
            )
            print(
                f"bare machine: {attempt} make {' '.join(arguments)}: "
                f"status {done.returncode}, {time.monotonic() - started:.1f} s",
                flush=True,
            )
            if done.returncode != 0:
                return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["test-fast"]))
