from __future__ import annotations

import os
import re
import socket
from typing import TYPE_CHECKING

import pytest

from hotpixeld import files

if TYPE_CHECKING:
    from pathlib import Path


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
