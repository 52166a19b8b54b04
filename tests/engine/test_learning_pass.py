"""The learning pass against folding, tracing and sampling whole frames one by one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

import jpegs
import whole_frames
from hotpixeld.camera import Bin
from hotpixeld.detection import evidence
from hotpixeld.detection.lens_correction import NOWHERE
from hotpixeld.engine.learning_pass import (
    Folder,
    Means,
    Passed,
    PassStoppedError,
    Pending,
    Task,
    learn,
)
from hotpixeld.errors import (
    CheckpointError,
    PhotoError,
    PhotoGoneError,
    TruncatedPhotoError,
    UnreadablePhotoError,
)
from hotpixeld.jpeg import decoder
from hotpixeld.jpeg.decoder import Size, StripDecoder
from hotpixeld.statistics.generation import Generation, own_planes
from hotpixeld.store import generation_files
from whole_frames import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hotpixeld.detection.evidence import Samples

HEIGHT, WIDTH = 75, 61
SIZE = Size(HEIGHT, WIDTH)
PHOTOS, REMEMBERED = 150, 40
SITES = evidence.controls(HEIGHT, WIDTH, 50)
CORNERS = np.array([(0, 0), (0, WIDTH - 1), (HEIGHT - 1, 0), (HEIGHT - 1, 5)], np.intp)
ENOUGH = 1 << 30


@cache
def files() -> list[bytes]:
    """Return a camera's photos, in every coding that cameras use."""
    ways: list[jpegs.Sampling] = ["4:2:0", "4:2:2", "4:4:4", "grey"]
    return [
        jpegs.jpeg(
            jpegs.scene(HEIGHT, WIDTH, seed), ways[seed % 4], progressive=seed % 7 == 5
        )
        for seed in range(PHOTOS)
    ]


@dataclass
class Truth:
    """What whole frames give."""

    state: State
    samples: Samples


def truth(photos: Sequence[bytes], sites: np.ndarray = SITES) -> Truth:
    """Fold, trace and sample whole frames, one after the other."""
    size = StripDecoder(photos[0]).size
    state, samples = State.empty(*size, traced=True), []
    for data in photos:
        frame = decoder.decode(data)
        state.fold(frame, REMEMBERED)
        samples.append(whole_frames.sample(frame, sites))
    return Truth(state, np.array(samples))


@cache
def all_of_them() -> Truth:
    return truth(files())


def pending(path: Path, data: bytes, number: int) -> Pending:
    path.write_bytes(data)
    return Pending(number, path, lambda: os.open(path, os.O_RDONLY))


@pytest.fixture
def photos(tmp_path: Path) -> list[Pending]:
    """Return a dozen photos in their files."""
    return [
        pending(tmp_path / f"{number}.jpg", data, number)
        for number, data in enumerate(files()[:12], 1)
    ]


def task(tmp_path: Path, before: Folder | None = None) -> Task:
    number = int(before.path.name) + 1 if before else 1
    return Task(SIZE, before, tmp_path / "camera" / str(number), REMEMBERED, SITES)


def after(one: Task, passed: Passed) -> Folder:
    assert passed.generation is not None
    return Folder(one.target, passed.generation)


def in_passes(
    first: Task, photos: Sequence[Pending], most: int, means: Means
) -> tuple[Folder, Samples]:
    """Fold photos in passes of so many, or fewer where the memory is not enough."""
    samples, one, done = [], first, 0
    while True:
        passed = learn(one, photos[done : done + most], means)
        assert not passed.bad
        samples.append(passed.samples)
        done += len(passed.folded)
        assert passed.folded[-1] == photos[done - 1].number
        folder = after(one, passed)
        if done == len(photos):
            return folder, np.concatenate(samples)
        number = int(one.target.name) + 1
        one = replace(one, before=folder, target=one.target.with_name(str(number)))


def assert_equal(folder: Folder, state: State) -> None:
    """Fail unless a generation is a state, to the bit."""
    counts = folder.generation.counts
    assert state.trace is not None
    assert (counts.photos, counts.weight) == (state.photos, state.weight)
    assert counts.traced == state.trace.photos
    planes = {
        "mean": state.mean,
        "m2": state.m2,
        "trace_total": state.trace.total,
        "trace_telling": state.trace.information,
    }
    for name, array in planes.items():
        np.testing.assert_array_equal(np.load(folder.path / f"{name}.npy"), array)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - of no folder


