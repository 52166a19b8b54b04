"""The configuration: its sections, their defaults, and what the pipeline asks of it.

The models are the grammar: `config.load` reads a file into them, the JSON Schema for
editors is made from them, and the text below a field is its description there.  The
maintained `map.yaml` is written in this grammar too, so that a camera's entry can be
copied from there.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from hotpixeld.camera import Camera
from hotpixeld.config.values import (
    MAX_EXTENT,
    MOMENT_SCHEMA,
    Also,
    Count,
    Days,
    Model,
    Moment,
    RawPath,
    Resolved,
    Size,
    moment,
)
from hotpixeld.defect import Defect, Kind
from hotpixeld.errors import SkippedPhotoError
from hotpixeld.messages import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable

# Naive like all times here: a camera's clock has no zone.
EVER = dt.datetime.min, dt.datetime.max


class Since(Model):
    """When a pixel turned bad: between two photos."""

    after: Moment | None = None
    """Capture time of the last photo known to be free of it."""
    by: Moment | None = None
    """Capture time of the first photo known to show it."""

    @field_validator("by")
    @classmethod
    def _check_order(cls, by: dt.datetime, info: ValidationInfo) -> dt.datetime:
        after = info.data.get("after")
        if after is not None and by < after:
            raise ValueError(f"must not be earlier than `after` ({after.isoformat()})")
        return by

    @property
    def start(self) -> dt.datetime | None:
        """Return the moment from which on it is taken to be there."""
        return self.by or self.after


def _since(value: object) -> object:
    return {"by": moment(value)} if isinstance(value, str) else value


def _pair(least: int) -> dict[str, object]:
    """Return the schema of two coordinates."""
    coordinate = {
        "type": "integer",
        "minimum": least,
        "exclusiveMaximum": MAX_EXTENT,
    }
    return {"type": "array", "items": coordinate, "minItems": 2, "maxItems": 2}


class Point(Model):
    """A place on the sensor: [x, y] or {x: .., y: ..}.

    It may lie outside of the stored frame, where the camera's lens correction shows it at
    some focal lengths only.
    """

    x: int = Field(ge=-MAX_EXTENT, lt=MAX_EXTENT, examples=[10])
    """Column, 0-based, from the left."""
    y: int = Field(ge=-MAX_EXTENT, lt=MAX_EXTENT, examples=[20])
    """Row, 0-based, from the top."""

    @model_validator(mode="before")
    @classmethod
    def _read_pair(cls, value: object) -> object:
        if isinstance(value, tuple) and len(value) == 2:
            return {"x": value[0], "y": value[1]}
        if isinstance(value, (dict, Point)):
            return value
        raise ValueError("must be [x, y] or {x: .., y: ..}")


class Pixel(Point):
    """A defective pixel; in `map.yaml` with what is known about it."""

    x: int = Field(ge=0, lt=MAX_EXTENT, examples=[10])
    """Column, 0-based, from the left."""
    y: int = Field(ge=0, lt=MAX_EXTENT, examples=[20])
    """Row, 0-based, from the top."""
    kind: Annotated[Kind, Field(strict=False)] = Kind.HOT
    """Hot adds light, stuck shows one level, dead takes light away."""
    since: Annotated[Since, BeforeValidator(_since), Also(MOMENT_SCHEMA)] | None = (
        Field(default=None, examples=["2009-05-01"])
    )
    """First day (or photo) that shows it; without it, always."""
    until: Moment | None = Field(default=None, examples=["2011-03-01"])
    """First day (or photo) that does not show it any more; without it, it is still there."""
    radius: int | None = Field(default=None, ge=0, le=16, examples=[1])
    """Half width of its footprint in pixels (1 is 3x3); without it, found out."""
    score: float | None = Field(default=None, allow_inf_nan=False, examples=[12.5])
    """Strength of the evidence, as hotpixeld writes it; not needed by hand."""
    amplitude: tuple[float, float, float] | None = Field(
        default=None, examples=[[9, 8, 8]]
    )
    """Mean excess in levels of red, green, blue, as hotpixeld writes it; likewise."""
    focal: tuple[float, float] | None = Field(default=None, examples=[[4.3, 5]])
    """Focal lengths (mm) at which it shows here, where lens correction moves it."""

    @field_validator("until")
    @classmethod
    def _check_order(cls, until: dt.datetime, info: ValidationInfo) -> dt.datetime:
        since = info.data.get("since")
        start = since.start if since else None
        if start is not None and until <= start:
            raise ValueError(f"must be later than `since` ({start.isoformat()})")
        return until

    @property
    def life(self) -> tuple[dt.datetime, dt.datetime]:
        """Return the first moment it is there and the first it is not."""
        start = self.since.start if self.since else None
        return start or EVER[0], self.until or EVER[1]

    def is_there(self, when: dt.datetime | None) -> bool:
        """Return whether a photo taken at `when` (camera's local time) may show it.

        A photo without a capture time counts as taken now: after `since`, and after
        `until`.  One taken between `after` and `by` counts as before: in doubt, a photo
        is left alone.
        """
        if when is None:
            return self.until is None
        start, end = self.life
        return start <= when < end

    def defect(self) -> Defect:
        """Return it as a `Defect`."""
        since = self.since or Since()
        return replace(
            Defect.at(self.x, self.y),
            kind=self.kind,
            radius=self.radius,
            score=self.score,
            amplitude=self.amplitude,
            after=since.after,
            by=since.by,
            until=self.until,
            focal=self.focal,
        )


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _bare(serial: str) -> str:
    """Return a serial without the leading zeros that some readers drop."""
    plain = _plain(serial)
    return plain.lstrip("0") or plain


class CameraConfig(Model):
    """A camera body, or all cameras that it describes, and its known pixels.

    What an entry leaves out matches every camera: without `serial`, all bodies of the
    model.  An empty text matches photos that carry none.
    """

    name: str | None = Field(default=None, min_length=1, examples=["anna-d80"])
    """Your name for it: for `camera` in a folder, and for commands."""
    make: str | None = Field(default=None, examples=["NIKON CORPORATION"])
    """Maker as in EXIF; upper or lower case."""
    model: str | None = Field(default=None, examples=["NIKON D80"])
    """Model as in EXIF; upper or lower case."""
    serial: str | None = Field(default=None, examples=["3012345"])
    """Serial number of the body, in quotes: YAML reads 0123456 as a number."""
    size: Size | None = Field(default=None, examples=[[3872, 2592]])
    """Stored [width, height] of the photos that `pixels` and `ignore` are for; without it,
    the largest of the camera."""
    serviced: Moment | None = Field(default=None, examples=["2011-03-01"])
    """Day it came back from a service: detected pixels are judged afresh from then on."""
    pixels: tuple[Annotated[Pixel, Also(_pair(0))], ...] = Field(
        default=(), examples=[[[1500, 1271]]]
    )
    """Pixels to repair in every photo of this camera (within their dates): [x, y], or more
    about it."""
    ignore: tuple[Annotated[Point, Also(_pair(-MAX_EXTENT))], ...] = Field(
        default=(), examples=[[[7, 9]]]
    )
    """Pixels that are sound, whatever is detected there or within 2 pixels; around the frame,
    too, where the camera corrects its lens."""

    @property
    def identity(self) -> tuple[str | None, str | None, str | None]:
        """Return make, model and serial, as they are compared."""
        return (
            None if self.make is None else _plain(self.make),
            None if self.model is None else _plain(self.model),
            None if self.serial is None else _bare(self.serial),
        )

    @property
    def has_identity(self) -> bool:
        """Return whether make, model or serial is given."""
        return any(part is not None for part in self.identity)

    def camera(self, width: int, height: int) -> Camera:
        """Return the camera of photos that a folder says belong to this entry.

        Its name stands for what it leaves out: the model, else the serial number.
        """
        name = self.name or ""
        if not self.has_identity:
            return Camera("", name, "", width, height)
        serial = self.serial or name
        return Camera(self.make or "", self.model or "", serial, width, height)

    def matches(self, camera: Camera) -> bool:
        """Return whether this entry is about `camera`."""
        is_its_size = self.size in {None, (camera.width, camera.height)}
        serial = self.identity[2]
        is_its_serial = serial in {None, _bare(camera.serial)}
        return is_its_size and is_its_serial and self.may_be(camera)

    def may_be(self, camera: Camera) -> bool:
        """Return whether `camera` has this entry's make and model."""
        make, model, _ = self.identity
        is_its_make = make in {None, _plain(camera.make)}
        return is_its_make and model in {None, _plain(camera.model)}


COPY_NAME = r"[^/{}]{0,100}(\{name\}|\{stem\}[^/{}]{0,100}\{suffix\})"
"""A name of copies: two photos of a folder never have one, and the suffix stays."""


class Folder(Model):
    """A watched folder, and what becomes of its photos."""

    path: Resolved = Field(examples=["/srv/photos/import"])
    """Folder to watch, with all below it."""
    repaired: RawPath = Field(default=Path("repaired"), validate_default=True)
    """Folder for repaired copies; relative to `path`, or absolute."""
    name: Annotated[str, Field(json_schema_extra={"pattern": f"^{COPY_NAME}$"})] = (
        "c_{name}"
    )
    """Name of a copy: text before {name}, the photo's own name; or around {stem} and before
    {suffix}, its parts, as in {stem}.edit{suffix}."""
    camera: str | None = None
    """Name of the entry in `cameras` that photos without a serial number are from."""
    edited: Literal["skip", "fold"] = "skip"
    """What to do with photos that software has cropped, rotated or resized."""
    unchanged: Literal["skip", "link", "copy"] = "skip"
    """What a photo without visible defects gets: nothing, a hard link or a copy."""
    settle_seconds: float = Field(default=2, ge=0.1, le=3600)
    """How long a file must have been still before it is read."""

    @field_validator("repaired")
    @classmethod
    def _resolve_repaired(cls, repaired: Path, info: ValidationInfo) -> Path:
        path = info.data.get("path")
        if path is None:  # a fault of its own
            return repaired
        resolved = Path(os.path.abspath(path / repaired))  # noqa: PTH100 - as above
        if path.is_relative_to(resolved):
            raise ValueError(
                "must not be or hold the watched folder: name another, such as repaired"
            )
        return resolved

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str, info: ValidationInfo) -> str:
        if not re.fullmatch(COPY_NAME, name) or re.search(r"[\x00-\x1f\x7f]", name):
            raise ValueError(
                "must be text before {name}, such as c_{name}, or around {stem} and"
                " before {suffix}, such as {stem}.edit{suffix}"
            )
        path, repaired = info.data.get("path"), info.data.get("repaired")
        inside = path and repaired and repaired.is_relative_to(path)
        if name in {"{name}", "{stem}{suffix}"} and inside:
            raise ValueError(
                "must tell copies from originals, such as c_{name}, while the repaired"
                " folder lies in the watched one"
            )
        return name

    def copy_path(self, photo: Path) -> Path:
        """Return where the copy of a photo of this folder goes.

        >>> Folder(path="/import").copy_path(Path("/import/anna/DSC_1.JPG")).as_posix()
        '/import/repaired/anna/c_DSC_1.JPG'
        >>> stacked = Folder(path="/import", name="{stem}.edit{suffix}")
        >>> stacked.copy_path(Path("/import/DSC_1.JPG")).name
        'DSC_1.edit.JPG'
        """
        parts = {"name": photo.name, "stem": photo.stem, "suffix": photo.suffix}
        name = self.name.format(**parts)
        return self.repaired / photo.relative_to(self.path).parent / name


