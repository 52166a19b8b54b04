"""Writing that is complete or absent, and reading that never hangs."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from hotpixeld import files

if TYPE_CHECKING:
    from pathlib import Path


def test_a_written_file_has_content_mode_and_time(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    files.write(target, b"photo", mode=0o640, mtime_ns=1_234_567_890_000_000_000)

    assert target.read_bytes() == b"photo"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert target.stat().st_mtime_ns == 1_234_567_890_000_000_000


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")

    def interrupted() -> None:
        with files.replacing(target) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_sync_leaves_the_old_file_and_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    synced = []

    def fail(descriptor: int) -> None:
        synced.append(descriptor)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        files.write(target, b"new")

    assert target.read_bytes() == b"old"
    assert len(synced) == 1
    assert list(tmp_path.iterdir()) == [target]


def test_a_planted_symlink_is_replaced_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    target = tmp_path / "copy"
    target.symlink_to(precious)
    files.write(target, b"copy")

    assert precious.read_bytes() == b"precious"
    assert target.read_bytes() == b"copy"
    assert not target.is_symlink()


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    files.make_folder(tmp_path / "a/b", mode=0o700)
    files.make_folder(tmp_path / "a/b")

    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700


def test_sweep_removes_what_a_crash_left_and_nothing_else(tmp_path: Path) -> None:
    left = tmp_path / f"{files.TEMPORARY_PREFIX}0123{files.TEMPORARY_SUFFIX}"
    left.touch()
    (tmp_path / "a.tmp").touch()

    assert files.sweep(tmp_path) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "a.tmp"]


def test_a_folder_whose_name_cannot_be_synced_is_not_left_for_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output"):
            files.make_folder(tmp_path / "a" / "b")

    assert list(tmp_path.iterdir()) == []


def test_folders_below_a_root_are_made(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "copy"
    files.write(target, b"copy", root=tmp_path)

    assert files.read_regular(target, 9, tmp_path)[0] == b"copy"
    files.remove(target, tmp_path)
    files.remove(target, tmp_path)
    assert not target.exists()


def test_a_link_below_the_root_is_not_followed(tmp_path: Path) -> None:
    precious, root = tmp_path / "precious", tmp_path / "root"
    precious.mkdir()
    root.mkdir()
    (precious / "file").write_bytes(b"precious")
    left = precious / f"{files.TEMPORARY_PREFIX}0123{files.TEMPORARY_SUFFIX}"
    left.touch()
    (root / "out").symlink_to(precious)
    target = root / "out" / "file"

    with pytest.raises(NotADirectoryError, match="a link or a file where a folder"):
        files.write(target, b"copy", root=root)
    with pytest.raises(NotADirectoryError):
        files.remove(target, root)
    with pytest.raises(NotADirectoryError):
        files.read_regular(target, 99, root)
    with pytest.raises(NotADirectoryError):
        files.link(left, target.with_name("link"), left.stat().st_ino, root)
    with pytest.raises(NotADirectoryError):
        files.sweep(root / "out", root)
    assert sorted(precious.iterdir()) == [left, precious / "file"]
    assert (precious / "file").read_bytes() == b"precious"


@pytest.mark.parametrize("place", ["../file", "a/../../file"])
def test_nothing_is_written_outside_the_root(tmp_path: Path, place: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for target in (root / place, tmp_path / "file"):
        with pytest.raises(PermissionError, match="not below"):
            files.write(target, b"copy", root=root)

    assert list(tmp_path.iterdir()) == [root]


def test_only_the_file_that_was_meant_is_linked(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "folder" / "target"
    source.write_bytes(b"photo")
    inode = source.stat().st_ino
    files.link(source, target, inode, tmp_path)
    assert target.stat().st_ino == inode
    target.unlink()

    with pytest.raises(OSError, match="Stale"):
        files.link(source, target, inode + 1, tmp_path)
    assert not target.exists()


def test_a_file_is_read_whole_with_what_stat_says_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(bytes(11))
    data, status = files.read_regular(path, 11)

    assert data == bytes(11)
    assert status.st_ino == path.stat().st_ino
    with pytest.raises(files.UnsuitableError, match="11 bytes, limit is 10"):
        files.read_regular(path, 10)


def test_what_is_no_file_is_named_and_not_opened(tmp_path: Path) -> None:
    """A pipe that were opened would let its writer go on, into nothing."""
    fifo, plug = tmp_path / "fifo.jpg", tmp_path / "socket.jpg"
    os.mkfifo(fifo)
    (tmp_path / "link.jpg").symlink_to(fifo)
    kinds = {
        fifo: "a named pipe",
        plug: "a socket",
        tmp_path / "link.jpg": "a symbolic link",
        tmp_path: "a folder",
        tmp_path / "/dev/null": "a device",
    }
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(plug))
        for path, kind in kinds.items():
            with pytest.raises(files.NotAFileError, match=f"^{kind}, not a file$"):
                files.read_regular(path, 10)

    with pytest.raises(OSError, match=re.escape(os.strerror(6))):  # nobody read it
        os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)


def test_no_link_below_the_root_is_followed(tmp_path: Path) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "root"
    elsewhere.mkdir()
    root.mkdir()
    (elsewhere / "private.jpg").write_bytes(b"private")
    (root / "inner").symlink_to(elsewhere)

    assert files.read_regular(root / "inner/private.jpg", 10)[0] == b"private"
    with pytest.raises(NotADirectoryError, match="a link or a file where a folder"):
        files.read_regular(root / "inner/private.jpg", 10, root)


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    files.write_new(target, b"first", mtime_ns=10**18)
    with pytest.raises(FileExistsError):
        files.write_new(target, b"second")

    assert target.read_bytes() == b"first"
    assert target.stat().st_mtime_ns == 10**18
    assert list(tmp_path.iterdir()) == [target]


def test_a_new_file_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        files.write_new(tmp_path / "a.jpg", b"first")

    assert list(tmp_path.iterdir()) == []
