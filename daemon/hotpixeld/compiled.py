"""The compiled loops: the C functions of the package, as the build hook compiled them.

They have no header of Python's and are called with ctypes, without the GIL. Their names
end with the version of their parameters, so that a library of another version is refused.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

LIBRARY = Path(__file__).with_name("_compiled.so")


def function(name: str, *parameters: Any, returns: Any = None) -> Callable[..., Any]:
    """Return a function of the compiled library.

    Parameters
    ----------
    name : str
        With the version, as in C.
    *parameters : ctypes types
    returns : ctypes type or None

    Raises
    ------
    ImportError
        The library is missing, cannot be loaded, or is of another version.
    """
    try:
        loaded = ctypes.CDLL(str(LIBRARY))[name]
    except (OSError, AttributeError) as error:
        raise ImportError(
            f"the compiled loops are missing or of another version: {error}; install a"
            " C compiler (Debian: gcc libc6-dev), then hotpixeld again"
        ) from error
    loaded.argtypes, loaded.restype = parameters, returns
    return cast("Callable[..., Any]", loaded)
