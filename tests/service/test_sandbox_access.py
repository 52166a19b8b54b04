"""Folders that are closed to the service, on mounts and modes as they really are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hotpixeld.config.load import for_folders
from hotpixeld.config.model import Folder
from hotpixeld.service import sandbox
from hotpixeld.service.sandbox import Access, why_closed

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = {sandbox.COMMAND_VARIABLE: "sudo hotpixeld-apply"}


def test_an_open_folder_has_no_fault_before_its_copies_have_a_folder(
    folder: Path,
) -> None:
    watched = Folder(path=folder)

    assert why_closed(watched, COMMAND) == ""
    watched.repaired.mkdir()
    assert why_closed(watched, {}) == ""


def test_a_folder_that_is_not_there_is_the_watchers_business(tmp_path: Path) -> None:
    assert why_closed(Folder(path=tmp_path / "unplugged"), COMMAND) == ""


# A read-only mount, and a folder of another user, as their owner's process meets them.
SCRIPT = """
import os, sys
from hotpixeld.config.model import Folder
from hotpixeld.service.sandbox import why_closed
os.setuid(int(sys.argv[2]))
print(why_closed(Folder(path=sys.argv[1]), {}))
print(why_closed(Folder(path=sys.argv[1]), {"HOTPIXELD_APPLY": "sudo hotpixeld-apply"}))
"""


def seen(folder: Path, *, read_only: bool, uid: int = 0) -> list[str]:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can mount")
    mount = f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && "
    command = (mount if read_only else "") + 'exec "$@"'
    own_mounts = ["unshare", "--mount", "sh", "-c", command, "sh"]
    done = subprocess.run(
        [*own_mounts, sys.executable, "-c", SCRIPT, str(folder), str(uid)],
        check=False,
        capture_output=True,
        text=True,
    )
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no namespaces: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_on_a_read_only_mount_the_service_names_its_command(folder: Path) -> None:
    plain, service = seen(folder, read_only=True)
    where = f"{folder}/repaired: copies wait: "

    assert plain == where + (
        "it is on a read-only file system: mount it for writing, or name another"
    )
    assert service == where + (
        "not writable for the service: run `sudo hotpixeld-apply`"
    )


def test_where_the_mode_is_against_it_no_command_of_ours_helps(
    folder: Path, tmp_path: Path
) -> None:
    for parent in [tmp_path, *tmp_path.parents][:-2]:
        parent.chmod(0o755)
    lines = seen(folder, read_only=False, uid=65534)

    fault = (
        f"{folder}/repaired: copies wait: user 65534 may not write to {folder}:"
        " change its owner or mode"
    )

    assert lines == [fault, fault]


def test_news_is_given_once_and_what_is_closed_is_known(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "repaired").write_text("a file where the folder should be")
    (tmp_path / "b" / "repaired").chmod(0o400)
    config = for_folders([tmp_path / "a", tmp_path / "b"])
    found = Access(config, {})
    news = found.look()

    assert len(news) == 1
    assert found.look() == []
    assert found.faults == news
    assert found.is_open(tmp_path / "a" / "1.jpg")
    assert not found.is_open(tmp_path / "b" / "1.jpg")
    (tmp_path / "b" / "repaired").unlink()
    assert found.look() == found.faults == []
    assert found.is_open(tmp_path / "b" / "1.jpg")
