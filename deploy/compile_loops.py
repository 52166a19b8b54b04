"""Build hook: compile the C functions, against the installed libjpeg-turbo.

They need no header of Python's and are loaded with ctypes: a wheel for one platform serves
every Python there.

For a wheel that is to run elsewhere, HOTPIXELD_LIBJPEG names a folder with libjpeg-turbo as
a static library, its headers and licences, which becomes part of the compiled functions, and
HOTPIXELD_PLATFORM what the wheel is for: see deploy/wheels/build.
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

# No contraction: see fold.c. Without traps and errno, comparisons and square roots of
# floats are worked on several at once.
FLAGS = ["-O3", "-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno"]
SOURCES = (
    "statistics/trace.c",
    "statistics/sensor.c",
    "statistics/fold.c",
    "jpeg/c/entropy.c",
    "jpeg/c/bits.c",
    "jpeg/c/levels.c",
    "repair/c/separation.c",
    "jpeg/c/strips.c",
    "store/checksum.c",
)
LIBRARY = "_compiled.so"
STATIC, LICENCES = "libturbojpeg.a", ("LICENSE.md", "README.ijg")
# The transform is called by Python alone: nothing in the sources asks for it.
WANTED = ("tjInitTransform", "tjTransform")


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
        static = os.environ.get("HOTPIXELD_LIBJPEG")
        command += [*sources, *self.libjpeg(static), "-lm"]
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            message = "needs a C compiler and libjpeg-turbo's headers (libjpeg-dev)"
            raise RuntimeError(f"{message}: {error}") from error
        platform = os.environ.get("HOTPIXELD_PLATFORM") or sysconfig.get_platform()
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform.replace('-', '_').replace('.', '_')}"
        if not in_tree:
            build_data["force_include"][str(library)] = f"hotpixeld/{LIBRARY}"
        for name in LICENCES if static else ():
            about = f"hotpixeld-{self.metadata.version}.dist-info/licenses"
            target = f"{about}/libjpeg-turbo/{name}"
            build_data["force_include"][str(Path(static, name))] = target

    def libjpeg(self, static: str | None) -> list[str]:
        """Return the linker's arguments for the system's library, or for that in a folder.

        Of the latter nothing is seen from outside but the transform, so that it never gets
        in the way of another libjpeg in the same process, Pillow's for instance.
        """
        if not static:
            return ["-ljpeg"]
        exports = Path(self.root, "deploy", "wheels", "exports.map")
        options = [f"-Wl,--version-script={exports}", "-Wl,--gc-sections", "-s"]
        options += [f"-Wl,-u,{name}" for name in WANTED]
        return [f"-I{static}", *options, str(Path(static, STATIC))]
