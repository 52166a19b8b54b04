"""Pixel lists in and out: `map` into the files of other programs, `import` of theirs."""

from __future__ import annotations

import difflib
import os
import re
import stat
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hotpixeld.cli import commands
from hotpixeld.config import camera_names, load
from hotpixeld.config.model import is_largest
from hotpixeld.errors import HotpixeldError, said
from hotpixeld.files import (
    ChangedError,
    UnsuitableError,
    read_regular,
    replacing,
)
from hotpixeld.formats import additions, known_forms
from hotpixeld.formats.form import moved
from hotpixeld.messages import counted, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config, Point
    from hotpixeld.formats.additions import Additions, Sound
    from hotpixeld.formats.form import CameraMaps, Form

MAX_BYTES = 64_000_000
"""Of a list: a mask of 200 million pixels, or a million lines."""


def raw_offset(text: str) -> tuple[int, int]:
    """Return where the photos' top left pixel lies in the raw frame: ``X,Y``.

    Raises
    ------
    ValueError
        The text is not two whole numbers.

    >>> raw_offset("9,4")
    (9, 4)
    """
    match = re.fullmatch(r"\s*([+-]?\d{1,5})\s*,\s*([+-]?\d{1,5})\s*", text)
    if match is None:
        raise ValueError(f"{text!r} is not X,Y: two whole numbers")
    return int(match[1]), int(match[2])


def _border(form: Form, offset: tuple[int, int] | None) -> str:
    """Return what to know about a form's coordinates; empty where there is nothing."""
    if not form.is_raw or offset is not None:
        return ""
    return (
        f"{form.name} counts in the raw frame, which is that of the camera's full-size"
        " photos with a border around: their top left pixel is taken to lie at 0,0 of it;"
        " --raw-offset X,Y says where it is"
    )


@dataclass(frozen=True, slots=True)
class Files:
    """Where lists go, and what their coordinates begin at; see `raw_offset`."""

    output: str | None
    raw_offset: tuple[int, int] | None

    @property
    def folder(self) -> Path | None:
        """Return the folder for a file of each camera, if one is named."""
        if self.output and (self.output.endswith("/") or Path(self.output).is_dir()):
            return Path(self.output)
        return None

    def take(self, content: bytes) -> None:
        """Write a list to the file that is named, or print it where none is."""
        if self.output:
            commands.write_file(Path(self.output), content)
        elif b"\0" in content and sys.stdout.isatty():
            raise click.UsageError("this is no text: name a file with --output")
        else:
            click.echo(content, nl=False)


def say_what_is_outside(maps: CameraMaps) -> None:
    """Say how many places of each camera's list are left out."""
    for one in maps:
        if one.outside:
            pixels = counted(one.outside, "pixel")
            lie = "lies" if one.outside == 1 else "lie"
            left = (
                f"{pixels} {lie} outside of the frame of photos at {one.bin}, left out"
            )
            click.echo(f"hotpixeld: {one.camera.id}: {plain(left)}", err=True)


def _say_what_is_unsure(form: Form, maps: CameraMaps) -> None:
    """Say how many pixels of each camera are left out, as they are not certain yet."""
    if form.name in {"json", "csv", "yaml"}:  # which say it of each
        return
    for one in maps:
        unsure = sum(not (each.is_certain or each.ignored) for each in one.pixels)
        if unsure:
            pixels = counted(unsure, "pixel")
            left = f"{pixels} not certain yet, left out: `hotpixeld map` names them"
            click.echo(f"hotpixeld: {one.camera.id}: {plain(left)}", err=True)


def export(form: Form, maps: CameraMaps, files: Files) -> None:
    """Print maps in a form, or write one file or one for each camera.

    Raises
    ------
    HotpixeldError
        There is no camera, or two would have one file.
    """
    if note := _border(form, files.raw_offset):
        click.echo(f"hotpixeld: {note}", err=True)
    offset = files.raw_offset or (0, 0)
    maps = [known_forms.addressable(form, one) for one in maps]
    say_what_is_outside(maps)
    _say_what_is_unsure(form, maps)
    if files.folder is None:
        files.take(known_forms.written(form, maps, offset))
        return
    found = known_forms.files(form, maps, offset)
    if not found:
        raise HotpixeldError("no camera is known yet")
    for name, content in found.items():
        commands.write_file(files.folder / name, content)
    for name in found:
        click.echo(files.folder / name)


@dataclass(frozen=True, slots=True)
class _Target:
    """Where pixels go: a camera, and its entry in the configuration if it has one."""

    camera: Camera
    cameras: list[Camera]
    index: int | None


def _known(folder: Path) -> list[Camera]:
    """Return the cameras of a state; none where there is no state yet."""
    if not commands.has_ledger(folder):
        return []
    with commands.opened(folder) as ledger:
        return [record.camera for record in ledger.images.cameras()]


def _target(folder: Path, config: Config, named: str) -> _Target:
    """Return which camera a name means; one without photos by its entry alone.

    Raises
    ------
    HotpixeldError
        It means none, or not only one.
    """
    cameras = _known(folder)
    try:
        camera = camera_names.only(camera_names.meant(cameras, config, named), named)
    except HotpixeldError:
        by_entry = _by_entry(config, cameras, named)
        if by_entry is not None:
            return by_entry
        if cameras:
            raise
        advice = "`run` on some of its photos, or add an entry with its name and size"
        raise HotpixeldError(f"no camera {named!r} yet: {advice}") from None
    return _Target(camera, cameras, _entry_of(config, camera, cameras, named))


