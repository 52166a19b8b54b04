#!/usr/bin/env python3
"""Live four years with a camera whose defects follow the light, and hold every date.

    python tests/bench/seasons.py [--photos N] [--seed N] [--batch N]

Defects show by the law of light: by exposure, ISO, brightness, and the sensor's temperature,
which follows the seasons. Photos come in series, by day, indoors, at night, and with long
exposures from which the camera's own noise reduction took all defects. Some defects are
always there, others begin, end and come back at known photos, and a service, which the
configuration is told of, mends four at once.

A photo tells of a defect where the photo with it and the photo without it differ visibly
(`law.tells`). Exits with 1 unless, in every map on the way, each date lies within 2 telling
photos of the truth and none is invented; and in the last one every change is dated that has
8 telling photos on both sides among the nearest 60, nothing is listed twice or at a place
that is sound, no focal range is told, and what told of itself in 100 photos is listed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import life
from law import Law, off, tells
from life import HEIGHT, NEAR, SCENE_HEIGHT, SCENE_WIDTH, WIDTH

import sensor
import whole_frames
from hotpixeld.config.load import for_folders
from hotpixeld.config.model import CameraConfig
from hotpixeld.detection import lives as detected_lives
from hotpixeld.engine.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hotpixeld.config.model import Config
    from hotpixeld.defect import Defect

YEARS = 4
FEWEST = 1000
NEVER = 1_000_000_000
EXACT = 2
"""Telling photos that a date may be off."""
LISTED = 100
"""Telling photos in which a defect must be listed."""
FAIR, AROUND = 8, 60
"""A change must be dated that has so many telling photos among the nearest on each side."""
APART = 30
"""Photos between two changes: what changes together is conditions."""
WARM, SWING = 10.0, 12.0
"""Degrees that double a defect, and from the year's mean to summer."""
SERVICE = 0.6
"""Of all photos come before it."""
ALWAYS, MENDED = 5, 4

LAWS = (
    Law(0.12),
    Law(0.0, 0.3 / 400),
    Law(0.03, 0.3 / 1000),
    Law(0.3),
    Law(0.0, 0.5 / 2500),
)
"""Three quarters of what it adds to the photosite is to be seen in the contrast."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of series: how often it comes, and how its photos are taken."""

    share: float
    seconds: tuple[float, float]
    iso: tuple[int, ...]
    brightness: tuple[float, float]
    warmth: float = 0.0
    suppressed: bool = False


KINDS = (
    Kind(0.55, (1 / 4000, 1 / 60), (100, 200, 400), (0.8, 1.1)),
    Kind(0.25, (1 / 60, 1 / 4), (400, 800, 1600), (0.6, 1.0), warmth=5),
    Kind(0.15, (1 / 4, 2), (800, 1600, 3200), (0.25, 0.7), warmth=-5),
    Kind(0.05, (1, 2), (400, 800, 1600), (0.25, 0.7), warmth=-5, suppressed=True),
)
FOCAL = (18.0, 24.0, 35.0, 55.0)


@dataclass(frozen=True, slots=True)
class Shot:
    """How a photo is taken; `gain` is what the sensor's temperature makes of defects."""

    when: dt.datetime
    seconds: float
    iso: int
    focal: float
    brightness: float
    gain: float
    suppressed: bool

    @property
    def light(self) -> float:
        """Return seconds times ISO."""
        return self.seconds * self.iso

    @property
    def noise(self) -> float:
        """Return the standard deviation of a channel's noise, levels."""
        return 1 + 0.6 * math.sqrt(self.iso / 400)


def _gain(when: dt.datetime, warmer: float) -> float:
    """Return what a sensor so much warmer than the season makes of a defect."""
    year = when.timetuple().tm_yday / 365
    season = SWING * math.sin(2 * math.pi * (year - 0.3))
    return math.exp2((season + warmer) / WARM)


