"""What must hold on a walk: after each step, and once everything due is done."""

from __future__ import annotations

import functools
import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from days.user import stamp
from days.world import sha256
from hotpixeld.config.load import load
from hotpixeld.engine import footprints
from hotpixeld.errors import LedgerError
from hotpixeld.jpeg import compare
from hotpixeld.photo import photo_file
from hotpixeld.repair import pixel_list
from hotpixeld.service import status_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from days.user import User
    from days.world import Home
    from hotpixeld.config.model import Config
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.repair.pixel_list import PixelList
    from hotpixeld.store.copies import Copy
    from hotpixeld.store.ledger import Ledger
    from hotpixeld.store.paths import PathRecord

Dump = dict[str, list[object]]


def cameras(home: Home) -> list[str]:
    """Return the IDs of the cameras that the state knows."""
    try:
        with home.ledger() as ledger:
            return [record.camera.id for record in ledger.images.cameras()]
    except LedgerError:
        return []  # not made yet


def nothing_learned(user: User, home: Home) -> None:
    """Check that a state learned no copy whose original it has learned."""
    made_of = "SELECT lower(hex(identity)), lower(hex(original)) FROM "
    with user.home.ledger() as ledger:
        query = f"{made_of} copies UNION {made_of} other_copies"
        originals = dict(ledger.connection.execute(query).fetchall())
    with home.ledger() as ledger:
        rows = ledger.connection.execute("SELECT lower(hex(identity)) FROM images")
        known = {identity for (identity,) in rows}
    both = [one for one in known & user.own if originals.get(one) in known]
    if both:
        raise AssertionError(f"the second state learned copies: {both}")


_LOOKED_AT = {
    # Not the ctime: where two photos swapped names, a link to one is removed for the other.
    "paths": "folder, name, outcome, reason, image, inode, size, mtime_ns, repaired_with",
    "suspects": "DISTINCT camera",
    "samples": "image, camera",
    # That a run began and ended is news, though nothing else is.
    "events": "DISTINCT iif(kind LIKE 'run_%', kind, line)",
    "defects": "camera, row, col, verdict ->> 'after', verdict ->> 'until'",
}
"""What is looked at of tables of which a run that is done once makes some again."""


def everything(user: User) -> Dump:
    """Return all that a run could change: files and rows of the ledger."""
    found: Dump = {str(path): [stamp(path)] for path in user.tree()}
    with user.home.ledger() as ledger:
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        for (table,) in ledger.connection.execute(query).fetchall():
            what = _LOOKED_AT.get(table, "*")
            rows = ledger.connection.execute(f"SELECT {what} FROM {table}")  # noqa: S608
            found[f"table {table}"] = list(rows)
    return found


def same(before: Dump, after: Dump) -> None:
    """Compare what was before a run that had nothing to do with what is after it."""
    changed = [
        f"{name}: {row!r}"[:300]
        for name in sorted(before.keys() | after.keys())
        for row in (*_only(before, after, name), "->", *_only(after, before, name))
        if before.get(name) != after.get(name)
    ]
    if changed:
        raise AssertionError("\n".join(["a second run changed something:", *changed]))


def _only(one: Dump, other: Dump, name: str) -> list[object]:
    """Return the rows that one has and the other has not."""
    return [row for row in one.get(name, []) if row not in other.get(name, [])]


def right_now(user: User) -> list[str]:
    """Return what is wrong whatever is under way."""
    return [*_touched(user), *_torn(user), *_folded(user)]


def _touched(user: User) -> Iterator[str]:
    """Yield the files of the user that are not as the user left them."""
    for path, mine in user.files.items():
        if not path.is_file():
            yield f"the user's {path} is gone"
        elif stamp(path) != mine.stamp:
            # A hard link beside it changes its ctime alone.
            if sha256(path) != mine.sha256 or stamp(path)[:3] != mine.stamp[:3]:
                yield f"the user's {path} was changed"
            mine.stamp = stamp(path)