@pytest.mark.parametrize(
    ("most", "threads"), [(1, 1), (7, 3), (32, 1), (60, 3), (128, 2)]
)
def test_wherever_passes_end_all_is_as_folding_whole_frames(
    tmp_path: Path, most: int, threads: int
) -> None:
    waiting = [
        pending(tmp_path / f"{number}.jpg", data, number)
        for number, data in enumerate(files(), 1)
    ]
    means = Means(ENOUGH, threads, rows=32)
    folder, samples = in_passes(task(tmp_path), waiting, most, means)

    assert_equal(folder, all_of_them().state)
    np.testing.assert_array_equal(samples, all_of_them().samples)


@pytest.mark.parametrize("rows", [16, 32, 48, 64])
@pytest.mark.parametrize("height", [40, 47, 48, 49, 64, 65, 71])
def test_strips_of_any_height_give_the_same(
    tmp_path: Path, rows: int, height: int
) -> None:
    data = [jpegs.jpeg(jpegs.scene(height, 53, seed)) for seed in range(3)]
    sites = evidence.controls(height, 53, 40)
    waiting = [
        pending(tmp_path / f"{number}.jpg", one, number)
        for number, one in enumerate(data, 1)
    ]
    first = replace(task(tmp_path), size=Size(height, 53), sites=sites)
    folder, samples = in_passes(first, waiting, 2, Means(ENOUGH, 2, rows=rows))

    assert_equal(folder, truth(data, sites).state)
    np.testing.assert_array_equal(samples, truth(data, sites).samples)


WIDE, TELE, OTHER = (Bin("zoom", focal) for focal in (16.0, 50.0, 35.0))


def of_bins(photos: Sequence[Pending], *bins: Bin) -> list[Pending]:
    """Return photos whose bins follow one another, again and again."""
    return [
        replace(one, bin=bins[number % len(bins)]) for number, one in enumerate(photos)
    ]


def assert_traced(folder: Folder, which: Bin, data: Sequence[bytes]) -> None:
    """Fail unless the trace of a bin is that of these photos alone, to the bit."""
    traced = truth(data).state.trace
    assert traced is not None
    assert folder.generation.bins[which] == traced.photos
    for name, array in zip(
        own_planes(which), (traced.total, traced.information), strict=True
    ):
        np.testing.assert_array_equal(np.load(folder.path / f"{name}.npy"), array)


@pytest.mark.parametrize(("most", "threads"), [(1, 1), (7, 3), (128, 2)])
def test_the_trace_of_a_bin_is_that_of_its_photos(
    tmp_path: Path, most: int, threads: int
) -> None:
    waiting = of_bins(
        [
            pending(tmp_path / f"{number}.jpg", data, number)
            for number, data in enumerate(files(), 1)
        ],
        *(WIDE, WIDE, TELE, OTHER),
    )
    first = replace(task(tmp_path), bins=[WIDE, TELE])  # the rare one has none

    folder, _ = in_passes(first, waiting, most, Means(ENOUGH, threads, rows=32))

    assert_equal(folder, all_of_them().state)
    by_bin = [one.bin for one in waiting]
    for which in (WIDE, TELE):
        own = [one for one, bin_ in zip(files(), by_bin, strict=True) if bin_ == which]
        assert_traced(folder, which, own)
    assert OTHER not in folder.generation.bins
    assert Generation.parse(folder.generation.to_json()) == folder.generation


def test_the_first_bin_begins_with_all_photos_before(
    tmp_path: Path, photos: list[Pending]
) -> None:
    first = task(tmp_path)
    before = after(first, learn(first, of_bins(photos[:5], WIDE), Means(ENOUGH)))
    assert not before.generation.bins
    second = replace(task(tmp_path, before), bins=[WIDE, TELE], only=WIDE)

    folder = after(second, learn(second, of_bins(photos[5:8], TELE), Means(ENOUGH)))

    assert_traced(folder, WIDE, files()[:5])
    assert_traced(folder, TELE, files()[5:8])


def test_the_trace_of_a_bin_that_no_photo_is_of_is_the_same_file(
    tmp_path: Path, photos: list[Pending]
) -> None:
    first = replace(task(tmp_path), bins=[WIDE, TELE])
    before = after(first, learn(first, of_bins(photos[:6], WIDE, TELE), Means(ENOUGH)))
    second = replace(task(tmp_path, before), bins=[WIDE, TELE])

    folder = after(second, learn(second, of_bins(photos[6:8], TELE), Means(ENOUGH)))

    for name in own_planes(WIDE):
        old, new = (one.path / f"{name}.npy" for one in (before, folder))
        assert old.samefile(new)
    for name in own_planes(TELE):
        assert not (before.path / f"{name}.npy").samefile(folder.path / f"{name}.npy")
    generation_files.check(folder.path, lambda: None)
    assert_traced(folder, WIDE, files()[:6:2])


