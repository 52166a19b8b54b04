"""A file system on which inotify is silent: FUSE, by Debian's bindfs.

Not a test.  What is written to the folder behind it appears in it without an event, as what
another machine writes to a network folder does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def mounted(behind: Path, place: Path) -> Iterator[None]:
    """Show a folder at another place; the test is skipped where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    if not shutil.which("bindfs"):
        pytest.skip("bindfs is not installed")
    command = ["bindfs", str(behind), str(place)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no FUSE: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
