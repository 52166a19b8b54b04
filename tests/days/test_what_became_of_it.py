"""Asking: what became of this photo, what went wrong, does the daemon live."""

from __future__ import annotations

import codecs
import contextlib
import os
import shutil
import sys
import traceback
from typing import TYPE_CHECKING

import pytest

from days.world import Answer, files
from hotpixeld.cli.main import main
from hotpixeld.store import state_folder
from hotpixeld.store.copies import Copy
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from days.world import Body, Home

NOBODY = 65534 if os.geteuid() == 0 else os.geteuid()
"""A user who is not root."""


def _become_nobody() -> None:
    """Go on as a user whom modes bind."""
    if os.geteuid() == 0:
        for late in ("utf-8-sig", "latin-1", "ascii"):  # not readable for another
            codecs.lookup(late)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def _end_as(arguments: list[str], out: Path, err: Path) -> None:
    """Run a command in this process, as nobody, and end it."""
    code = 99
    try:
        for number, file in ((1, out), (2, err)):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = open(1, "w"), open(2, "w")  # noqa: SIM115
        _become_nobody()
        code = main(arguments)
    except BaseException:  # noqa: BLE001 - this process must end here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def as_nobody(
    home: Home, *arguments: str, give: bool = True, configured: bool = True
) -> Answer:
    """Run a command as a user whom modes bind; all is theirs, if `give`."""
    if os.geteuid() == 0:
        for parent in [home.root, *home.root.parents][:-2]:
            parent.chmod(0o755)
        for path in [home.root, *home.root.rglob("*")] if give else []:
            os.lchown(path, NOBODY, NOBODY)
    out, err = home.root.parent / "nobody.out", home.root.parent / "nobody.err"
    if not (process := os.fork()):  # another user may not start this interpreter
        runtime = home.root / "nobody" if configured else home.system / "runtime"
        os.environ["RUNTIME_DIRECTORY"] = str(runtime)
        config = ["--config", str(home.config)] if configured else []
        _end_as([*arguments, *config], out, err)
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    return Answer(code, out.read_text(), err.read_text())


def test_who_asks_for_one_photo_is_told_its_outcome_camera_and_copy(
    home: Home, body: Body
) -> None:
    photo, *_ = body.shoot(home.photos, 16)
    home.once()
    told = home.hotpixeld("status", photo).out.splitlines()
    found = home.hotpixeld("status", photo, "--json").json

    assert told[0] == str(photo)
    assert told[1] == "  folded: learned from"
    assert told[2].startswith("  camera: NIKON D80 (nikon-d80-3012345-")
    copy = home.photos / "repaired" / f"c_{photo.name}"
    assert told[4].startswith(f"  copy: {copy}: written, ")
    assert " pixels repaired: " in told[4]
    assert (found["outcome"], found["copy"]["path"]) == ("folded", str(copy))
    assert {tuple(pixel) for pixel in found["copy"]["pixels"]} <= body.xy


def test_who_asks_for_a_text_file_named_like_a_photo_is_told_why_it_was_refused(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 1)
    text = home.photos / "letter.jpg"
    text.write_text("Dear Anna")
    home.once()

    assert "failed: cannot be used: not a usable JPEG" in (
        home.hotpixeld("status", text).out
    )


def test_who_asks_for_a_renamed_photo_or_a_copy_is_told_what_it_is(
    home: Home, body: Body
) -> None:
    photo, *_ = body.shoot(home.photos, 16)
    home.once()
    elsewhere = home.root / "sent to anna.jpg"
    shutil.copy(photo, elsewhere)
    copy = home.photos / "repaired" / f"c_{photo.name}"

    assert f"the same image: {photo}" in home.hotpixeld("status", elsewhere).out
    assert f"a copy that hotpixeld wrote of {photo}" in (
        home.hotpixeld("status", copy).out
    )


