#!/usr/bin/env python3
"""Live a camera's life: defects appear, heal and come back over many thousand photos.

    python tests/bench/life.py [--photos N] [--seed N] [--batch N]

The photos are small, each another window on one of a few large scenes. A session takes
them as the daemon does: in batches, with the maps that fall due on the way, and with the
files of the last few hundred photos still there. Each map is held against what was
planted. Every change must show in time: a defect of 20 visible levels or more within 40
photos, a weaker one, and an end, within 100. Exits with 1 when one is late, lost on the way
or listed twice, or when anything is listed that never was.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import sensor
from hotpixeld.config.load import for_folders
from hotpixeld.detection import suspects
from hotpixeld.engine.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hotpixeld.defect import Defect

HEIGHT, WIDTH = 128, 160
LEVELS = (27, 15, 60)
"""At the sensor; some 20, 10 and 50 are to be seen."""
PLACES = 12
FEWEST = 1000
STRONG = 27
SOON, LATER = 40, 100
"""Photos in which a strong defect must be listed; a weaker one, or the end of one."""
KEPT = 400
"""Files that are still there: more than a verdict looks back on."""
SCENES, SCENE_HEIGHT, SCENE_WIDTH, NOISE = 40, 500, 700, 1.5
NEAR = 2
EXACT = 2


@dataclass(slots=True)
class Life:
    """A planted defect from its first photo to its last, and when the maps listed it.

    Attributes
    ----------
    planted : sensor.Planted
    listed, certain, ended : int or None
        Photos taken when a map first listed it, was sure enough for repairs, and when one
        first listed it no more as living.
    entries : list of Defect
        What the last map says of it; one, if all is well.
    lost : int
        Maps that dropped it too early.
    """

    planted: sensor.Planted
    listed: int | None = None
    certain: int | None = None
    ended: int | None = None
    entries: list[Defect] = field(default_factory=list)
    lost: int = 0

    @property
    def limit(self) -> int:
        """Return the photos in which it must be listed."""
        return SOON if self.planted.level >= STRONG else LATER

    def is_at(self, one: Defect) -> bool:
        """Return whether an entry of a map is at this place."""
        rows, cols = one.row - self.planted.row, one.col - self.planted.col
        return max(abs(rows), abs(cols)) <= NEAR

    def overlaps(self, one: Defect) -> bool:
        """Return whether an entry of a map is of this life."""
        after = one.until is not None and one.until <= moment(self.planted.onset)
        before = one.by is not None and one.by >= moment(self.planted.until)
        return self.is_at(one) and not (after or before)


@dataclass(slots=True)
class Record:
    """All lives, and what maps listed that never was."""

    lives: list[Life]
    invented: dict[tuple[int, int], int] = field(default_factory=dict)

    def hold(self, listed: Sequence[Defect], photos: int) -> None:
        """Hold a map, made after so many photos, against what was planted."""
        for one in listed:
            if not any(life.overlaps(one) for life in self.lives):
                self.invented.setdefault((one.row, one.col), photos)
        for life in self.lives:
            if life.planted.onset < photos:
                _follow(life, listed, photos)


def moment(photo: int) -> dt.datetime:
    """Return when a photo is taken: one a minute."""
    return sensor.START + dt.timedelta(minutes=min(photo, 10**8))


def _follow(life: Life, listed: Sequence[Defect], photos: int) -> None:
    """Note what a map, made after so many photos, says about a life that began."""
    entries = [one for one in listed if life.overlaps(one)]
    living = [one for one in entries if one.until is None]
    life.entries = entries
    if living and life.listed is None:
        life.listed = photos
    if living and life.certain is None and suspects.is_certain(living[0]):
        life.certain = photos
    if not living and life.listed is not None:
        if photos < life.planted.until:
            life.lost += 1
        elif life.ended is None:
            life.ended = photos


def planned(photos: int, seed: int) -> list[Life]:
    """Return the lives: all begin, most end, some come back; two begin near the end."""
    rng = np.random.default_rng((seed, 7))
    places = sensor.scattered(PLACES, HEIGHT, WIDTH, seed=seed, levels=LEVELS)
    lives = []
    for number, place in enumerate(places):
        level = place.level
        first = int(rng.uniform(0.10, 0.40) * photos)
        # Short lives and long ones.
        end = first + (250 if number % 4 == 1 else int(rng.uniform(0.2, 0.3) * photos))
        again = int(rng.uniform(0.78, 0.90) * photos)
        if number == PLACES - 2:
            again = photos - 108
        if number == PLACES - 3:
            again = photos - 45
        spans = [(first, end), (again, 10**9)] if number % 4 else [(first, 10**9)]
        lives += [
            Life(sensor.Planted(place.row, place.col, level, onset=start, until=stop))
            for start, stop in spans
        ]
    return lives


class Photographer(Protocol):
    """What takes photos that a life is lived with."""

    def write(self, folder: Path, first: int, count: int) -> list[Path]:
        """Write `count` photos, from number `first` on, and return their paths."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera with small frames, carried about.

    Attributes
    ----------
    seed : int
    defects : sequence of sensor.Planted
    scenes : sequence of (SCENE_HEIGHT, SCENE_WIDTH, 3) float32, 0-255
    """

    seed: int
    defects: Sequence[sensor.Planted]
    scenes: Sequence[np.ndarray]

    @classmethod
    def of(cls, seed: int, lives: Sequence[Life]) -> Camera:
        """Return the camera that has these lives."""
        large = sensor.Sensor(SCENE_HEIGHT, SCENE_WIDTH, seed)
        scenes = [large.scene(number).astype(np.float32) for number in range(SCENES)]
        return cls(seed, [life.planted for life in lives], scenes)

    def frame(self, index: int) -> sensor.Frame:
        """Return the photo `index`: a window on a scene, from either side."""
        rng = np.random.default_rng((self.seed, 4, index))
        scene = self.scenes[int(rng.integers(SCENES))]
        top = int(rng.integers(SCENE_HEIGHT - HEIGHT))
        left = int(rng.integers(SCENE_WIDTH - WIDTH))
        light = scene[top : top + HEIGHT, left : left + WIDTH]
        if rng.integers(2):
            light = light[:, ::-1]
        there = [one for one in self.defects if one.onset <= index < one.until]
        return sensor.exposed(light * rng.uniform(0.8, 1.1), rng, NOISE, there)

    def write(self, folder: Path, first: int, count: int) -> list[Path]:
        """Write `count` photos and return their paths."""
        paths = [name(folder, index) for index in range(first, first + count)]
        for index, path in enumerate(paths, start=first):
            sensor.write_jpeg(path, self.frame(index), moment(index))
        return paths


def name(folder: Path, index: int) -> Path:
    """Return where a photo is written."""
    return folder / f"IMG_{index:05d}.JPG"


def taken(
    session: Session, folder: Path, camera: Photographer, numbers: range
) -> Iterator[int]:
    """Take photos in batches; yield how many were taken whenever a map was made.

    Parameters
    ----------
    numbers : range
        Of the first photo of each batch; a step is a batch.
    """
    made, batch = session.maps.made, numbers.step
    for start in numbers:
        paths = camera.write(folder, start, min(batch, numbers.stop - start))
        count = start
        for done in session.take(paths):
            if done.outcome != "pending":
                raise AssertionError(f"{done.path.name}: {done.outcome} {done.reason}")
            count += 1
            session.learning.keep_up()
            if session.maps.made > made:
                made = session.maps.made
                yield count
        while session.learning.is_busy:
            session.learning.keep_up()
            time.sleep(0.005)
        if session.maps.made > made:
            made = session.maps.made
            yield count
        for old in range(max(start - KEPT, 0), max(start + batch - KEPT, 0)):
            name(folder, old).unlink()


def live(photos: int, seed: int, batch: int) -> Record:
    """Return what the maps of a whole life listed."""
    record = Record(planned(photos, seed))
    camera = Camera.of(seed, record.lives)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        folder, state = Path(place) / "import", Path(place) / "state"
        folder.mkdir()
        config = for_folders([folder])
        # Copies are another matter, and would take most of the time.
        repair = config.repair.model_copy(update={"pixels": "configured"})
        config = config.model_copy(update={"repair": repair})
        with Session(config, state, 1, lambda: None) as session:
            for count in taken(session, folder, camera, range(0, photos, batch)):
                (known,) = session.ledger.images.cameras()
                record.hold(session.ledger.defects.of(known.camera.id), count)
    seconds = time.perf_counter() - began
    print(f"{photos} photos in {seconds:.0f} s ({time.process_time():.0f} s processor)")
    return record


def _after(count: int | None, change: int) -> str:
    """Return how many photos after a change a map showed it."""
    return "never" if count is None else str(count - change)


def _off(listed: dt.datetime | None, change: int) -> str:
    """Return by how many photos the date of a change is off."""
    if listed is None:
        return "undated"
    return f"{round((listed - moment(change)).total_seconds() / 60):+d}"


def _rows(life: Life, photos: int) -> Iterator[tuple[int, list[str], str]]:
    """Yield photo, cells and faults of each change of a life."""
    one = life.planted
    entry = life.entries[0] if life.entries else None
    late = life.listed is None or life.listed - one.onset > life.limit
    faults = ["late"] * late + [f"lost in {life.lost} maps"] * bool(life.lost)
    faults += [f"listed {len(life.entries)} times"] * (len(life.entries) > 1)
    cells = ["appears", _after(life.listed, one.onset), _after(life.certain, one.onset)]
    cells.append(_off(entry.by if entry else None, one.onset))
    yield one.onset, cells, ", ".join(faults)
    if one.until < photos:
        late = life.ended is None or life.ended - one.until > LATER
        dated = _off(entry.until if entry else None, one.until)
        yield (
            one.until,
            ["heals", _after(life.ended, one.until), "", dated],
            ("late" * late),
        )


def show(record: Record, photos: int) -> int:
    """Print all changes and what is wrong; return the number of faults."""
    print("photo    place  levels  change   listed after  certain after  dated  fault")
    rows = [
        (photo, life.planted, cells, fault)
        for life in record.lives
        for photo, cells, fault in _rows(life, photos)
    ]
    for photo, one, (change, listed, certain, dated), fault in sorted(
        rows, key=lambda row: row[0]
    ):
        print(
            f"{photo:5}  {one.col:3},{one.row:3}{one.level:8.0f}  {change:7}"
            f"{listed:>14}{certain:>15}{dated:>7}  {fault}"
        )
    for (row, col), count in record.invented.items():
        print(f"{count:5}  {col:3},{row:3}  listed, but never was")
    dates = [dated for *_, (_, _, _, dated), _ in rows]
    exact = sum(dated != "undated" and abs(int(dated)) <= EXACT for dated in dates)
    print(f"dated within {EXACT} photos: {exact} of {len(dates)}")
    faults = sum(bool(row[-1]) for row in rows) + len(record.invented)
    print(f"{len(rows)} changes, {faults} faults")
    return faults


def main() -> int:
    """Live a life as the arguments say, and print what the maps made of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=20, help="photos at a time")
    arguments = parser.parse_args()
    if arguments.photos < FEWEST:
        parser.error(f"--photos: at least {FEWEST}, for the changes to lie apart")
    record = live(arguments.photos, arguments.seed, arguments.batch)
    return min(show(record, arguments.photos), 1)


if __name__ == "__main__":
    sys.exit(main())
