"""Tables of a camera's pixels: a line each on a terminal, plain fields in a pipe.

On a terminal a table fits 80 columns, and in 60 its cells are folded; dates are written as
people write them.  In a pipe each pixel is a line of fields between tabs, whole and in a
fixed order, so that scripts can rely on them.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hotpixeld.defect import Defect, exposure_time, level, photographed, shows
from hotpixeld.errors import HotpixeldError
from hotpixeld.messages import counted, plain
from hotpixeld.repair import pixel_list
from hotpixeld.repair.pixel_list import Source

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hotpixeld.defect import Strength
    from hotpixeld.formats.form import CameraMap
    from hotpixeld.repair.pixel_list import ListedPixel
    from hotpixeld.store.images import CameraRecord

FIELDS = (
    *("camera", "x", "y", "kind", "level", "shows", "seen", "telling", "repaired"),
    *("after", "by", "until", "mark"),
)
"""Of a line in a pipe; its first line names them."""


MARKS = {
    "yours": "by you, in the configuration",
    "ignored": "and ignored, as you said",
    "primed": "by lens-cap frames; photos will confirm or deny it",
    "unsure": "but not repaired yet: it may be part of a scene; more photos will tell",
}
"""What the marks of pixels mean."""
ROOMY = 72
"""Columns of a terminal from which on cells stand two spaces apart."""


class CameraPixels(NamedTuple):
    """What a table is about.

    Attributes
    ----------
    map : CameraMap
        Its list.
    name : str
        As people call the camera.
    repaired : mapping of (x, y) to int
        In how many copies each pixel was repaired, by its place in the list.
    lacks : str
        What it has no map for yet; empty where it has.
    """

    map: CameraMap
    name: str
    repaired: Mapping[tuple[int, int], int]
    lacks: str = ""

    @property
    def pixels(self) -> list[ListedPixel]:
        """Return the pixels of the list."""
        return self.map.pixels

    @property
    def record(self) -> CameraRecord:
        """Return the camera, as the ledger has it."""
        return self.map.record


def date(when: dt.datetime) -> str:
    """Return a day as people write it.

    >>> import datetime as dt
    >>> date(dt.datetime(2009, 5, 1, 12, 30))
    '1 May 2009'
    """
    return f"{when.day} {when:%b %Y}"


def since(defect: Defect) -> str:
    """Return since when a defect is there, and until when, to the day.

    >>> import datetime as dt
    >>> since(Defect(1, 2, by=dt.datetime(2009, 5, 1)))
    'the first photo'
    >>> since(Defect(1, 2, after=dt.datetime(2009, 4, 28), by=dt.datetime(2009, 5, 1)))
    '28 Apr - 1 May 2009'
    """
    begun, known = defect.after, defect.by
    if begun is None:
        words = "the first photo" if known else ""
    elif known is None or begun.date() == known.date():
        words = date(begun)
    elif begun.year == known.year:
        words = f"{begun.day} {begun:%b} - {date(known)}"
    else:
        words = f"{date(begun)} - {date(known)}"
    if defect.until is not None:
        words = f"{words} until {date(defect.until)}".strip()
    return words


def mark(listed: ListedPixel) -> str:
    """Return what is special about a pixel of the list: nothing of detected ones."""
    if listed.ignored:
        return "ignored"
    if not listed.is_certain:
        return "unsure"
    if listed.source is Source.PRIMED:
        return "primed"
    if listed.prior:
        return f"from the list of {listed.prior}"
    return "" if listed.source is Source.DETECTED else "yours"


def from_others(pixels: Iterable[ListedPixel]) -> str:
    """Return in words how many pixels are from the list of another size of the body."""
    sizes = Counter(one.prior for one in pixels if one.prior)
    return ", ".join(
        f"{count:,} from the list of {size}" for size, count in sizes.items()
    )


def _times(one: CameraPixels, listed: ListedPixel) -> int:
    """Return in how many copies a pixel was repaired, wherever they show it."""
    return one.repaired.get((listed.defect.x, listed.defect.y), 0)


def _focal(defect: Defect) -> str:
    return f"at {_range(defect.focal, 'mm')}" if defect.focal else ""


def _when(defect: Defect) -> str:
    """Return under which conditions a defect shows, in few words."""
    return ", ".join(filter(None, (shows(defect), _focal(defect))))


def _range(ends: tuple[float, float] | tuple[int, int], unit: str) -> str:
    """Return a range of exposure times or numbers in as few characters as it takes."""
    first, last = (exposure_time(end) if unit == "s" else f"{end:g}" for end in ends)
    return f"{first} {unit}" if first == last else f"{first}-{last} {unit}"


def _seen(defect: Defect) -> str:
    shown = defect.appearance
    if shown is None or not shown.telling:
        return ""
    return f"{shown.seen:,} of {shown.telling:,}"


def _title(one: CameraPixels) -> str:
    """Return the heading of a camera's table: how many places there are, of each sort."""
    counts = pixel_list.counts(one.pixels)
    extra = (("configured", "yours"), ("ignored", "ignored"))
    known = "".join(
        f", {counts[sort]:,} {word}" for sort, word in extra if counts[sort]
    )
    defects = counted(counts["defects"], "defect")
    photos = counted(one.record.photos, "photo")
    found = one.lacks or f"{defects} from {photos}"
    others = from_others(one.pixels)
    title = ", ".join(filter(None, (f"{one.name}: {found}{known}", others)))
    return f"{title}; x,y at {one.map.bin}" if one.map.bin else title