class Detection(Model):
    """How defects are found."""

    method: Literal["contrast", "variance"] = "contrast"
    """By local contrast in the mean photo and the evidence of each photo; or by the lowest
    variance, as in the first days."""
    min_photos: int = Field(default=16, ge=4, le=10_000)
    """Photos of a camera before its first map."""
    memory: int = Field(default=100, ge=0, le=1_000_000)
    """Photos that the mean looks back on, so that new defects show; 0: never forget."""

    @field_validator("memory")
    @classmethod
    def _check_memory(cls, memory: int, info: ValidationInfo) -> int:
        least = info.data.get("min_photos", 0)
        if 0 < memory < least:
            raise ValueError(f"must be 0 or at least `min_photos` ({least})")
        return memory


class Repair(Model):
    """What is repaired, and how."""

    pixels: Literal["configured", "detected", "both"] = "both"
    """Repair the pixels listed under `cameras`, those found, or both."""
    past: bool = True
    """When the list changes, make the copies of earlier photos again."""
    fill: Literal["adaptive", "neighbours"] = "adaptive"
    """Follow edges and grain; or take the weighted mean of the eight neighbours."""
    fallback: Literal["refuse", "reencode"] = "refuse"
    """What to do with a photo that cannot be repaired without loss elsewhere."""


