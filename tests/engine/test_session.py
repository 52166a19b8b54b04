"""Photos through a whole session: folded once, in order, whatever stops it."""

from __future__ import annotations

import datetime as dt
import errno
import fcntl
import os
import shutil
import signal
import threading
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import steps
import whole_frames
from hotpixeld import files
from hotpixeld.config.model import CameraConfig, Pixel, Repair
from hotpixeld.engine import copy_writer, memory, schedule
from hotpixeld.engine.session import Session, in_order
from hotpixeld.errors import CheckpointError, LedgerError, StateInUseError
from hotpixeld.files import Signature
from hotpixeld.jpeg import decoder
from hotpixeld.messages import EventKind
from hotpixeld.photo import photo_file
from hotpixeld.repair import pixel_list
from hotpixeld.store import generation_files, state_folder
from hotpixeld.store.copies import Copy
from hotpixeld.store.state_folder import lock
from hotpixeld.watch import walk
from sensor import START, Sensor, write_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hotpixeld.config.model import Config
    from hotpixeld.statistics.generation import State

    Open = Callable[..., Session]


def take(session: Session, *paths: Path, once: bool = True) -> Counter[str]:
    return Counter(done.outcome for done in session.take(paths, once=once))


def learn(session: Session) -> Counter[str]:
    """Fold what is pending of the only camera."""
    (record,) = session.ledger.images.cameras()
    return Counter(done.outcome for done in steps.fold(session, record.camera.id))


def only_state(session: Session) -> State:
    """Return the state with all that is pending."""
    learn(session)
    (record,) = session.ledger.images.cameras()
    camera = state_folder.camera_folder(session.folder, record.camera.id)
    return generation_files.opened(
        generation_files.folder_of(camera, record.generation)
    )


def folded(photos: Sequence[Path]) -> State:
    """Return the state that whole frames give, one after the other."""
    state = whole_frames.State.empty(200, 280, traced=True)
    for path in photos:
        state.fold(decoder.decode(path.read_bytes()), 100)
    return state


def assert_same(one: State, other: State) -> None:
    assert (one.photos, one.weight) == (other.photos, other.weight)
    np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_array_equal(one.m2, other.m2)


def test_the_state_is_that_of_the_frames_in_capture_order(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 6)
    session = open_session()
    assert take(session, *reversed(photos)) == {"pending": 6}
    pending = session.ledger.images.pending(
        next(session.ledger.images.cameras()).camera.id
    )

    assert_same(only_state(session), folded(photos))
    assert [session.ledger.paths.of_image(one.id)[0] for one in pending] == photos


def test_the_same_image_under_another_name_or_with_other_metadata_is_a_duplicate(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 4)
    session = open_session()
    take(session, *photos)
    renamed, rated = folder / "other.jpg", folder / "rated.jpg"
    shutil.copy(photos[0], renamed)
    data = photos[1].read_bytes()
    rated.write_bytes(data[:2] + b"\xff\xfe\x00\x08rating" + data[2:])

    assert take(session, renamed, rated) == {"duplicate": 2}
    assert only_state(session).photos == 4


def test_two_of_the_same_in_one_go_are_folded_once(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 4)
    twins = [folder / f"twin_{path.name}" for path in photos]
    for path, twin in zip(photos, twins, strict=True):
        shutil.copy(path, twin)

    assert take(open_session(), *photos, *twins) == {"pending": 4, "duplicate": 4}


def test_a_first_generation_is_made_of_four_photos(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 4)
    session = open_session()
    take(session, *photos[:3])
    assert learn(session) == {}
    session = open_session()
    take(session, photos[3])

    assert only_state(session).photos == 4


@pytest.mark.parametrize("passes", [1, 3])
def test_after_a_crash_the_state_comes_out_bit_identical(
    open_session: Open, sensor: Sensor, folder: Path, passes: int
) -> None:
    """Admitted in part, folded in part: what is missing is done in its order."""
    photos = sensor.write(folder, 14)
    session = open_session()
    for number in range(passes):
        take(session, *photos[4 * number : 4 * number + 4])
        learn(session)
    take(session, *photos[4 * passes : 4 * passes + 1])
    session = open_session()  # as after kill -9
    take(session, *session.changed(photos))
    learn(session)

    assert_same(only_state(session), folded(photos))
    assert session.ledger.images.counts()["folded"] == 14


