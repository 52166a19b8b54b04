"""A camera's defects in one photo: where it shows each, how likely, and what was done."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hotpixeld.camera import Bin
from hotpixeld.cli import copy_commands, tables
from hotpixeld.config import camera_names
from hotpixeld.defect import VISIBLE_LEVELS, Defect, Kind, Prior
from hotpixeld.detection import light
from hotpixeld.detection.explanation import Pull
from hotpixeld.engine import bodies
from hotpixeld.engine.repair_pass import camera_of
from hotpixeld.engine.sampling import Evidence, cut_out
from hotpixeld.errors import PhotoError, PhotoGoneError
from hotpixeld.messages import counted, plain
from hotpixeld.photo import photo_file
from hotpixeld.repair import pixel_list
from hotpixeld.repair.pixel_list import Source
from hotpixeld.statistics.contrast import LUMA

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from hotpixeld.config.model import Config
    from hotpixeld.jpeg.block_reader import Window
    from hotpixeld.jpeg.decoder import Frame
    from hotpixeld.repair.pixel_list import ListedPixel
    from hotpixeld.repair.shape import Shown
    from hotpixeld.service.status_file import Json
    from hotpixeld.store.ledger import Ledger

FIELDS = (
    *("x", "y", "listed_x", "listed_y", "exact_x", "exact_y", "kind", "probability"),
    *("seen", "spread", "shows", "repaired", "left", "why"),
)
"""Of a line in a pipe, one for each pixel; its first line names them."""


class _Left(NamedTuple):
    """Why a pixel is not repaired in a photo: a word for programs, and words for people."""

    word: str
    why: str


NOT_LEFT = _Left("", "")
OUTSIDE = _Left("outside", "outside of the frame")
UNKNOWN = _Left(
    "unknown place",
    "nothing tells where a photo of this lens and focal length shows it",
)
IGNORED = _Left("ignored", "ignored, as you said")
SUPPRESSED = _Left("suppressed", "the photo shows none of the defects that it should")
UNCERTAIN = _Left("uncertain", "not certain yet")
UNSEEN = _Left("unseen", "cannot be seen in this photo")
NOT_LISTED = _Left("not listed", "not in the list for this photo")
OF_ANOTHER = _Left("another focal length", "shows here at other focal lengths")


class _Found:
    """What is known of the photo, its camera and what is listed for it."""

    def __init__(self, ledger: Ledger, path: Path, config: Config) -> None:
        limits = config.limits
        try:
            self.photo = photo_file.examine(path, limits.max_bytes, limits.max_pixels)
        except PhotoGoneError as error:  # no other photo was named than this one
            raise PhotoError(path, "no such file: check the spelling") from error
        self.config, self.ledger = config, ledger
        self.image = ledger.images.find(self.photo.identity)
        camera = camera_of(self.photo, config)
        if self.image and (record := ledger.images.camera(self.image.camera)):
            camera = record.camera
        self.camera = camera
        self.pixels = bodies.listing(ledger, config, camera)
        self.places = bodies.Places(ledger, config, camera, self.pixels)
        taken = self.photo.metadata
        self.bin = Bin.of(taken.lens, taken.focal_mm)
        self.repairable = copy_commands.pixel_list_of(self.photo, config, ledger)
        self.allowed = {(one.row, one.col) for one in self.repairable.sites}
        copy = ledger.copies.find(path.absolute())
        is_written = copy is not None and copy.condition == "written"
        self.repaired = set(copy.pixels) if copy and is_written else set()
        self._pulls: dict[tuple[int, int], Pull] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Return height and width of the frame."""
        return self.camera.height, self.camera.width

    def pull(self, defect: Defect) -> Pull | None:
        """Return what draws a stuck or dead site, by what other photos show of it."""
        if self._pulls is None:
            table = Evidence.of(self.ledger, self.camera).table()
            own = self.image and self.image.id
            others = [one.image != own for one in table.photos]
            found = (Pull.of(samples) for samples in table.suspects[others].T)
            sites = map(tuple, table.sites.tolist())
            self._pulls = {
                (row, col): one
                for (row, col), one in zip(sites, found, strict=True)
                if one is not None
            }
        return self._pulls.get((defect.row, defect.col))