class Copies(Model):
    """What is kept of the originals beside their copies, and which copies are removed."""

    undo: bool = True
    """Keep the bits that a repair replaces, so that `hotpixeld undo COPY` gives back the
    original: some 45 bytes a block and 240 a copy, 0.65 GB for a million photos of a camera
    with four defects."""
    tidy: bool = False
    """When copies have a new place (`repaired`, `name`, another folder to watch), remove
    those at the former one, once they are written anew and if they are still as they were
    written; false: they stay, and `hotpixeld tidy` removes them."""


class Limits(Model):
    """Bounds that keep a bad file, a large sensor or old cameras from taking the machine."""

    max_pixels: Count = Field(default=200_000_000, ge=10_000, le=MAX_EXTENT**2)
    """Largest photo in pixels; larger ones are refused before they are decoded."""
    max_bytes: Count = Field(default=200_000_000, ge=10_000, le=2_000_000_000)
    """Largest file in bytes."""
    memory: Count = Field(default=300_000_000, ge=50_000_000, le=10**12)
    """Memory in bytes: 105 million are the program's; what is left decides how many photos
    are decoded side by side, and which photos of several scans (progressive) are refused."""
    forget_after: Days | None = None
    """How long a camera may be without a new photo, such as 365 days, before it is dropped to
    its list: its state (53 bytes a pixel) goes, its list stays in use; null: for ever."""


