"""Maps as JSON, for scripts; with the lives of their defects, for ``history --json``."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Any

from hotpixeld.config.values import moment
from hotpixeld.defect import Defect, Kind, conditions
from hotpixeld.errors import PixelListError
from hotpixeld.formats.form import (
    Form,
    ReadPixel,
    check_size,
    is_inside,
    only_of,
    text_of,
)
from hotpixeld.repair.pixel_list import Source

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hotpixeld.camera import Bin, Camera
    from hotpixeld.defect import Law
    from hotpixeld.detection.lens_correction import Corrections
    from hotpixeld.formats.form import CameraMaps
    from hotpixeld.repair.pixel_list import ListedPixel

Json = dict[str, Any]


def _time(when: dt.datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def _law(law: Law) -> Json:
    """Return a law of light for JSON; see `defect.Law` for what the numbers mean."""
    numbers: dict[str, float | None] = dataclasses.asdict(law)
    return {
        name: number if number is None else float(f"{number:.4g}")
        for name, number in numbers.items()
    }


def _bin(where: Bin | None) -> Json | None:
    return where and {"lens": where.lens, "focal": where.focal_mm}


def of_bin(where: Bin, photos: int, known: Corrections) -> Json:
    """Return what is known of a bin, for JSON."""
    correction = known.of.get(where)
    return {
        "name": str(where),
        "lens": where.lens,
        "focal": where.focal_mm,
        "photos": photos,
        "locked": correction is not None,
        "reference": where == known.reference,
        "correction": correction and dataclasses.asdict(correction),
        "why": known.why.get(where, ""),
    }


def pixel(listed: ListedPixel) -> Json:
    """Return one pixel for JSON: x, y are stored coordinates, times ISO 8601 local."""
    defect = listed.defect
    return {
        "x": defect.x,
        "y": defect.y,
        "kind": str(defect.kind),
        "score": None if defect.score is None else round(defect.score, 2),
        "radius": defect.radius,
        "amplitude": defect.amplitude and [round(part, 2) for part in defect.amplitude],
        "since": {"after": _time(defect.after), "by": _time(defect.by)},
        "until": _time(defect.until),
        "focal": defect.focal and list(defect.focal),
        "conditions": conditions(defect),
        "law": defect.law and _law(defect.law),
        "source": str(listed.source),
        "ignored": listed.ignored,
        "prior": listed.prior or None,
        "certain": listed.is_certain,
    }


def life(listed: ListedPixel) -> Json:
    """Return one pixel with how it appeared in its photos, for JSON."""
    shown = listed.defect.appearance
    strengths = shown.strengths if shown else ()
    return {
        **pixel(listed),
        "photos": shown and {"seen": shown.seen, "telling": shown.telling},
        "exposures": [
            {
                "seconds": strength.seconds and list(strength.seconds),
                "iso": strength.iso and list(strength.iso),
                "amplitude": round(strength.amplitude, 2),
                "photos": strength.photos,
            }
            for strength in strengths
        ],
    }


def json_text(maps: CameraMaps, entry: Callable[[ListedPixel], Json] = pixel) -> str:
    """Return the maps as JSON, each pixel as `entry` (`pixel` or `life`) gives it."""
    cameras = [
        {
            "id": one.camera.id,
            **dataclasses.asdict(one.camera),
            "photos": one.record.photos,
            "reference": _bin(one.corrections.reference if one.bin else None),
            "bin": _bin(one.bin),
            "bins": [
                of_bin(where, photos, one.corrections)
                for where, photos in one.bins.items()
            ],
            "pixels": [entry(listed) for listed in one.pixels],
        }
        for one in maps
    ]
    return json.dumps({"cameras": cameras}, indent=1) + "\n"


def _write(maps: CameraMaps) -> bytes:
    return json_text(maps).encode()


def defect(values: Json) -> Defect:
    """Return what `pixel` wrote, but for the evidence, which is the state's that has it.

    Only x and y need be there.

    Raises
    ------
    ValueError
        They are not, or something else is wrong; it says what.
    """
    x, y = (values.get(key) for key in ("x", "y"))
    if not (type(x) is int and type(y) is int):
        raise ValueError("x and y must be whole numbers")
    since = values.get("since") or {}
    after, by, until = (
        moment(text) if text else None
        for text in (since.get("after"), since.get("by"), values.get("until"))
    )
    if values.get("source", Source.CONFIGURED) != Source.CONFIGURED and after is None:
        by = None  # its first photo is no date: see `begins`
    focal, radius = values.get("focal"), values.get("radius")
    return dataclasses.replace(
        Defect.at(x, y),
        kind=_kind(values.get("kind")),
        radius=None if radius is None else int(radius),
        after=after,
        by=by,
        until=until,
        focal=focal and (float(focal[0]), float(focal[1])),
    )


def _kind(said: object) -> Kind:
    if not said:
        return Kind.HOT
    known = [str(kind) for kind in Kind]
    if said not in known:
        raise ValueError(f"kind must be {', '.join(known)}, not {said!r}")
    return Kind(said)


def _pixels(listed: list[Any], at: str, problems: list[str]) -> Iterator[ReadPixel]:
    """Yield the pixels of a camera; add what cannot be read to the problems."""
    for index, values in enumerate(listed):
        where = f"{at}.pixels[{index}]"
        if not isinstance(values, dict):
            problems.append(f"{where}: must be a mapping with x and y")
            continue
        try:
            yield ReadPixel(where, defect(values), bool(values.get("ignored")))
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            problems.append(f"{where}: {error}")


def _read(content: bytes, camera: Camera, source: Path) -> list[ReadPixel]:
    try:
        cameras = json.loads(text_of(content, source))["cameras"]
        names = [str(one["id"]) for one in cameras]
        wanted = [index for index, name in enumerate(names) if name == camera.id]
        at = only_of(names, wanted, camera, source)
        size = cameras[at]["width"], cameras[at]["height"]
        listed = list(cameras[at]["pixels"])
        places, reference = (cameras[at].get(name) for name in ("bin", "reference"))
    except json.JSONDecodeError as error:
        problem = f"{source}:{error.lineno}: not valid JSON: {error.msg}"
        raise PixelListError([problem]) from error
    except (KeyError, TypeError, RecursionError) as error:
        problem = f"{source}: not what `map --format json` writes: {error!r}"
        raise PixelListError([problem]) from error
    check_size(size, camera, source)
    if places != reference:
        problem = (
            f"{source}: its places are not those of the list, but of photos at another"
            " focal length: leave --bin out of `map`"
        )
        raise PixelListError([problem])
    problems = list[str]()
    found = list(_pixels(listed, f"cameras[{at}]", problems))
    if problems:
        raise PixelListError([f"{source}: {problem}" for problem in problems])
    if reference is None:
        return found
    # Sensor sites around the frame are the map's own: no configuration lists them.
    return [one for one in found if is_inside(one.defect, camera)]


FORM = Form("json", ".json", _write, _read, re.compile(r"\{.*"), knows_cameras=True)