def _probability(
    found: _Found, defect: Defect, level: float, spread: float
) -> tuple[float | None, str]:
    """Return how likely the photo shows a defect, and by what that is known, or why not."""
    taken = found.photo.metadata
    if defect.kind is not Kind.HOT:
        pull = found.pull(defect)
        if pull is None:
            return None, "too few photos were sampled here"
        chance = pull.visibility(level, spread, VISIBLE_LEVELS)
        return round(chance, 2), f"its levels in {counted(pull.photos, 'other photo')}"
    if defect.law is None:
        return None, "no photo has told yet how strongly it shows"
    law = defect.law
    expected = law.amplitude(
        level, taken.exposure_seconds, taken.iso, law.gain(taken.celsius)
    )
    chance = float(
        light.visibility(
            np.array(expected), np.array(spread), law.scatter, VISIBLE_LEVELS
        )
    )
    return round(chance, 2), "the law of light"


def _by_date(defect: Defect, when: dt.datetime | None) -> _Left:
    """Return how a photo's date speaks against a defect; `NOT_LEFT` where it does not."""
    begins, until = defect.by or defect.after, defect.until
    if when is None and (begins or until):
        return _Left("date", "the photo has no date, and the pixel has")
    if when is not None and until is not None and when >= until:
        return _Left("date", f"gone since {tables.date(until)}, before this photo")
    if when is not None and begins is not None and when < begins:
        dated = replace(defect, until=None)
        began = tables.since(dated) if defect.after else tables.date(begins)
        return _Left("date", f"began after this photo: {began}")
    return NOT_LEFT


def _left(found: _Found, listed: ListedPixel, *, is_allowed: bool) -> _Left:
    """Return why a pixel is not to be repaired in the photo, but for what that shows."""
    if is_allowed:
        return NOT_LEFT
    defect, taken = listed.defect, found.photo.metadata
    which, image = found.config.repair.pixels, found.image
    unused = {
        Source.CONFIGURED: "detected",
        Source.DETECTED: "configured",
        Source.PRIMED: "configured",
    }
    is_detected = listed.source in {Source.DETECTED, Source.PRIMED}
    reasons = (
        (listed.ignored, IGNORED),
        (
            unused.get(listed.source) == which,
            _Left("setting", f"left by `repair: {{pixels: {which}}}`"),
        ),
        (is_detected and image is not None and image.is_suppressed, SUPPRESSED),
        (not listed.is_certain, UNCERTAIN),
        (not defect.is_at(taken.focal_mm), OF_ANOTHER),
    )
    by_date = _by_date(defect, taken.captured)
    return next(
        (left for holds, left in reasons if holds),
        by_date if by_date.word else NOT_LISTED,
    )


def _looked_at(
    found: _Found, listed: Defect, there: Defect, part: Frame, window: Window
) -> tuple[Json, Defect]:
    """Return what the photo shows where a defect is expected, and at which pixel."""
    shown: Shown = found.repairable.shown
    seen_at = pixel_list.seen_at(part, window, there, shown)
    at = there if seen_at is None else seen_at
    above, spread = pixel_list.prominence(part, pixel_list.within(at, window))
    level, wide = float(np.median(part @ LUMA)), float(spread @ LUMA)
    chance, basis = _probability(found, listed, level, wide)
    told = {
        "probability": chance,
        "basis": basis,
        "seen": round(float(above @ LUMA), 1),
        "spread": round(wide, 1),
        "shows": seen_at is not None,
    }
    return told, at