def _web_address(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s]*", value):
        raise ValueError("must be an address that begins with https:// or http://")
    return value


WebAddress = Annotated[
    str,
    AfterValidator(_web_address),
    Field(json_schema_extra={"pattern": r"^https?://[^\s/?#]"}),
]


class Notify(Model):
    """Who is told what happens, by `hotpixeld notify`, which its timer or cron runs."""

    command: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Program and its arguments, such as [/usr/local/bin/tell, --photos], that gets events as
    lines of JSON on its standard input; no shell.  If it does not end with 0, it gets them
    again."""
    apprise: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Addresses for people as Apprise knows them, such as "ntfys://ntfy.sh/my-photos"; they
    need the extra hotpixeld[notify]."""
    events: tuple[Annotated[EventKind, Field(strict=False)], ...] = ()
    """What `command` and `apprise` are told, of defect_found, defect_gone, folder_offline,
    folder_online, disk_full, disk_resumed, photo_lost, photo_failed, run_started and
    run_finished; []: all but run_started."""
    ping: WebAddress | None = None
    """Address such as "https://hc-ping.com/UUID" that is asked for when a `run --once` is done;
    with /start behind it when one begins, with /fail when one could not do all of it; null:
    none."""
    heartbeat: WebAddress | None = None
    """Another that is asked for every few minutes while the daemon lives, with /fail behind it
    while it pauses; null: none."""
    metrics: Resolved | None = None
    """File of figures for Prometheus, such as
    /var/lib/prometheus/node-exporter/hotpixeld.prom; needs the extra hotpixeld[notify]; null:
    none."""

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, metrics: Path) -> Path:
        if metrics.suffix != ".prom":
            raise ValueError("must end in .prom, as the node exporter wants it")
        return metrics

    @property
    def told(self) -> tuple[EventKind, ...]:
        """Return the events that `command` and `apprise` are told."""
        others = tuple(kind for kind in EventKind if kind is not EventKind.RUN_STARTED)
        return self.events or others