def test_photos_of_a_bin_are_sampled_where_they_show_the_sites(
    tmp_path: Path, photos: list[Pending]
) -> None:
    moved = SITES[::-1].copy()
    moved[3] = NOWHERE
    one = replace(task(tmp_path), places={TELE: moved})

    samples = learn(one, of_bins(photos, WIDE, TELE), Means(ENOUGH, rows=16)).samples

    known = moved[:, 0] != NOWHERE
    there = truth(files()[:12]).samples[::2]
    np.testing.assert_array_equal(samples[::2], there)
    at_moved = truth(files()[:12], moved[known]).samples[1::2]
    np.testing.assert_array_equal(samples[1::2, known], at_moved)
    assert (samples[1::2, 3]["clipped"] == evidence.NOT_SAMPLED).all()


def test_sites_in_corners_are_sampled_as_in_whole_frames(
    tmp_path: Path, photos: list[Pending]
) -> None:
    passed = learn(
        replace(task(tmp_path), sites=CORNERS), photos, Means(ENOUGH, rows=16)
    )

    np.testing.assert_array_equal(passed.samples, truth(files()[:12], CORNERS).samples)


@pytest.mark.slow
def test_real_photos_are_folded_as_whole_frames(
    tmp_path: Path, photo_sets: Path
) -> None:
    found = sorted((photo_sets / "panasonic-zx3").glob("*.[Jj][Pp][Gg]"))
    waiting = [
        Pending(number, path, lambda path=path: os.open(path, os.O_RDONLY))  # type: ignore[misc]
        for number, path in enumerate(found, 1)
    ]
    data = [path.read_bytes() for path in found]
    size = StripDecoder(data[0]).size
    sites = evidence.controls(*size)
    expected = truth(data, sites)
    first = replace(task(tmp_path), size=size, sites=sites)
    folder, samples = in_passes(first, waiting, 32, Means(ENOUGH, 2))

    assert len(found) > 40
    assert_equal(folder, expected.state)
    np.testing.assert_array_equal(samples, expected.samples)


def test_memory_decides_how_many_photos_a_pass_takes(
    tmp_path: Path, photos: list[Pending]
) -> None:
    small = Means(1_000_000)
    taken = learn(task(tmp_path), photos, small).folded

    assert taken == tuple(range(1, len(taken) + 1))
    assert 1 < len(taken) < 12
    folder, _ = in_passes(task(tmp_path), photos, 12, small)
    assert_equal(folder, truth(files()[:12]).state)


@pytest.mark.parametrize("fails", ["at its header", "in the middle"])
def test_a_photo_that_cannot_be_read_is_read_from_another_place(
    tmp_path: Path, fails: str
) -> None:
    """In its turn, so that nobody can tell."""
    noise = np.random.default_rng(1).integers(0, 256, (3, 200, 301, 3), np.uint8)
    data = [jpegs.jpeg(frame, quality=98) for frame in noise]
    photos = [pending(tmp_path / str(i), one, i) for i, one in enumerate(data, 1)]
    good, opened, tried = photos[1], list[int](), list[int]()

    def open_bad() -> int:
        opened.append(good.open())
        if fails == "at its header":
            os.dup2(unreadable, opened[0])
        return opened[0]

    def open_again() -> int:
        tried.append(good.number)
        return good.open()

    def at_border() -> None:
        if not tried:
            os.dup2(unreadable, opened[0])

    photos[1] = replace(good, open=open_bad, open_again=open_again)
    first = replace(task(tmp_path), size=Size(200, 301), sites=SITES[:0])
    unreadable = os.open(good.path, os.O_WRONLY)  # the same to `fstat`
    passed = learn(first, photos, Means(ENOUGH, 2, at_border, rows=16))
    os.close(unreadable)

    assert tried == [good.number]
    assert not passed.bad
    assert_equal(after(first, passed), truth(data, SITES[:0]).state)


