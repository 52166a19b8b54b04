"""An archive of three cameras, learned on a cluster of this machine and by one local run.

    HOTPIXELD_PHOTOS=... python tests/bench/archive.py [--photos 400]

The photos are those of three real sets; where these are too few, some are made of them, with
noise of their own and a later capture time.  Two and four workers must come to what the local
run does, with file storage and S3, and though a worker is killed and a file vanishes.  Then
the parts that an estimate for larger archives is made of.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

sys.path.insert(0, str(Path(__file__).parents[1]))

from hotpixeld.cli import run_once
from hotpixeld.cluster import archive, scheduler, tasks
from hotpixeld.config.load import for_folders
from hotpixeld.config.model import Config, Detection
from hotpixeld.engine.session import Session, in_order
from known import Known, check_same_photos, known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SETS = {"canon-t5i-2592": 150, "fuji-a200": 100, "panasonic-zx3": 150}
"""Real sets, and how many of 400 photos each gives."""
SHARD = 25


def made_of(source: Path, number: int) -> bytes:
    """Return a photo with other noise, taken so many hundred days later."""
    data = source.read_bytes()
    image = JpegImageFile(io.BytesIO(data))
    rng = np.random.default_rng((number, len(data)))
    levels = np.asarray(image).astype(np.float32)
    noisy = levels + rng.normal(0, 2, levels.shape)
    out = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(
        out, "JPEG", qtables=image.quantization
    )
    length = int.from_bytes(data[4:6], "big")
    header = bytearray(data[2 : 4 + length])  # APP1
    captured = image.getexif().get_ifd(0x8769)[0x9003].encode()
    later = b"%04d" % (int(captured[:4]) + number) + captured[4:]
    new = out.getvalue()
    behind = 4 + int.from_bytes(new[4:6], "big")  # its own APP0
    return new[:2] + bytes(header).replace(captured, later) + new[behind:]


def make(sets: Path, folder: Path, photos: int) -> None:
    """Write the archive: of each set first all real photos."""
    for name, share in SETS.items():
        real = sorted(sets.joinpath(name).rglob("*.[jJ][pP][gG]"))
        (folder / name).mkdir(parents=True)
        for index in range(share * photos // 400):
            source, number = real[index % len(real)], index // len(real)
            target = folder / name / f"{number}_{source.name}"
            if number:
                target.write_bytes(made_of(source, number))
            else:
                shutil.copy(source, target)
    first = next(iter(sorted((folder / "fuji-a200").iterdir())))
    shutil.copy(first, folder / "again.JPG")
    (folder / "cut.JPG").write_bytes(first.read_bytes()[:100_000])
    (folder / "vanishes.JPG").write_bytes(made_of(first, 9))
    for path in folder.rglob("*.*"):
        os.utime(path, (1.7e9, 1.7e9))


class Phases:
    """Shows nothing; notes how long each stage takes, and acts as one begins."""

    def __init__(self, **acts: Callable[[], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._acts = acts

    def __call__(self, items: Iterable[Any], total: int, label: str) -> Iterator[Any]:
        """Yield the items."""
        del total
        self._acts.get(label, lambda: None)()
        began = time.perf_counter()
        yield from items
        self.seconds[label] = time.perf_counter() - began

    def __str__(self) -> str:
        """Return the times on one line."""
        return ", ".join(f"{name} {it:.1f}" for name, it in self.seconds.items())


def learn(
    config: Config, state: Path, cluster: archive.Cluster | None, show: Phases
) -> float:
    """Learn an archive; return the wall seconds."""
    began, ran = time.perf_counter(), run_once.Ran()
    jobs = len(os.sched_getaffinity(0))
    with Session(config, state, jobs, lambda: None) as session:
        photos = run_once.settled_photos(config, session, ran)
        if cluster is None:
            show._acts.get("learning", lambda: None)()
            rest = in_order(photos)
        else:
            rest = archive.learn(session, photos, cluster, show)
        for _ in session.take(rest, once=True, ordered=True):
            pass
        for _ in show(session.learning.all_at_once(), 0, "maps"):
            pass
    return time.perf_counter() - began


def listed(one: Known, other: Known) -> str:
    """Return how many defects both list, and how many only one of them."""
    mine = {(name, site) for name, sites in one.defects.items() for site in sites}
    theirs = {(name, site) for name, sites in other.defects.items() for site in sites}
    only, missing = sorted(mine - theirs), sorted(theirs - mine)
    return f"{len(mine & theirs)} defects of both, here only {only}, there {missing}"


def bounds(one: Known, other: Known) -> str:
    """Return by how much mean and M2 differ at most, relative to their size."""

    def worst(plane: str) -> float:
        pairs = [
            (getattr(state, plane), getattr(other.states[camera], plane))
            for camera, state in one.states.items()
        ]
        return max(
            float((np.abs(mine - theirs) / np.maximum(np.abs(theirs), 1)).max())
            for mine, theirs in pairs
        )

    mean, m2 = worst("mean"), worst("m2")
    if mean or m2:
        return f"mean within {mean:.1e}, M2 within {m2:.1e}"
    return "mean and M2 bit-identical"


@contextmanager
def s3() -> Iterator[str]:
    """Run a server of S3 on loopback; yield the URL of a bucket."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - of the group `storage`

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    yield "s3://archive/shards"
    server.stop()


