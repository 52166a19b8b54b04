"""A machine to install on: a guest with a real systemd as its PID 1.

Not a test.  The guest lives in namespaces, on an overlay of this machine's root whose
upper layer is kept over reboots and gone at the end; or of another root.  No image, no download, no container
engine: it needs root, namespaces, overlayfs, and systemd installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GUEST = Path(__file__).with_name("guest.sh")
DEADLINE = 60.0
PASSED_ON = ("PIP_", "UV_", "SSL_CERT", "REQUESTS_CA")
"""Variables that tell how to reach a package index from here."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What holds the guest's disk: it ends, and all is gone, when its standard input does.
HOLD = """
set -e
mount -t tmpfs -o mode=755 guest "$1"
mkdir "$1/up" "$1/work" "$1/cgroup"
mount -t cgroup2 cgroup2 "$1/cgroup"
mkdir "$1/cgroup/guest-$$"
echo ready
cat
"""
# The guest's root of all control groups is the one in which it is started.
START = """
echo $$ >"$2/cgroup/guest-$3/cgroup.procs"
exec unshare --mount --pid --cgroup --uts --ipc --fork --kill-child \
    --propagation private sh "$1" "$2" "$4"
"""


class NoMachineError(Exception):
    """There can be no guest here; says why."""


def until(reached: Callable[[], object], what: str, seconds: float = DEADLINE) -> None:
    """Wait until something is so."""
    began = time.monotonic()
    while not reached():
        assert time.monotonic() - began < seconds, f"not in {seconds} s: {what}"
        time.sleep(0.05)


def _environment() -> list[str]:
    passed_on = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(PASSED_ON) or name.lower().endswith("_proxy")
    }
    own = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "SYSTEMD_PAGER": "cat"}
    return [f"{name}={value}" for name, value in {**passed_on, **own}.items()]


class Machine:
    """The guest.

    Parameters
    ----------
    folder : Path
        An empty folder to mount things on.
    root : Path
        The file system to boot from; nothing is written to it.

    Raises
    ------
    NoMachineError
        There can be no guest here.
    """

    def __init__(self, folder: Path, root: Path = Path("/")) -> None:
        if os.geteuid() != 0:
            raise NoMachineError(
                "only root can start a guest with a systemd of its own"
            )
        if not Path("/lib/systemd/systemd").exists() or not shutil.which("unshare"):
            raise NoMachineError("systemd or unshare is not installed")
        self._folder = folder
        self._root = root
        self._holder = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                HOLD,
                "sh",
                folder,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout
        if self._holder.stdout.readline() != "ready\n":
            _, error = self._holder.communicate()
            raise NoMachineError(f"no namespaces, tmpfs or cgroup2: {error.strip()}")
        self._outer: subprocess.Popen[str] | None = None
        self._init = 0

    def boot(self) -> None:
        """Start the guest; returns when it is up.

        Raises
        ------
        NoMachineError
            It did not come up; says what its init said.
        """
        holder = str(self._holder.pid)
        # Whatever ends us ends the guest.
        enter = ["setpriv", "--pdeathsig", "KILL"]
        enter += ["nsenter", "--target", holder, "--mount", "sh", "-c"]
        self._outer = subprocess.Popen(
            [*enter, START, "sh", GUEST, self._folder, holder, self._root],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._init = 0
        try:
            until(self._is_up, "the guest is up", 20)
        except AssertionError as error:
            raise NoMachineError(self._end() or str(error)) from error

    def _is_up(self) -> bool:
        assert self._outer
        if self._outer.poll() is not None:
            raise AssertionError("the guest ended")
        outer = self._outer.pid
        if not self._init:
            children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
            name = Path(f"/proc/{children[0]}/comm") if children else None
            if name is None or name.read_text() != "systemd\n":
                return False
            self._init = int(children[0])
            # Whoever waits for the guest must not sit in its root control group.
            command = 'echo "$1" >"$2/cgroup/cgroup.procs"'
            enter = ["nsenter", "--target", str(self._holder.pid), "--mount"]
            subprocess.run(
                [*enter, "sh", "-c", command, "sh", str(outer), self._folder],
                check=True,
            )
        state = self.run("systemctl", "is-system-running", check=False)
        return state.strip() in {"running", "degraded"}

    def run(self, *command: str | Path, user: str = "", check: bool = True) -> str:
        """Run a command in the guest, as root or a user; return what it printed."""
        done = self.start(*command, user=user)
        output, _ = done.communicate(timeout=600)
        assert done.returncode == 0 or not check, (
            f"{command}: {done.returncode}\n{output}"
        )
        return output

    def code(self, *command: str | Path) -> int:
        """Run a command in the guest; return its exit code."""
        done = self.start(*command)
        done.communicate(timeout=600)
        return done.returncode

    def start(self, *command: str | Path, user: str = "") -> subprocess.Popen[str]:
        """Start a command in the guest."""
        enter = ["nsenter", "--target", str(self._init), "--mount", "--pid", "--uts"]
        enter += ["--ipc", "--cgroup", "--root", "--wd", "--", "env", "-i"]
        enter += _environment()
        if user:
            enter += ["runuser", "-u", user, "--", "env", f"HOME=/home/{user}"]
        return subprocess.Popen(
            [*enter, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def path(self, inside: str | Path) -> Path:
        """Return where a file of the guest can be reached from here."""
        return Path(f"/proc/{self._init}/root/{str(inside).lstrip('/')}")

    def holds(self, pid: int) -> bool:
        """Return whether a process, as numbered here, is one of the guest's."""
        name = "ns/pid"
        own = Path(f"/proc/{self._init}/{name}").readlink()
        return Path(f"/proc/{pid}/{name}").readlink() == own

    def ids(self, user: str) -> tuple[int, int]:
        """Return the user's and the group's number in the guest."""
        lines = self.path("/etc/passwd").read_text().splitlines()
        fields = next(line.split(":") for line in lines if line.startswith(f"{user}:"))
        return int(fields[2]), int(fields[3])

    def owner(self, inside: str | Path) -> str:
        """Return the name of the user to whom a file of the guest belongs."""
        return self.run("stat", "--format=%U", inside).strip()

    def shutdown(self) -> None:
        """Shut the guest down as a machine is: units are stopped in order."""
        self.run("systemctl", "exit", check=False)
        assert self._outer
        self._outer.communicate(timeout=DEADLINE)
        self._outer, self._init = None, 0

    def _end(self) -> str:
        """End the guest at once; return what was printed at its start."""
        if self._outer is None:
            return ""
        self._outer.kill()
        output, _ = self._outer.communicate()
        return output.strip()

    def close(self) -> None:
        """End the guest and forget its disk."""
        self._end()
        folder = f"{self._folder}/cgroup/guest-{self._holder.pid}"
        tidy = 'find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || test ! -d "$1"'
        enter = ["nsenter", "--target", str(self._holder.pid), "--mount"]
        remove = [*enter, "sh", "-c", tidy, "sh", folder]
        until(lambda: not subprocess.run(remove, check=False).returncode, "no cgroups")
        self._holder.communicate()