def test_each_photo_that_is_bad_has_its_outcome_and_the_others_are_folded(
    tmp_path: Path, photos: list[Pending]
) -> None:
    """Found where it is opened, in its first strip, in its last, and after the end."""
    data = files()
    damaged = bytearray(data[2])
    damaged[-300:-290] = b"\xff\xd4" * 5
    photos[0].path.write_bytes(b"nothing")
    photos[2].path.write_bytes(damaged)
    photos[4].path.write_bytes(data[4][: len(data[4]) // 2])
    photos[6].path.write_bytes(data[6][:-2])
    photos[7].path.write_bytes(jpegs.jpeg(jpegs.scene(HEIGHT, WIDTH + 8)))
    gone = photos[8].path

    def open_gone() -> int:
        raise PhotoGoneError(gone, "gone")

    photos[8] = replace(photos[8], open=open_gone)
    photos[10] = replace(photos[10], open=lambda: os.open(tmp_path, os.O_RDONLY))
    before = open_files()
    passed = learn(task(tmp_path), photos, Means(ENOUGH, 2, rows=16))

    assert {number: type(error) for number, error in passed.bad.items()} == {
        1: PhotoError,
        3: PhotoError,
        5: TruncatedPhotoError,
        7: TruncatedPhotoError,
        8: PhotoError,
        9: PhotoGoneError,
        11: UnreadablePhotoError,
    }
    assert str(passed.bad[8]).endswith("cannot be decoded: 69x75, not 61x75")
    assert passed.bad[8].path == photos[7].path
    assert passed.bad[11].reason.startswith("cannot be read: Is a directory")
    assert passed.folded == (2, 4, 6, 10, 12)
    good = [data[number - 1] for number in passed.folded]
    assert_equal(after(task(tmp_path), passed), truth(good).state)
    np.testing.assert_array_equal(passed.samples, truth(good).samples)
    assert open_files() == before


def test_a_photo_that_changes_while_it_is_read_is_not_folded(
    tmp_path: Path, photos: list[Pending]
) -> None:
    at = iter(range(99))

    def change() -> None:
        if next(at) == 2:
            photos[3].path.write_bytes(files()[99])

    passed = learn(task(tmp_path), photos, Means(ENOUGH, at_border=change, rows=16))

    assert isinstance(passed.bad[4], TruncatedPhotoError)
    assert len(passed.folded) == 11
    good = [files()[number - 1] for number in passed.folded]
    assert_equal(after(task(tmp_path), passed), truth(good).state)


def test_a_photo_that_vanishes_while_it_is_read_is_folded(
    tmp_path: Path, photos: list[Pending]
) -> None:
    def remove() -> None:
        photos[3].path.unlink(missing_ok=True)

    passed = learn(task(tmp_path), photos, Means(ENOUGH, at_border=remove, rows=16))

    assert not passed.bad
    assert_equal(after(task(tmp_path), passed), truth(files()[:12]).state)


def test_where_no_photo_is_good_there_is_no_generation(
    tmp_path: Path, photos: list[Pending]
) -> None:
    for photo in photos:
        photo.path.write_bytes(photo.path.read_bytes()[:-2])
    passed = learn(task(tmp_path), photos, Means(ENOUGH))

    assert passed.generation is None
    assert passed.folded == ()
    assert len(passed.bad) == 12
    assert not task(tmp_path).target.exists()
    assert learn(task(tmp_path), [], Means(ENOUGH)).generation is None


def test_several_scans_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    data = [
        jpegs.jpeg(jpegs.scene(400, 600, seed), progressive=seed == 1)
        for seed in range(3)
    ]
    waiting = [
        pending(tmp_path / f"{number}.jpg", one, number)
        for number, one in enumerate(data, 1)
    ]
    with StripDecoder(data[1]) as source:
        needed = source.coefficient_bytes
    first = replace(task(tmp_path), size=Size(400, 600))
    passed = learn(first, waiting, Means(needed - 1, rows=16))

    assert f"need {needed} bytes of memory" in passed.bad[2].reason
    assert passed.bad[2].reason.endswith("; see `limits: memory` in the configuration")
    assert learn(first, waiting[1:2], Means(3 * needed)).folded == (2,)


def test_fewer_photos_of_several_scans_are_taken_at_once(tmp_path: Path) -> None:
    data = [
        jpegs.jpeg(jpegs.scene(400, 600, 1), progressive=way) for way in (True, False)
    ]
    coded = [
        [pending(tmp_path / f"{way}{i}.jpg", data[way], i) for i in range(1, 9)]
        for way in range(2)
    ]
    first = replace(task(tmp_path), size=Size(400, 600))
    several, single = (len(learn(first, one, Means(4_000_000)).folded) for one in coded)

    assert 1 <= several < single


def test_a_pass_that_is_stopped_at_any_border_leaves_nothing(
    tmp_path: Path, photos: list[Pending]
) -> None:
    """Also while it decodes on after a bad photo, and when it is made once more."""
    first = task(tmp_path)
    base = after(first, learn(first, photos[:5], Means(ENOUGH)))
    kept = {path: path.read_bytes() for path in base.path.iterdir()}
    photos[7].path.write_bytes(files()[7][:-200])
    then, before = task(tmp_path, base), open_files()
    for stops in range(2 * 5):  # strips of 16 rows, twice
        borders = iter([False] * stops + [True])

        def stop(borders: Iterator[bool] = borders) -> None:
            if next(borders):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            learn(then, photos[5:], Means(ENOUGH, 2, stop, rows=16))

        assert [path.name for path in then.target.parent.iterdir()] == ["1"]
        assert {path: path.read_bytes() for path in base.path.iterdir()} == kept
        assert open_files() == before

    passed = learn(then, photos[5:], Means(ENOUGH, 2, rows=16))
    good = [*files()[:7], *files()[8:12]]
    assert_equal(after(then, passed), truth(good).state)


@pytest.mark.parametrize("border", [0, 2, 4])
def test_a_pass_that_is_asked_to_stop_ends_within_a_strip(
    tmp_path: Path, photos: list[Pending], border: int
) -> None:
    stop, borders = np.zeros(1, np.uint32), list[int]()

    def ask() -> None:
        stop[0] = len(borders) == border
        borders.append(len(borders))

    with pytest.raises(PassStoppedError):
        learn(task(tmp_path), photos, Means(ENOUGH, 2, ask, stop, rows=16))

    assert len(borders) == border + 1
    assert not task(tmp_path).target.exists()


@pytest.mark.parametrize("name", ["mean", "m2", "trace_total", "trace_telling"])
@pytest.mark.parametrize("place", [60, 2000, -1])
def test_a_damaged_generation_is_never_passed_on(
    tmp_path: Path, photos: list[Pending], name: str, place: int
) -> None:
    first = task(tmp_path)
    base = after(first, learn(first, photos[:5], Means(ENOUGH)))
    path = base.path / f"{name}.npy"
    content = bytearray(path.read_bytes())
    content[min(place, len(content) - 1)] ^= 1
    path.write_bytes(content)
    then = task(tmp_path, base)
    with pytest.raises(CheckpointError, match=f"{name}.npy: damaged"):
        learn(then, photos[5:], Means(ENOUGH, rows=16))

    assert not then.target.exists()


def test_a_generation_truncated_while_it_is_read_is_an_error(
    tmp_path: Path, photos: list[Pending]
) -> None:
    first = task(tmp_path)
    base = after(first, learn(first, photos[:5], Means(ENOUGH)))
    at = iter(range(99))

    def truncate() -> None:
        if next(at) == 2:
            os.truncate(base.path / "m2.npy", 5000)

    with pytest.raises(CheckpointError, match="too early"):
        learn(
            task(tmp_path, base),
            photos[5:],
            Means(ENOUGH, at_border=truncate, rows=16),
        )


def test_marks_say_nothing_when_a_pass_has_ended(
    tmp_path: Path, photos: list[Pending]
) -> None:
    marks = np.zeros(2, np.uint64)
    seen: set[int] = set()
    learn(
        task(tmp_path),
        photos,
        Means(ENOUGH, 2, lambda: seen.update(marks.tolist()), marks=marks, rows=16),
    )

    assert seen == {0}


MEASURE = """
import os, sys
from pathlib import Path
import numpy as np
from hotpixeld.detection import evidence
from hotpixeld.engine.learning_pass import Means, Pending, Task, learn
from hotpixeld.jpeg.decoder import Size
def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * sum(int(one.split()[1]) for one in lines if one.startswith("RssAnon"))
def note():
    most.append(anonymous())
folder, height, width, memory = Path(sys.argv[1]), *map(int, sys.argv[2:])
photos = [Pending(i, folder / "photo.jpg", lambda: os.open(folder / "photo.jpg", os.O_RDONLY))
          for i in range(1, 9)]
size, most = Size(height, width), []
learn(Task(size, None, folder / "warm", 100, evidence.controls(*size)), photos[:1], Means(memory, 2))
note()
passed = learn(Task(size, None, folder / "1", 100, evidence.controls(*size)), photos,
               Means(memory, 2, note))
assert not passed.bad
print(max(most) - most[0], len(passed.folded))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("height", "width"), [(2848, 4272), (5504, 8256)], ids=["12MP", "45MP"]
)
def test_memory_stays_within_what_it_was_given_at_any_size(
    tmp_path: Path, height: int, width: int
) -> None:
    scene = jpegs.scene(height // 8, width // 8)
    frame = scene.repeat(8, axis=0).repeat(8, axis=1)
    (tmp_path / "photo.jpg").write_bytes(jpegs.jpeg(frame))
    memory = 30_000_000
    arguments = [str(tmp_path), str(height), str(width), str(memory)]
    told = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    more, photos = map(int, told.stdout.split())

    assert photos >= 6
    assert more < memory