def parts(folder: Path, place: Path, config: Config) -> None:
    """Print what a photo, a shard and a merge take, of the processor and in bytes."""
    for name in SETS:
        paths = in_order((folder / name).iterdir())
        clock = time.process_time
        began = clock()
        tasks.scan(paths, config)
        scanned, names, learned = clock() - began, [], 0.0
        for number in range(2):
            part = tuple(paths[number::2])
            began = clock()
            shard = tasks.Shard(f"{name}-{number}", str(place), part, config)
            names.append(tasks.learn(shard))
            learned += clock() - began
        size = (place / f"{names[0]}.tar").stat().st_size
        began = clock()
        older, newer = names
        tasks.merge(str(place), older, newer, f"{name}-both", config)
        print(
            f"{name}: scan {1e3 * scanned / len(paths):.1f} ms a photo, learn"
            f" {1e3 * learned / len(paths):.1f}, merge {clock() - began:.2f} s,"
            f" a shard's result {size / 1e6:.0f} MB,"
            f" a photo {sum(p.stat().st_size for p in paths) / len(paths) / 1e6:.1f}"
        )


class Archive:
    """The archive in a folder, and what a local run makes of it."""

    def __init__(self, root: Path, folder: Path, memory: int) -> None:
        base = Config(detection=Detection(memory=memory))
        self._root, self.config = root, for_folders([folder], base)
        self._vanishing = folder / "vanishes.JPG"
        self._lost = self._vanishing.read_bytes()
        show = Phases(learning=self._vanishing.unlink)
        self._seconds = learn(self.config, root / "local", None, show)
        self._local = known(root / "local")
        counts = [photos for photos, *_ in self._local.cameras.values()]
        files = len(self._local.files)
        print(
            f"memory {memory}, one local run: {self._seconds:.1f} s; {files} files,"
            f" folded {counts}",
            flush=True,
        )

    def put_back(self) -> None:
        """Put the file back that vanished."""
        self._vanishing.write_bytes(self._lost)
        os.utime(self._vanishing, (1.7e9, 1.7e9))

    def run(self, label: str, workers: int, url: str, size: int) -> None:
        """Learn it on a cluster; print what that took, and that it is the same."""
        self.put_back()
        with scheduler.local(workers, self._root / "scratch") as client:

            def begin() -> None:
                self._vanishing.unlink()
                if "killed" in label:
                    os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)

            show, cluster = Phases(learning=begin), archive.Cluster(client, url, size)
            took = learn(self.config, self._root / label, cluster, show)
        found = known(self._root / label)
        check_same_photos(found, self._local)
        self._check_map(self._root / label, found)
        print(
            f"{label}: {took:.1f} s ({show}), {self._seconds / took:.2f} times as fast;"
            f" same photos, outcomes and counts; {listed(found, self._local)};"
            f" {bounds(found, self._local)}",
            flush=True,
        )

    def _check_map(self, state: Path, found: Known) -> None:
        """Check that a local run on the merged state lists the same defects."""
        with Session(self.config, state, 2, lambda: None) as session:
            for record in session.ledger.images.cameras():
                with session.ledger.transaction():
                    session.ledger.images.set_mapped(record.camera.id, 0, 0.0, "")
            for _ in session.learning.all_at_once():
                pass
        assert known(state).defects == found.defects


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=400)
    wanted = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="archive-"))
    try:
        folder, share = root / "photos", str(root / "share")
        make(Path(os.environ["HOTPIXELD_PHOTOS"]), folder, wanted.photos)
        usual = Archive(root / "usual", folder, 100)
        usual.run("2 workers, a shard a camera", 2, share, 1000)
        usual.put_back()
        lifelong = Archive(root / "lifelong", folder, 0)
        lifelong.run("2 workers", 2, share, SHARD)
        lifelong.run("4 workers", 4, share, SHARD)
        lifelong.run("4 workers, one killed", 4, share, SHARD)
        with s3() as url:
            lifelong.run("2 workers, S3", 2, url, SHARD)
        parts(folder, root / "parts", usual.config)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
