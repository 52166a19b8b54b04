"""A camera's entry in the configuration: who it is, and its defective pixels.

The maintained `map.yaml` is written in this grammar too, so that an entry can be copied
from there.
"""

import datetime as dt
from dataclasses import replace
from typing import Annotated

from pydantic import (
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from hotpixeld.camera import Camera
from hotpixeld.grammar import (
    MAX_EXTENT,
    MOMENT_SCHEMA,
    Also,
    Model,
    Moment,
    Size,
    moment,
)
from hotpixeld.pixels import Defect, Kind

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


_COORDINATE = {"type": "integer", "minimum": 0, "exclusiveMaximum": MAX_EXTENT}
_PAIR = {"type": "array", "items": _COORDINATE, "minItems": 2, "maxItems": 2}


class Point(Model):
    """A place in the stored (sensor) frame: [x, y] or {x: .., y: ..}."""

    x: int = Field(ge=0, lt=MAX_EXTENT)
    """Column, 0-based, from the left."""
    y: int = Field(ge=0, lt=MAX_EXTENT)
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

    kind: Annotated[Kind, Field(strict=False)] = Kind.HOT
    """What it does to the light: adds to it, shows one level, takes away."""
    since: Annotated[Since, BeforeValidator(_since), Also(MOMENT_SCHEMA)] | None = None
    """First day (or photo) that shows it; without it, always."""
    until: Moment | None = None
    """First day (or photo) that does not show it any more."""
    radius: int | None = Field(default=None, ge=0, le=16)
    """Half width of its footprint in pixels (1 is 3x3); without it, found out."""
    score: float | None = Field(default=None, allow_inf_nan=False)
    """Strength of the evidence, as hotpixeld writes it; not needed by hand."""
    amplitude: tuple[float, float, float] | None = None
    """Mean excess in levels of red, green, blue, as hotpixeld writes it."""
    focal: tuple[float, float] | None = None
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
        """Tell whether a photo taken at `when` (camera's local time) may show it.

        A photo without a capture time counts as taken now: after `since`, and after
        `until`.  One taken between `after` and `by` counts as before: in doubt, a photo
        is left alone.
        """
        if when is None:
            return self.until is None
        start, end = self.life
        return start <= when < end

    def defect(self) -> Defect:
        """Return it in the words of the core."""
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

    name: str | None = Field(default=None, min_length=1)
    """Your name for it, for `camera` in a folder."""
    make: str | None = None
    """Maker as in EXIF; upper or lower case."""
    model: str | None = None
    """Model as in EXIF; upper or lower case."""
    serial: str | None = None
    """Serial number of the body, in quotes."""
    size: Size | None = None
    """Stored [width, height] of the photos that the coordinates below are for."""
    serviced: Moment | None = None
    """Day it came back from a service: detected pixels start afresh from then on."""
    pixels: tuple[Annotated[Pixel, Also(_PAIR)], ...] = ()
    """Pixels to repair in every photo of this camera (within their dates)."""
    ignore: tuple[Annotated[Point, Also(_PAIR)], ...] = ()
    """Pixels that are sound, whatever is detected there."""

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
        """Tell whether make, model or serial is given."""
        return any(part is not None for part in self.identity)

    def camera(self, width: int, height: int) -> Camera:
        """Return the camera of photos that a folder says belong to this entry."""
        model = self.model if self.has_identity else self.name
        return Camera(self.make or "", model or "", self.serial or "", width, height)

    def matches(self, camera: Camera) -> bool:
        """Tell whether this entry is about `camera`."""
        theirs = (_plain(camera.make), _plain(camera.model), _bare(camera.serial))
        return self.size in {None, (camera.width, camera.height)} and all(
            mine is None or mine == other
            for mine, other in zip(self.identity, theirs, strict=True)
        )
