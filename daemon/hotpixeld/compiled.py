"""The compiled inner loops, where the package was built with a compiler."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the library of fold.c and trace.c; None where there is none.

    Its functions are called without the GIL. Their names end with the version of their
    parameters, so that a library of another version is not used.
    """
    try:
        return ctypes.CDLL(str(Path(__file__).with_name("_compiled.so")))
    except OSError:
        return None
