"""MakerNotes: what makers keep in their own EXIF block: serial number, temperature.

To add a maker, add a line to `_LAYOUTS`: how its note is recognised, and how the serial
number is found in it.  Most notes are directories (`_InDirectory`): where the directory and
its offsets start, and the tag of the serial number; a function of its own where that is no
plain text.  Some are records, with the serial number at a fixed place (`_InRecord`).
tests/photo/test_makernote.py builds such a note for each line.

Most notes count their offsets from the TIFF header around them, so a note cannot be read
without its place, which Pillow does not give: hence the small TIFF reader, which serves
`metadata` too.  It never raises, a missing or damaged field is empty, and its work is
bounded: no chain of directories is followed.

References
----------
CIPA DC-008, "Exchangeable image file format", section 4.5: the TIFF structure.
P. Harvey, ExifTool tag names, https://exiftool.org/TagNames/: what the makers write.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAKER_NOTE = 0x927C

# Bytes per value of each TIFF type, from BYTE (1) to IFD (13).
_SIZES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I"}
_RATIOS = {5: "II", 10: "ii"}
_UNDEFINED = 7
_NOWHERE = 1 << 40  # an offset outside every block
# Real cameras stay below 150 entries, and their texts of interest below 100 bytes.
_MOST_ENTRIES, _LONGEST_TEXT = 1000, 200


def clean(raw: bytes) -> str:
    r"""Return the text of an EXIF string without padding and control characters.

    >>> clean(b"Canon EOS 1100D\0\0   ")
    'Canon EOS 1100D'
    """
    raw = raw.strip(b"\0 ").split(b"\0")[0]
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return "".join(c for c in text if c.isprintable()).strip()


@dataclass(frozen=True, slots=True)
class Directory:
    """One TIFF directory (IFD), and the block of bytes that it lies in.

    Attributes
    ----------
    block, order : bytes, str
        Everything from the TIFF header on; ``<`` or ``>``, as in `struct`.
    base : int
        Where in `block` the offsets count from.
    fields : dict
        Tag to type, count and the place of the entry's own four bytes of value.
    end : int
        The first byte after the entries.
    """

    block: bytes
    order: str = "<"
    base: int = 0
    fields: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    end: int = 0

    @classmethod
    def at(cls, block: bytes, offset: int, order: str, base: int = 0) -> Directory:
        """Return the directory at `offset`, as far as `block` holds it."""
        start = offset + 2
        if offset < 0 or start > len(block):
            return cls(block, order, base)
        (count,) = struct.unpack_from(f"{order}H", block, offset)
        count = min(count, _MOST_ENTRIES, (len(block) - start) // 12)
        end = start + 12 * count
        entries = struct.iter_unpack(f"{order}HHI4x", block[start:end])
        fields = {
            tag: (kind, number, start + 12 * index + 8)
            for index, (tag, kind, number) in enumerate(entries)
        }
        return cls(block, order, base, fields, end)

    @classmethod
    def first(cls, block: bytes) -> Directory:
        """Return the directory that the TIFF header at the start of `block` names."""
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
        if order is None or len(block) < 8:
            return cls(block)
        (offset,) = struct.unpack_from(f"{order}I", block, 4)
        return cls.at(block, offset, order)

    def span(self, tag: int) -> tuple[int, int]:
        """Return where a field says that its value starts, and its size in bytes."""
        kind, count, inline = self.fields.get(tag, (0, 0, 0))
        size = count * (_SIZES[kind] if kind < len(_SIZES) else 0)
        if size <= 4:
            return inline, size
        (offset,) = struct.unpack_from(f"{self.order}I", self.block, inline)
        return self.base + offset, size

    def place(self, tag: int) -> tuple[int, int]:
        """Return the span of a field, 0 and 0 if it is not wholly inside the block."""
        start, size = self.span(tag)
        return (start, size) if 0 <= start <= len(self.block) - size else (0, 0)

    def raw(self, tag: int) -> bytes:
        """Return a field's value as it stands."""
        start, size = self.place(tag)
        return self.block[start : start + size]

    def text(self, tag: int) -> str:
        """Return a field as text, see `clean`; empty where there is none."""
        return clean(self.raw(tag)[:_LONGEST_TEXT])

    def _unpacked(
        self, tag: int, forms: dict[int, str], index: int = 0
    ) -> tuple[int, ...]:
        """Return a value of a field, empty where it has none, or its type no form."""
        start, size = self.place(tag)
        form = forms.get(self.fields[tag][0]) if size else None
        each = struct.calcsize(self.order + form) if form else 0
        if form is None or size < each * (index + 1):
            return ()
        return struct.unpack_from(self.order + form, self.block, start + each * index)

    def number(self, tag: int, index: int = 0) -> int | None:
        """Return one of a field's integers, None where there is none."""
        return next(iter(self._unpacked(tag, _INTEGERS, index)), None)

    def ratio(self, tag: int) -> float | None:
        """Return the first rational of a field; None for a zero denominator."""
        over, under = self._unpacked(tag, _RATIOS) or (0, 0)
        return over / under if under else None

    def child(self, tag: int) -> Directory:
        """Return the directory that a field points to, or holds as plain bytes."""
        start, size = self.place(tag)
        if not size or self.fields[tag][0] != _UNDEFINED:
            start = self.base + (self.number(tag) or _NOWHERE)
        return self.at(self.block, start, self.order, self.base)

    def next(self) -> Directory:
        """Return the directory that follows in the chain."""
        link = self.block[self.end : self.end + 4] if self.end else b""
        number = struct.unpack(f"{self.order}I", link)[0] if len(link) == 4 else 0
        start = self.base + (number or _NOWHERE)
        return self.at(self.block, start, self.order, self.base)