def shots(photos: int, seed: int) -> list[Shot]:
    """Return how the photos of a life are taken, series by series."""
    rng = np.random.default_rng((seed, 11))
    apart = dt.timedelta(days=365.25 * YEARS) / photos
    taken: list[Shot] = []
    while len(taken) < photos:
        kind = KINDS[int(rng.choice(len(KINDS), p=[kind.share for kind in KINDS]))]
        warmer, focal = kind.warmth + rng.normal(0, 3), float(rng.choice(FOCAL))
        for _ in range(int(rng.integers(12, 60))):
            when = (sensor.START + apart * len(taken)).replace(microsecond=0)
            # As EXIF has it: whole ten-thousandths of a second.
            seconds = np.exp(rng.uniform(*np.log(kind.seconds)))
            shot = Shot(
                when,
                max(round(float(seconds), 4), 0.0002),
                int(rng.choice(kind.iso)),
                focal,
                float(rng.uniform(*kind.brightness)),
                _gain(when, warmer),
                kind.suppressed,
            )
            taken.append(shot)
    return taken[:photos]


@dataclass(slots=True)
class Life:
    """A defect from its first photo up to, not with, its last; and what maps told of it.

    Attributes
    ----------
    telling : (photos,) bool
        The photos in which it would be visible, if it were there.
    entries : list of Defect
        What the last map says of it; one, if all is well.
    listed : int or None
        Telling photos after which a map first listed it.
    lost : int
        Maps that had dropped it while it lived.
    wrong : int
        Maps that told a date of it that is no date.
    """

    row: int
    col: int
    law: Law
    first: int
    last: int
    telling: NDArray[np.bool_]
    entries: list[Defect] = field(default_factory=list)
    listed: int | None = None
    lost: int = 0
    wrong: int = 0

    def is_at(self, one: Defect) -> bool:
        """Return whether an entry of a map is at this place."""
        return max(abs(one.row - self.row), abs(one.col - self.col)) <= NEAR

    def told(self, photos: int) -> int:
        """Return in how many of so many photos it told of itself."""
        return int(np.count_nonzero(self.telling[self.first : min(self.last, photos)]))

    def is_fair(self, change: int) -> bool:
        """Return whether enough photos around a change tell."""
        before = self.telling[max(change - AROUND, 0) : change]
        behind = self.telling[change : change + AROUND]
        return bool(min(before.sum(), behind.sum()) >= FAIR)


@dataclass(slots=True)
class Record:
    """All lives, what maps told that never was, and which photos they held back.

    `held` counts photos by whether the camera took its defects away, and whether they were
    held back.
    """

    lives: list[Life]
    numbers: dict[dt.datetime, int]
    service: int
    invented: dict[tuple[int, int], int] = field(default_factory=dict)
    held: Counter[tuple[bool, bool]] = field(default_factory=Counter)

    def number(self, when: dt.datetime | None, otherwise: int) -> int:
        """Return the number of the photo taken at a time."""
        return otherwise if when is None else self.numbers[when]

    def life_of(self, one: Defect, photos: int) -> Life | None:
        """Return the life that an entry of a map is of: the one it has most in common."""
        first, last = self.number(one.by, 0), self.number(one.until, photos)
        common = {
            min(last, life.last) - max(first, life.first): life
            for life in self.lives
            if life.is_at(one) and life.first < photos
        }
        most = max(common, default=0)
        return common[most] if most > 0 else None

    def began(self, life: Life, one: Defect) -> int | None:
        """Return by how many telling photos its beginning is off; None: there is none."""
        if one.after is None:
            return None
        return off(life.telling, life.first, self.number(one.by, 0))

    def ended(self, life: Life, one: Defect) -> int | None:
        """Return by how many telling photos its end is off; None: there is none."""
        if one.until is None:
            return None
        last = min(life.last, len(life.telling))
        return off(life.telling, last, self.number(one.until, 0))

    def is_right(self, life: Life, one: Defect, photos: int) -> bool:
        """Return whether the dates of an entry are within a few telling photos."""
        offs = (self.began(life, one), self.ended(life, one))
        invented = (one.after is not None and not life.first) or (
            one.until is not None and life.last > photos
        )
        return not invented and all(abs(each or 0) <= EXACT for each in offs)

    def hold(self, listed: Sequence[Defect], photos: int) -> None:
        """Hold a map, made after so many photos, against what was planted."""
        for each in self.lives:
            each.entries = []
        for one in listed:
            if (known := self.life_of(one, photos)) is None:
                self.invented.setdefault((one.row, one.col), photos)
            else:
                known.entries.append(one)
        for each in self.lives:
            is_living = each.first < photos <= each.last
            is_listed = any(one.until is None for one in each.entries)
            if is_listed and each.listed is None:
                each.listed = each.told(photos)
            each.lost += is_living and each.listed is not None and not each.entries
            each.wrong += not all(
                self.is_right(each, one, photos) for one in each.entries
            )