def _torn(user: User) -> Iterator[str]:
    """Yield what was written and is not whole; note the identities of what is."""
    for path in user.copies():
        try:
            status = path.stat()
            user.own.add(_identity(path, status.st_ino, status.st_mtime_ns))
        except FileNotFoundError:  # renewed or withdrawn just now, by the daemon
            continue
        except Exception as error:  # noqa: BLE001 - whatever it is, it is wrong
            yield f"{path} is no whole photo: {error}"
    user.own -= user.photos.keys()


@functools.lru_cache(maxsize=4096)
def _identity(path: Path, _inode: int, _mtime_ns: int) -> str:
    return photo_file.examine(path, 10**9, 10**9).identity


def _folded(user: User) -> Iterator[str]:
    """Yield what is in the ledger as a photo and is none, and counts that disagree."""
    try:
        with user.home.ledger() as ledger:
            rows = ledger.connection.execute(
                "SELECT lower(hex(identity)), outcome FROM images"
            ).fetchall()
            records = list(ledger.images.cameras())
            folded = {
                one.camera.id: ledger.images.counts(one.camera.id)["folded"]
                for one in records
            }
    except LedgerError:
        return  # not made yet
    known = dict(rows)
    yield from (f"a copy is learned: {one}" for one in known.keys() & user.own)
    strange = known.keys() - user.photos.keys() - user.own
    yield from (f"what is no photo is learned: {one}" for one in strange)
    if user.calm:
        for record in records:
            photos = folded[record.camera.id]
            if record.photos != photos:
                yield f"{record.camera.id}: {record.photos} in the state, {photos} folded"


def when_calm(user: User) -> list[str]:
    """Return what is wrong once everything due is done."""
    config = load(user.home.config)
    with user.home.ledger() as ledger:
        said = status_file.status(ledger, config)
        wrong = [*_unknown(user, ledger), *_copies(user, config, ledger, said)]
        wrong += _strays(user, ledger)
    return wrong


def _unknown(user: User, ledger: Ledger) -> Iterator[str]:
    """Yield the photos that are not what they should be in the ledger."""
    for path in user.home.candidates():
        mine, record = user.files.get(path), ledger.paths.find(path)
        if record is None:
            yield f"{path} is not known"
        elif _is_twin(user, path):
            continue
        elif mine is not None and mine.kind == "photo":
            yield from _uncounted(ledger, record)
        elif record.image is not None or not record.reason:
            kind = mine.kind if mine else "copy"
            yield f"{path}, of kind {kind}, is {record.outcome}"


def _is_twin(user: User, path: Path) -> bool:
    """Return whether a file is a copy of the same image as its photo."""
    mine = user.files.get(path)
    if mine is None:
        return _now(path).identity in user.photos
    return mine.kind == "twin"


def _uncounted(ledger: Ledger, record: PathRecord) -> Iterator[str]:
    """Yield what keeps a photo from being counted."""
    image = ledger.images.find(_now(record.path).identity)
    if record.outcome not in {"image", "duplicate"}:
        yield f"{record.path} is {record.outcome}: {record.reason}"
    if image is None or image.outcome == "lost":
        yield f"{record.path} is not counted"
    elif image.id != record.image:
        yield f"{record.path} is taken for another photo"


def _now(path: Path) -> Photo:
    status = path.stat()
    return _examined(path, status.st_ino, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=1024)
def _examined(path: Path, *_stamp: int) -> Photo:
    return photo_file.examine(path, 10**9, 10**9)


@functools.lru_cache(maxsize=4096)
def _shown(identity: str, key: str) -> tuple[tuple[int, int], ...]:
    """Return the x, y of what a photo shows of a list."""
    photo, pixels = _asked[identity, key]
    with Image.open(io.BytesIO(photo.data)) as image:
        frame = np.asarray(image.convert("RGB"))
    seen = pixel_list.visible(frame, pixels.detected, pixels.shown)
    sites = {(one.row, one.col) for one in (*pixels.configured, *seen)}
    return tuple((col, row) for row, col in sorted(sites))


_asked: dict[tuple[str, str], tuple[Photo, PixelList]] = {}


