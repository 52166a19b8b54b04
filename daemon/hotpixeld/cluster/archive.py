"""The archive: photos to shards to states, which are joined into the state here.

The workers scan, learn and merge; here is only what needs the ledger: which photos it
knows, and the joining.  What is left for the ordinary pass on this machine is returned:
photos whose image, or shot, the state knows.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import distributed
from distributed import KilledWorker

from hotpixeld.cluster import shards, tasks
from hotpixeld.cluster.scheduler import ClusterError
from hotpixeld.cluster.storage import Storage
from hotpixeld.engine import joining
from hotpixeld.errors import HotpixeldError
from hotpixeld.files import make_folder
from hotpixeld.messages import counted
from hotpixeld.photo.fingerprint import Fingerprint
from hotpixeld.store.images import bare
from hotpixeld.store.ledger import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from hotpixeld.cluster.shards import Scanned
    from hotpixeld.config.model import Config
    from hotpixeld.engine.session import Session
    from hotpixeld.store.ledger import Ledger

SHARD_PHOTOS = 1000
"""Photos of a task, at least: some minutes of work, beside which its merge and what Dask
does for each task do not count."""
log = logging.getLogger(__name__)

BATCH = 500
"""Photos of a scan's task, at most: some seconds."""
MEMORIES = 10
"""Where the mean forgets, a shard has so many times the photos that it looks back on: of
the shards before, no more than 5e-5 is left in it, and its own order is that of one run."""
RETRIES = 2
"""Times that a task is done again which failed: a server or a disk may be back."""
_NO_FINGERPRINT = Fingerprint(b"", b"", b"", b"", b"")

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Cluster:
    """The machines that take part.

    Attributes
    ----------
    client : distributed.Client
    storage : str
        URL of a place that all of them can write to, as fsspec takes it.
    shard_photos : int
        Photos of a task, at least.
    """

    client: distributed.Client
    storage: str
    shard_photos: int = SHARD_PHOTOS