def _fields(one: CameraPixels) -> list[str]:
    """Return a line of fields for each pixel, in the order of `FIELDS`."""
    lines = []
    for listed in one.pixels:
        defect, shown = listed.defect, listed.defect.appearance
        added = level(defect)
        times = (defect.after, defect.by, defect.until)
        cells = (
            one.record.camera.id,
            *(defect.x, defect.y, defect.kind),
            "" if added is None else f"{added:+d}",
            _when(defect),
            *((shown.seen, shown.telling) if shown else ("", "")),
            _times(one, listed),
            *("" if when is None else when.isoformat() for when in times),
            mark(listed),
        )
        lines.append("\t".join(map(str, cells)))
    return lines


def _in_words(defect: Defect) -> str:
    """Return when a defect shows, or since when it is there: what news there is."""
    words, begun = _when(defect), since(defect)
    if not words and begun:
        return f"since {begun}"
    if defect.after or defect.until:
        return f"{words}, since {begun}"
    return words


def _used(listed: ListedPixel, times: int) -> str:
    """Return in how many copies a pixel was repaired, or why in none."""
    return f"{times:,}" if times else mark(listed).replace("yours", "") or "-"


def _table(one: CameraPixels, *, is_roomy: bool) -> Table:
    """Return the table of a camera's pixels, a line each."""
    gap = 2 if is_roomy else 1
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for heading in ("x,y", "kind"):
        table.add_column(heading, no_wrap=True)
    for heading in ("levels", "seen in", "repaired"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("shows", overflow="fold")
    for listed in one.pixels:
        defect = listed.defect
        added = level(defect)
        times = _times(one, listed)
        used, note = _used(listed, times), mark(listed)
        notes = (_in_words(defect), "" if note == used else note)
        seen = _seen(defect)
        table.add_row(
            f"{defect.x},{defect.y}",
            str(defect.kind),
            "" if added is None else f"{added:+d}",
            seen if is_roomy else seen.replace(" of ", "/"),
            used,
            ", ".join(filter(None, notes)),
        )
    return table


def text(cameras: Sequence[CameraPixels], *, is_terminal: bool | None = None) -> str:
    """Return the lists of cameras: tables on a terminal, else lines of fields.

    Parameters
    ----------
    is_terminal : bool, optional
        Whether the text goes to a terminal; if not given, standard output is asked.
    """
    if not (sys.stdout.isatty() if is_terminal is None else is_terminal):
        lines = ["\t".join(FIELDS)]
        return (
            "\n".join([*lines, *(line for one in cameras for line in _fields(one))])
            + "\n"
        )
    console = Console(highlight=False)
    with console.capture() as captured:
        for number, one in enumerate(cameras):
            if number:
                console.print()
            console.print(Text(plain(_title(one)), style="bold"))
            if one.pixels:
                console.print(_table(one, is_roomy=console.width >= ROOMY))
        if not cameras:
            console.print("no camera yet: `hotpixeld run` learns from photos")
    return captured.get()


def _strength(strength: Strength) -> str:
    """Return how strongly a defect showed in photos of like exposure."""
    seconds = _range(strength.seconds, "s") if strength.seconds else "unknown"
    iso = f" at ISO {_range(strength.iso, '').strip()}" if strength.iso else ""
    photos = counted(strength.photos, "photo")
    return f"{seconds}{iso}: {strength.amplitude:+.0f} levels in {photos}"


def _facts(listed: ListedPixel, repaired: int) -> Iterator[tuple[str, str]]:
    """Yield what is known of a pixel: what it is about, and the words."""
    defect, shown = listed.defect, listed.defect.appearance
    if defect.amplitude is not None:
        colours = zip(("red", "green", "blue"), defect.amplitude, strict=True)
        yield "levels", ", ".join(f"{colour} {part:+.0f}" for colour, part in colours)
    if words := _when(defect):
        yield "shows", "; ".join(filter(None, (words, photographed(defect))))
    if shown and shown.telling:
        told = counted(shown.telling, "photo")
        yield "seen", f"in {shown.seen:,} of {told} that could tell"
    yield "repaired", f"in {counted(repaired, 'copy')}"
    if words := since(defect):
        yield "since", words
    if words := MARKS.get(mark(listed), listed.prior and mark(listed)):
        yield "listed", words
    for number, strength in enumerate(shown.strengths if shown else ()):
        yield "" if number else "exposures", _strength(strength)


def details(cameras: Sequence[CameraPixels], place: str) -> str:
    """Return all that is known of the pixels at one place, in lines for people.

    Raises
    ------
    HotpixeldError
        None is listed there.
    """
    wanted = Defect.listed_at(place)
    lines = []
    for one in cameras:
        for listed in one.pixels:
            defect = listed.defect
            if (defect.x, defect.y) != (wanted.x, wanted.y):
                continue
            times = _times(one, listed)
            lines.append(f"{defect.x},{defect.y} of {one.name}: {defect.kind}")
            lines += [
                f"  {label:<10} {words}" for label, words in _facts(listed, times)
            ]
    if not lines:
        raise HotpixeldError(
            f"no pixel is listed at {place}: `hotpixeld map` lists them"
        )
    return "\n".join(map(plain, lines)) + "\n"
