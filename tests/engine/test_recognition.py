"""Which of two files is the photo, and what becomes of the other; older ledgers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hotpixeld.camera import Camera
from hotpixeld.config import load
from hotpixeld.config.load import for_folders
from hotpixeld.defect import Defect, Kind
from hotpixeld.engine.recognition import Recognition
from hotpixeld.engine.session import Session
from hotpixeld.photo.fingerprint import Fingerprint
from hotpixeld.repair import lossless
from hotpixeld.store.fingerprints import MOST_RELATIVES
from sensor import Sensor, write_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotpixeld.config.model import Config


@pytest.fixture
def pair(sensor: Sensor, folder: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Return a photo in the folder, and its copy elsewhere."""
    (photo,) = sensor.write(folder, 1)
    defects = tuple(Defect(one.row, one.col, Kind.HOT) for one in sensor.defects)
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(lossless.repaired(photo.read_bytes(), defects).data)
    return photo, copy


def duplicated(file: Path, place: Path) -> Path:
    return Path(shutil.copy(file, place))


def took(session: Session, path: Path) -> tuple[str, str]:
    (done,) = session.take([path])
    return done.outcome, done.reason


def test_the_copy_of_a_known_photo_is_skipped(
    pair: tuple[Path, Path], open_session: Callable[..., Session]
) -> None:
    photo, copy = pair
    session = open_session()
    took(session, photo)
    place = duplicated(copy, photo.with_name("found.jpg"))

    assert took(session, place) == ("skipped", f"a repaired copy of {photo}")


def test_the_original_takes_the_place_of_its_copy(
    pair: tuple[Path, Path], open_session: Callable[..., Session], tmp_path: Path
) -> None:
    photo, copy = pair
    session = open_session()
    first = duplicated(copy, photo.with_name("a.jpg"))
    again = duplicated(copy, photo.with_name("b.jpg"))
    assert [took(session, path)[0] for path in (first, again)] == [
        "pending",
        "duplicate",
    ]
    assert took(session, photo) == ("pending", "")
    ledger = session.ledger
    (image,) = ledger.images.pending(next(ledger.images.cameras()).camera.id)

    assert image.sequence == 1
    assert ledger.paths.of_image(image.id) == [photo]
    for path in (first, again):
        record = ledger.paths.find(path)
        assert record is not None
        assert (record.outcome, record.reason) == (
            "skipped",
            f"a repaired copy of {photo}",
        )
    assert [one.name for one in (tmp_path / "state/spool").iterdir()] == [
        image.identity
    ]


def test_it_does_so_after_a_restart_and_when_the_copy_is_folded(
    sensor: Sensor,
    pair: tuple[Path, Path],
    open_session: Callable[..., Session],
    folder: Path,
) -> None:
    photo, copy = pair
    photo.rename(copy.with_name("photo.jpg"))
    duplicated(copy, folder / "a.jpg")
    others = sensor.write(folder, 18, start=1)
    session = open_session()
    list(session.take([folder / "a.jpg", *others]))
    assert len(list(session.learning.all_at_once())) == 19
    copy.with_name("photo.jpg").rename(photo)
    session = open_session()

    assert took(session, photo) == ("known", "")
    assert session.ledger.images.counts()["folded"] == 19
    record = session.ledger.paths.find(folder / "a.jpg")
    assert record is not None
    assert record.reason == f"a repaired copy of {photo}"
    # It is as any folded photo is: repaired, and known when it is seen again.
    assert (folder / "repaired" / f"c_{photo.name}").is_file()
    assert took(session, photo) == ("known", "")


@pytest.fixture
def made(
    sensor: Sensor, pair: tuple[Path, Path], folder: Path
) -> tuple[Path, bytes, Config]:
    """Return the place of a copy, alone, that still shows a pixel which is listed.

    With the bytes of its original, and the configuration.
    """
    photo, _ = pair
    original = photo.read_bytes()
    photo.unlink()
    one, *others = sensor.defects
    data = lossless.repaired(original, (Defect(one.row, one.col, Kind.HOT),)).data
    copy = photo.with_name("c_IMG.JPG")
    copy.write_bytes(data)
    pixels = [[each.col, each.row] for each in others]
    text = f"""
folders: [{{path: {folder}}}]
cameras: [{{model: Model One, size: [280, 200], pixels: {pixels}}}]
"""
    return copy, original, load.parse(text, folder / "hotpixeld.yaml")


