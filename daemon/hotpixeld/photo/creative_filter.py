"""Creative filters: effects of the camera that move, blur or draw over what the sensor saw.

A fisheye or a miniature effect leaves no pixel where the sensor has it, so such a photo says
nothing about the sensor and cannot be repaired by its map.  Filters that change tones and
colours alone (sepia, pop, retro) are not listed: a defect stays where it is.

To add one, put its number into the table of its maker; a maker needs a line in `_READERS`
and its note in `makernote._LAYOUTS`.

References
----------
P. Harvey, ExifTool tag names, https://exiftool.org/TagNames/: Canon EasyMode and FilterInfo,
Fujifilm AdvancedFilter, Nikon RetouchHistory, Olympus ArtFilter, Panasonic FilterEffect,
Sony PictureEffect.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hotpixeld.photo.makernote import Directory

_CANON_SETTINGS, _CANON_EASY_MODE, _CANON_FILTERS = 0x0001, 11, 0x4024
_CANON_MODES = {
    39: "zoom blur", 43: "poster effect", 47: "fisheye effect",
    48: "miniature effect", 58: "toy camera effect", 62: "soft focus",
}  # fmt: skip
_CANON_OFF = -1
_CANON_EFFECTS = {
    0x101: "grainy black and white", 0x201: "soft focus", 0x301: "toy camera effect",
    0x401: "miniature effect", 0x501: "fisheye effect", 0x601: "art bold effect",
    0x701: "water painting effect",
}  # fmt: skip

_FUJIFILM = 0x1201
_FUJIFILM_FILTERS = {
    0x30000: "toy camera", 0x40000: "miniature", 0x70000: "soft focus",
    0x100000: "light leak",
}  # fmt: skip

_NIKON, _NIKON_STEPS = 0x009E, 10
_NIKON_RETOUCHES = {
    5: "trim", 6: "small picture", 13: "image overlay", 17: "cross screen",
    23: "distortion control", 25: "fisheye", 26: "straighten",
    29: "perspective control", 30: "colour outline", 31: "soft filter", 32: "resize",
    33: "miniature effect", 34: "skin softening", 35: "selected frame",
    37: "colour sketch", 40: "drawing", 45: "toy camera effect",
    46: "toy camera effect",
}  # fmt: skip

_OLYMPUS_SETTINGS, _OLYMPUS = 0x2020, 0x0529
_OLYMPUS_FILTERS = {
    1: "soft focus", 6: "grainy film", 9: "diorama", 12: "fish eye", 13: "drawing",
    19: "grainy film", 22: "soft focus", 23: "sparkle", 24: "watercolor",
    25: "key line", 26: "key line", 27: "miniature", 28: "reflection",
    29: "fragmented", 33: "watercolor", 34: "watercolor", 35: "diorama",
}  # fmt: skip

_PANASONIC = 0x00A1
_PANASONIC_FILTERS = {
    0x20: "miniature effect", 0x200: "toy effect", 0x800: "soft focus",
    0x1000: "impressive art", 0x8000: "star filter", 0x400000: "toy pop",
    0x800000: "fantasy",
}  # fmt: skip

_SONY = 0x200E
_SONY_EFFECTS = {
    1: "toy camera", 3: "posterization", 4: "posterization",
    **dict.fromkeys(range(16, 21), "toy camera"),
    **dict.fromkeys(range(32, 35), "soft focus"),
    **dict.fromkeys(range(48, 55), "miniature"),
    **dict.fromkeys(range(64, 67), "HDR painting"),
    97: "watercolor", 98: "watercolor",
    **dict.fromkeys(range(112, 115), "illustration"),
}  # fmt: skip


def _first(names: Mapping[int, str], found: Iterable[int | None]) -> str:
    return next((names[one] for one in found if one is not None and one in names), "")


def _canon_effects(note: Directory) -> Iterable[int]:
    """Yield the tags in FilterInfo that are on: records of tag, count and values."""
    raw = note.raw(_CANON_FILTERS)
    words = struct.unpack(f"{note.order}{len(raw) // 4}i", raw[: len(raw) // 4 * 4])
    for tag, count, value in zip(words, words[1:], words[2:], strict=False):
        if tag in _CANON_EFFECTS and count == 1 and value != _CANON_OFF:
            yield tag


def _canon(note: Directory) -> str:
    mode = note.number(_CANON_SETTINGS, _CANON_EASY_MODE)
    return _first(_CANON_MODES, [mode]) or _first(_CANON_EFFECTS, _canon_effects(note))


def _fujifilm(note: Directory) -> str:
    return _first(_FUJIFILM_FILTERS, [note.number(_FUJIFILM)])


def _nikon(note: Directory) -> str:
    steps = (note.number(_NIKON, index) for index in range(_NIKON_STEPS))
    return _first(_NIKON_RETOUCHES, steps)


def _olympus(note: Directory) -> str:
    settings = note.child(_OLYMPUS_SETTINGS)
    return _first(_OLYMPUS_FILTERS, [settings.number(_OLYMPUS)])


def _panasonic(note: Directory) -> str:
    # Written as a ratio: nothing over the number of the filter.
    raw = note.raw(_PANASONIC)
    if len(raw) != struct.calcsize("II"):
        return ""
    return _first(_PANASONIC_FILTERS, struct.unpack(f"{note.order}II", raw)[1:])


def _sony(note: Directory) -> str:
    return _first(_SONY_EFFECTS, [note.number(_SONY)])


_READERS: dict[str, Callable[[Directory], str]] = {
    "CANON": _canon,
    "FUJIFILM": _fujifilm,
    "NIKON": _nikon,
    "OLYMPUS": _olympus,
    "OM DIGITAL": _olympus,
    "PANASONIC": _panasonic,
    "SONY": _sony,
}
"""How a maker, by what its name in upper case begins with, tells of its filters."""


def name(note: Directory | None, make: str) -> str:
    """Return the creative filter that a photo was taken with, or retouched in the camera.

    Parameters
    ----------
    note : Directory or None
        Its MakerNote.
    make : str
        The camera's.

    Returns
    -------
    str
        Empty where there is none, none is told, or it changes tones and colours alone.
    """
    for maker, read in _READERS.items():
        if note is not None and make.upper().startswith(maker):
            return read(note)
    return ""
