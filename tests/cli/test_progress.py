"""Long work shows itself on a terminal and elsewhere."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import sys
from typing import TYPE_CHECKING

from hotpixeld.cli.progress import with_progress

if TYPE_CHECKING:
    import pytest


def test_elsewhere_it_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(with_progress(iter("abc"), 3, "folding")) == ["a", "b", "c"]
    err = capsys.readouterr().err

    assert err.startswith("folding: 3 of 3, ")
    assert err.endswith("/s, 0 s left\n")


def test_nothing_to_do_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(with_progress([], 0, "folding")) == []
    assert capsys.readouterr().err == ""


def test_on_a_terminal_it_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = pty.openpty()
    terminal = io.TextIOWrapper(io.FileIO(follower, "w"), write_through=True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(with_progress(iter("abc"), 3, "folding")) == ["a", "b", "c"]
    terminal.close()
    text = ""
    with contextlib.suppress(OSError):  # the terminal's other end is closed
        while part := os.read(leader, 1 << 16):
            text += part.decode()
    os.close(leader)

    assert "folding" in text
    assert "3/3" in text
