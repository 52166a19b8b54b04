"""States as a whole: two that are merged into a third, one that is exported or imported.

`state export` and `state merge` read states whose daemons may go on, and write a new one,
which is there once it is complete.  `state import` changes the state that it is given, with
its daemon stopped.  After a merge and an import, what is to be folded anew is, and maps are
made from what is known of both.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.engine import joining
from hotpixeld.engine.session import Session, state_errors
from hotpixeld.engine.workers import to_nobody
from hotpixeld.errors import StateError, said
from hotpixeld.files import make_folder, sync_folder
from hotpixeld.messages import counted, plain
from hotpixeld.store import ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config
    from hotpixeld.engine.joining import Joined
    from hotpixeld.store.ledger import Ledger


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[Ledger]:
    """Hold a state that is joined to; made where it is missing."""
    with state_errors(folder):
        make_folder(folder, mode=0o700)
        with ledger.held(folder) as opened:
            yield opened


@contextlib.contextmanager
def _new(folder: Path) -> Iterator[Path]:
    """Make a new state beside its place; move it there, complete, after the block.

    Raises
    ------
    StateError
        There is something already.
    """
    is_empty = folder.is_dir() and not any(folder.iterdir())
    if os.path.lexists(folder) and not is_empty:
        raise StateError(f"{folder}: is there already: name a folder that is not")
    try:
        make_folder(folder.absolute().parent)
        unfinished = Path(
            tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.absolute().parent)
        )
    except OSError as error:
        raise StateError(said(error, folder)) from error
    try:
        yield unfinished
        with state_errors(folder):
            unfinished.rename(folder)
            sync_folder(folder.absolute().parent)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _join(folder: Path, sources: Sequence[Path], config: Config) -> list[list[Joined]]:
    """Join states to the one in a folder, one after the other."""
    with _held(folder) as mine:
        return [joining.join(mine, one, config, to_nobody) for one in sources]


def _judge(folder: Path, config: Config, jobs: int) -> dict[str, int]:
    """Fold what is to be folded anew, and make maps; return the photos of each camera."""
    with Session(config, folder, jobs, to_nobody) as session, state_errors(folder):
        for _ in session.learning.all_at_once():
            pass
        return {one.camera.id: one.photos for one in session.ledger.images.cameras()}


def _cameras(folder: Path) -> dict[str, Camera]:
    with joining.opened(folder) as state:
        return {one.camera.id: one.camera for one in state.records}


def _check_common(first: Path, second: Path) -> None:
    """Refuse to merge two states that know no camera in common."""
    cameras, others = _cameras(first), _cameras(second)
    if cameras.keys() & others.keys():
        return
    bodies = {one.body: one for one in cameras.values()}
    for other in others.values():
        if one := bodies.get(other.body):
            reason = (
                f"{other.id} is the same body as {one.id} with another image size, and"
                " each size has a state of its own"
            )
            break
    else:
        known = (", ".join(sorted(ids)) or "none" for ids in (cameras, others))
        reason = "no camera in common: {} here, {} there".format(*known)
    advice = f"`hotpixeld state import {second}` adds its cameras to another state"
    raise StateError(f"{second}: {reason}; {advice}")


def _text(done: Sequence[Joined], photos: dict[str, int]) -> list[str]:
    """Return a line about each camera that was joined."""
    lines = []
    for one in done:
        both = f", {one.both:,} in both" if one.both else ""
        now = photos.get(one.camera_id, one.photos)
        folded = f"{one.before:,} and {counted(one.other, 'photo')}{both}: {now:,}"
        again = f", {one.again:,} of them folded anew" if one.again else ""
        lines.append(plain(f"{one.camera_id}: {folded}{again}"))
    return lines


def export(folder: Path, output: Path, config: Config) -> str:
    """Write a state, as it is now, to a new folder; its daemon may go on.

    Raises
    ------
    HotpixeldError
        It cannot be read, or the folder cannot be written; nothing is left behind.
    """
    with _new(output) as unfinished:
        (done,) = _join(unfinished, [folder], config)
    photos = counted(sum(one.photos for one in done), "photo")
    return plain(f"{output}: {counted(len(done), 'camera')}, {photos}")


def merge(first: Path, second: Path, output: Path, config: Config, jobs: int) -> str:
    """Merge two states into a new one; their daemons may go on.

    Raises
    ------
    HotpixeldError
        They cannot be merged, or the new one cannot be written; nothing is left behind.
    """
    _check_common(first, second)
    with _new(output) as unfinished:
        _, done = _join(unfinished, [first, second], config)
        photos = _judge(unfinished, config, jobs)
    return "\n".join([*_text(done, photos), plain(f"merged into {output}")])


def import_(folder: Path, source: Path, config: Config, jobs: int) -> str:
    """Join another state to this one.

    Raises
    ------
    HotpixeldError
        A daemon holds this one, or they cannot be joined; nothing has changed.
    """
    (done,) = _join(folder, [source], config)
    return "\n".join(_text(done, _judge(folder, config, jobs)))