def test_who_asks_for_a_copy_at_a_former_place_is_told_what_it_is(
    home: Home, body: Body
) -> None:
    photo, *_ = body.shoot(home.photos, 16)
    home.once()
    home.configure_folder(repaired=home.root / "fixed")
    home.once()
    former = home.photos / "repaired" / f"c_{photo.name}"
    told = home.hotpixeld("status", former).out

    assert told == f"{former}: a copy that hotpixeld wrote of {photo}\n"


def test_who_asks_for_a_photo_that_nobody_saw_is_told_so_by_the_exit_code_too(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 1)
    home.once()
    answer = home.hotpixeld("status", home.root / "none.jpg", code=3)

    assert "there is no such file" in answer.err


def test_of_a_thousand_and_more_bad_photos_the_number_of_the_others_is_told(
    home: Home,
) -> None:
    for number in range(1030):
        (home.photos / f"{number:04d}.jpg").write_text("no photo")
    run = home.once(code=6)
    short = home.hotpixeld("status").out
    found = home.hotpixeld("status", "--json").json
    everything = home.hotpixeld("status", "--problems").out

    assert "not one of 1,030 new photos can be used" in run.err
    assert "photos: 1,030 failed" in run.out
    assert "830 more like this were left out: `hotpixeld status --problems`" in run.err
    assert "1,030 failed: damaged, or no JPEG at all. Copy from the card" in short
    assert f"  in {home.photos}: 0000.jpg, 0001.jpg, 0002.jpg, ...\n" in short
    assert f"`hotpixeld status --problems --config {home.config}` lists all" in short
    (reason,) = found["reasons"]
    assert (reason["outcome"], reason["count"]) == ("failed", 1030)
    assert (len(found["problems"]), found["problems_left_out"]) == (1000, 30)
    assert everything.count("failed /") == 1030
    assert "more like these" not in everything


def test_of_a_thousand_and_more_edited_former_copies_the_others_are_counted(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 1)
    home.once()
    path = home.state / "ledger.sqlite3"
    with contextlib.closing(Ledger(path)) as ledger, ledger.transaction():
        for number in range(1030):
            target = home.root / f"c_{number:04d}.jpg"
            target.write_text("edited")
            source = home.photos / f"{number:04d}.jpg"
            copy = Copy(source, target, "edited", sha256=64 * "0")
            ledger.other_copies.record(copy)
    found = home.status()
    everything = home.hotpixeld("status", "--problems").out

    assert (len(found["copy_problems"]), found["copy_problems_left_out"]) == (1000, 30)
    told = home.hotpixeld("status").out
    assert "1,030 copies: changed by somebody since it was written" in told
    assert everything.count("copy former /") == 1030


def test_a_linked_subfolder_is_in_the_status_of_a_run_and_of_the_daemon(
    home: Home, body: Body
) -> None:
    elsewhere = home.root / "elsewhere"
    body.shoot(elsewhere, 1)
    (home.photos / "linked").symlink_to(elsewhere)
    (home.photos / "again").symlink_to(home.photos)
    told = f"{home.photos / 'linked'}: a link, not followed: watch {elsewhere} itself"
    run = home.once()
    after_run = home.hotpixeld("status").out
    (home.photos / "linked").unlink()
    daemon = home.daemon().idle()
    daemon.until(lambda: not home.status()["folders"], "the link is still told")
    daemon.stop()

    assert told in run.out
    assert told in after_run
    assert str(home.photos / "again") not in after_run


def test_an_unreadable_subfolder_is_in_the_status(home: Home, body: Body) -> None:
    closed = home.photos / "closed"
    body.shoot(closed, 1)
    body.shoot(home.photos, 1)
    closed.chmod(0)
    run = as_nobody(home, "run", "--once")
    told = as_nobody(home, "status")

    assert run.code == 6
    assert f"{closed}: Permission denied: user {NOBODY} may not" in run.err
    assert f"{closed}: Permission denied: user {NOBODY} may not" in told.out