class Show(Protocol):
    """Shows how far items are while they are gone through."""

    def __call__(self, items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
        """Yield `items`."""


class DeadlyTaskError(ClusterError):
    """Workers die of a task, one after the other."""


def _result(future: distributed.Future[Any]) -> Any:
    """Return what a task returned.

    Raises
    ------
    DeadlyTaskError
        Worker after worker died of it.
    ClusterError
        It failed, again and again.
    """
    try:
        return future.result()
    except KilledWorker as error:
        raise DeadlyTaskError(f"workers die of a task: {error}") from error
    except CancelledError as error:
        raise ClusterError(
            "the scheduler was lost: start it again, and the same command goes on where"
            " it was"
        ) from error
    except HotpixeldError as error:
        raise ClusterError(f"a worker says: {error}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ClusterError(f"a task failed on a worker: {reason}") from error


def _scan(
    cluster: Cluster, photos: Sequence[Path], config: Config, show: Show
) -> list[Scanned]:
    """Have all photos examined.

    Raises
    ------
    ClusterError
    """
    client = cluster.client
    threads = max(sum(client.nthreads().values()), 1)
    batch = min(len(photos) // (4 * threads) + 1, BATCH)
    futures = [
        client.submit(
            *(tasks.scan, photos[i : i + batch], config),
            pure=False,
            retries=RETRIES,
        )
        for i in range(0, len(photos), batch)
    ]
    scanned: list[Scanned] = []
    batches = distributed.as_completed(futures, loop=client.loop)
    for future in show(batches, len(futures), "scanning"):
        scanned += _result(future)
        future.release()
    if scanned and all(one.signature is None for one in scanned):
        raise ClusterError(
            f"{photos[0]}: no worker finds it, nor any other photo: the photos must be at"
            " the same paths on all machines"
        )
    return scanned


class _Known:
    """What the state knows already: the ordinary pass is for what belongs to that."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._bodies = {one.camera.body for one in ledger.images.cameras()}

    def __call__(self, photo: Scanned) -> bool:
        """Return whether a photo's image, its shot, or its body by another serial is known."""
        ledger = self._ledger
        if not photo.identity:
            return False
        if ledger.images.find(photo.identity) or ledger.copies.is_own(photo.identity):
            return True
        if not photo.is_admitted:
            return False
        make, model, serial = photo.body
        if photo.body not in self._bodies and any(
            (make, model) == body[:2] and (not body[2] or bare(body[2]) == bare(serial))
            for body in self._bodies
        ):
            return True
        own = photo.fingerprint or _NO_FINGERPRINT
        return any(
            (relative.make, relative.model) == (make, model)
            for relative in ledger.fingerprints.relatives(photo.captured, own)
        )


def _settings(config: Config) -> str:
    """Return what decides, besides the photos, what is learned of them."""
    folders = [folder.model_dump(mode="json") for folder in config.folders]
    cameras = [camera.model_dump(mode="json") for camera in config.cameras]
    limits = config.limits.model_dump(mode="json")
    return json.dumps([VERSION, config.detection.memory, limits, folders, cameras])


def _learn(
    cluster: Cluster, parts: dict[str, list[Scanned]], config: Config, show: Show
) -> list[str]:
    """Have shards learned; return the names of those that no worker survives.

    Raises
    ------
    ClusterError
    """
    client, names, deadly = cluster.client, {}, []
    for name, part in parts.items():
        paths = tuple(photo.path for photo in part)
        shard = tasks.Shard(name, cluster.storage, paths, config)
        key = f"learn-{name}"
        names[client.submit(tasks.learn, shard, key=key, retries=RETRIES)] = name

    def photos() -> Iterator[Scanned]:
        for future in distributed.as_completed(list(names), loop=client.loop):
            name = names[future]
            try:
                _result(future)
            except DeadlyTaskError as error:
                deadly.append(name)
                log.warning(
                    "%s to be learned here: %s",
                    counted(len(parts[name]), "photo"),
                    error,
                )
            yield from parts[name]

    total = sum(map(len, parts.values()))
    for _ in show(photos(), total, "learning"):
        pass
    return deadly


def _merge(
    cluster: Cluster, names: Sequence[str], config: Config
) -> tuple[distributed.Future[str], list[str]]:
    """Have states merged in a tree, in their order; return the last, and all its names."""
    client, made = cluster.client, list(names)
    level = [(name, client.submit(str, name, key=f"made-{name}")) for name in names]
    while len(level) > 1:
        above = []
        for pair in shards.pairs(level):
            if len(pair) == 2:
                (one, first), (two, second) = pair
                both = hashlib.sha256(f"merged {one} {two}".encode()).hexdigest()
                made.append(both)
                future = client.submit(
                    *(tasks.merge, cluster.storage, first, second, both, config),
                    key=f"merge-{both}",
                    retries=RETRIES,
                )
                above.append((both, future))
            else:
                above += pair
        level = above
    return level[0][1], made


def _join(session: Session, storage: Storage, name: str) -> None:
    """Join a state of the storage into the one here."""
    folder = session.folder / "joining"
    shutil.rmtree(folder, ignore_errors=True)  # a crash may have left it
    make_folder(folder, mode=0o700)
    storage.fetch(name, folder)
    config = session.config
    joining.join(session.ledger, folder, config, session.progress)
    shutil.rmtree(folder)


def _tell(ledger: Ledger, photos: Iterable[Scanned]) -> None:
    """Log what could not be used, as the ordinary pass does."""
    for photo in photos:
        record = ledger.paths.find(photo.path)
        if record is not None and record.outcome == "failed":
            log.warning("failed %s: %s", photo.path, record.reason)


def learn(
    session: Session, photos: Sequence[Path], cluster: Cluster, show: Show
) -> list[Path]:
    """Have photos learned by the cluster, and join the result into the state here.

    Maps are due then.  What a run before this one left in the storage, as it was
    interrupted, is not learned again.

    Returns
    -------
    list of Path
        What the ordinary pass is to take: photos whose image or shot the state knows, and
        those of a shard that no worker survives.

    Raises
    ------
    ClusterError
        A task failed for good; what was joined stays, and the rest can be done again.
    """
    config, storage = session.config, Storage(cluster.storage)
    scanned = _scan(cluster, photos, config, show)
    is_known = _Known(session.ledger)
    rest = {photo.path for photo in scanned if is_known(photo)}
    new = [photo for photo in scanned if photo.path not in rest]
    settings = _settings(config)
    size = max(cluster.shard_photos, MEMORIES * config.detection.memory)
    families = [
        {shards.name(part, settings): part for part in family}
        for family in shards.cut(new, size)
    ]
    parts = {name: part for family in families for name, part in family.items()}
    for name in _learn(cluster, parts, config, show):
        rest.update(photo.path for photo in parts[name])
        for family in families:
            family.pop(name, None)
    trees = [_merge(cluster, list(one), config) for one in families if one]
    made = dict(trees)
    joined = distributed.as_completed(list(made), loop=cluster.client.loop)
    for future in show(joined, len(made), "joining"):
        _join(session, storage, str(_result(future)))
        storage.remove(made[future])
    session.reconfigure(config)
    _tell(session.ledger, (photo for photo in new if photo.path not in rest))
    return [photo.path for photo in scanned if photo.path in rest]