@dataclass(slots=True)
class Camera:
    """A camera that takes photos as planned, and notes in which of them defects tell.

    Attributes
    ----------
    seed : int
    shots : list of Shot
    scenes : list of (SCENE_HEIGHT, SCENE_WIDTH, 3) float32, 0-255
    lives : list of Life
    """

    seed: int
    shots: list[Shot]
    scenes: list[NDArray[np.float32]]
    lives: list[Life]

    @classmethod
    def of(cls, taken: list[Shot], seed: int, lives: list[Life]) -> Camera:
        """Return the camera that takes these photos and has these defects."""
        large = sensor.Sensor(SCENE_HEIGHT, SCENE_WIDTH, seed)
        scenes = [large.scene(one).astype(np.float32) for one in range(life.SCENES)]
        return cls(seed, taken, scenes, lives)

    def _light(self, index: int) -> NDArray[np.float32]:
        """Return what is before the lens: a window on a scene, from either side."""
        rng = np.random.default_rng((self.seed, 4, index))
        scene = self.scenes[int(rng.integers(len(self.scenes)))]
        top = int(rng.integers(SCENE_HEIGHT - HEIGHT))
        left = int(rng.integers(SCENE_WIDTH - WIDTH))
        light = scene[top : top + HEIGHT, left : left + WIDTH]
        light = light[:, :: 1 if rng.integers(2) else -1]
        return light * np.float32(self.shots[index].brightness)

    def _shown(
        self, light: NDArray[np.float32], index: int, lives: Sequence[Life]
    ) -> sensor.Frame:
        """Return the photo of some light in which these defects are there."""
        shot = self.shots[index]
        there = []
        for one in lives:
            around = light[max(one.row - 3, 0) : one.row + 4]
            level = float(around[:, max(one.col - 3, 0) : one.col + 4].mean())
            amplitude = one.law.amplitude(level, shot.light, shot.gain)
            there.append(sensor.Planted(one.row, one.col, amplitude))
        rng = np.random.default_rng((self.seed, 5, index))
        return sensor.exposed(light, rng, shot.noise, there)

    def frame(self, index: int) -> sensor.Frame:
        """Return the photo `index`, and note which defects would be visible in it."""
        light = self._light(index)
        clean = self._shown(light, index, ())
        if self.shots[index].suppressed:
            return clean
        sites = np.array([(one.row, one.col) for one in self.lives])
        # Lives of one place are one defect.
        single = {(one.row, one.col): one for one in self.lives}
        everything = self._shown(light, index, list(single.values()))
        telling = tells(
            whole_frames.sample(clean, sites), whole_frames.sample(everything, sites)
        )
        for one, tell in zip(self.lives, telling, strict=True):
            one.telling[index] = tell
        there = [one for one in self.lives if one.first <= index < one.last]
        return self._shown(light, index, there)

    def write(self, folder: Path, first: int, count: int) -> list[Path]:
        """Write `count` photos and return their paths."""
        paths = [life.name(folder, index) for index in range(first, first + count)]
        for index, path in enumerate(paths, start=first):
            shot = self.shots[index]
            sensor.write_jpeg(
                path,
                self.frame(index),
                shot.when,
                exposure=shot.seconds,
                iso=shot.iso,
                focal=shot.focal,
            )
        return paths


