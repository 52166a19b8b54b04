"""A user's machine to tell stories on: cameras, an import folder, a state, the commands.

A story does what a user does and looks where a user looks::

    home, body = Home(tmp_path, programs), Body()
    body.shoot(home.photos, 16)
    home.once()
    assert home.copies() == {...}

Every command is the real one, in a process of its own.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
import os
import shutil
import signal
import struct
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hotpixeld.errors import LedgerError
from hotpixeld.store import state_folder
from hotpixeld.store.ledger import Ledger
from hotpixeld.watch.walk import Walk, stat_photo
from sensor import START, Planted, Sensor, scattered, write_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.hotpixel import Fault, Process, Zygote

HEIGHT, WIDTH = 88, 120
DEADLINE = 30.0
"""Seconds after which what has not come will not come."""

Json = dict[str, Any]


def maker_note(serial: str, shutter_count: int, retouch: int = 0) -> bytes:
    """Return a MakerNote as Nikon lays it out.

    With a serial number, how the photo was retouched in the camera, and a shutter count.
    """
    text = serial.encode() + b"\0"
    entries = (
        (0x001D, 2, len(text), 8 + 2 + 3 * 12 + 4),
        (0x009E, 3, 2, retouch),
        (0x00A7, 4, 1, shutter_count),
    )
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries)
    header = b"Nikon\0\x02\x10\0\0" + b"II*\0" + struct.pack("<I", 8)
    return header + directory + bytes(4) + text


@functools.cache
def photo_bytes(sensor: Sensor, serial: str, model: str, index: int) -> bytes:
    """Return the file of a camera's photo number `index`; one is taken each minute."""
    taken = START + dt.timedelta(minutes=index)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        write_jpeg(
            path,
            sensor.frame(index),
            taken,
            make="NIKON CORPORATION",
            model=model,
            serial=serial,
            maker_note=maker_note(serial, 1000 + index) if serial else b"",
        )
        return path.read_bytes()


