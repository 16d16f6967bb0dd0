"""Small disks that can be filled: a folder of a process becomes a file system of its own (tmpfs). Needs root."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from testkit.toolchain import require_program, require_root

_FILLER = ".filler"
_CHUNK = bytes(4_096)


class SmallDisk:
    """A folder on a file system of its own."""

    def __init__(self, folder: Path) -> None:
        """Stand for a folder that is mounted."""
        self._filler = folder / _FILLER

    def fill(self) -> None:
        """Take all the room that is left."""
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as file:
            while file.write(_CHUNK):
                pass

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink()


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Put a folder, of a process that does not run, on a disk of its own; its files come along, and back at the end.

    Args:
        folder: which; may be missing.
        megabytes: size of the disk.
    """
    require_root("a disk of its own")
    mount, umount = require_program("mount", "util-linux"), require_program("umount", "util-linux")
    kept = folder.with_name(folder.name + ".kept")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder, kept)
    subprocess.run([mount, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        shutil.rmtree(kept)
        os.chmod(folder, 0o700)
        yield SmallDisk(folder)
    finally:
        shutil.copytree(folder, kept, dirs_exist_ok=True)
        subprocess.run([umount, "-l", str(folder)], check=True)
        shutil.rmtree(folder)
        kept.rename(folder)
