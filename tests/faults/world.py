"""A state, folders and photos to hurt, and what must hold afterwards."""

from __future__ import annotations

import functools
import hashlib
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hotpixeld.config import map_yaml
from hotpixeld.errors import CheckpointError
from hotpixeld.jpeg import decoder
from hotpixeld.jpeg.decoder import Size
from hotpixeld.store import generation_files
from hotpixeld.store.ledger import Ledger
from sensor import START, Sensor, scattered, write_jpeg
from whole_frames import State

if TYPE_CHECKING:
    from hotpixeld.jpeg.decoder import Frame
    from hotpixeld.store.images import CameraRecord

SIZE, MEMORY = Size(88, 120), 100
EXPECTED = re.compile(
    r"lock|under-way|notify\.due|spool/[0-9a-f]{64}|ledger\.sqlite3(-wal|-shm)?"
    r"|cameras/[^/]+/(map\.yaml|footprint\.json|(\d{8}/|previous/\d{8}\.)"
    r"((mean|m2|trace_total|trace_telling)\.npy|manifest\.json))"
)
"""The files that may lie in a state folder, between runs."""


@functools.cache
def _sensor(size: Size) -> Sensor:
    defects = scattered(2, *size, levels=(70, 90))
    return Sensor(*size, defects=defects)


