"""Tasks: what runs on a worker.

Each takes values and names, and returns values and names; done again, by the same worker or
another one, it comes to the same.  A shard is learned in a scratch state, by the passes of
any state.  If its worker dies, whoever is given the shard next on that machine goes on with
the scratch state: what was folded is there, and so is the mark of the photo that the process
died in, which is not decoded then.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import distributed

from hotpixeld.cluster.shards import Scanned
from hotpixeld.cluster.storage import Storage
from hotpixeld.engine import copy_writer, joining
from hotpixeld.engine.output_folder import OutputFolder
from hotpixeld.engine.repair_pass import camera_unless_edited
from hotpixeld.engine.session import Session, order_of
from hotpixeld.engine.workers import to_nobody
from hotpixeld.errors import PhotoError, PhotoGoneError, SkippedPhotoError
from hotpixeld.files import make_folder
from hotpixeld.photo import fingerprint, photo_file
from hotpixeld.watch import walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hotpixeld.config.model import Config, Folder
    from hotpixeld.engine.copy_writer import RepairResult
    from hotpixeld.engine.repair_pass import Pixels
    from hotpixeld.repair.pixel_list import PixelList


@dataclass(frozen=True, slots=True)
class Shard:
    """What a task is to learn.

    Attributes
    ----------
    name : str
        Of its result in the storage.
    storage : str
        URL.
    paths : tuple of Path
        In the order of a scan.
    config : Config
    """

    name: str
    storage: str
    paths: tuple[Path, ...]
    config: Config


@dataclass(frozen=True, slots=True)
class Due:
    """A photo whose copy is due.

    Attributes
    ----------
    path : Path
    identity : str
        Of the image that it is.
    folder : Folder
        The watched folder that it is in.
    pixels : PixelList
        What may be repaired in it.
    known : tuple of (x, y) or None
        What its present copy has repaired.
    """

    path: Path
    identity: str
    folder: Folder
    pixels: PixelList
    known: Pixels | None


def _scan_one(path: Path, config: Config) -> Scanned:
    """Return what one photo's file shows; whatever is wrong, its shard records why."""
    order, signature = order_of(path), None
    with contextlib.suppress(OSError):
        signature = walk.stat_photo(path)
    limits = config.limits
    try:
        root = config.folder_of(path).path
        photo = photo_file.examine(path, limits.max_bytes, limits.max_pixels, root)
    except PhotoGoneError:
        return Scanned(path, order)
    except PhotoError:
        return Scanned(path, order, signature)
    try:
        camera = camera_unless_edited(photo, config)
    except SkippedPhotoError:
        return Scanned(path, order, signature, photo.identity)
    captured = photo.metadata.captured
    return Scanned(
        *(path, order, signature, photo.identity),
        camera.body,
        captured,
        None if captured else fingerprint.of(photo),
    )


def scan(paths: Sequence[Path], config: Config) -> list[Scanned]:
    """Examine photos' files, without decoding them."""
    return [_scan_one(path, config) for path in paths]


@contextlib.contextmanager
def _scratch(name: str) -> Iterator[Path]:
    """Return a folder that the next worker on this machine finds again if this one dies.

    In it is what was left there; after the block it is gone.
    """
    try:
        place = Path(distributed.get_worker().local_directory).parent
    except ValueError:  # no worker's thread
        place = Path(tempfile.gettempdir())
    folder = place / "hotpixeld-shards" / name
    make_folder(folder, mode=0o700)
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Log nothing of photos here: the ledger has it all, and who joins it tells."""
    logger = logging.getLogger("hotpixeld")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _end(session: Session) -> None:
    """Name no former generation: nobody falls back on one of a part."""
    ledger = session.ledger
    for record in list(ledger.images.cameras()):
        with ledger.transaction():
            ledger.generations.drop_previous(record.camera.id)
        session.learning.tidy_camera(record.camera.id)


def learn(shard: Shard) -> str:
    """Learn the photos of a shard; return the name of the result in the storage.

    It is a state: a ledger with every photo's outcome, and its cameras' generations; maps
    are made of the whole only.
    """
    storage = Storage(shard.storage)
    if storage.has(shard.name):
        return shard.name
    with _quietly(), _scratch(shard.name) as folder:
        with Session(shard.config, folder, 1, to_nobody) as session:
            new = session.changed(shard.paths)
            for _ in session.take(new, once=True, ordered=True):
                pass
            for _ in session.learning.all_at_once(with_maps=False):
                pass
            _end(session)
        storage.put(shard.name, folder)
    return shard.name


def merge(url: str, older: str, newer: str, name: str, config: Config) -> str:
    """Merge two states of the storage, the older first; return the name of the result."""
    storage = Storage(url)
    if storage.has(name):
        return name
    with _scratch(name) as folder:
        shutil.rmtree(folder)  # what a dead worker left may be half of it
        one, two = folder / "one", folder / "two"
        for state, part in ((one, older), (two, newer)):
            make_folder(state, mode=0o700)
            storage.fetch(part, state)
        join(one, two, config)
        storage.put(name, one)
    return name


def join(folder: Path, other: Path, config: Config) -> None:
    """Join what another state knows into one that nobody has open."""
    with Session(config, folder, 1, to_nobody) as session:
        joining.join(session.ledger, other, config, to_nobody)
        _end(session)


def make_copy(due: Due, config: Config) -> RepairResult:
    """Repair a photo and write its copy beside its place.

    Where it cannot be written, the bytes are returned: whoever names it says why.

    Raises
    ------
    PhotoError
        It cannot be decoded, or is another one now.
    """
    limits = config.limits
    photo = photo_file.examine(
        due.path, limits.max_bytes, limits.max_pixels, due.folder.path
    )
    if photo.identity != due.identity:
        raise PhotoGoneError(due.path, "replaced by another photo")
    result = copy_writer.repair(
        *(photo, None, due.pixels, due.known, config.repair), memory=limits.memory
    )
    output = OutputFolder.of(due.folder, limits.max_bytes)
    try:
        return copy_writer.prepare(result, output, due.folder.copy_path(due.path))
    except OSError:
        return result