@dataclass(slots=True)
class Planner:
    """Finds photos for changes: apart from all others, most of them fair to date."""

    taken: list[Shot]
    rng: np.random.Generator
    changes: list[int]

    def _tells(self, law: Law) -> NDArray[np.bool_]:
        """Return in which photos a defect should be visible, on ordinary grounds."""
        return np.array(
            [
                not shot.suppressed
                and law.amplitude(110 * shot.brightness, shot.light, shot.gain) >= 12
                for shot in self.taken
            ]
        )

    def change(self, law: Law, low: float, high: float, *, fair: bool) -> int:
        """Return the photo of a change between two shares of all photos."""
        telling = self._tells(law)
        photos = len(self.taken)
        found = int(high * photos)
        for _ in range(10_000):
            found = int(self.rng.uniform(low, high) * photos)
            before = telling[max(found - AROUND, 0) : found].sum()
            behind = telling[found : found + AROUND].sum()
            is_apart = all(abs(found - other) >= APART for other in self.changes)
            if is_apart and (not fair or min(before, behind) >= 2 * FAIR):
                break
        self.changes.append(found)
        return found


def planned(taken: list[Shot], seed: int, service: int) -> list[Life]:
    """Return the lives: always there, beginning, ending, mended, coming back."""
    rng = np.random.default_rng((seed, 7))
    planner = Planner(taken, rng, [0, service])
    places = sensor.scattered(3 * len(LAWS), HEIGHT, WIDTH, seed=seed)
    lives: list[Life] = []

    def live(place: sensor.Planted, law: Law, first: int, last: int) -> None:
        telling = np.zeros(len(taken), np.bool_)
        lives.append(Life(place.row, place.col, law, first, last, telling))

    for number, place in enumerate(places):
        law = LAWS[number % len(LAWS)]
        if number < ALWAYS:
            live(place, law, 0, service if number < MENDED - 2 else NEVER)
            continue
        first = planner.change(law, 0.1, 0.35, fair=number % 3 > 0)
        if number < ALWAYS + 2:
            live(place, law, first, service)
        elif number % 4 == 0:
            live(place, law, first, NEVER)
        else:
            live(place, law, first, planner.change(law, 0.4, 0.57, fair=True))
        if number % 2:
            again = planner.change(law, 0.65, 0.93, fair=number % 3 > 0)
            live(place, law, again, NEVER)
    return lives


def _configured(folder: Path) -> Config:
    """Return a configuration that makes no copies: they would take most of the time."""
    config = for_folders([folder])
    repair = config.repair.model_copy(update={"pixels": "configured"})
    return config.model_copy(update={"repair": repair})


