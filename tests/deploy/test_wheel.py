"""The wheel: built by its one command, and run where there is no compiler and no libjpeg.

Takes minutes and the package indexes, so only with HOTPIXELD_LONG=1 and as root, who may
change the root folder; what it exports is tested without.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from days.world import files
from deploy.conftest import ROOT
from hotpixeld.jpeg import coefficients
from sensor import Sensor, scattered

if TYPE_CHECKING:
    from pathlib import Path

BARE = "/opt/hotpixeld/bin/hotpixeld"
COMPILERS_AND_LIBRARIES = ("cc", "gcc", "clang", "libjpeg", "libturbojpeg")


def test_the_transform_that_a_wheel_has_inside_is_all_that_python_calls() -> None:
    exports = (ROOT / "deploy" / "wheels" / "exports.map").read_text()
    called = re.findall(r"library\.(tj\w+)", (ROOT / coefficients.__file__).read_text())

    assert set(re.findall(r"tj\w+", exports)) == set(called)


@pytest.fixture(scope="module")
def wheel() -> Path:
    """Return the wheel for this machine; its command checks platform and size."""
    done = subprocess.run(
        [ROOT / "deploy" / "wheels" / "build", os.uname().machine],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stdout)  # noqa: T201 - a record of the size
    return ROOT / done.stdout.splitlines()[-1].split(":")[0]


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root file system with Python and the wheel, and nothing to build with."""
    root = tmp_path_factory.mktemp("bare") / "root"
    tree = ["mmdebstrap", "--quiet", "--variant=apt", "--include=python3-venv"]
    subprocess.run([*tree, "bookworm", str(root)], check=True)
    house = root / "wheels"
    download = ["-m", "pip", "download", "--quiet", "--only-binary", ":all:"]
    subprocess.run(
        [sys.executable, *download, "--python-version=3.11", "--dest", house, wheel],
        check=True,
    )
    program = BARE.rsplit("/", 2)[0]
    subprocess.run(["chroot", root, "python3", "-m", "venv", program], check=True)
    install = (f"{program}/bin/pip", "install", "--quiet", "--no-index")
    subprocess.run(
        ["chroot", root, *install, "--find-links=/wheels", "hotpixeld"], check=True
    )
    return root


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("HOTPIXELD_LONG"), reason="HOTPIXELD_LONG is not set"
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the root folder")
def test_it_does_its_job_where_nothing_else_is_as_an_installed_one_does(
    bare: Path, tmp_path: Path
) -> None:
    """Progressive photos, whose scans are coded anew, among them."""
    outside = [
        path
        for place in ("bin", "lib")
        for path in (bare / "usr" / place).rglob("*")
        if path.name.split(".")[0] in COMPILERS_AND_LIBRARIES
    ]
    assert outside == []
    photos = bare / "photos"
    Sensor(200, 280, defects=scattered(3, 200, 280, levels=(80,))).write(photos, 20)
    for path in sorted(photos.iterdir())[::4]:
        with Image.open(path) as photo:
            photo.save(path, progressive=True, quality="keep", exif=photo.getexif())
    if sets := os.environ.get("HOTPIXELD_PHOTOS"):
        shutil.copytree(f"{sets}/fuji-a200", photos / "fuji-a200")
    shutil.copytree(photos, tmp_path / "photos")
    run = "run", "--once", "--quiet"
    subprocess.run(
        ["chroot", bare, BARE, *run, "/photos", "--state", "/state"], check=True
    )
    here = [sys.executable, "-m", "hotpixeld", *run, str(tmp_path / "photos")]
    subprocess.run([*here, "--state", str(tmp_path / "state")], check=True)
    copies = files(photos / "repaired")
    of_state = files(bare / "state" / "cameras")

    assert sum(name.startswith("c_IMG") for name in copies) == 20
    assert copies == files(tmp_path / "photos" / "repaired")
    assert {name: sha for name, sha in of_state.items() if "footprint" not in name} == {
        name: sha
        for name, sha in files(tmp_path / "state" / "cameras").items()
        if "footprint" not in name
    }
