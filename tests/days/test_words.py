"""What the commands say: exit codes for scripts, what went wrong and what to do about it."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from faults.hotpixel import Fault, Mode
from sensor import START, write_jpeg

if TYPE_CHECKING:
    from days.world import Body, Home


def test_cron_hears_nothing_while_all_is_well_and_of_each_error_once(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 2)
    folders = home.settings["folders"]
    well = home.once_quietly()
    missing = home.root / "unplugged"
    home.configure(folders=[*folders, {"path": str(missing)}])
    body.shoot(home.photos, 1)
    partly = home.once_quietly(code=6)

    assert (well.out, well.err) == ("", "")
    assert partly.err == (
        f"hotpixeld: {missing}: No such file or directory: check the spelling, or plug in"
        " or mount what it is on\n"
    )
    assert home.folded() == 3


def test_cron_hears_the_advice_of_check_config_from_that_only(
    home: Home, body: Body
) -> None:
    home.configure(cameras=[{"model": body.model, "pixels": [[5, 7]]}])
    body.shoot(home.photos, 2)
    quiet = home.once_quietly()
    advised = home.hotpixeld("check-config", home.config).err

    assert (quiet.out, quiet.err) == ("", "")
    assert "cameras[0]: pixels without `size` are taken for" in advised


def test_an_output_on_a_full_or_read_only_disk_is_told_with_what_waits(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    out = home.photos / "repaired"
    out.mkdir()
    read_only = home.once(code=6, fault=Fault(Mode.EROFS, 1, 10**6, (out,)))
    told = home.hotpixeld("status").out
    full = home.once(code=6, fault=Fault(Mode.ENOSPC, 1, 10**6, (out,)))
    free = home.once()

    assert f"{out}: 16 copies waiting: Read-only file system: it is mounted" in told
    assert "copies: none written; 0 copies in all" in read_only.out
    assert ": No space left on device: free some space there" in full.err
    assert "16 photos not looked at for copies yet" in full.err
    assert "copies: 16 written; 16 copies in all" in free.out
    assert "waiting" not in home.hotpixeld("status").out


def test_photos_none_of_which_can_be_used_are_told_by_the_exit_code_once(
    home: Home, body: Body
) -> None:
    sensor = body.sensor
    write_jpeg(home.photos / "edited.jpg", sensor.frame(90), START, software="GIMP")
    (home.photos / "damaged.jpg").write_text("no photo")
    neither = home.once_quietly(code=6)
    known = home.once_quietly()
    (photo,) = body.shoot(home.photos, 1)
    write_jpeg(home.photos / "more.jpg", sensor.frame(91), START, software="GIMP")
    one = home.once_quietly()
    home.drop_copy(photo, home.photos / "again.jpg")
    again = home.once_quietly()

    assert neither.err == (
        "hotpixeld: not one of 2 new photos can be used: `hotpixeld status` says why\n"
    )
    assert known.err == one.err == again.err == ""
    assert home.outcomes()["photos/again.jpg"] == "duplicate"


def test_other_files_in_the_places_of_all_copies_are_told_by_the_exit_code(
    home: Home, body: Body
) -> None:
    out = home.photos / "repaired"
    out.mkdir()
    photos = body.shoot(home.photos, 16)
    for photo in photos:
        (out / f"c_{photo.name}").write_text("mine")
    none = home.once(code=6)
    told = home.hotpixeld("status").out
    for photo in photos[1:]:
        (out / f"c_{photo.name}").unlink()
    camera = {"model": body.model, "pixels": [[5, 7]]}
    home.configure(cameras=[camera])
    others = home.once()

    assert "copies: 16 left alone: another file is in the place; 0 copies" in none.out
    assert none.err.endswith(
        "hotpixeld: 16 copies due and none written: `hotpixeld status --problems` says"
        " why\n"
    )
    assert "16 copies: not written: another file has the name" in told
    assert (
        "copies: 1 left alone: another file is in the place, 15 written" in others.out
    )
    assert (out / f"c_{photos[0].name}").read_text() == "mine"


def test_a_state_on_a_full_disk_is_exit_code_4_and_named(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 4)
    fault = Fault(Mode.ENOSPC, 1, 10**6, (home.state,))
    answer = home.once(code=4, fault=fault)

    assert f"{home.state}" in answer.err.splitlines()[-1]
    assert "free some space there" in answer.err
    assert "Errno" not in answer.err
    assert home.once().code == 0


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("diff", "none.jpg", "none.jpg"), 3),
        (("undo", "none.jpg"), 3),
        (("repair", "none.jpg"), 3),
        (("status", "none.jpg"), 3),
        (("map", "--output", "/proc/none/map.json"), 1),
        (("map", "--state", "/proc/none"), 4),
        (("status", "--state", "/proc/none"), 4),
        (("run", "--once", "--state", "/proc/none"), 4),
        (("check-config", "none.yaml"), 78),
        (("map", "--format", "none"), 2),
    ],
)
def test_a_mistyped_name_is_told_with_the_exit_code_of_the_readme(
    home: Home, body: Body, command: tuple[str, ...], code: int
) -> None:
    body.shoot(home.photos, 1)
    home.once()
    answer = home.hotpixeld(*command, code=code)
    last = answer.err.splitlines()[-1]

    assert "Errno" not in answer.err
    assert "Traceback" not in answer.err
    assert "none" in last


def test_check_config_tells_what_of_its_paths_is_closed_now(home: Home) -> None:
    well = home.hotpixeld("check-config", home.config)
    output = home.root / "a file"
    output.write_text("no folder")
    other = home.root / "other"
    other.mkdir()
    (home.root / "link").symlink_to(home.photos)
    home.configure(
        folders=[
            {"path": str(home.photos), "repaired": str(output)},
            {"path": str(home.root / "unplugged")},
            {"path": str(other), "repaired": str(home.root / "link" / "copies")},
        ]
    )
    closed = home.hotpixeld("check-config", home.config, code=6).err

    assert "1 folder, 0 cameras" in well.out
    assert f"{output}: copies wait: {output}: Not a directory" in closed
    assert f"{home.root / 'unplugged'}: No such file or directory" in closed
    assert f"copies go into the watched {home.photos}, where another state" in closed


def test_one_photo_is_not_1_photos_and_two_are(home: Home, body: Body) -> None:
    body.shoot(home.photos, 1)
    home.once()
    one = home.hotpixeld("status").out
    body.shoot(home.photos, 1)
    home.once()
    two = home.hotpixeld("status").out

    assert "1 photo pending" in one
    assert ": 1 of 16 photos needed for a map\n" in one
    assert "2 photos pending" in two


def test_photos_of_an_earlier_run_that_are_learned_now_are_not_nothing_new(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 3)
    home.once()
    body.shoot(home.photos, 1)
    second = home.once()

    assert "photos: 3 earlier ones folded, 1 folded" in second.out


def test_photos_that_are_relearned_are_told_as_learned_again(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 17)
    home.once()
    home.hotpixeld("forget", "nikon", "--yes")
    nothing = home.once()
    home.hotpixeld("relearn", "nikon", "--yes")
    status = home.hotpixeld("status")
    one = home.hotpixeld("status", str(next(home.photos.glob("*.*"))))
    again = home.once()

    assert "17 photos to be learned again\n" in status.out
    assert "to be learned again" in one.out
    assert "lost" not in status.out + one.out
    assert "changed" not in one.out
    assert "photos: nothing new" in nothing.out
    assert "photos: 17 learned again" in again.out


def test_a_changed_list_says_that_copies_were_rewritten_or_removed_for_it(
    home: Home, body: Body
) -> None:
    first, second, _ = sorted(body.xy)
    camera = {"model": body.model, "pixels": [list(first)]}
    home.configure(cameras=[camera])
    body.shoot(home.photos, 2)
    written = home.once()
    home.configure(cameras=[camera | {"pixels": [list(first), list(second)]}])
    rewritten = home.once()
    daemon = home.daemon().idle()
    home.configure(cameras=[camera])
    told = "copy rewritten: other pixels, 1 pixel\n"
    daemon.reload().until(lambda: daemon.log.count(told) == 2, "not told")
    daemon.stop()
    home.configure(cameras=[])
    removed = home.once()

    assert "copies: 2 written; 2 copies in all" in written.out
    assert "copies: 2 rewritten: other pixels; 2 copies in all" in rewritten.out
    assert "copies: 2 removed: nothing left to repair; 0 copies in all" in removed.out
    assert "2 copies removed: nothing left to repair" in home.hotpixeld("status").out


def test_copies_that_are_not_as_written_are_told_without_saying_by_whom(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    first = home.root / "fixed" / "c_IMG_0000.JPG"
    first.parent.mkdir()
    first.write_bytes(b"mine")
    home.configure_folder(repaired=first.parent)
    home.once()
    (first.parent / "c_IMG_0001.JPG").unlink()
    home.configure(cameras=[{"model": body.model, "pixels": [[60, 30]]}])
    home.once()
    told = home.hotpixeld("status").out

    assert "1 copy left alone: another file is in its place, or it was changed" in told
    assert "1 copy deleted since: stays so" in told


def test_a_renamed_photo_is_told_as_such(home: Home, body: Body) -> None:
    (photo,) = body.shoot(home.photos, 1)
    home.once()
    photo.rename(photo.with_name("sunset.jpg"))

    assert "photos: 1 renamed or seen before" in home.once().out


def test_another_fill_says_that_copies_were_rewritten_for_the_configuration(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 16)
    home.once()
    home.configure(repair={"fill": "neighbours"})
    told = home.once().out

    assert "16 rewritten: the same pixels anew; 16 copies in all" in told


def test_on_a_terminal_the_log_stands_above_the_bar_each_line_whole(
    home: Home,
) -> None:
    for number in range(3):
        (home.photos / f"{'long name ' * 12}{number}.jpg").write_text("no photo")
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "hotpixeld", "run", "--once"]
    shown: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(leader, 1 << 16):
                shown.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    done = subprocess.run(
        [*command, "--config", home.config],
        env=os.environ | {"TERM": "xterm", "COLUMNS": "80"},
        stdout=subprocess.DEVNULL,
        stderr=follower,
        check=False,
    )
    os.close(follower)
    reader.join()
    os.close(leader)
    lines = b"".join(shown).decode().replace("\r", "\n").split("\n")

    assert done.returncode == 6
    told = [line for line in lines if "WARNING failed" in line]
    assert len(told) == 3
    assert all(
        line.endswith(".jpg: not a usable JPEG: not a JPEG file") for line in told
    )
    assert not any("━" in line for line in told)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_locale_without_the_letters_of_a_name_is_no_fault(
    home: Home, encoding: str
) -> None:
    (home.photos / "Győr.jpg").write_text("no photo")
    home.once(code=6)
    command = [
        sys.executable,
        "-m",
        "hotpixeld",
        "status",
        "--config",
        str(home.config),
    ]
    environment = os.environ | {"PYTHONIOENCODING": encoding, "NO_COLOR": "1"}
    done = subprocess.run(
        command, env=environment, capture_output=True, check=False, timeout=60
    )

    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert b"failed /" in done.stdout
    assert b"r.jpg: not a usable JPEG" in done.stdout
    assert b"\x1b" not in done.stdout
