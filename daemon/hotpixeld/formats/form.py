"""What a form of pixel list is: how maps are written in it, how a list is read from it.

Coordinates are those of the camera's stored JPEG, x, y from 0, 0 at the top left.  Those of
a raw frame lie further right and down by its border, which JPEGs do not show: the lists of
raw converters are moved by that (`moved`) after they are read, or before they are written.

A map here is a camera's whole list: detected, configured and ignored pixels.  The forms of
other programs leave the ignored ones out, and name each place once.  What is from the list
of another size of the body is in JSON only: its place is known but roughly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from hotpixeld.detection.lens_correction import NOT_CORRECTED, Corrections
from hotpixeld.errors import PixelListError
from hotpixeld.repair.pixel_list import Source

if TYPE_CHECKING:
    import datetime as dt
    import re
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from hotpixeld.camera import Bin, Camera
    from hotpixeld.defect import Defect
    from hotpixeld.repair.pixel_list import ListedPixel
    from hotpixeld.store.images import CameraRecord

    CameraMaps = list["CameraMap"]


class CameraMap(NamedTuple):
    """A camera's list, and what is known of its lens corrections.

    Attributes
    ----------
    record : CameraRecord
    pixels : list of ListedPixel
    corrections : Corrections
    bins : mapping of Bin to int
        How many photos each bin has.
    chosen : Bin or None
        The bin at whose places the pixels are; None is the reference.
    outside : int
        How many places were left out, as photos of that bin do not show them.
    """

    record: CameraRecord
    pixels: list[ListedPixel]
    corrections: Corrections = NOT_CORRECTED
    bins: Mapping[Bin, int] = MappingProxyType({})
    chosen: Bin | None = None
    outside: int = 0

    @property
    def bin(self) -> Bin | None:
        """Return the bin at whose places the pixels are; None where all have the same."""
        if not self.corrections.move:
            return None
        return self.chosen or self.corrections.reference

    @property
    def camera(self) -> Camera:
        """Return the camera."""
        return self.record.camera


@dataclass(frozen=True, slots=True)
class ReadPixel:
    """A pixel that a file lists.

    Attributes
    ----------
    where : str
        A line of the file, or the way to it: ``cameras[0].pixels[3]``.
    defect : Defect
        Its place, which may lie outside the frame, and what the file says of it.
    ignored : bool
        The file says that it is sound.
    """

    where: str
    defect: Defect
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """A form of pixel list, which some program reads.

    Attributes
    ----------
    name : str
        As `--format` says it.
    suffix : str
        How its files are named where there is one for each camera, behind the camera's id.
    write : callable
        From maps to a file's content; from just one camera's, unless it `knows_cameras`.
    read : callable
        From a file's content, the camera whose list is wanted, and the file's path for
        messages, to the pixels; raises PixelListError.
    first_line : re.Pattern
        What the first line that is no comment looks like, of a text.
    knows_cameras : bool
        Whether one file may hold the lists of several cameras.
    is_raw : bool
        Whether its coordinates are those of raw frames.
    file_name : callable, optional
        The name that its program looks for, without folder.
    """

    name: str
    suffix: str
    write: Callable[[CameraMaps], bytes]
    read: Callable[[bytes, Camera, Path], list[ReadPixel]]
    first_line: re.Pattern[str]
    knows_cameras: bool = False
    is_raw: bool = False
    file_name: Callable[[Camera], str] | None = None


def moved(defect: Defect, right: int, down: int) -> Defect:
    """Return a defect so many pixels further right and down."""
    return replace(defect, row=defect.row + down, col=defect.col + right)


def begins(listed: ListedPixel) -> dt.datetime | None:
    """Return since when a pixel is bad; None is always.

    The first photo of a camera is no date of a detected pixel that it shows already.
    """
    defect = listed.defect
    if listed.source is Source.CONFIGURED:
        return defect.by or defect.after
    return defect.by if defect.after else None


def is_inside(defect: Defect, camera: Camera) -> bool:
    """Return whether a place lies in a camera's frame.

    Where a camera corrects its lenses, sensor sites that some focal lengths alone show lie
    outside of the reference bin's.
    """
    return 0 <= defect.row < camera.height and 0 <= defect.col < camera.width


def to_repair(maps: CameraMaps) -> Iterator[ListedPixel]:
    """Yield the pixels that are repaired by a list, each place once: its first life."""
    seen = set[tuple[int, int]]()
    for one in maps:
        for listed in one.pixels:
            site = listed.defect.row, listed.defect.col
            is_left = listed.ignored or listed.prior or not listed.is_certain
            if not is_left and site not in seen:
                seen.add(site)
                yield listed


def text_of(content: bytes, source: Path) -> str:
    """Return a file's content as text.

    Raises
    ------
    PixelListError
        It is none.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"{source}:{line}: byte 0x{content[error.start]:02x} is not UTF-8"
        raise PixelListError([problem]) from error


def read_lines(
    content: bytes, source: Path, one: Callable[[str, str], Defect]
) -> list[ReadPixel]:
    """Return the pixels of a text that lists one in each line.

    Parameters
    ----------
    one : callable
        From a line without its comment, and the comment, to a defect; its ValueError says
        what is wrong.

    Raises
    ------
    PixelListError
        With every line that cannot be read.
    """
    found, problems = list[ReadPixel](), list[str]()
    for number, line in enumerate(text_of(content, source).splitlines(), 1):
        said, _, comment = line.partition("#")
        if not said.strip():
            continue
        try:
            found.append(ReadPixel(str(number), one(said.strip(), comment.strip())))
        except ValueError as error:
            problems.append(f"{source}:{number}: {error}")
    if problems:
        raise PixelListError(problems)
    return found


def only_of(names: list[str], wanted: list[int], camera: Camera, source: Path) -> int:
    """Return which of the cameras in a file is meant: the wanted one, or the only one.

    Parameters
    ----------
    names : list of str
        The cameras in the file, for people.
    wanted : list of int
        Which of them are the camera whose list is wanted.

    Raises
    ------
    PixelListError
        There is none, or it is one of several others.
    """
    if wanted:
        return wanted[0]
    if len(names) == 1:
        return 0
    known = ", ".join(names) or "none"
    raise PixelListError([f"{source}: no list of {camera.id}; it has: {known}"])


def check_size(size: tuple[int, int], camera: Camera, source: Path) -> None:
    """Raise PixelListError if a list is for photos of another (width, height)."""
    wanted = camera.width, camera.height
    if size != wanted:
        here, there = ("{} x {}".format(*one) for one in (size, wanted))
        problem = (
            f"{source}: a list for photos of {here}; those of {camera.id} are {there}"
        )
        raise PixelListError([problem])