@functools.cache
def _bytes(size: Size, serial: str, index: int) -> bytes:
    """Return a photo's file."""
    taken = START.replace(minute=index % 60, hour=index // 60 % 24)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        frame = _sensor(size).frame(index)
        write_jpeg(path, frame, taken, serial=serial)
        return path.read_bytes()


@functools.cache
def _frame(path: Path, data: bytes) -> Frame:
    """Return a decoded photo."""
    return decoder.decode(data)


@dataclass(frozen=True)
class World:
    """A folder with everything: ``import``, ``other``, ``state`` and the configuration.

    Photos without a defect get a hard link in ``other``, so that each way to write a copy
    is taken.
    """

    root: Path
    size: Size = SIZE

    @classmethod
    def new(cls, root: Path, size: Size = SIZE) -> World:
        """Make an empty one, in place of what was there."""
        shutil.rmtree(root, ignore_errors=True)
        world = cls(root, size)
        for folder in world.folders:
            folder.mkdir(parents=True)
        listed = _sensor(size).defects[0]
        world.config.write_text(
            f"state: {world.state}\n"
            f"folders:\n"
            f"  - {{path: {world.folders[0]}, settle_seconds: 0.1}}\n"
            f"  - {{path: {world.folders[1]}, settle_seconds: 0.1, unchanged: link}}\n"
            f"cameras:\n"
            f"  - {{model: Model One, serial: '1', size: [{size.width}, {size.height}],"
            f" pixels: [[{listed.col}, {listed.row}]]}}\n"
            f"detection: {{min_photos: 8, memory: {MEMORY}}}\n"
        )
        return world

    @property
    def folders(self) -> tuple[Path, Path]:
        """Return the watched folders."""
        return self.root / "import", self.root / "other"

    @property
    def state(self) -> Path:
        """Return the state folder."""
        return self.root / "state"

    @property
    def config(self) -> Path:
        """Return the configuration file."""
        return self.root / "hotpixeld.yaml"

    @property
    def log(self) -> Path:
        """Return where processes write."""
        return self.root / "log"

    @property
    def roots(self) -> tuple[Path, ...]:
        """Return the places where faults are injected."""
        return self.state, *(folder / "repaired" for folder in self.folders)

    def photo(self, index: int) -> bytes:
        """Return the file of photo `index`."""
        return _bytes(self.size, str(index % 3 // 2 + 1), index)

    def put(self, index: int) -> Path:
        """Let photo `index` arrive complete; two of three are of the first camera."""
        which = index % 3 == 2
        path = self.folders[which] / f"day{index // 10}" / f"IMG_{index:04d}.JPG"
        path.parent.mkdir(exist_ok=True)
        part = path.with_name(f".{path.name}.tmp")
        part.write_bytes(self.photo(index))
        part.rename(path)
        return path

    def reset(self) -> None:
        """Forget all but the photos."""
        for root in self.roots:
            shutil.rmtree(root, ignore_errors=True)
        self.log.unlink(missing_ok=True)

    def originals(self) -> list[Path]:
        """Return the photos."""
        return sorted(
            path
            for folder in self.folders
            for path in folder.glob("day*/*")
            if path.is_file()
        )

    def counts(self) -> dict[str, int]:
        """Return the ledger's images by outcome, nothing while there is no ledger."""
        try:
            ledger = Ledger(self.state / "ledger.sqlite3", read_only=True)
        except Exception:  # noqa: BLE001 - not there yet, or being made
            return {}
        try:
            return {**ledger.images.counts(), **ledger.copies.counts()}
        finally:
            ledger.close()


def _complete(path: Path) -> str:
    """Return what is wrong with a copy."""
    try:
        with Image.open(path) as image:
            image.load()
    except OSError as error:
        return f"{path}: {error}"
    return "" if path.read_bytes().endswith(b"\xff\xd9") else f"{path}: no end"


def right_after(world: World) -> list[str]:
    """Return what is wrong in the moment of a crash, before anything starts again."""
    wrong = [
        fault
        for root in world.roots[1:]
        for path in root.rglob("*.JPG")
        if not path.name.startswith(".") and (fault := _complete(path))
    ]
    if not (world.state / "ledger.sqlite3").exists():
        return wrong
    # A copy of it: a second process must not recover the log in the daemon's stead.
    looked_at = world.root / "looked-at"
    shutil.rmtree(looked_at, ignore_errors=True)
    looked_at.mkdir()
    for path in world.state.glob("ledger*"):
        if not path.name.endswith("-shm"):
            shutil.copy(path, looked_at)
    ledger = Ledger(looked_at / "ledger.sqlite3")
    for record in ledger.images.cameras():
        if record.generation:
            folder = world.state / "cameras" / record.camera.id
            wrong += damaged(folder, record.generation)
    ledger.close()
    return wrong


def damaged(folder: Path, number: int) -> list[str]:
    """Return what is wrong with a generation, the current one or the one before."""
    with tempfile.TemporaryDirectory() as place:
        for name, path in generation_files.files_of(folder, number).items():
            (Path(place) / name).symlink_to(path)
        try:
            generation_files.check(Path(place), lambda: None)
        except CheckpointError as error:
            return [f"generation {number} of {folder.name}: {error}"]
    return []


def _litter(world: World) -> list[str]:
    wrong = [
        f"litter: {path}"
        for path in world.state.rglob("*")
        if path.is_file() and not EXPECTED.fullmatch(str(path.relative_to(world.state)))
    ]
    wrong += [
        f"two current generations in {camera}"
        for camera in world.state.glob("cameras/*")
        if len(list(camera.glob("**/mean.npy"))) > 1
    ]
    for root in world.roots[1:]:
        files = [path for path in root.rglob("*") if path.is_file()]
        wrong += [f"litter: {path}" for path in files if path.name[:2] != "c_"]
    return wrong


def _clean_fold(world: World, ledger: Ledger, camera_id: str) -> State:
    """Return the state of the camera's folded images, from their files, in sequence."""
    state = State.empty(*world.size, traced=True)
    rows = ledger.connection.execute(
        "SELECT id FROM images WHERE camera = ? AND outcome = 'folded' ORDER BY sequence",
        (camera_id,),
    )
    for (image,) in rows.fetchall():
        path = ledger.paths.of_image(image)[0]
        state.fold(_frame(path, path.read_bytes()), MEMORY)
    return state


def _state(world: World, ledger: Ledger, record: CameraRecord) -> list[str]:
    """Return how a camera's checkpoint differs from a clean fold."""
    camera_id = record.camera.id
    folded = ledger.images.counts(camera_id)["folded"]
    if not record.generation:
        return [f"no generation of {camera_id}"]
    wrong = []
    if record.photos != folded:
        wrong.append(
            f"{camera_id}: {record.photos} photos in the state, {folded} folded"
        )
    clean = _clean_fold(world, ledger, camera_id)
    folder = world.state / "cameras" / camera_id
    wrong += damaged(folder, record.generation)
    found = generation_files.opened(
        generation_files.folder_of(folder, record.generation)
    )
    if clean.trace is None or found.trace is None:
        return [*wrong, "no trace"]
    for name, stored, array in (
        ("mean", found.mean, clean.mean),
        ("m2", found.m2, clean.m2),
        ("trace", found.trace.total, clean.trace.total),
        ("trace", found.trace.information, clean.trace.information),
    ):
        if not np.array_equal(stored, array):
            wrong.append(f"{camera_id}: {name} differs from a clean fold")
    previous = ledger.generations.previous(camera_id)
    return wrong + (damaged(folder, previous) if previous is not None else [])


def _map(world: World, ledger: Ledger, record: CameraRecord) -> list[str]:
    """Return how a camera's map.yaml differs from the ledger's map."""
    if not record.mapped:
        return []
    camera = record.camera
    path = world.state / "cameras" / camera.id / "map.yaml"
    listed = ledger.defects.of(camera.id)
    same = path.read_text() == map_yaml.dump(camera, listed, photos=record.mapped)
    return [] if same else [f"{path} is not the ledger's map"]


def in_the_end(world: World) -> list[str]:
    """Return what is wrong after a run that ended well: lost, twice, torn, left over."""
    wrong = _litter(world)
    ledger = Ledger(world.state / "ledger.sqlite3", read_only=True)
    originals = world.originals()
    distinct = len({hashlib.sha256(path.read_bytes()).digest() for path in originals})
    counts = ledger.images.counts()
    if counts != {"folded": distinct, "pending": 0, "lost": 0, "forgotten": 0}:
        wrong.append(f"{distinct} photos, but {counts}")
    for record in ledger.images.cameras():
        wrong += _state(world, ledger, record) + _map(world, ledger, record)
    for original in originals:
        known = ledger.copies.find(original)
        if known is None:
            wrong.append(f"no copy of {original}")
        elif known.condition not in {"written", "withdrawn"}:
            wrong.append(f"copy of {original} is {known.condition}: {known.notes}")
        elif known.condition == "written" and not known.target.exists():
            wrong.append(f"{known.target} is missing")
        elif known.condition == "written":
            found = hashlib.sha256(known.target.read_bytes()).hexdigest()
            fault = "not what the ledger says" if found != known.sha256 else ""
            fault = fault or _complete(known.target)
            wrong += [f"{known.target}: {fault}"] if fault else []
    ledger.close()
    return wrong