def test_a_pending_photo_that_is_gone_is_lost_and_counted(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 6)
    session = open_session()
    take(session, *photos)
    photos[2].unlink()
    assert learn(session) == {"folded": 5, "lost": 1}

    assert_same(only_state(session), folded(photos[:2] + photos[3:]))
    assert session.ledger.images.counts()["lost"] == 1
    lost = session.ledger.events.last_of(EventKind.PHOTO_LOST)
    assert lost is not None
    assert (lost.about["count"], lost.about["paths"]) == (1, [str(photos[2])])


def test_a_pending_photo_is_found_under_any_of_its_names(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 5)
    twin = folder / "twin.jpg"
    shutil.copy(photos[2], twin)
    session = open_session()
    take(session, *photos, twin)
    photos[2].unlink()

    assert only_state(session).photos == 5
    assert session.ledger.images.counts()["lost"] == 0


def test_what_the_daemon_took_needs_no_original_any_more(
    open_session: Open, sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    photos = sensor.write(folder, 6)
    straight = folded(photos)
    session = open_session()
    take(session, *photos, once=False)
    spool = tmp_path / "state" / "spool"
    assert len(list(spool.iterdir())) == 6
    for path in photos:
        path.unlink()
    session = open_session()  # what is pending is still kept
    assert learn(session) == {"folded": 6}

    assert_same(only_state(session), straight)
    assert list(spool.iterdir()) == []


def test_what_was_under_way_at_a_stop_is_kept(
    config: Config,
    sensor: Sensor,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick = photo_file.examine

    def examine(path: Path, *limits: Any) -> photo_file.Photo:
        time.sleep(0.2)  # the only worker is at the third when the first is done
        return quick(path, *limits)

    with Session(config, tmp_path / "state", 1, lambda: None) as session:
        under_way = session.take(sensor.write(folder, 12))
        monkeypatch.setattr(photo_file, "examine", examine)
        next(under_way)
        under_way.close()
        pending = session.ledger.images.counts()["pending"]

    assert pending == 2
    assert len(list((tmp_path / "state" / "spool").iterdir())) == 2


def test_what_a_crash_left_without_a_copy_is_kept_from_the_start_on(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 6)
    take(open_session(), *photos)  # done once, nothing is kept yet
    photos[0].unlink()
    session = open_session()
    session.learning.keep_pending()
    for path in photos[1:]:
        path.unlink()

    assert learn(session) == {"folded": 5, "lost": 1}


def test_what_goes_on_pending_after_a_run_is_kept(
    open_session: Open, sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    photos = sensor.write(folder, 3)
    session = open_session()
    take(session, *photos)
    list(session.learning.all_at_once())

    assert len(list((tmp_path / "state" / "spool").iterdir())) == 3


def test_a_pending_photo_may_be_touched_or_rated_but_not_be_another(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 6)
    session = open_session()
    take(session, *photos)
    os.utime(photos[1], (0, 0))
    data = photos[2].read_bytes()
    photos[2].write_bytes(data[:2] + b"\xff\xfe\x00\x08rating" + data[2:])
    (other,) = sensor.write(folder / "other", 1, start=9)
    other.replace(photos[3])
    assert learn(session) == {"folded": 5, "lost": 1}

    assert session.changed(photos) == [photos[1], photos[2], photos[3]]


def test_a_photo_that_cannot_be_decoded_fails_in_the_pass_and_costs_no_other(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    """Its structure is that of a photo; its coded data is damaged in the middle."""
    photos = sensor.write(folder, 6)
    data = photos[2].read_bytes()
    middle = len(data) * 2 // 3
    photos[2].write_bytes(data[:middle] + b"\xff\xd4" + data[middle + 9 :])
    session = open_session()
    assert take(session, *photos) == {"pending": 6}
    assert learn(session) == {"folded": 5, "failed": 1}
    (problem,) = session.ledger.paths.with_reason(9)

    assert problem.path == photos[2]
    assert problem.reason.startswith("cannot be decoded: corrupt")
    assert_same(only_state(session), folded(photos[:2] + photos[3:]))
    assert session.ledger.images.counts() == {
        "folded": 5,
        "pending": 0,
        "lost": 0,
        "forgotten": 0,
    }
    assert session.changed(photos) == []


def test_a_camera_of_nothing_but_a_bad_photo_is_not_known(
    open_session: Open, sensor: Sensor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "FEWEST", 1)
    (photo,) = sensor.write(folder, 1)
    data = photo.read_bytes()
    middle = len(data) * 2 // 3
    photo.write_bytes(data[:middle] + b"\xff\xd4" + data[middle + 9 :])
    session = open_session()
    take(session, photo)
    assert learn(session) == {"failed": 1}

    assert list(session.ledger.images.cameras()) == []


def test_bad_files_fail_with_their_reason_and_cost_nothing_else(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 5)
    data = photos[0].read_bytes()
    bad = {
        "empty.jpg": b"",
        "text.jpg": b"not a photo at all",
        "cut.jpg": data[: len(data) // 2],
        "header.jpg": data[:100],
    }
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    os.mkfifo(folder / "fifo.jpg")
    (folder / "link.jpg").symlink_to(photos[0])
    session = open_session()
    others = ("fifo.jpg", "link.jpg", "missing.jpg")
    paths = [*photos, *(folder / name for name in (*bad, *others))]
    outcomes = take(session, *paths)
    reasons = {
        one.path.name: one.reason for one in session.ledger.paths.with_reason(99)
    }

    assert outcomes == {"pending": 5, "failed": 4, "skipped": 2, "gone": 1}
    assert reasons["empty.jpg"] == "empty"
    assert reasons["fifo.jpg"] == "a named pipe, not a file"
    assert reasons["link.jpg"] == "a symbolic link, not a file"
    assert reasons["cut.jpg"].startswith("truncated")
    assert set(reasons) == {*bad, "fifo.jpg", "link.jpg"}


def test_a_folder_exchanged_for_a_link_leads_to_nothing(
    open_session: Open, sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    """The walk saw a folder; by now it is a link to what is not for us."""
    (private,) = sensor.write(tmp_path / "private", 1)
    (folder / "inner").symlink_to(private.parent)
    session = open_session()

    assert take(session, folder / "inner" / private.name) == {"gone": 1}
    assert session.ledger.images.counts()["pending"] == 0


@pytest.mark.parametrize("once", [True, False])
def test_a_photo_that_cannot_be_read_now_is_asked_for_for_ever(
    open_session: Open, sensor: Sensor, folder: Path, *, once: bool
) -> None:
    """With an error that anybody can make: a lease on the file keeps it from opening."""
    (photo,) = sensor.write(folder, 1)
    seen = walk.stat_photo(photo)
    assert seen is not None
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # how a lease is asked back
    with photo.open("r+b") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        session = open_session()
        assert take(session, photo, once=once) == {"failed" if once else "waiting": 1}
        session.fail(photo, "cannot be read")  # after an hour
    signal.signal(signal.SIGIO, before)

    assert session.unknown([(photo, seen)]) == [photo]
    assert session.changed([photo]) == [photo]
    assert take(session, photo, once=once) == {"pending": 1}


def test_a_photo_that_is_cut_short_waits_unless_done_once(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    (photo,) = sensor.write(folder, 1)
    data = photo.read_bytes()
    photo.write_bytes(data[:-500])
    session = open_session()
    assert take(session, photo, once=False) == {"waiting": 1}
    assert session.ledger.paths.counts()["waiting"] == 1
    photo.write_bytes(data)

    assert take(session, photo, once=False) == {"pending": 1}
    assert session.ledger.paths.counts()["waiting"] == 0


def test_two_cameras_have_two_states(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 4)
    for index in range(5):
        path = folder / f"b{index}.jpg"
        write_jpeg(path, sensor.frame(index + 10), serial="9")
        photos.append(path)
    session = open_session()
    take(session, *photos)
    list(session.learning.all_at_once())
    counts = {
        record.camera.serial: record.photos
        for record in session.ledger.images.cameras()
    }

    assert counts == {"0123456": 4, "9": 5}


def test_a_second_session_is_refused_and_names_the_first(
    open_session: Open, config: Config, tmp_path: Path
) -> None:
    open_session()
    with pytest.raises(StateInUseError, match=f"process {os.getpid()}"):
        lock(tmp_path / "state")


def test_a_damaged_checkpoint_is_refused_and_nothing_is_overwritten(
    open_session: Open, sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    photos = sensor.write(folder, 6)
    session = open_session()
    checkpointed(session, *photos[:5])
    (mean,) = (tmp_path / "state").glob("cameras/*/*/mean.npy")
    mean.write_bytes(mean.read_bytes()[:-1])
    session = open_session()
    take(session, photos[5])
    with pytest.raises(CheckpointError, match="damaged"):
        learn(session)

    assert session.ledger.images.counts()["pending"] == 1
    assert [path.name for path in mean.parent.parent.iterdir()] == ["00000001"]


@pytest.mark.parametrize("loss", ["zeroed", "removed"])
def test_a_ledger_that_was_emptied_is_not_begun_anew_over_its_checkpoints(
    config: Config,
    open_session: Open,
    sensor: Sensor,
    folder: Path,
    tmp_path: Path,
    loss: str,
) -> None:
    state = tmp_path / "state"
    with Session(config, state, 1, lambda: None) as session:
        for start in (0, 5):
            checkpointed(session, *sensor.write(folder, 5, start=start))
    kept = sorted(state.rglob("*.npy"))
    for path in state.glob("ledger*"):
        path.write_bytes(b"") if loss == "zeroed" else path.unlink()

    with pytest.raises(LedgerError, match=r"is empty, but .*cameras holds"):
        open_session()
    assert sorted(state.rglob("*.npy")) == kept


def test_an_absent_folder_is_never_taken_for_an_emptied_one(
    config: Config, open_session: Open, sensor: Sensor, folder: Path
) -> None:
    """Whatever is done meanwhile, all is as it was when the folder is back."""
    watched = config.folders[0].model_copy(update={"unchanged": "copy"})
    session = open_session(config.model_copy(update={"folders": (watched,)}))
    photos = sensor.write(folder, 5)
    checkpointed(session, *photos)
    list(session.repair(session.unrepaired()))
    counts = session.ledger.images.counts(), session.ledger.copies.counts()
    assert counts[1] == {"copy": 5}
    folder.rename(folder.with_name("away"))
    assert take(session, *photos) == {"gone": 5}
    again = [(path, "another version") for path in photos]
    assert {done.outcome for done in session.repair(again)} == {"gone"}
    folder.with_name("away").rename(folder)

    assert session.changed(photos) == photos
    assert take(session, *photos) == {"known": 5}
    assert (session.ledger.images.counts(), session.ledger.copies.counts()) == counts
    assert only_state(session).photos == 5


def test_the_state_folder_is_private(open_session: Open, tmp_path: Path) -> None:
    open_session()

    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_a_lost_photo_is_folded_when_its_file_comes_back(
    open_session: Open, sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 6)
    session = open_session()
    take(session, *photos)
    away = folder.parent / "away"
    photos[2].rename(away)  # its folder is unmounted, say
    learn(session)
    assert session.ledger.images.counts()["lost"] == 1
    away.rename(photos[2])
    seen = walk.stat_photo(photos[2])
    assert seen is not None
    assert session.unknown([(photos[2], seen)]) == [photos[2]]
    take(session, photos[2])

    assert only_state(session).photos == 6
    assert session.ledger.images.counts()["lost"] == 0


def checkpointed(session: Session, *photos: Path) -> None:
    take(session, *photos)
    learn(session)


def test_a_damaged_checkpoint_falls_back_on_the_one_before(
    open_session: Open,
    sensor: Sensor,
    folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    photos = sensor.write(folder, 12)
    session = open_session()
    checkpointed(session, *photos[:5])
    checkpointed(session, *photos[5:9])
    (mean,) = (tmp_path / "state").glob("cameras/*/**/mean.npy")
    mean.write_bytes(mean.read_bytes()[:-1])
    photos[6].unlink()
    session = open_session()
    take(session, *photos[9:])
    learn(session)  # falls back

    assert_same(only_state(session), folded(photos[:6] + photos[7:]))
    assert session.ledger.path == tmp_path / "state" / "ledger.sqlite3"
    (message,) = [one for one in caplog.messages if "the one before it is used" in one]
    assert "4 photos to be folded again" in message


def test_a_checkpoint_that_can_be_read_the_second_time_is_kept(
    open_session: Open,
    sensor: Sensor,
    folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its photos may be gone: they are not asked for without need."""
    photos = sensor.write(folder, 12)
    session = open_session()
    checkpointed(session, *photos[:5])
    checkpointed(session, *photos[5:9])
    for path in photos[5:9]:
        path.rename(tmp_path / path.name)
    take(session, *photos[9:])
    read, failed = os.preadv, list[int]()

    def fail_once(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        if not failed:
            failed.append(descriptor)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", fail_once)
    learn(session)
    for path in photos[5:9]:
        (tmp_path / path.name).rename(path)

    assert failed
    assert "generation could be read at the second try" in caplog.text
    assert_same(only_state(session), folded(photos))


def test_a_photo_that_cannot_be_read_or_was_gone_gets_its_copy_later(
    open_session: Open,
    config: Config,
    sensor: Sensor,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = config.folders[0].model_copy(update={"unchanged": "copy"})
    session = open_session(config.model_copy(update={"folders": (watched,)}))
    photos = sensor.write(folder, 5)
    list(session.take(photos, once=True))
    photos[0].rename(folder.parent / "away")
    read = files.read_regular

    def fail(path: Path, *rest: Any) -> Any:
        if path == photos[1]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(path, *rest)

    with monkeypatch.context() as patch:
        patch.setattr("hotpixeld.photo.photo_file.read_regular", fail)
        done = {one.path: one for one in session.repair(session.unrepaired())}
    assert done[photos[1]].reason.startswith("cannot be read: Input/output error")
    assert [path for path, _ in session.unrepaired()] == [photos[1]]
    (folder.parent / "away").rename(photos[0])
    list(session.take(photos[:1], once=True))
    assert [path for path, _ in session.unrepaired()] == photos[:2]
    list(session.repair(session.unrepaired()))

    assert session.ledger.copies.counts() == {"copy": 5}


def test_a_failed_photo_is_read_again_only_when_it_changes(
    open_session: Open, folder: Path
) -> None:
    bad = folder / "bad.jpg"
    bad.write_bytes(b"no photo")
    session = open_session()
    assert take(session, bad) == {"failed": 1}
    seen = walk.stat_photo(bad)
    assert seen is not None
    assert session.unknown([(bad, seen)]) == []
    assert session.changed([bad]) == []
    bad.write_bytes(b"no photo either")
    later = walk.stat_photo(bad)
    assert later is not None

    assert session.unknown([(bad, later)]) == [bad]


def test_what_a_crash_left_is_removed_at_the_start(
    open_session: Open, sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    session = open_session()
    checkpointed(session, *sensor.write(folder, 5))
    (camera,) = (tmp_path / "state" / "cameras").iterdir()
    copies = folder / "repaired"
    copies.mkdir()
    source = folder / "IMG_0001.JPG"
    with session.ledger.transaction():
        copy = Copy(source, copies / "c_IMG_0001.JPG", "writing")
        session.ledger.copies.record(copy)
    (camera / "00000007").mkdir()
    (camera / "00000007" / "mean.npy").write_bytes(b"torn")
    for place in (tmp_path / "state", camera, copies):
        (place / ".hotpixeld-0123.tmp").write_bytes(b"torn")
    open_session()

    assert [path.name for path in camera.iterdir()] == ["00000001"]
    assert list(copies.iterdir()) == []
    assert not (tmp_path / "state" / ".hotpixeld-0123.tmp").exists()


def test_several_scans_that_fit_no_memory_are_refused_before_decoding(
    open_session: Open,
    sensor: Sensor,
    folder: Path,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = folder / "one.jpg", folder / "other.jpg"
    write_jpeg(one, sensor.frame(0), progressive=True)
    write_jpeg(other, sensor.frame(1))
    monkeypatch.setattr(memory, "LEAST", 100_000)
    limits = config.limits.model_copy(update={"memory": 100_000})
    session = open_session(config.model_copy(update={"limits": limits}))
    assert take(session, one, other) == {"failed": 1, "pending": 1}
    (problem,) = session.ledger.paths.with_reason(9)

    assert problem.reason.endswith(
        " bytes of memory, there are 100000; see `limits: memory` in the configuration"
    )


def test_photos_of_a_camera_without_listed_pixels_are_not_read_again(
    open_session: Open, sensor: Sensor, folder: Path, config: Config
) -> None:
    photos = sensor.write(folder, 4)
    session = open_session()
    take(session, *photos)
    assert session.unrepaired() == []
    copying = config.folders[0].model_copy(update={"unchanged": "copy"})
    session.reconfigure(config.model_copy(update={"folders": (copying,)}))

    assert [path for path, _ in session.unrepaired()] == photos


def test_copies_are_made_anew_once_where_their_pixels_are_repaired_in_another_way(
    open_session: Open,
    sensor: Sensor,
    folder: Path,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The daemon leaves them: later evidence changes how they are with every map."""
    listed = CameraConfig(pixels=(Pixel(x=9, y=9), Pixel(x=30, y=20)))
    session = open_session(config.model_copy(update={"cameras": (listed,)}))
    photos = sensor.write(folder, 4)
    take(session, *photos)
    assert {done.copy for done in session.repair(session.unrepaired())} == {"written"}
    copies = sorted((folder / "repaired").iterdir())
    before = [Signature.of(path.stat()) for path in copies]
    assert len(copies) == len(photos)
    assert session.unrepaired(once=True) == []

    monkeypatch.setattr(pixel_list, "fill", lambda *_: "another")
    session.reconfigure(session.config)
    assert session.unrepaired() == []
    due = session.unrepaired(once=True)
    assert [path for path, _ in due] == photos
    # The same bytes come of it: they are not written again.
    assert {done.copy for done in session.repair(due)} == {"kept"}
    assert session.unrepaired(once=True) == []
    assert [Signature.of(path.stat()) for path in copies] == before

    monkeypatch.setattr(pixel_list, "fill", lambda *_: "a third")
    adaptive = copy_writer.repaired_bytes

    def with_mean(data: bytes, defects: Any, settings: Repair, *how: Any) -> Any:
        mean = settings.model_copy(update={"fill": "neighbours"})
        return adaptive(data, defects, mean, *how)

    monkeypatch.setattr(copy_writer, "repaired_bytes", with_mean)
    session.reconfigure(session.config)
    due = session.unrepaired(once=True)
    assert "renewed" in {done.copy for done in session.repair(due)}
    assert session.unrepaired(once=True) == []


def test_there_is_no_progress_while_a_pass_hangs_whatever_photos_do(
    config: Config, sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    told: list[float] = []
    progress = partial(told.append, 0.0)
    release = threading.Event()
    with Session(config, tmp_path / "state", 2, progress) as session:
        photos = sensor.write(folder, 6)
        hung = session._upkeep.submit(release.wait, 30.0)
        time.sleep(0.05)
        session.progress()  # starting to wait takes processor time
        told.clear()
        take(session, *photos[:2])
        session.progress()
        while_it_hung = len(told)
        release.set()
        assert hung.result(30)
        take(session, *photos[2:])

    assert while_it_hung == 0
    assert told


def test_paths_are_sorted_by_capture_time_then_name(tmp_path: Path) -> None:
    frame = Sensor(height=40, width=56).frame(0)
    names = {"b.jpg": 5, "a.jpg": 5, "z.jpg": 1}
    for name, minute in names.items():
        write_jpeg(tmp_path / name, frame, START + dt.timedelta(minutes=minute))
    (tmp_path / "0.jpg").write_bytes(b"no time at all")
    found = in_order(tmp_path.iterdir())

    assert [path.name for path in found] == ["z.jpg", "a.jpg", "b.jpg", "0.jpg"]


def test_a_photo_by_anothers_name_is_new_though_its_copy_was_due_first(
    config: Config, open_session: Open, sensor: Sensor, folder: Path
) -> None:
    watched = config.folders[0].model_copy(update={"unchanged": "link"})
    session = open_session(config.model_copy(update={"folders": (watched,)}))
    photos = sensor.write(folder, 2)
    list(session.take(photos, once=True))
    list(session.repair(session.unrepaired()))
    assert session.changed(photos) == [], "a link beside it made a photo look changed"
    away = folder.parent / "away"
    for old, new in (photos[0], away), (photos[1], photos[0]), (away, photos[1]):
        old.rename(new)
    list(session.repair([(path, "another version") for path in photos]))

    assert session.changed(photos) == photos
