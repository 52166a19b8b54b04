"""Build hook: compile the C functions, against the installed libjpeg-turbo.

They need no header of Python's and are loaded with ctypes: a wheel for one platform serves
every Python there.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# No contraction: see strip.c. Without traps and errno, comparisons and square roots of
# floats are worked on several at once.
FLAGS = ["-O3", "-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno"]
SOURCES = (
    "statistics/trace.c",
    "statistics/strip.c",
    "jpeg/c/entropy.c",
    "jpeg/c/bits.c",
    "jpeg/c/levels.c",
    "repair/c/separation.c",
    "jpeg/c/strips.c",
    "store/checksum.c",
)
LIBRARY = "_compiled.so"


class CompileLoops(BuildHookInterface[Any]):
    """Adds the compiled functions to a wheel, or to the tree of an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; without a compiler or libjpeg's headers there is no wheel."""
        if self.target_name != "wheel":
            return
        package = Path(self.root, "daemon", "hotpixeld")
        self.place = tempfile.TemporaryDirectory()
        in_tree = version == "editable"
        library = (package if in_tree else Path(self.place.name)) / LIBRARY
        compiler = shlex.split(os.environ.get("CC", "cc"))
        sources = [str(package / name) for name in SOURCES]
        command = [*compiler, *FLAGS, "-fPIC", "-shared", "-o", str(library)]
        command += [*sources, "-lm"]
        try:
            subprocess.run([*command, "-ljpeg"], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            message = "needs a C compiler and libjpeg-turbo's headers (libjpeg-dev)"
            raise RuntimeError(f"{message}: {error}") from error
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        if not in_tree:
            build_data["force_include"][str(library)] = f"hotpixeld/{LIBRARY}"