def test_what_was_made_of_the_copy_goes_with_it(
    made: tuple[Path, bytes, Config], open_session: Callable[..., Session], folder: Path
) -> None:
    """The copy, alone, was a photo, and a pixel that it still shows was repaired."""
    copy, original, config = made
    session = open_session(config)
    took(session, copy)
    assert (folder / "repaired/c_c_IMG.JPG").is_file()
    photo = folder / "photo.jpg"
    photo.write_bytes(original)
    took(session, photo)

    assert [one.name for one in (folder / "repaired").iterdir()] == ["c_photo.jpg"]
    assert not session.ledger.other_copies.former()


@pytest.mark.parametrize("is_removed", [False, True])
def test_a_crash_while_that_goes_leaves_it_to_the_next_run(
    made: tuple[Path, bytes, Config],
    open_session: Callable[..., Session],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_removed: bool,
) -> None:
    copy, original, config = made
    session = open_session(config)
    took(session, copy)
    photo = folder / "photo.jpg"
    photo.write_bytes(original)

    def killed(path: Path, _: Path) -> None:
        if is_removed:
            path.unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("hotpixeld.engine.output_folder.remove", killed)
        with pytest.raises(KeyboardInterrupt):
            took(session, photo)
    session = open_session(config)
    list(session.repair(session.unrepaired()))

    assert [one.name for one in (folder / "repaired").iterdir()] == ["c_photo.jpg"]
    assert not session.ledger.other_copies.former()
    assert session.ledger.copies.find(copy) is None


def test_its_copy_stays_where_the_user_changed_it(
    made: tuple[Path, bytes, Config], open_session: Callable[..., Session], folder: Path
) -> None:
    copy, original, config = made
    session = open_session(config)
    took(session, copy)
    edited = folder / "repaired/c_c_IMG.JPG"
    edited.write_bytes(b"edited")
    photo = folder / "photo.jpg"
    photo.write_bytes(original)
    took(session, photo)

    assert edited.read_bytes() == b"edited"
    assert [one.target for one in session.ledger.other_copies.edited(None)] == [edited]


def test_where_the_known_file_is_gone_the_first_is_the_photo(
    pair: tuple[Path, Path], open_session: Callable[..., Session], tmp_path: Path
) -> None:
    photo, copy = pair
    session = open_session()
    first = photo.with_name("a.jpg")
    duplicated(copy, first)
    took(session, first)
    first.unlink()
    for spooled in (tmp_path / "state/spool").iterdir():
        spooled.unlink()

    assert took(session, photo) == ("skipped", f"a repaired copy of {first}")


def test_photos_of_an_older_ledger_are_recognised_by_their_files(
    pair: tuple[Path, Path], open_session: Callable[..., Session]
) -> None:
    photo, copy = pair
    session = open_session()
    took(session, photo)
    with session.ledger.transaction():
        session.ledger.connection.execute("DELETE FROM fingerprints")
    duplicated(copy, photo.with_name("b.jpg"))

    assert took(session, photo.with_name("b.jpg"))[0] == "skipped"
    count = session.ledger.connection.execute("SELECT count(*) FROM fingerprints")
    assert count.fetchone() == (1,)


def test_a_camera_without_a_clock_is_looked_up_by_its_picture(
    sensor: Sensor, folder: Path, open_session: Callable[..., Session]
) -> None:
    photos = sensor.write(folder, 3)
    for photo in photos:
        data = photo.read_bytes().replace(b"2024:03:01 12:", b"    :  :     :")
        photo.write_bytes(data)
    defects = (Defect(sensor.defects[0].row, sensor.defects[0].col, Kind.HOT),)
    copy = folder / "z.jpg"
    copy.write_bytes(lossless.repaired(photos[0].read_bytes(), defects).data)
    session = open_session()

    assert [took(session, photo)[0] for photo in photos] == ["pending"] * 3
    assert took(session, copy)[0] == "skipped"


