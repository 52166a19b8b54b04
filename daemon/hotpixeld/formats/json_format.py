"""JSON: the maps, and the lives of their defects, for scripts."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from hotpixeld.defect import Defect
    from hotpixeld.store.evidence_tables import CameraMaps

Json = dict[str, Any]


def _time(when: dt.datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def pixel(defect: Defect) -> Json:
    """Return one defect for JSON: x, y are stored coordinates, times ISO 8601 local."""
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
    }


def life(defect: Defect) -> Json:
    """Return one defect with how it appeared in its photos, for JSON."""
    shown = defect.appearance
    strengths = shown.strengths if shown else ()
    return {
        **pixel(defect),
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


def text(maps: CameraMaps, entry: Callable[[Defect], Json] = pixel) -> str:
    """Return the maps as JSON, each defect as `entry` (`pixel` or `life`) gives it."""
    cameras = [
        {
            "id": record.camera.id,
            **dataclasses.asdict(record.camera),
            "photos": record.photos,
            "pixels": [entry(defect) for defect in defects],
        }
        for record, defects in maps
    ]
    return json.dumps({"cameras": cameras}, indent=1) + "\n"