def test_a_state_of_another_user_is_refused_and_the_command_that_may_is_named(
    home: Home, body: Body
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give the state to another")
    body.shoot(home.photos, 1)
    home.once()
    refused = as_nobody(home, "map", give=False)
    run = as_nobody(home, "run", "--once", give=False)

    assert refused.code == run.code == 4
    assert f"{home.state}/ledger.sqlite3: Permission denied: user" in refused.err
    assert f"sudo -u root hotpixeld ... --state {home.state} may" in refused.err
    assert f"{home.state}/lock: Permission denied: user {NOBODY} may not" in run.err


def test_cron_of_a_user_who_may_not_read_the_services_state_hears_which_it_used(
    home: Home, body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user beside the service")
    monkeypatch.setattr(state_folder, "SYSTEM_STATE", home.state)
    body.shoot(home.photos, 1)
    home.once()
    own = home.root / "own"
    own.mkdir()
    os.chown(own, NOBODY, NOBODY)
    monkeypatch.setenv("XDG_STATE_HOME", str(own))
    quiet = "run", "--once", "-q", str(home.photos)
    passed_over = as_nobody(home, *quiet, give=False, configured=False)
    state = "--state", str(own / "hotpixeld")
    named = as_nobody(home, *quiet, *state, give=False, configured=False)

    assert (passed_over.code, named.code) == (0, 0)
    assert passed_over.err == (
        f"state: {own / 'hotpixeld'} (not the service's, which this user may not read:"
        f" `sudo -u root hotpixeld ... --state {home.state}`)\n"
    )
    assert named.err == ""


@pytest.mark.parametrize(
    "command",
    [
        ("forget", "nikon", "--yes"),
        ("relearn", "nikon", "--yes"),
        ("tidy", "--yes"),
        ("repair", "{photo}"),
        ("undo", "{photo}"),
    ],
)
def test_whatever_is_asked_of_a_closed_state_it_is_exit_code_4_and_the_command_is_named(
    home: Home, body: Body, command: tuple[str, ...]
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give the state to another")
    (photo,) = body.shoot(home.photos, 1)
    home.once()
    arguments = [part.format(photo=photo) for part in command]
    refused = as_nobody(home, *arguments, give=False)
    home.state.chmod(0o755)  # it may be looked into, and not written to
    locked = as_nobody(home, *arguments, give=False)

    assert refused.code == 4
    assert f"sudo -u root hotpixeld ... --state {home.state} may" in refused.err
    assert locked.code != 1


def test_who_may_read_a_state_and_not_write_to_it_is_told_the_command_that_may(
    home: Home, body: Body
) -> None:
    """Nobody is asked whether to remove what cannot be removed."""
    if os.geteuid() != 0:
        pytest.skip("only root can give the state to another")
    photo, *_ = body.shoot(home.photos, 16)
    home.once()
    home.configure_folder(repaired="elsewhere")
    daemon = home.daemon().idle()
    for path in (home.state, *home.state.glob("ledger*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = files(home.photos)
    looked = as_nobody(home, "tidy", "--dry-run", give=False)
    tidied = as_nobody(home, "tidy", give=False)
    repaired = as_nobody(home, "repair", str(photo), give=False)
    daemon.stop()
    alone = as_nobody(home, "tidy", give=False)
    named = f"sudo -u root hotpixeld ... --state {home.state} may"

    assert looked.code == 0
    assert "16 copies would be removed" in looked.out
    assert tidied.out == looked.out
    assert (tidied.code, alone.code, repaired.code) == (4, 4, 3)
    assert f"{home.state}: Permission denied: user {NOBODY} may not" in tidied.err
    for refused in (tidied, alone, repaired):
        assert named in refused.err
    assert files(home.photos) == before


def test_a_photo_is_not_repaired_by_a_state_that_is_a_file_or_is_not_there(
    home: Home, body: Body
) -> None:
    (photo,) = body.shoot(home.photos, 1)
    file = home.root / "a file"
    file.write_text("no state")
    none = home.root / "none"
    refused = home.hotpixeld("repair", photo, "--state", file, code=4)
    unknown = home.hotpixeld("repair", photo, "--state", none)

    assert f"{file}/ledger.sqlite3: Not a directory" in refused.err
    assert f"{photo}: nothing to repair; there is no state {none}" in unknown.out


def test_whether_the_daemon_is_well_is_asked_by_a_script(home: Home) -> None:
    none = home.hotpixeld("status", "--health", code=1)
    daemon = home.daemon().idle()
    well = home.hotpixeld("status", "--health")
    home.photos.rename(home.root / "elsewhere")
    daemon.until(lambda: "offline" in daemon.log, "that the folder is gone")
    offline = home.hotpixeld("status", "--health", code=1)
    daemon.stop()
    stopped = home.hotpixeld("status", "--health", code=1)

    assert none.out == stopped.out == "unwell: no daemon: none runs on this state\n"
    assert (well.out, well.err) == ("well\n", "")
    assert offline.out.startswith("unwell: ")
    assert str(home.photos) in offline.out
    assert home.hotpixeld("status", "--health", "--json", code=2).out == ""


def test_a_killed_daemon_is_told_and_leaves_nothing_behind(
    home: Home, body: Body
) -> None:
    body.shoot(home.photos, 2)
    daemon = home.daemon().idle()
    running = home.hotpixeld("status")
    daemon.kill()
    killed = home.hotpixeld("status")
    home.once()
    afterwards = home.hotpixeld("status")

    assert f"daemon: running, process {daemon.process.pid}, since " in running.out
    assert f"daemon: not running: process {daemon.process.pid}, started" in killed.out
    assert "was killed or crashed; what it had is safe: start it again" in killed.out
    assert "daemon: not running\n" in afterwards.out
    assert not list((home.system / "runtime").rglob("status.json"))


def test_a_daemon_that_was_stopped_is_not_called_killed(home: Home) -> None:
    home.daemon().idle().stop()

    assert "daemon: not running\n" in home.hotpixeld("status").out


def test_a_user_beside_the_service_is_told_the_command_that_lists_all_its_problems(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user beside the service")
    monkeypatch.setattr(state_folder, "SYSTEM_STATE", home.state)
    for number in range(1030):
        (home.photos / f"{number:04d}.jpg").write_text("no photo")
    daemon = home.daemon().idle()
    asked = "status", "--problems"
    told = as_nobody(home, *asked, give=False, configured=False).out
    short = as_nobody(home, "status", give=False, configured=False).out
    daemon.stop()

    command = f"`sudo -u root hotpixeld status --problems --state {home.state}`"
    assert told.count("failed /") == 1000
    assert f"and 30 more like these: {command} lists all" in told
    assert "1,030 failed: damaged, or no JPEG at all" in short
    assert f"\n{command} lists all" in short


def test_a_user_beside_the_service_sees_its_status_and_is_told_the_command_for_more(
    home: Home, body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user beside the service")
    monkeypatch.setattr(state_folder, "SYSTEM_STATE", home.state)
    body.shoot(home.photos, 2)
    daemon = home.daemon().idle()
    running = as_nobody(home, "status", give=False, configured=False)
    other = as_nobody(home, "map", give=False, configured=False)
    daemon.kill()
    killed = as_nobody(home, "status", give=False, configured=False)

    assert f"state: {home.state} (as its service publishes it)" in running.err
    assert f"daemon: running, process {daemon.process.pid}, since " in running.out
    assert "2 photos pending" in running.out
    assert other.code == 4
    assert "(not the service's, which this user may not read: " in other.err
    assert f"`sudo -u root hotpixeld ... --state {home.state}`" in other.err
    assert f"not running: process {daemon.process.pid}, started" in killed.out


def test_a_copy_that_was_edited_is_told_at_once(home: Home, body: Body) -> None:
    body.shoot(home.photos, 16)
    home.once()
    photo, repaired = home.photos / "IMG_0000.JPG", home.photos / "repaired"
    as_written = home.hotpixeld("status", photo).out
    (repaired / "c_IMG_0000.JPG").write_bytes(b"as edited")
    edited = home.hotpixeld("status", photo).out
    (repaired / "c_IMG_0000.JPG").unlink()
    deleted = home.hotpixeld("status", photo).out

    assert "since" not in as_written
    assert "; changed since by somebody, and left alone as it is" in edited
    assert "; it is not there any more" in deleted