def plain(text: str) -> str:
    """Return a serial number if `text` can be one: printable ASCII, not all zeros."""
    text = re.sub(r"^no[=.: ]+", "", " ".join(text.split()), flags=re.IGNORECASE)
    usable = text.isascii() and text.isprintable() and text.strip("0 -.?")
    return text if usable else ""


def _canon(note: Directory, model: str) -> str:
    """Return Canon's number with the digits that the body shows."""
    number = note.number(0x000C)
    if not number:
        return plain(note.raw(0x0096).rstrip(b"\xff\0 ").decode("latin-1"))
    if re.search(r"EOS D30\b", model):
        return f"{number >> 16:04x}{number & 0xFFFF:05d}"
    return f"{number:06d}" if "EOS-1D" in model else f"{number:010d}"


def _olympus(note: Directory, _model: str) -> str:
    return _text(note.child(0x2010), 0x0101, 0x0102) or _text(note, 0x0404, 0x101A)


def _ricoh(note: Directory, _model: str) -> str:
    """Return Ricoh's 16 bytes: text, or digits two to a byte."""
    raw = note.raw(0x0005)[:16]
    return plain(clean(raw) if re.fullmatch(rb"[-\w \0]+", raw) else raw.hex())


def _text(note: Directory, *tags: int) -> str:
    return next((text for tag in tags if (text := plain(note.text(tag)))), "")


def _texts(*tags: int) -> Callable[[Directory, str], str]:
    """Return a reader that takes the first of these tags that holds a number."""
    return lambda note, _model: _text(note, *tags)


def _order(header: bytes, outer: str) -> str | None:
    """Return the byte order in which `header` begins a directory, None if in none."""
    # Software may have written the EXIF around a note anew in the other order.
    for order in (outer, "<" if outer == ">" else ">"):
        count, _, kind = struct.unpack(f"{order}HHH", header)
        if 1 <= count <= _MOST_ENTRIES and 1 <= kind < len(_SIZES):
            return order
    return None


def _base(note: Directory, end: int) -> int:
    """Return where the offsets of a note count from if not from its own start.

    From the TIFF header, 0, unless software has moved the note: its values fill it from
    the entries to the end, which shows by how much.  Where that is not clear they are
    put out of reach: no serial number is better than a wrong one.
    """
    spans = [span for tag in note.fields if (span := note.span(tag))[1] > 4]
    low = min((start for start, _ in spans), default=note.end)
    high = max((start + size for start, size in spans), default=end)
    # Real notes begin up to 2 bytes early, or leave up to 28 bytes after the entries.
    if note.end - 2 <= low and high <= end:
        return 0
    # The offset of a next directory may follow the entries, one byte of padding the note.
    gap = {0: 0, 1: 0, 4: 4, 5: 4}.get(end - note.end - (high - low))
    if gap is not None:
        return note.end + gap - low
    return 0 if note.end <= low <= note.end + 28 else _NOWHERE


@dataclass(frozen=True, slots=True)
class _InDirectory:
    """A kind of note that is a directory: how it is recognised, laid out and read.

    Attributes
    ----------
    make, head : str, bytes
        What the camera's Make (upper case) and the note begin with.
    start : int
        Where in the note its directory stands.
    base : int or None
        Where in the note its offsets count from; None is the TIFF header, see `_base`.
    read : callable
        Takes the directory and the model, returns the serial number.
    """

    make: str
    head: bytes
    start: int
    base: int | None
    read: Callable[[Directory, str], str]

    def directory(self, exif: Directory) -> Directory | None:
        """Return the directory in the note of `exif`, None where it holds none."""
        place, length = exif.place(MAKER_NOTE)
        start = place + self.start
        if length < self.start + 6:
            return None
        order = _order(exif.block[start : start + 6], exif.order)
        if order is None:
            return None
        base = 0 if self.base is None else place + self.base
        directory = Directory.at(exif.block, start, order, base)
        if self.base is None:
            directory = replace(directory, base=_base(directory, place + length))
        return directory

    def serial(self, exif: Directory, model: str) -> str:
        """Return the serial number in the note of `exif`."""
        directory = self.directory(exif)
        return self.read(directory, model) if directory else ""