def test_the_photo_of_another_camera_is_none_of_its_relatives(
    pair: tuple[Path, Path], open_session: Callable[..., Session], folder: Path
) -> None:
    photo, copy = pair
    session = open_session(for_folders([folder]))
    took(session, photo)
    other = photo.with_name("other.jpg")
    other.write_bytes(copy.read_bytes().replace(b"Model One", b"Model Two"))

    assert took(session, other)[0] == "pending"


def lost(session: Session, photo: Path) -> None:
    """Have a pending photo be lost, as when its file is gone."""
    ledger = session.ledger
    (image,) = ledger.images.pending(next(ledger.images.cameras()).camera.id)
    with ledger.transaction():
        ledger.images.mark_lost(image)
        ledger.paths.mark_unseen(photo, None)


def test_a_copy_of_a_lost_photo_is_no_photo_and_the_photo_comes_back(
    pair: tuple[Path, Path], open_session: Callable[..., Session]
) -> None:
    photo, copy = pair
    session = open_session()
    took(session, photo)
    lost(session, photo)
    other = duplicated(copy, photo.with_name("a.jpg"))
    assert took(session, other) == ("skipped", f"a repaired copy of {photo}")

    assert took(session, photo) == ("pending", "")
    assert session.ledger.images.counts()["pending"] == 1
    assert session.ledger.images.counts()["lost"] == 0


def test_a_copy_that_was_lost_does_not_keep_its_original_from_being_learned(
    pair: tuple[Path, Path], open_session: Callable[..., Session]
) -> None:
    photo, copy = pair
    session = open_session()
    other = duplicated(copy, photo.with_name("a.jpg"))
    took(session, other)
    lost(session, other)

    assert took(session, photo) == ("pending", "")
    assert took(session, other) == ("skipped", f"a repaired copy of {photo}")


def test_of_many_photos_of_one_second_the_likeliest_are_looked_at(
    pair: tuple[Path, Path], open_session: Callable[..., Session]
) -> None:
    photo, _ = pair
    session = open_session()
    took(session, photo)
    ledger = session.ledger
    (image,) = ledger.images.pending(next(ledger.images.cameras()).camera.id)
    camera = Camera("Maker", "Model One", "0123456", 280, 200)
    own = Fingerprint(b"", b"note", b"thumb", b"", b"")
    with ledger.transaction():
        ledger.fingerprints.record(image.id, own)
        for number in range(2 * MOST_RELATIVES):
            last = ledger.images.admit(f"{number:064x}", camera, image.taken, 0.0)
            ledger.fingerprints.record(last.id, replace(own, note=b"another"))
    found = ledger.fingerprints.relatives(image.captured, own)

    assert len(found) == MOST_RELATIVES
    assert found[0].id == image.id
    assert found[0].fingerprint == own
    assert found[1].id == image.id + 2 * MOST_RELATIVES


def test_progress_is_known_between_the_photos_of_a_burst(
    config: Config, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is held against those that were taken in the same second, one by one."""
    told: list[str] = []
    burst, other = Sensor(40, 56, seed=1), Recognition._version
    paths = [folder / f"{number}.jpg" for number in range(4)]
    for number, path in enumerate(paths):
        write_jpeg(path, burst.frame(number))

    def compared(*args: Any) -> Any:
        told.append("compared")
        return other(*args)

    monkeypatch.setattr(Recognition, "_version", compared)
    progress = partial(told.append, "progress")
    with Session(config, tmp_path / "state", 1, progress) as session:
        outcomes = [took(session, path)[0] for path in paths]

    assert outcomes == ["pending"] * 4
    assert told.count("compared") == 0 + 1 + 2 + 3
    after = [told[place + 1] for place, word in enumerate(told) if word == "compared"]
    assert set(after) == {"progress"}
