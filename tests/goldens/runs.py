"""Runs of the program on a case: what they leave on disk and say, item by item.

Only the command line and the files on disk are looked at, so that what is inside the
package may move.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from goldens.cases import filled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from goldens.cases import Case

Items = dict[str, str]
"""What was found, by what it is about."""

DIGITS = 16
"""Of a checksum: enough to tell two files apart, few enough to read."""


class RunError(Exception):
    """The program ended with an exit code that it must not end with."""


class Places(NamedTuple):
    """The folders of one run of a case, all below one root."""

    root: Path

    @property
    def photos(self) -> Path:
        """Return the import folder."""
        return self.root / "import"

    @property
    def state(self) -> Path:
        """Return the state folder."""
        return self.root / "state"

    @property
    def copies(self) -> Path:
        """Return the folder of the copies."""
        return self.root / "copies"

    @property
    def by_hand(self) -> Path:
        """Return the folder of the copies that are made by hand."""
        return self.root / "by hand"

    @property
    def config(self) -> Path:
        """Return the configuration file."""
        return self.root / "hotpixeld.yaml"

    def short(self, text: str) -> str:
        """Return a text without the names of these folders."""
        for folder in (self.photos, self.copies, self.by_hand, self.root):
            text = text.replace(f"{folder}/", "")
        return text


def _program(
    places: Places, *arguments: object, codes: Iterable[int] = (0,)
) -> subprocess.CompletedProcess[str]:
    """Run one command in a process of its own."""
    environment = dict(os.environ, TZ="UTC", RUNTIME_DIRECTORY=str(places.root / "run"))
    command = [sys.executable, "-m", "hotpixeld", *map(str, arguments)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in codes:
        raise RunError(f"{arguments[0]}: exit code {done.returncode}: {done.stderr}")
    return done


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:DIGITS]


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder, not links, with their relative paths, sorted."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(folder)), path


def _checksums(folder: Path, label: str) -> Items:
    return {f"{label} {name}": _sha256(path.read_bytes())
            for name, path in _files(folder)}  # fmt: skip


def _counts(found: dict[str, int]) -> str:
    return ", ".join(
        f"{count} {name}" for name, count in sorted(found.items()) if count
    )


def _array(array: np.ndarray) -> str:
    shape = "x".join(map(str, array.shape)) or "scalar"
    return f"{array.dtype} {shape} {_sha256(array.tobytes())}"


def _arrays(folder: Path) -> Items:
    """Return the checksums of the arrays in the newest generation below a folder.

    It is the one with a `mean.npy`.
    """
    generations = sorted(path.parent for path in folder.rglob("mean.npy"))
    if not generations:
        return {}
    items: Items = {}
    for path in sorted(generations[-1].glob("*.npy")):
        items[path.stem.replace("_", " ")] = _array(np.load(path))
    manifest = json.loads((generations[-1] / "manifest.json").read_text())
    items["trace photos"] = _array(np.array(manifest["traced"]))
    return items


def _rounded(number: float) -> str:
    """Return a number as far as it is the same with another processor or numpy."""
    return f"{number:.3g}"


def _levels(number: float) -> str:
    return f"{round(number, 1) + 0.0:g}"


def _pixel(one: dict[str, Any]) -> str:
    """Return a line of a map: what is exact, and strengths rounded."""
    parts = [one["kind"]]
    if one["score"] is not None:
        parts.append(f"score {_rounded(one['score'])}")
    parts.append(f"radius {one['radius']}")
    if one["amplitude"]:
        parts.append("levels " + " ".join(map(_levels, one["amplitude"])))
    since = one["since"]
    parts.append(f"after {since['after']} by {since['by']} until {one['until']}")
    parts.append(f"focal {one['focal']}")
    return ", ".join(parts)


def _life(one: dict[str, Any]) -> str:
    """Return a line of a history, without what the map has."""
    seen = one["photos"]
    parts = [f"{seen['seen']} of {seen['telling']}" if seen else "not looked for"]
    for each in one["exposures"]:
        seconds = "?" if each["seconds"] is None else "-".join(
            map(_rounded, each["seconds"]))  # fmt: skip
        parts.append(f"{seconds} s: {_levels(each['amplitude'])} in {each['photos']}")
    return ", ".join(parts)


def _new_key(items: Items, key: str) -> str:
    """Return a key that is not taken: a pixel may have several lives."""
    number, free = 1, key
    while free in items:
        number += 1
        free = f"{key} ({number})"
    return free


def _told(places: Places) -> tuple[object, ...]:
    """Return the options that say where everything is."""
    return "--config", places.config, "--state", places.state


def _lists(places: Places) -> Items:
    """Return the detected lists and their dates, as `history` prints them."""
    found = json.loads(_program(places, "history", "--json", *_told(places)).stdout)
    items: Items = {}
    for camera in found["cameras"]:
        for one in camera["pixels"]:
            # What is configured or ignored was no part of it in version 0.1.
            if one["source"] == "configured" or one["ignored"]:
                continue
            key = _new_key(items, f"{camera['id']} pixel {one['x']},{one['y']}")
            items[key] = _pixel(one)
            items[key.replace(" pixel ", " life ")] = _life(one)
    return items


def _mapped(places: Places, arguments: tuple[str, ...]) -> Items:
    """Return the places that `map` lists."""
    command = "map", "--format", "json", *arguments
    maps = json.loads(_program(places, *command, *_told(places)).stdout)
    return {
        " ".join([camera["id"], "map", *arguments]): " ".join(
            f"{one['x']},{one['y']}" for one in camera["pixels"]
        )
        for camera in maps["cameras"]
    }


def _status(places: Places) -> Items:
    """Return the outcomes with their reasons, the cameras and their arrays."""
    found = json.loads(_program(places, "status", "--json", *_told(places)).stdout)
    items = {
        "outcomes": _counts(found["photos"]),
        "conditions": _counts(found["copies"]),
    }
    for one in found["problems"]:
        text = places.short(f"{one['outcome']}: {one['reason']}")
        items[f"problem {places.short(one['path'])}"] = text
    for one in found["copy_problems"]:
        text = places.short(f"{one['condition']}: {one['notes']}")
        items[f"copy problem {places.short(one['path'])}"] = text
    for one in found["cameras"]:
        name = one["id"]
        items[name] = (
            f"{one['photos']} photos, weight {one['weight']:.6g}, "
            f"mapped at {one['mapped']}, {one['scenes']} scenes"
        )
        for array, checksum in _arrays(places.state / "cameras" / name).items():
            items[f"{name} array {array}"] = checksum
    return items


def _repaired_by_hand(places: Places, pixels: Iterable[str]) -> Items:
    """Return the copies that `repair` makes of every photo, or why it does not."""
    named = [part for pixel in pixels for part in ("--pixel", pixel)]
    photos = [path for _, path in _files(places.photos)]
    output = "--output", places.by_hand
    done = _program(places, "repair", *photos, *named, *output, codes=(0, 3))
    items = _checksums(places.by_hand, "by hand")
    for line in sorted(done.stderr.splitlines()):
        name, _, reason = places.short(line).partition(": ")
        if name == "state":  # what was taken is told now
            continue
        items[f"by hand problem {name}"] = reason
    return items


def _configure(places: Places, case: Case) -> None:
    folder = {
        "path": str(places.photos),
        "repaired": str(places.copies),
        "settle_seconds": 0.1,
    }
    config = {
        "folders": [{**folder, **case.folder}],
        "cameras": case.cameras,
        "detection": case.detection,
    }
    places.config.write_text(json.dumps(config))  # which is YAML


def observed(case: Case, root: Path, jobs: int) -> Items:
    """Run the program on a case in an empty folder; return what comes of it.

    Raises
    ------
    RunError
        A command failed.
    """
    places = Places(root)
    places.photos.mkdir(parents=True)
    _configure(places, case)
    for fill in case.fills:
        filled(fill, places.photos)
        _program(places, "run", "--once", "--jobs", jobs, *_told(places))
    items = {f"photo {name}": _sha256(path.read_bytes())
             for name, path in _files(places.photos)}  # fmt: skip
    items |= _status(places) | _lists(places) | _checksums(places.copies, "copy")
    for arguments in case.maps:
        items |= _mapped(places, arguments)
    if case.by_hand:
        items |= _repaired_by_hand(places, case.by_hand)
    return items