@dataclass
class Body:
    """A camera body that takes photos, one after the other.

    Its three defects show from photo 0 on, unless told otherwise.  Each photo has make,
    model, serial, capture time, and a MakerNote with a shutter count.

    Attributes
    ----------
    taken : int
        How many photos it has taken.
    """

    serial: str = "3012345"
    model: str = "NIKON D80"
    height: int = HEIGHT
    width: int = WIDTH
    seed: int = 0
    defects: tuple[Planted, ...] | None = None
    taken: int = 0
    sensor: Sensor = field(init=False)

    def __post_init__(self) -> None:
        size = self.height, self.width
        if self.defects is None:
            self.defects = scattered(3, *size, seed=self.seed, levels=(70, 90))
        self.sensor = Sensor(*size, seed=self.seed, defects=self.defects)

    @property
    def xy(self) -> set[tuple[int, int]]:
        """Return the places of its defects."""
        return {(one.col, one.row) for one in self.sensor.defects}

    def shoot(
        self, folder: Path, count: int = 1, *, name: str = "IMG_{:04d}.JPG"
    ) -> list[Path]:
        """Take `count` photos into a folder; each arrives whole.  Return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for index in range(self.taken, self.taken + count):
            path = folder / name.format(index)
            part = path.with_name(f".{path.name}.tmp")
            part.write_bytes(photo_bytes(self.sensor, self.serial, self.model, index))
            part.rename(path)
            paths.append(path)
        self.taken += count
        return paths


def sha256(path: Path) -> str:
    """Return the hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files(folder: Path) -> dict[str, str]:
    """Return the hash of each file below a folder, by its relative path."""
    return {
        str(path.relative_to(folder)): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


@dataclass(frozen=True)
class Answer:
    """What a command came to: its exit code, what it printed, what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Json:
        """Return what it printed, as JSON."""
        return dict(json.loads(self.out))


class Home:
    """A user's machine: an import folder, a state folder, and a configuration.

    Parameters
    ----------
    root : Path
        For everything.
    programs : Zygote
        Starts the commands.
    state : str
        Name of the state folder.

    Attributes
    ----------
    photos, state, config : Path
        The import folder, the state folder, the configuration file.
    settings : dict
        What stands in the configuration file; see `configure`.
    system : Path
        For what is none of the user's: logs, the runtime folder.
    """

    def __init__(self, root: Path, programs: Zygote, *, state: str = "state") -> None:
        self.root = root
        self.photos = root / "photos"
        self.state = root / state
        self.config = root / f"{state}.yaml"
        self.settings: Json = {}
        self._programs = programs
        self._patch: Json = {}
        self.system = root / "system" / state
        self.photos.mkdir(parents=True, exist_ok=True)
        self.system.mkdir(parents=True)
        self.configure(
            state=str(self.state),
            folders=[{"path": str(self.photos), "settle_seconds": 0.1}],
        )

    def configure(self, **sections: object) -> None:
        """Write the configuration, with these top-level keys in place of the former."""
        self.settings |= sections
        self.config.write_text(yaml.safe_dump(self.settings))

    def configure_folder(self, number: int = 0, **keys: object) -> None:
        """Write the configuration, with these keys of a folder; None removes a key."""
        folders = [dict(folder) for folder in self.settings["folders"]]
        folders[number] |= {key: str(value) if isinstance(value, Path) else value
                            for key, value in keys.items()}  # fmt: skip
        folders[number] = {k: v for k, v in folders[number].items() if v is not None}
        self.configure(folders=folders)

    def also(self, state: str) -> Home:
        """Return another state on the same folders; configure it as you like."""
        other = Home(self.root, self._programs, state=state)
        other.configure(**(self.settings | {"state": str(other.state)}))
        return other

    # Commands

    def hotpixeld(
        self, *arguments: str | Path, code: int | None = 0, fault: Fault | None = None
    ) -> Answer:
        """Run a command, with this configuration; its exit code must be `code`."""
        out, err = self.system / "out", self.system / "err"
        for file in (out, err):
            file.unlink(missing_ok=True)
        process = self._start(*arguments, log=err, output=out, fault=fault)
        answer = Answer(process.wait(DEADLINE), out.read_text(), err.read_text())
        if code is not None and answer.code != code:
            raise AssertionError(f"{arguments}: {answer}")
        return answer

    def _start(self, *arguments: str | Path, **how: Any) -> Process:
        config = () if "--config" in arguments else ("--config", self.config)
        return self._programs.start(*arguments, *config, patch=self._patch, **how)

    def once(self, **how: Any) -> Answer:
        """Take what is there: `run --once`."""
        return self.hotpixeld("run", "--once", "--jobs", "1", **how)

    def once_quietly(self, **how: Any) -> Answer:
        """Take what is there, as cron does: `run --once --quiet`."""
        return self.hotpixeld("run", "--once", "--quiet", "--jobs", "1", **how)

    def status(self, *arguments: str) -> Json:
        """Return what `status --json` prints."""
        return self.hotpixeld("status", "--json", *arguments).json

    def maps(self) -> list[Json]:
        """Return the cameras of `map --format json`."""
        return list(self.hotpixeld("map", "--format", "json").json["cameras"])

    def listed(self) -> set[tuple[int, int]]:
        """Return the x, y of all pixels that the maps list."""
        return {
            (one["x"], one["y"]) for camera in self.maps() for one in camera["pixels"]
        }

    def daemon(self, fault: Fault | None = None) -> Daemon:
        """Start the daemon: `run`, in the foreground; it may die of a `fault`."""
        return Daemon(self, fault)

    # What there is

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Open the ledger to read."""
        ledger = Ledger(self.state / "ledger.sqlite3", read_only=True)
        try:
            yield ledger
        finally:
            ledger.close()

    def outputs(self) -> list[Path]:
        """Return the folders that copies go to."""
        return [
            Path(os.path.normpath(Path(one["path"]) / one.get("repaired", "repaired")))
            for one in self.settings["folders"]
        ]

    def candidates(self) -> list[Path]:
        """Return what lies in the import folders and is named like a photo."""
        return [
            Path(found.path)
            for folder in self.settings["folders"]
            for found in Walk(Path(folder["path"]), self.outputs())
        ]

    def name(self, path: Path) -> str:
        """Return a path as stories name it: relative to all the user's folders."""
        return str(path.relative_to(self.root))

    def outcomes(self) -> dict[str, str]:
        """Return what became of each photo that is there, and of each that was.

        "image" where the photo counts; its image is folded, pending, forgotten or lost,
        see `folded`.
        """
        with self.ledger() as ledger:
            rows = ledger.connection.execute("SELECT folder, name, outcome FROM paths")
            return {
                self.name(Path(folder.decode()) / name.decode()): outcome
                for folder, name, outcome in rows
            }

    def folded(self) -> int:
        """Return how many photos count, folded or about to be."""
        photos = self.status()["photos"]
        return int(photos["folded"] + photos["pending"])

    def copies(self) -> dict[str, str]:
        """Return the condition of each copy that the ledger knows, by its place."""
        with self.ledger() as ledger:
            rows = ledger.connection.execute("SELECT target, condition FROM copies")
            return {self.name(Path(path.decode())): how for path, how in rows}

    def written(self) -> set[str]:
        """Return the files that lie in the output folders."""
        return {
            self.name(path)
            for output in self.outputs()
            for path in output.rglob("*")
            if path.is_file()
        }

    def drop_copy(self, photo: Path, place: Path) -> Path:
        """Copy a photo as a user does, with its times."""
        place.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy2(photo, place))