def is_largest(camera: Camera, cameras: Iterable[Camera]) -> bool:
    """Return whether no camera of the same body has larger photos.

    >>> full, half = Camera("", "A1", "7", 40, 30), Camera("", "A1", "7", 20, 15)
    >>> is_largest(full, [full, half]), is_largest(half, [full, half])
    (True, False)
    """
    extent = (camera.width * camera.height, camera.width)
    return all(
        extent >= (other.width * other.height, other.width)
        for other in cameras
        if other.body == camera.body
    )


def is_page_name(path: Path) -> bool:
    """Return whether a report may have this name: nobody takes it for a photo.

    >>> is_page_name(Path("report.html")), is_page_name(Path("report.jpg"))
    (True, False)
    """
    return path.suffix.lower() in {".html", ".htm"}


class Config(Model):
    """The configuration of hotpixeld: every key, with its default.

    Relative paths start at the folder of this file; ~ is the home of whoever runs
    hotpixeld.  Times are the camera's own, without a zone: 2009-05-01 (midnight) or
    2009-05-01T14:30:00.  x, y are stored (sensor) pixels from 0, 0 at the top left, before
    any rotation for display; `hotpixeld map` prints the same.
    """

    state: Resolved | None = None
    """Folder for what hotpixeld remembers; null: $STATE_DIRECTORY, else /var/lib/hotpixeld if
    it is there and readable, else $XDG_STATE_HOME/hotpixeld."""
    folders: tuple[Folder, ...] = ()
    """Folders to watch; none may lie inside another."""
    cameras: tuple[CameraConfig, ...] = ()
    """Cameras of which you know something: defects, a service, false alarms; hotpixeld needs
    no entry to find defects."""
    detection: Detection = Detection()
    repair: Repair = Repair()
    copies: Copies = Copies()
    limits: Limits = Limits()
    report: Resolved | None = None
    """Page that the daemon keeps current: the defects in real photos before and after repair,
    where they are, since when, what was not used.  Such as /srv/photos/hot-pixels.html, ending
    in .html; null: none.  The service may write to all of its folder: one that is watched will
    do, or one of its own."""

    notify: Notify = Notify()

    @field_validator("report")
    @classmethod
    def _check_report(cls, report: Path) -> Path:
        if not is_page_name(report):
            raise ValueError("must end in .html, as a page does")
        return report

    @property
    def places(self) -> list[Path]:
        """Return the folders that are watched, and those of copies."""
        return [
            path for folder in self.folders for path in (folder.path, folder.repaired)
        ]

    @property
    def bodies(self) -> set[str]:
        """Return the names of bodies that folders name, and that show no serial number.

        The name stands in its place: photos in two such folders, of two bodies of one
        model, are told apart by nothing else.
        """
        named = {folder.camera for folder in self.folders}
        return {
            entry.name
            for entry in self.cameras
            if entry.name and entry.name in named and not entry.serial
        }

    def camera_entries(self, camera: Camera) -> tuple[CameraConfig, ...]:
        """Return the entries about `camera`, in the order of the file.

        An entry about one of the `bodies` is about no other of them; one that has no make
        and model either, about the photos of its folders only.
        """
        bodies = self.bodies
        shown = replace(camera, serial="") if camera.serial in bodies else camera
        size = (camera.width, camera.height)

        def is_meant(entry: CameraConfig) -> bool:
            if entry.name not in bodies:
                return True
            if camera.serial in bodies:
                return entry.name == camera.serial
            return entry.has_identity or entry.camera(*size) == camera

        return tuple(
            entry
            for entry in self.cameras
            if (entry.matches(camera) or entry.matches(shown)) and is_meant(entry)
        )

    def folder_of(self, photo: Path) -> Folder:
        """Return the watched folder that holds a photo.

        Raises
        ------
        SkippedPhotoError
            None does any more: the folder was taken out of the configuration.
        """
        for folder in self.folders:
            if photo.is_relative_to(folder.path):
                return folder
        raise SkippedPhotoError(photo, "in no folder of the configuration")

    def camera_of(self, folder: Folder, shown: Camera) -> Camera:
        """Return the camera of a photo in `folder`: as it shows, or as the folder says.

        Parameters
        ----------
        shown : Camera
            As the photo says; without make and model where it says nothing.
        """
        for entry in self.cameras:
            if folder.camera is None or entry.name != folder.camera or shown.serial:
                continue
            if not (shown.make or shown.model):
                return entry.camera(shown.width, shown.height)
            if entry.may_be(shown):
                return replace(shown, serial=entry.serial or entry.name or "")
        return shown

    def configured_defects(
        self, camera: Camera, when: dt.datetime | None, *, largest: bool
    ) -> list[Defect]:
        """Return the configured defects that a photo may show, by row and column.

        Parameters
        ----------
        camera : Camera
        when : datetime or None
            Capture time of the photo; see `Pixel.is_there` for None.
        largest : bool
            Whether `camera` is the largest size of its body (`is_largest`): a list
            without `size` is about no other.
        """
        defects: dict[tuple[int, int], Defect] = {}
        for pixel in self.listed(camera, largest=largest):
            if pixel.is_there(when):
                defects.setdefault((pixel.y, pixel.x), pixel.defect())
        return [defects[site] for site in sorted(defects)]

    def listed(self, camera: Camera, *, largest: bool) -> list[Pixel]:
        """Return the pixels that are listed for a camera, in the order of the file.

        Parameters
        ----------
        largest : bool
            See `configured_defects`.
        """
        pixels = [
            pixel
            for entry in self._sized_entries(camera, largest=largest)
            for pixel in entry.pixels
            if pixel.y < camera.height and pixel.x < camera.width
        ]
        return list(dict.fromkeys(pixels))

    def ignored(self, camera: Camera, *, largest: bool) -> set[tuple[int, int]]:
        """Return the (row, col) that are sound, whatever is detected there."""
        points = [
            Defect.at(point.x, point.y)
            for entry in self._sized_entries(camera, largest=largest)
            for point in entry.ignore
        ]
        return {(point.row, point.col) for point in points}

    def serviced(self, camera: Camera) -> dt.datetime | None:
        """Return the day of the camera's last service."""
        days = [entry.serviced for entry in self.camera_entries(camera)]
        return max((day for day in days if day is not None), default=None)

    def warnings(self) -> list[str]:
        """Return what is allowed but better said, each with its place."""
        return [
            f"cameras[{index}]: pixels without `size` are taken for the largest photos"
            " of the camera; add size: [width, height]"
            for index, entry in enumerate(self.cameras)
            if entry.size is None and (entry.pixels or entry.ignore)
        ]

    def _sized_entries(self, camera: Camera, *, largest: bool) -> list[CameraConfig]:
        entries = self.camera_entries(camera)
        return [entry for entry in entries if largest or entry.size is not None]
