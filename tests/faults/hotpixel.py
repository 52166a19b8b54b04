"""The program under test, as processes that can be killed, starved and lied to."""

from __future__ import annotations

import contextlib
import enum
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
DEADLINE = 60.0
# Passes over so few photos that a run has several, maps that are made soon, and pauses
# worth waiting for.
PATCH: dict[str, Any] = {
    "engine.learning.MOST_IN_A_PASS": 4,
    "engine.schedule.FEWEST_NEW": 4,
    "engine.schedule.MOST_NEW": 4,
    "engine.schedule.MOST_WAITING": 4,
    "detection.suspects.BY_TRACE": 16,
    "detection.suspects.BY_MEAN": 4,
    "service.daemon.PAUSE_SECONDS": 0.3,
    "service.daemon.RETRY_COPIES_SECONDS": 1.0,
}


class Mode(enum.IntEnum):
    """What happens at a call that changes, or reads, a file."""

    NONE = 0
    KILL = 1
    """The process ends before it."""
    TORN = 2
    """The process ends half way: half of a write is there."""
    EIO = 3
    ENOSPC = 4
    EROFS = 5
    STOP = 6
    """The process rests before it, until it is told to go on: `Process.while_stopped`."""


def compiled(source: Path, folder: Path) -> Path:
    """Compile a preload library into `folder`."""
    library = folder / f"{source.stem}.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra"]
    subprocess.run([*command, "-o", library, source, "-ldl"], check=True)
    return library


@dataclass(frozen=True)
class Fault:
    """Which calls below `roots` fail: numbers `at` to `until`, counted from 1.

    Those that change files, or those that read them.
    """

    mode: Mode = Mode.NONE
    at: int = 0
    until: int = 0
    roots: tuple[Path, ...] = ()
    trace: str = ""
    reads: bool = False

    def request(self) -> dict[str, Any]:
        """Return the request to the zygote."""
        return {
            "at": self.at,
            "until": self.until or self.at,
            "mode": int(self.mode),
            "reads": self.reads,
            "roots": [str(root) for root in self.roots],
            "trace": self.trace,
        }


class Process:
    """One `hotpixeld` that was forked."""

    def __init__(self, zygote: Zygote, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log
        self._zygote = zygote
        self._status: int | None = None

    def _state(self) -> str:
        """Return its state as the kernel says it: Z when it has ended."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rsplit(")")[1].split()[0]
        except OSError:
            return "Z"

    def is_alive(self) -> bool:
        """Return whether it still runs."""
        return self._state() != "Z"

    def while_stopped(self, harm: Callable[[], None]) -> bool:
        """Do some harm while it rests at a call; return whether it came there."""
        self.until(lambda: self._state() == "T")
        if self._state() != "T":
            return False
        harm()
        os.kill(self.pid, signal.SIGCONT)
        return True

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; return the exit code, negative for a signal."""
        if self._status is None and self.is_alive():
            os.kill(self.pid, number)
        return self.wait()

    def send(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = DEADLINE) -> int:
        """Wait for its end; return the exit code, negative for a signal."""
        if self._status is None:
            ends = time.monotonic() + seconds
            while self.is_alive():
                if time.monotonic() > ends:
                    os.kill(self.pid, signal.SIGKILL)
                    raise TimeoutError(f"hangs:\n{self.text()}")
                time.sleep(0.005)
            self._status = self._zygote.ask({"wait": self.pid})
        return self._status

    def until(self, reached: Callable[[], bool], seconds: float = DEADLINE) -> bool:
        """Wait until something is so, or the process has ended; return whether it is."""
        ends = time.monotonic() + seconds
        while not reached():
            if not self.is_alive():
                return reached()
            if time.monotonic() > ends:
                return False
            time.sleep(0.02)
        return True

    def text(self) -> str:
        """Return what it wrote to standard error."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@dataclass
class Zygote:
    """Forks processes with the fault library in them.

    Parameters
    ----------
    folder : Path
        For the library and the logs.
    libraries : tuple of Path
        More to preload.
    """

    folder: Path
    libraries: tuple[Path, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        libraries = [compiled(HERE / "fault.c", self.folder), *self.libraries]
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "zygote.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "LD_PRELOAD": ":".join(map(str, libraries)),
                "OPENBLAS_NUM_THREADS": "1",  # a process with threads must not fork
                **self.environment,
            },
        )
        self._started: list[Process] = []
        return self

    def end_all(self) -> None:
        """Kill what still runs."""
        for process in self._started:
            if process.is_alive():
                process.stop(signal.SIGKILL)

    def __exit__(self, *_: object) -> None:
        self.end_all()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                stream and stream.close()
        self._process.wait()

    def ask(self, request: dict[str, Any]) -> int:
        """Send a request and return the number that comes back."""
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("not started")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def start(
        self,
        *arguments: str | Path,
        log: Path,
        output: Path | None = None,
        fault: Fault | None = None,
        patch: dict[str, Any] | None = None,
    ) -> Process:
        """Start `hotpixeld` with these arguments.

        What it prints goes to `output`, else to the log as well.
        """
        runtime = log.parent / "runtime"
        request = {
            "arguments": [str(one) for one in arguments],
            "log": str(log),
            "output": str(output or log),
            "environment": {"RUNTIME_DIRECTORY": str(runtime)},
            "patch": PATCH if patch is None else patch,
            **(fault or Fault()).request(),
        }
        process = Process(self, self.ask(request), log)
        self._started[:] = [one for one in self._started if one.is_alive()]
        self._started.append(process)
        return process
