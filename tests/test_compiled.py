"""The compiled loops: there, or an error that says what to do."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import pytest

from hotpixeld import compiled

if TYPE_CHECKING:
    from pathlib import Path


def test_a_missing_library_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compiled, "LIBRARY", tmp_path / "_compiled.so")

    with pytest.raises(
        ImportError, match=r"missing.*_compiled\.so.*install a C compil"
    ):
        compiled.function("hotpixeld_fold_2")


def test_a_library_of_another_version_is_refused() -> None:
    with pytest.raises(ImportError, match=r"another version.*hotpixeld_fold_0"):
        compiled.function("hotpixeld_fold_0", ctypes.c_int)