@dataclass(frozen=True, slots=True)
class _InRecord:
    """A kind of note that is no directory: each field has its place, as in trail cameras.

    Attributes
    ----------
    make, head : str, bytes
        As of `_InDirectory`.
    start, size : int
        Where in the note the serial number stands, and its bytes.
    encoding : str
        Of this text.
    """

    make: str
    head: bytes
    start: int
    size: int
    encoding: str

    def serial(self, exif: Directory, _model: str) -> str:
        """Return the serial number in the note of `exif`."""
        raw = exif.raw(MAKER_NOTE)[self.start : self.start + self.size]
        return plain(raw.decode(self.encoding, "replace").split("\0")[0])


# The order matters: the first that fits is taken.  Tags as ExifTool names them:
# Nikon SerialNumber (1D), SerialNumber (A0); Panasonic, Fujifilm InternalSerialNumber (25,
# 10); Pentax, Sigma, Samsung SerialNumber (229, 2, A002).
_LAYOUTS = (
    _InDirectory("", b"Nikon\0\x02", 18, 10, _texts(0x001D, 0x00A0)),
    _InDirectory("", b"OLYMPUS\0", 12, 0, _olympus),
    _InDirectory("", b"OM SYSTEM\0", 16, 0, _olympus),
    _InDirectory("", b"OLYMP\0", 8, None, _olympus),
    _InDirectory("", b"Panasonic\0", 12, None, _texts(0x0025)),
    _InDirectory("", b"LEICA CAMERA AG\0", 18, None, _texts(0x0025)),
    _InDirectory("", b"FUJIFILM", 12, 0, _texts(0x0010)),
    _InDirectory("", b"PENTAX \0", 10, 0, _texts(0x0229)),
    _InDirectory("", b"AOC\0", 6, None, _texts(0x0229)),
    _InDirectory("", b"RICOH\0II", 8, 0, _texts(0x0229)),
    _InDirectory("", b"RICOH\0MM", 8, 0, _texts(0x0229)),
    _InDirectory("RICOH", b"R", 8, None, _ricoh),
    _InDirectory("", b"SIGMA\0", 10, None, _texts(0x0002)),
    _InDirectory("CANON", b"", 0, None, _canon),
    _InDirectory("SAMSUNG", b"", 0, None, _texts(0xA002)),
    _InDirectory("SONY", b"SONY ", 12, None, _texts()),
    _InDirectory("NIKON", b"", 0, None, _texts(0x001D, 0x00A0)),
    _InRecord("RECONYX", b"RECONYXUF\0", 0x4B, 15, "latin-1"),
    _InRecord("RECONYX", b"RECONYXH2\0", 0x7E, 30, "utf-16-le"),
    _InRecord("RECONYX", b"\x01\xf1", 0x2A, 30, "utf-16-le"),
)


def _layout(exif: Directory, make: str) -> _InDirectory | _InRecord | None:
    """Return how the note of `exif` is laid out, if it is known."""
    note, make = exif.raw(MAKER_NOTE), make.upper()
    for layout in _LAYOUTS:
        if make.startswith(layout.make) and note.startswith(layout.head):
            return layout
    return None


def directory(exif: Directory, make: str) -> Directory | None:
    """Return the directory in the MakerNote of `exif`, None where there is none."""
    layout = _layout(exif, make)
    return layout.directory(exif) if isinstance(layout, _InDirectory) else None


def serial(exif: Directory, make: str, model: str) -> str:
    """Return the body serial number from the MakerNote, empty where it holds none.

    Parameters
    ----------
    exif : Directory
        The EXIF directory, which holds the note.
    make, model : str
        The camera's; they decide how some notes are read and written out.
    """
    layout = _layout(exif, make)
    return layout.serial(exif, model) if layout else ""


# Canon ShotInfo (4), of which each number is two bytes: CameraTemperature, over -128.
_CANON_SHOT, _CANON_TEMPERATURE, _CANON_ZERO = 0x0004, 12, 128
_PENTAX_TEMPERATURE = 0x0047
_COLDEST, _HOTTEST = -40, 90


def celsius(note: Directory | None, make: str) -> float | None:
    """Return the temperature inside the camera, degrees; None where it is not told.

    Canon and Pentax write it.

    Parameters
    ----------
    note : Directory or None
        The MakerNote, from `directory`.
    make : str
        The camera's.
    """
    if note is None:
        return None
    found = None
    if make.upper().startswith("CANON"):
        raw = note.number(_CANON_SHOT, _CANON_TEMPERATURE)
        found = raw - _CANON_ZERO if raw else None
    elif make.upper().startswith(("PENTAX", "RICOH")):
        found = note.number(_PENTAX_TEMPERATURE)
    return float(found) if found is not None and _COLDEST < found < _HOTTEST else None