def expected(
    photo: Photo, config: Config, ledger: Ledger, copy: Copy | None
) -> tuple[tuple[int, int], ...]:
    """Return the x, y of what must be repaired in a photo."""
    image = ledger.images.find(photo.identity)
    record = ledger.images.camera(image.camera) if image else None
    if image is None or record is None:
        return ()
    if image.outcome == "forgotten" or image.is_unlearned:
        return copy.pixels if copy is not None else ()  # it stays as it is
    known = [one.camera for one in ledger.images.cameras()]
    found = ledger.defects.of(record.camera.id)
    pixels = pixel_list.repairable(config, record.camera, known, found, photo.metadata)
    learned = footprints.kept(ledger.folder, record.camera.id)
    pixels = replace(pixels, shown=footprints.shown_by(photo.metadata, learned))
    detected = [(one.row, one.col, one.kind) for one in pixels.detected]
    laws = [(one.row, one.col, one.law) for one in learned.defects]
    key = repr((pixels.configured, detected, laws))
    _asked[photo.identity, key] = photo, pixels
    try:
        return _shown(photo.identity, key)
    finally:
        del _asked[photo.identity, key]


def _copies(
    user: User, config: Config, ledger: Ledger, said: status_file.Json
) -> Iterator[str]:
    """Yield the photos that have not the copy that they should have."""
    explained = {Path(one["path"]) for one in said["copy_problems"]}
    for path in user.originals():
        record, copy = ledger.paths.find(path), ledger.copies.find(path)
        if record is None or record.outcome not in {"image", "duplicate"}:
            continue  # `_unknown` says it
        photo, folder = _now(path), config.folder_of(path)
        wanted = expected(photo, config, ledger, copy)
        if copy is not None and copy.condition == "written":
            yield from _copy(user, photo, copy, wanted, folder.copy_path(path))
        elif copy is not None and copy.condition in {"deleted", "foreign", "refused"}:
            yield from _without(user, photo, copy, explained)
        elif wanted or folder.unchanged != "skip":
            how = copy.condition if copy else "none"
            yield f"{path} shows {wanted}, and its copy is {how}"


def _without(
    user: User, photo: Photo, copy: Copy, explained: set[Path]
) -> Iterator[str]:
    """Yield copies that are missing and should not be, or of which nothing is said."""
    touched = copy.target in user.gone or photo.identity in user.spoilt
    if copy.condition != "refused" and not touched:
        yield f"{copy.target} is {copy.condition}, and nobody did that"
    if copy.condition != "deleted" and copy.target not in explained:
        yield f"{copy.target} is {copy.condition}, and status says nothing"


def _copy(
    user: User,
    photo: Photo,
    copy: Copy,
    wanted: tuple[tuple[int, int], ...],
    target: Path,
) -> Iterator[str]:
    """Yield what is wrong with a copy that the ledger calls written."""
    if copy.target != target:
        yield f"{copy.target}: should be {target}"
    if set(copy.pixels) != set(wanted):
        yield f"{copy.target}: repaired {copy.pixels}, shows {wanted}"
    if copy.target in user.gone:
        return
    if copy.pixels and copy.method == "lossless":
        data = copy.target.read_bytes()
        # A rating that the photo was given since is not in its copy.
        if not any(_is_repair(one, data) for one in user.photos[photo.identity]):
            yield f"{copy.target} is no repair of {photo.path}"


@functools.lru_cache(maxsize=4096)
def _is_repair(original: bytes, copy: bytes) -> bool:
    return compare.compare(original, copy).is_repair


def _strays(user: User, ledger: Ledger) -> Iterator[str]:
    """Yield copies that lie there unknown, and known ones that do not lie there."""
    query = "SELECT target, lower(hex(sha256)) FROM "
    current, former = (
        {
            Path(target.decode()): hash_
            for target, hash_ in ledger.connection.execute(query + where)
        }
        for where in ("copies WHERE condition = 'written'", "other_copies")
    )
    known = former | current
    written = {path for path in user.tree() if path not in user.files}
    for path in written - known.keys():
        yield f"{path} is nobody's"
    # A former one may be gone: `status` names those that are there.
    for path in current.keys() - written - user.gone:
        yield f"{path} is written, says the ledger, and is not there"
    for path in known.keys() & written - user.gone:
        if sha256(path) != known[path]:
            yield f"{path} is not what was written"