def _about(config: Config, camera: Camera) -> set[int]:
    """Return which entries of the configuration are about a camera."""
    about = config.camera_entries(camera)
    return {
        index
        for index, entry in enumerate(config.cameras)
        if any(entry is one for one in about)
    }


def _by_entry(config: Config, cameras: list[Camera], named: str) -> _Target | None:
    """Return the camera of an entry that is about none of the known ones.

    Raises
    ------
    HotpixeldError
        The entry does not say how large its photos are.
    """
    known = {index for one in cameras for index in _about(config, one)}
    for index, entry in enumerate(config.cameras):
        if index in known or named not in {entry.name, entry.serial, entry.model}:
            continue
        if entry.size is None:
            advice = "add `size: [width, height]` there, or `run` on some of its photos"
            where = f"cameras[{index}]"
            raise HotpixeldError(f"{where}: the frame is not known yet: {advice}")
        return _Target(entry.camera(*entry.size), [], index)
    return None


def _entry_of(
    config: Config, camera: Camera, cameras: list[Camera], named: str
) -> int | None:
    """Return the entry for a camera's pixels: about its photos, and no other body's."""
    others = {
        index
        for other in cameras
        if other.body != camera.body
        for index in _about(config, other)
    }
    largest = is_largest(camera, cameras)
    fit = [
        index
        for index in sorted(_about(config, camera) - others)
        if largest or config.cameras[index].size is not None
    ]

    def rank(index: int) -> tuple[bool, int, bool]:
        entry = config.cameras[index]
        known = sum(part is not None for part in entry.identity)
        return entry.name == named, known, entry.size is not None

    return max(fit, key=rank, default=None)


def _content(source: Path) -> bytes:
    try:
        return read_regular(source, MAX_BYTES)[0]
    except (UnsuitableError, ChangedError) as error:
        raise HotpixeldError(f"{source}: {error}") from error
    except OSError as error:
        raise HotpixeldError(said(error, source)) from error


def _read(
    form: Form, content: bytes, target: _Target, offset: tuple[int, int], source: Path
) -> Sound:
    right, down = offset
    pixels = form.read(content, target.camera, source)
    moved_back = [
        replace(one, defect=moved(one.defect, -right, -down)) for one in pixels
    ]
    return additions.sound(moved_back, target.camera, source)


def _additions(read: Sound, config: Config, target: _Target) -> Additions:
    if target.index is not None and not target.cameras:
        entry = config.cameras[target.index]
        points = [(point.x, point.y) for point in entry.ignore]
        return additions.additions(read, entry.pixels, points)
    largest = is_largest(target.camera, target.cameras)
    listed = config.listed(target.camera, largest=largest)
    sites = config.ignored(target.camera, largest=largest)
    return additions.additions(read, listed, [(col, row) for row, col in sites])


@dataclass(frozen=True, slots=True)
class Change:
    """What an import changes in a configuration.

    Attributes
    ----------
    path : Path
        The configuration; it need not be there.
    before, after : str
        Its text.
    said : tuple of str
        What to tell, in words.
    """

    path: Path
    before: str
    after: str
    said: tuple[str, ...]

    @property
    def diff(self) -> str:
        """Return the change as a unified diff; empty if there is none."""
        lines = (self.before.splitlines(), self.after.splitlines())
        name = str(self.path)
        found = difflib.unified_diff(*lines, name, name, lineterm="")
        return "".join(f"{line}\n" for line in found)

    def write(self) -> None:
        """Write the configuration: complete or not at all, with its owner and mode."""
        target = Path(os.path.realpath(self.path))
        with replacing(target) as file:
            if target.exists():
                status = target.stat()
                os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
                if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), status.st_uid, status.st_gid)
            file.write(self.after.encode())


def _told(new: Additions) -> list[str]:
    """Return what a list comes to, in words."""
    counts: dict[str, Sequence[Point]] = {
        "to add": new.pixels,
        "to ignore": new.ignore,
        "listed already": new.known,
    }
    told = [
        f"{counted(len(some), 'pixel')} {what}" for what, some in counts.items() if some
    ]
    if new.opposite:
        places = ", ".join(f"{one.x},{one.y}" for one in new.opposite)
        told.append(f"the configuration says the opposite, and is left so: {places}")
    return told or ["no pixel in it"]


@dataclass(frozen=True, slots=True)
class GivenList:
    """A file to import.

    Attributes
    ----------
    path : Path
    form : Form or None
        What it is; None is found out.
    offset : (int, int) or None
        See `raw_offset`.
    """

    path: Path
    form: Form | None
    offset: tuple[int, int] | None


def import_(given: GivenList, named: str, config_file: Path, folder: Path) -> Change:
    """Return what a list changes in a configuration.

    Parameters
    ----------
    named : str
        The camera.
    config_file : Path
        It need not be there.
    folder : Path
        The state, which knows the cameras.

    Raises
    ------
    HotpixeldError
        The list, the camera or the configuration cannot be used.
    """
    before = load.read(config_file) if config_file.exists() else ""
    config = load.parse(before, config_file)
    target = _target(folder, config, named)
    content = _content(given.path)
    form = given.form or known_forms.recognised(content, given.path.name)
    if given.offset and not form.is_raw:
        advice = "leave --raw-offset out"
        raise HotpixeldError(
            f"{form.name} counts in the photo, not in a raw frame: {advice}"
        )
    read = _read(form, content, target, given.offset or (0, 0), given.path)
    new = _additions(read, config, target)
    after = before
    if new.pixels or new.ignore:
        after = additions.added(before, config_file, target.camera, target.index, new)
    note = _border(form, given.offset)
    told = f"{given.path}: {', '.join(_told(new))} ({target.camera.id})"
    return Change(config_file, before, after, (*([note] if note else []), told))