def lived(photos: int, seed: int, batch: int) -> Record:
    """Return what the maps of a whole life told."""
    taken = shots(photos, seed)
    service = int(SERVICE * photos) // batch * batch
    lives = planned(taken, seed, service)
    numbers = {shot.when: number for number, shot in enumerate(taken)}
    record = Record(lives, numbers, service)
    camera = Camera.of(taken, seed, lives)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        folder, state = Path(place) / "import", Path(place) / "state"
        folder.mkdir()
        config = _configured(folder)
        with Session(config, state, 1, lambda: None) as session:

            def hold(numbers: range, when: dt.datetime | None) -> None:
                for count in life.taken(session, folder, camera, numbers):
                    (known,) = session.ledger.images.cameras()
                    listed = session.ledger.defects.of(known.camera.id)
                    record.hold(detected_lives.joined(listed, when), count)

            hold(range(0, service, batch), None)
            when = taken[service].when
            entry = CameraConfig(model="Model One", serviced=when)
            session.reconfigure(config.model_copy(update={"cameras": (entry,)}))
            hold(range(service, photos, batch), when)
            (known,) = session.ledger.images.cameras()
            for image in session.ledger.images.of_camera(known.camera.id):
                if image.captured is not None:
                    shot = taken[numbers[image.captured]]
                    record.held[shot.suppressed, image.is_suppressed] += 1
    seconds = time.perf_counter() - began
    print(f"{photos} photos in {seconds:.0f} s ({time.process_time():.0f} s processor)")
    return record


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a change of a life, what was told of it, what is wrong."""

    photo: int
    life: Life
    change: str
    told: str
    faults: tuple[str, ...]


def _told(offs: list[int | None], *, needed: bool) -> tuple[str, tuple[str, ...]]:
    """Return how far the date of a change is off, and what is wrong with that."""
    dates = [each for each in offs if each is not None]
    if not dates:
        return "undated", ("undated",) if needed else ()
    worst = max(dates, key=abs)
    return f"{worst:+d}", ("off",) if abs(worst) > EXACT else ()


def _rows(record: Record, each: Life, photos: int) -> Iterator[Row]:
    """Yield a line for each change of a life."""
    offs = [record.began(each, one) for one in each.entries]
    faults = [f"wrong in {each.wrong} maps"] * bool(each.wrong)
    faults += [f"lost in {each.lost} maps"] * bool(each.lost)
    faults += [f"listed {len(each.entries)} times"] * (len(each.entries) > 1)
    faults += ["focal"] * any(one.focal is not None for one in each.entries)
    tells_enough = each.told(photos) > LISTED
    late = each.listed is None or each.listed > LISTED
    faults += ["late"] * (late and tells_enough)
    if each.first:
        needed = each.is_fair(each.first) and bool(each.entries)
        told, wrong = _told(offs, needed=needed)
    else:
        invented = any(one is not None for one in offs)
        told, wrong = ("invented", ("invented",)) if invented else ("", ())
    change = "begins" if each.first else "always there"
    yield Row(each.first, each, change, told, (*wrong, *faults))
    offs = [record.ended(each, one) for one in each.entries]
    if each.last < photos:
        needed = each.is_fair(each.last) and bool(each.entries)
        change = "mended" if each.last == record.service else "ends"
        yield Row(each.last, each, change, *_told(offs, needed=needed))
    elif any(one is not None for one in offs):
        yield Row(photos, each, "goes on", "invented", ("invented",))


def show(record: Record, photos: int) -> int:
    """Print all changes and what is wrong; return the number of faults."""
    print(
        "photo    place   offset  dark*1000  change        tells  listed    told  fault"
    )
    rows = [row for each in record.lives for row in _rows(record, each, photos)]
    for row in sorted(rows, key=lambda row: row.photo):
        one = row.life
        listed = "never" if one.listed is None else one.listed
        print(
            f"{row.photo:5}  {one.col:3},{one.row:3}{one.law.offset:9.2f}"
            f"{1000 * one.law.dark:11.2f}  {row.change:12}{one.told(photos):7}"
            f"{listed:>8}{row.told:>8}  {', '.join(row.faults)}"
        )
    for (down, right), count in record.invented.items():
        print(f"{count:5}  {right:3},{down:3}  listed, but never was")
    changes = [row for row in rows if row.change in {"begins", "ends", "mended"}]
    dated = [row for row in changes if row.told != "undated"]
    exact = sum("off" not in row.faults for row in dated)
    wrong = sum(each.wrong > 0 for each in record.lives)
    invented = sum(row.told == "invented" for row in rows)
    print(f"dated within {EXACT} telling photos: {exact} of {len(dated)} dates")
    print(f"of {len(changes)} changes undated: {len(changes) - len(dated)}")
    entries = sum(len(each.entries) for each in record.lives)
    print(f"lives with an invented date in the last map: {invented}")
    print(f"{len(record.lives)} lives told in {entries} entries")
    print(f"lives of {len(record.lives)} with a wrong date in any map: {wrong}")
    for suppressed, which in ((True, "without defects"), (False, "others")):
        held, passed = (record.held[suppressed, one] for one in (True, False))
        print(f"held back of {held + passed} photos {which}: {held}")
    faults = sum(bool(row.faults) for row in rows) + len(record.invented)
    print(f"{len(rows)} lines, {faults} faults")
    return faults


def main() -> int:
    """Live a life as the arguments say, and print what the maps told of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=20, help="photos at a time")
    arguments = parser.parse_args()
    if arguments.photos < FEWEST:
        parser.error(f"--photos: at least {FEWEST}, for the changes to lie apart")
    record = lived(arguments.photos, arguments.seed, arguments.batch)
    return min(show(record, arguments.photos), 1)


if __name__ == "__main__":
    sys.exit(main())
