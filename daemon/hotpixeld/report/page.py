"""The page: a state's report as one HTML file, with all that it needs inside.

Names of files and cameras are others' words: the template escapes them, and what a browser
or a terminal would obey in them is shown as what it is.  Nothing is loaded from elsewhere,
and a policy in the page forbids it, and every script but its own.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from hotpixeld.defect import conditions, level
from hotpixeld.engine import bodies
from hotpixeld.formats import json_map
from hotpixeld.formats.form import CameraMap
from hotpixeld.messages import counted, plain
from hotpixeld.report import figures, findings
from hotpixeld.report.crops import SIDE, Cropper, Pair, levels_around
from hotpixeld.report.sensor import Box, Dot, dots, view
from hotpixeld.service import status_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.config.model import Config
    from hotpixeld.report.findings import CameraFindings, Finding
    from hotpixeld.service.status_file import Json
    from hotpixeld.store.images import CameraRecord
    from hotpixeld.store.ledger import Ledger

MOST_STRIPS = 100
"""Defects that are shown in photos, of all cameras; the others are listed."""
MOST_READ = 48
"""Photos that are read for that, and as many copies."""
ENLARGED = 8
MOST_PROBLEMS = 100
"""Photos and copies that are named in the embedded JSON."""
COPIES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class CameraPart:
    """What the page shows of one camera.

    Attributes
    ----------
    anchor : str
    about : CameraFindings
    dots : list of Dot
    view : Box
        What of the sensor is drawn.
    strips : list of (Finding, list of Pair)
    rest : list of Finding
        Without pictures.
    onsets, laws : Markup
        Figures; empty where there is nothing to draw.
    """

    anchor: str
    about: CameraFindings
    dots: list[Dot]
    view: Box
    strips: list[tuple[Finding, list[Pair]]]
    rest: list[Finding]
    onsets: Markup
    laws: Markup

    @property
    def outside(self) -> int:
        """Return how many dots lie outside of the frame."""
        return sum(dot.is_outside(self.about.record.camera) for dot in self.dots)


def _shares(cameras: Sequence[CameraFindings], most: int) -> list[int]:
    """Return how many of each camera's defects are shown: fair shares of `most`."""
    shares = [0] * len(cameras)
    while most > 0:
        open_ = [n for n, one in enumerate(cameras) if shares[n] < len(one.findings)]
        if not open_:
            break
        for number in open_[:most]:
            shares[number] += 1
        most -= len(open_)
    return shares


def _part(
    ledger: Ledger,
    config: Config,
    about: CameraFindings,
    anchor: str,
    shown: int,
    most_read: int,
) -> CameraPart:
    """Return what the page shows of one camera: `shown` defects in photos."""
    camera, all_ = about.record.camera, list(about.findings)
    cropper = Cropper(ledger, camera, config)
    pairs = cropper.strips(all_[:shown], most_read)
    valid = about.own
    onsets = laws = ""
    if about.span and valid:
        onsets = figures.onsets(
            [one.defect for one in valid], about.span, f"{anchor}-onsets"
        )
    hot = [one for one in valid if one.defect.law]
    around = levels_around(ledger, config, camera, hot)
    if hot:
        laws = figures.laws(hot, around, f"{anchor}-laws")
    drawn = dots(all_, camera)
    return CameraPart(
        anchor,
        about,
        drawn,
        view(drawn, camera),
        list(zip(all_[:shown], pairs, strict=True)),
        all_[shown:],
        Markup(onsets),  # noqa: S704 - our own SVG, whose words hold nothing of others
        Markup(laws),  # noqa: S704 - as above
    )


def _parts(
    ledger: Ledger, config: Config, cameras: Sequence[CameraFindings]
) -> list[CameraPart]:
    """Return what the page shows of all cameras, of each its share of the photos."""
    shares = _shares(cameras, MOST_STRIPS)
    most_read = max(MOST_READ // max(sum(share > 0 for share in shares), 1), 4)
    return [
        _part(ledger, config, about, f"c{number}", share, most_read)
        for number, (about, share) in enumerate(zip(cameras, shares, strict=True), 1)
    ]


def _said(value: object) -> object:
    """Return a value as the page shows it: names with nothing that a browser obeys."""
    return value if isinstance(value, Markup) else plain(value)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_said,
        keep_trailing_newline=True,
    )
    environment.globals |= {
        "counted": counted,
        "began": findings.began,
        "conditions": conditions,
        "day": findings.day,
        "level": level,
    }
    return environment


def _embedded(data: Json) -> Markup:
    """Return JSON that can stand in a script element: no tag can end it."""
    text = json.dumps(data, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - nothing in it is markup any more


def _own(name: str) -> Markup:
    """Return a file of ours that is put into the page as it is."""
    return Markup(  # noqa: S704 - our own file
        Path(__file__).with_name(name).read_text(encoding="utf-8")
    )


def _data(
    ledger: Ledger, config: Config, records: Sequence[CameraRecord], status: Json
) -> Json:
    """Return what the page says for programs: the status, and the JSON of `history`."""
    maps = [
        CameraMap(
            record,
            bodies.listing(ledger, config, record.camera),
            ledger.samples.suspects(record.camera.id).corrections,
            ledger.images.bins(record.camera.id),
        )
        for record in records
    ]
    return {"status": status, **json.loads(json_map.json_text(maps, json_map.life))}


def text(
    ledger: Ledger,
    config: Config,
    records: Sequence[CameraRecord],
    now: dt.datetime,
) -> str:
    """Return the report as an HTML file's text.

    Parameters
    ----------
    ledger : Ledger
        Only read.
    records : sequence of CameraRecord
        The cameras to tell of.
    now : datetime
        With a zone; when it is made.
    """
    found = findings.collect(ledger, config, records)
    parts = _parts(ledger, config, found.cameras)
    status = {
        "state": str(ledger.folder.absolute()),
        **status_file.lives(ledger.folder),
        **status_file.status(ledger, config, MOST_PROBLEMS),
    }
    data = _data(ledger, config, records, status)
    script = _own("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    daemon = status["daemon"]
    page: dict[str, Any] = {
        "findings": found,
        "cameras": parts,
        "unseen": sum(
            not one.is_seen for about in found.cameras for one in about.findings
        ),
        "has_copies": any(
            pair.after for part in parts for _, pairs in part.strips for pair in pairs
        ),
        "crop_size": SIDE * ENLARGED,
        "status": status,
        "daemon": daemon,
        "since": daemon and _moment(dt.datetime.fromisoformat(daemon["since"])),
        "copies": status["copy_problems"][:COPIES_SHOWN],
        "state": ledger.folder.absolute(),
        "made": _moment(now),
        "version": importlib.metadata.version("hotpixeld"),
        "data": _embedded({"made": now.isoformat(timespec="seconds"), **data}),
        "style": _own("page.css"),
        "script": script,
        "script_hash": f"sha256-{digest}",
    }
    return _environment().get_template("page.html").render(page)


def _moment(when: dt.datetime) -> str:
    """Return a date and time as a person writes them."""
    return f"{findings.day(when)}, {when:%H:%M}"
