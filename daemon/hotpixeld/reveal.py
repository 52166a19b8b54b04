"""Reveal: what a service's home hides, once its configuration names a folder there.

``python -m hotpixeld.reveal FILE USER PID`` as root, before a service is told to reload:
a folder that was added to the configuration can be read from then on.  Writing to it waits
for `hotpixeld-apply`.
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld import mounts
from hotpixeld.configfile import load
from hotpixeld.dropin import hidden
from hotpixeld.errors import ConfigError
from hotpixeld.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hotpixeld.config import Config
    from hotpixeld.mounts import Mount

INACCESSIBLE = re.compile(r"(/run)?/systemd/inaccessible/\w+")
"""What systemd mounts over a hidden path: the root of that mount; see proc_pid_mountinfo(5)."""


def covered(table: Iterable[Mount]) -> list[Path]:
    """Return the paths that a sandbox hides, from the mounts that it sees."""
    return [Path(one.point) for one in table if INACCESSIBLE.fullmatch(one.root)]


def to_reveal(paths: Iterable[Path], home: Path, config: Config) -> list[Path]:
    """Return those of the hidden paths in a home that shall not be hidden any more."""
    stay = set(hidden(home, config))
    return [path for path in paths if path.parent == home and path not in stay]


def main(arguments: Sequence[str]) -> int:
    """Reveal to a user's service what its configuration file names."""
    source, user, pid = arguments
    home = Path(pwd.getpwnam(user).pw_dir)
    os.environ["HOME"] = str(home)  # of ~ in the configuration
    table = mounts.parse(Path("/proc", pid, "mountinfo").read_text("latin-1"))
    try:
        config = load(Path(source))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.CONFIG
    enter = ["nsenter", f"--mount=/proc/{pid}/ns/mnt", "--"]
    for path in to_reveal(covered(table), home, config):
        unmount = [*enter, "umount", "--no-canonicalize", str(path)]
        subprocess.run(unmount, check=True)  # noqa: S603 - no shell; systemd names the paths
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
