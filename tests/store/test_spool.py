"""The spool: a pending photo is kept whole, as what it was examined as, or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hotpixeld.files import ChangedError
from hotpixeld.jpeg import markers
from hotpixeld.store import spool as store_spool
from hotpixeld.store.spool import OriginalError, Spool
from jpegs import app, jpeg, scene, with_segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PHOTOS = [jpeg(scene(40, 56, seed)) for seed in range(4)]
NAMES = [markers.identity(data, markers.parse(data)) for data in PHOTOS]
ALL = sum(map(len, PHOTOS))


@pytest.fixture
def originals(tmp_path: Path) -> Iterator[list[int]]:
    """Yield descriptors of the four photos."""
    opened = []
    for number, data in enumerate(PHOTOS):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(data)
        opened.append(os.open(path, os.O_RDONLY))
    yield opened
    for descriptor in opened:
        os.close(descriptor)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", ALL, 10)


@pytest.fixture(params=["shared", "copied"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Copy in both ways; sharing blocks is done by the test where the disk cannot."""

    def share(target: int, _: int, source: int) -> int:
        size = os.fstat(source).st_size
        return os.pwrite(target, os.pread(source, size, 0), 0)

    def cannot(*_: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    way = str(request.param)
    monkeypatch.setattr(fcntl, "ioctl", share if way == "shared" else cannot)
    return way


def content(spool: Spool, identity: str) -> bytes:
    descriptor = spool.open(identity)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "spool").iterdir())