def _entry(found: _Found, number: int) -> Json:
    """Return what is told of one pixel, ready for JSON."""
    listed = found.pixels[number]
    defect = listed.defect
    row, col = found.places.exact(found.bin)[number].tolist()
    known = bool(np.isfinite(row))
    height, width = found.size
    is_outside = known and not (-0.5 <= row < height and -0.5 <= col < width)
    entry: Json = {
        "x": None,
        "y": None,
        "exact": {"x": round(col, 2), "y": round(row, 2)} if known else None,
        "listed": {"x": defect.x, "y": defect.y},
        "kind": str(defect.kind),
    }
    sites = found.places.repaired_at(found.bin)[number]
    if not sites:
        left = OUTSIDE if is_outside else UNKNOWN
        unseen = dict.fromkeys(("probability", "basis", "seen", "spread"))
        done = {"repaired": False, "left": left.word, "why": left.why}
        return {**entry, **unseen, "shows": False, **done}
    at = found.places.nearest(found.bin)[number] or sites[0]
    there = replace(defect, row=at[0], col=at[1])
    if isinstance(there, Prior):
        there = replace(there, places=sites)
    window = pixel_list.window(there, *found.size)
    (part,) = cut_out(found.photo, [window])
    looked, shown_at = _looked_at(found, defect, there, part, window)
    repaired = [(y, x) for y, x in sites if (x, y) in found.repaired]
    y, x = repaired[0] if repaired else (shown_at.row, shown_at.col)
    left = _left(found, listed, is_allowed=at in found.allowed)
    is_detected = listed.source in {Source.DETECTED, Source.PRIMED}
    if not left.word and not looked["shows"] and is_detected:
        left = UNSEEN
    done = {"repaired": bool(repaired), "left": left.word, "why": left.why}
    return {**entry, "x": x, "y": y, **looked, **done}


def of_photo(ledger: Ledger, path: Path, config: Config) -> Json:
    """Return the defects of a photo's camera in it, ready for JSON.

    Raises
    ------
    PhotoError
        It cannot be read.
    """
    found = _Found(ledger, path, config)
    corrections = found.places.corrections
    return {
        "photo": str(path),
        "camera": found.camera.id,
        "camera_name": camera_names.names([found.camera], config)[found.camera.id],
        "bin": {"lens": found.bin.lens, "focal": found.bin.focal_mm},
        "corrected": corrections.move,
        "pixels": [_entry(found, number) for number in range(len(found.pixels))],
    }


def _fields(one: Json) -> str:
    """Return a line of fields for a pixel, in the order of `FIELDS`."""
    exact = one["exact"] or {}
    cells = (
        *(one["x"], one["y"], one["listed"]["x"], one["listed"]["y"]),
        *(exact.get("x"), exact.get("y"), one["kind"]),
        *(one.get(name) for name in ("probability", "seen", "spread", "shows")),
        *(one["repaired"], one["left"], one["why"]),
    )
    words = {None: "", True: "yes", False: "no"}
    return "\t".join(
        words[cell] if cell is None or isinstance(cell, bool) else str(cell)
        for cell in cells
    )


def _done(one: Json) -> str:
    """Return in words what was done about a pixel."""
    if one["repaired"]:
        return "repaired"
    return one["why"] or "to be repaired"


def _table(found: Json) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("x,y", "listed", "kind"):
        table.add_column(heading, no_wrap=True)
    for heading in ("likely", "levels"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("done", overflow="fold")
    for one in found["pixels"]:
        listed = "{x},{y}".format(**one["listed"])
        here = "-" if one["x"] is None else f"{one['x']},{one['y']}"
        chance, seen, spread = (
            one.get(name) for name in ("probability", "seen", "spread")
        )
        table.add_row(
            here,
            "" if here == listed else listed,
            one["kind"],
            "" if chance is None else f"{chance:.0%}",
            "" if seen is None else f"{seen:+.0f} ± {spread:.0f}",
            _done(one),
        )
    return table


def text(found: Json, *, is_terminal: bool | None = None) -> str:
    """Return the defects of a photo: a table on a terminal, else fields between tabs.

    Parameters
    ----------
    found : dict
        See `of_photo`.
    is_terminal : bool, optional
        Whether the text goes to a terminal; if not given, standard output is asked.
    """
    if not (sys.stdout.isatty() if is_terminal is None else is_terminal):
        lines = ["\t".join(FIELDS), *map(_fields, found["pixels"])]
        return "\n".join(lines) + "\n"
    console = Console(highlight=False)
    with console.capture() as captured:
        count = counted(len(found["pixels"]), "pixel")
        where = Bin(found["bin"]["lens"], found["bin"]["focal"])
        title = f"{found['photo']}: {count} listed for {found['camera_name']}; {where}"
        console.print(Text(plain(title), style="bold"))
        if found["pixels"]:
            console.print(_table(found))
    return captured.get()