class Daemon:
    """A `hotpixeld run` of a home."""

    def __init__(self, home: Home, fault: Fault | None = None) -> None:
        self._home = home
        self._log = home.system / "log"
        self._before = len(self._all())
        self.process = home._start("run", "--jobs", "1", log=self._log, fault=fault)
        if fault is None:
            self.until(lambda: "watching" in self.log, "no start")

    def _all(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def log(self) -> str:
        """Return what this daemon has logged."""
        return self._all()[self._before :]

    def until(self, reached: Callable[[], bool], what: str) -> None:
        """Wait until something is so; the daemon must live as long."""
        if not self.process.until(reached, DEADLINE):
            raise AssertionError(f"{what}\n{self.log[-3000:]}")

    def idle(self) -> Daemon:
        """Wait until all photos are known as they are, and the daemon has no work."""
        if not self.process.until(lambda: not self.under_way(), DEADLINE):
            raise AssertionError(f"{self.under_way()}\n{self.log[-3000:]}")
        return self

    def under_way(self) -> str:
        """Return what the daemon has not done yet, empty if it is idle."""
        # The ledger first: the daemon says that it is busy before it writes there.
        try:
            with self._home.ledger() as ledger:
                for path in self._home.candidates():
                    known, now = ledger.paths.find(path), stat_photo(path)
                    if known is None or now is None:
                        return f"not known yet: {path}"
                    if known.signature and not now.is_still(known.signature):
                        return f"not known as it is: {path}"
        except LedgerError as error:
            return str(error)
        try:
            # What `status --json` prints of the daemon, without a process each time.
            where = {"RUNTIME_DIRECTORY": str(self._home.system / "runtime")}
            folder = state_folder.runtime_folders(self._home.state, where)[0]
            published = (folder / state_folder.STATUS_NAME).read_text()
            daemon = json.loads(published)["daemon"]
        except FileNotFoundError:
            return "no status yet"
        if daemon["pid"] != self.process.pid:
            return "no status yet of this daemon"
        return f"busy: {daemon['status']}" if daemon["busy"] else ""

    def stop(self) -> Daemon:
        """Stop it as systemd does."""
        if code := self.process.stop(signal.SIGTERM):
            raise AssertionError(f"exit code {code}\n{self.log[-2000:]}")
        return self

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.stop(signal.SIGKILL)

    def reload(self) -> Daemon:
        """Have it read the configuration again, and wait until it has done all due."""
        answers = "reloaded: watching", "configuration refused"

        def count() -> int:
            return sum(self.log.count(answer) for answer in answers)

        before = count()
        self.process.send(signal.SIGHUP)
        self.until(lambda: count() > before, "no reload")
        return self.idle()