def failing(number: int) -> Callable[..., Any]:
    """Return a function that fails with this errno."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.usefixtures("way")
def test_a_kept_photo_outlives_its_original(
    tmp_path: Path, spool: Spool, originals: list[int]
) -> None:
    assert spool.keep(NAMES[0], originals[0])
    (tmp_path / "0.jpg").unlink()

    assert content(spool, NAMES[0]) == PHOTOS[0]
    assert (spool.bytes, spool.photos) == (len(PHOTOS[0]), 1)
    assert os.lseek(originals[0], 0, os.SEEK_CUR) == 0
    assert left(tmp_path) == [NAMES[0]]


@pytest.mark.usefixtures("way")
def test_nobody_else_may_read_it(
    tmp_path: Path, spool: Spool, originals: list[int]
) -> None:
    spool.keep(NAMES[0], originals[0])
    folder = tmp_path / "spool"

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / NAMES[0]).stat().st_mode) == 0o600


def test_a_folder_that_was_open_to_all_is_closed(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir(mode=0o755)
    Spool(tmp_path / "spool", ALL, 10)

    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700


def test_keeping_again_copies_nothing(
    spool: Spool, originals: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.keep(NAMES[0], originals[0])
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))

    assert spool.keep(NAMES[0], originals[0])
    assert spool.photos == 1


def test_what_somebody_removed_is_kept_again(
    tmp_path: Path, spool: Spool, originals: list[int]
) -> None:
    tight = Spool(tmp_path / "spool", len(PHOTOS[0]), 1)
    for _ in range(2):
        assert tight.keep(NAMES[0], originals[0])
        (tmp_path / "spool" / NAMES[0]).unlink()

    with pytest.raises(FileNotFoundError):
        tight.open(NAMES[0])


@pytest.mark.parametrize(("most_bytes", "most"), [(ALL, 2), (ALL - 1, 9)])
def test_where_it_is_full_the_original_stays_the_source(
    tmp_path: Path, originals: list[int], most_bytes: int, most: int
) -> None:
    spool = Spool(tmp_path / "spool", most_bytes, most)
    kept = [spool.keep(*each) for each in zip(NAMES, originals, strict=True)]

    assert kept == [number < min(most, 3) for number in range(4)]
    assert left(tmp_path) == sorted(NAMES[: min(most, 3)])
    spool.drop(NAMES[:1])
    assert spool.keep(NAMES[3], originals[3])


def test_it_leaves_the_disk_the_room_that_it_is_told(
    tmp_path: Path,
    spool: Spool,
    originals: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = len(PHOTOS[0])
    disk = SimpleNamespace(f_bavail=size + 5000, f_frsize=1)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)

    assert not spool.keep(NAMES[0], originals[0], leave=5001)
    assert left(tmp_path) == []
    assert spool.keep(NAMES[0], originals[0], leave=5000)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "data",
    [PHOTOS[1], PHOTOS[0][:-400], PHOTOS[0][:-2], b"", b"\xff\xd8", b"no photo" * 90],
)
def test_a_file_that_is_another_by_now_is_not_kept(
    tmp_path: Path, spool: Spool, originals: list[int], data: bytes
) -> None:
    (tmp_path / "0.jpg").write_bytes(data)
    with pytest.raises(ChangedError, match="changed since it was examined"):
        spool.keep(NAMES[0], originals[0])

    assert (left(tmp_path), spool.bytes, spool.photos) == ([], 0, 0)


def test_a_rating_added_meanwhile_does_not_matter(
    tmp_path: Path, spool: Spool, originals: list[int]
) -> None:
    rated = with_segment(PHOTOS[0], app(0xE1, b"five stars"))
    (tmp_path / "0.jpg").write_bytes(rated)

    assert spool.keep(NAMES[0], originals[0])
    assert content(spool, NAMES[0]) == rated


@pytest.mark.parametrize("grows", [False, True])
def test_a_file_that_changes_while_it_is_copied_is_not_kept(
    tmp_path: Path,
    spool: Spool,
    originals: list[int],
    monkeypatch: pytest.MonkeyPatch,
    grows: bool,
) -> None:
    """The second half is written anew after the first has been copied, mtime kept."""
    path, plain = tmp_path / "0.jpg", os.preadv
    monkeypatch.setattr(fcntl, "ioctl", failing(errno.EXDEV))
    monkeypatch.setattr(store_spool, "PIECE", len(PHOTOS[0]) // 2)
    status = path.stat()

    def change(descriptor: int, buffers: list[Any], offset: int) -> int:
        got = plain(descriptor, buffers, offset)
        if descriptor == originals[0] and offset == 0:
            with path.open("r+b") as file:
                file.seek(got)
                file.write(b"\0" * (len(PHOTOS[0]) - got + 10_000 * grows))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        return got

    monkeypatch.setattr(os, "preadv", change)
    with pytest.raises(ChangedError):
        spool.keep(NAMES[0], originals[0])

    assert (left(tmp_path), spool.photos) == ([], 0)


def test_reads_that_come_short_are_gone_on_with(
    spool: Spool, originals: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.preadv
    monkeypatch.setattr(fcntl, "ioctl", failing(errno.ENOTTY))
    monkeypatch.setattr(
        os, "preadv", lambda one, buffers, at: plain(one, [buffers[0][:100]], at)
    )

    assert spool.keep(NAMES[0], originals[0])
    assert content(spool, NAMES[0]) == PHOTOS[0]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["fsync", "open", "replace"])
def test_a_full_disk_leaves_the_original_as_the_source(
    tmp_path: Path,
    spool: Spool,
    originals: list[int],
    number: int,
    call: str,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        plain = os.open
        patch.setattr(os, call, failing(number))
        if call == "open":  # of a new file only

            def full(path: Any, flags: int, *rest: Any, **more: Any) -> int:
                if flags & os.O_CREAT:
                    raise OSError(number, os.strerror(number))
                return plain(path, flags, *rest, **more)

            patch.setattr(os, call, full)
        assert not spool.keep(NAMES[0], originals[0])

    assert (left(tmp_path), spool.bytes, spool.photos) == ([], 0, 0)
    assert spool.keep(NAMES[0], originals[0])


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_faulty_disk_leaves_nothing(
    tmp_path: Path, spool: Spool, originals: list[int], fails_at: int
) -> None:
    """The first sync is the file's, the second that of its name."""
    calls, plain = iter([1, 2, 3, 4]), os.fsync

    def fail(descriptor: int) -> None:
        if next(calls) == fails_at:
            raise OSError(errno.EIO, "Input/output error")
        plain(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output error"):
            spool.keep(NAMES[0], originals[0])

    assert (left(tmp_path), spool.bytes, spool.photos) == ([], 0, 0)
    assert spool.keep(NAMES[0], originals[0])


def test_an_original_that_cannot_be_read_is_told_from_our_own_disk(
    tmp_path: Path,
    spool: Spool,
    originals: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fcntl, "ioctl", failing(errno.EIO))
    monkeypatch.setattr(os, "preadv", failing(errno.EIO))
    with pytest.raises(OriginalError, match="cannot be read: Input/output error"):
        spool.keep(NAMES[0], originals[0])

    assert (left(tmp_path), spool.photos) == ([], 0)


def test_what_was_dropped_is_not_there(
    tmp_path: Path, spool: Spool, originals: list[int]
) -> None:
    for each in zip(NAMES, originals, strict=True):
        spool.keep(*each)
    spool.drop([NAMES[1], NAMES[3]])
    spool.drop([NAMES[1]])

    assert left(tmp_path) == sorted([NAMES[0], NAMES[2]])
    assert spool.bytes == len(PHOTOS[0]) + len(PHOTOS[2])
    with pytest.raises(FileNotFoundError):
        spool.open(NAMES[1])


def test_a_sweep_leaves_what_is_waited_for(
    tmp_path: Path, spool: Spool, originals: list[int]
) -> None:
    for each in zip(NAMES, originals, strict=True):
        spool.keep(*each)
    folder = tmp_path / "spool"
    (folder / ".hotpixeld-0123.tmp").write_bytes(b"half a photo")
    (folder / "note").write_bytes(b"somebody else's")
    (folder / NAMES[3]).unlink()
    again = Spool(folder, ALL, 10)
    again.sweep({NAMES[0], NAMES[3], "0" * 64})

    assert left(tmp_path) == sorted([NAMES[0], "note"])
    assert (again.bytes, again.photos) == (len(PHOTOS[0]), 1)


def test_what_was_kept_counts_after_a_restart(
    tmp_path: Path, spool: Spool, originals: list[int]
) -> None:
    spool.keep(NAMES[0], originals[0])
    again = Spool(tmp_path / "spool", ALL, 1)

    assert (again.bytes, again.photos) == (len(PHOTOS[0]), 1)
    assert not again.keep(NAMES[1], originals[1])


def test_a_link_is_not_followed(tmp_path: Path, spool: Spool) -> None:
    (tmp_path / "spool" / NAMES[0]).symlink_to(tmp_path / "0.jpg")
    with pytest.raises(FileNotFoundError):
        spool.open(NAMES[0])


def test_only_identities_are_names(spool: Spool, originals: list[int]) -> None:
    for name in ("../0.jpg", "", NAMES[0].upper()):
        with pytest.raises(ValueError, match="not an identity"):
            spool.keep(name, originals[0])


def test_threads_together_do_not_exceed_the_bounds(
    tmp_path: Path, originals: list[int]
) -> None:
    spool = Spool(tmp_path / "spool", ALL, 2)
    kept: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda n=n: kept.append(spool.keep(NAMES[n], originals[n]))
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(kept) == [False, False, True, True]
    assert spool.photos == len(left(tmp_path)) == 2
