"""Evidence as photos come in, and again from their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import coded_photos
import coder
import jpegs
import steps
import whole_frames
from coder import Photo
from hotpixeld.detection import evidence, suspects
from hotpixeld.detection.evidence import NOT_SAMPLED
from hotpixeld.engine import decode_trial, sampling
from hotpixeld.engine.sampling import JUDGED, evidence_of, sample
from hotpixeld.errors import PhotoError
from hotpixeld.jpeg import decoder
from hotpixeld.jpeg.decoder import CodecError
from hotpixeld.jpeg.scans import SEQUENTIAL
from hotpixeld.photo import photo_file
from sensor import write_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from hotpixeld.camera import Camera
    from hotpixeld.detection.evidence import Samples
    from hotpixeld.engine.session import Session
    from sensor import Sensor


def fold(session: Session, photos: list[Path]) -> Camera:
    """Take photos and fold them; return their camera."""
    for _ in session.take(photos, once=True):
        pass
    (record,) = session.ledger.images.cameras()
    steps.fold(session, record.camera.id)
    return record.camera


@pytest.mark.parametrize("progressive", [False, True])
def test_a_file_is_sampled_as_its_whole_frame_is(
    sensor: Sensor, folder: Path, *, progressive: bool
) -> None:
    path = folder / "photo.jpg"
    write_jpeg(path, sensor.frame(0), progressive=progressive, subsampling="4:2:0")
    photo = photo_file.examine(path, 10**9, 10**9)
    frame = decoder.decode(photo.data)
    height, width, _ = frame.shape
    corners = np.array([(0, 0), (0, width - 1), (height - 1, 5)], np.intp)
    sites = np.concatenate([corners, evidence.controls(height, width)])

    np.testing.assert_array_equal(
        sample(photo, sites), whole_frames.sample(frame, sites)
    )


def sampled(folder: Path, data: bytes, sites: NDArray[np.intp]) -> Samples:
    """Return what a file shows at sites."""
    path = folder / "photo.jpg"
    path.write_bytes(data)
    return sample(photo_file.examine(path, 10**9, 10**9), sites)


def refuse_to_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a photo be sampled from its windows alone."""

    def refuse(_: bytes) -> None:
        raise AssertionError("decoded whole")

    monkeypatch.setattr(sampling, "StripDecoder", refuse)


def at_edges(height: int, width: int) -> NDArray[np.intp]:
    """Return sites in the corners, at the edges and near them, and elsewhere."""
    rows = (0, 1, 5, 6, height // 2, height - 7, height - 3, height - 1)
    cols = (0, 2, 6, 7, width // 3, width - 6, width - 2, width - 1)
    return np.array([(row, col) for row in rows for col in cols], np.intp)


@pytest.mark.parametrize("restart_blocks", [0, 5])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "4:4:0", "grey"])
@pytest.mark.parametrize("size", [(640, 801), (13, 40_000), (777, 640)])
def test_windows_of_a_large_photo_are_sampled_as_its_whole_frame_is(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    subsampling: jpegs.Sampling,
    restart_blocks: int,
) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (*size, 3)).astype(np.uint8)
    data = jpegs.jpeg(noise, subsampling, restart_blocks=restart_blocks)
    expected = whole_frames.sample(decoder.decode(data), at_edges(*size))
    refuse_to_decode(monkeypatch)

    np.testing.assert_array_equal(sampled(folder, data, at_edges(*size)), expected)


@pytest.mark.parametrize("factors", coded_photos.SAMPLINGS)
@pytest.mark.parametrize("apart", [False, True])
def test_windows_of_any_sampling_and_order_of_scans_are_those_of_the_whole_frame(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    factors: tuple[tuple[int, int], ...],
    *,
    apart: bool,
) -> None:
    height, width = 107, 150
    rng, known, count = np.random.default_rng(3), coder.standard(), len(factors)
    shapes = Photo.shapes(height, width, factors)
    blocks = tuple(
        coded_photos.some_blocks(rng, rows * cols).reshape(rows, cols, 8, 8)
        for rows, cols in shapes
    )
    groups = tuple((i,) for i in range(count)) if apart else (tuple(range(count)),)
    photo = Photo(
        *(height, width, factors, blocks, groups),
        *((known[0],) * count, (known[0x10],) * count),
    )
    data, sites = photo.coded(), at_edges(height, width)
    expected = whole_frames.sample(decoder.decode(data), sites)
    refuse_to_decode(monkeypatch)

    # One at a time: the photo is too small for more windows.
    found = [sampled(folder, data, site[None])[0] for site in sites]

    assert found == list(expected)


@pytest.mark.parametrize("way", ["progressive", "a restart marker too many"])
def test_a_photo_that_cannot_be_walked_is_decoded(folder: Path, way: str) -> None:
    frame = jpegs.scene(640, 801)
    data = jpegs.jpeg(
        frame,
        progressive=way == "progressive",
        restart_blocks=0 if way == "progressive" else 2050,
    )
    if way != "progressive":
        data = data[:-2] + b"\xff\xd0" + data[-2:]
    sites = at_edges(640, 801)
    whole = decoder.decode(data)

    np.testing.assert_array_equal(
        sampled(folder, data, sites), whole_frames.sample(whole, sites)
    )


def test_a_photo_lower_than_a_window_is_decoded(folder: Path) -> None:
    data = jpegs.jpeg(jpegs.scene(12, 9_000))
    sites = np.array([(0, 5), (6, 8_999), (11, 0)], np.intp)
    whole = decoder.decode(data)

    found = sampled(folder, data, sites)

    np.testing.assert_array_equal(found, whole_frames.sample(whole, sites))


def test_a_large_photo_without_some_of_its_data_is_not_sampled(folder: Path) -> None:
    data = jpegs.jpeg(jpegs.scene(640, 801))
    data = data[:-5000] + data[-2:]

    with pytest.raises(CodecError):
        sampled(folder, data, at_edges(640, 801))


@pytest.mark.slow
def test_windows_of_real_photos_are_sampled_as_their_whole_frames_are(
    photo_sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted(path for path in photo_sets.rglob("*") if path.is_file())
    images = [path for path in paths if path.suffix.lower() in {".jpg", ".jpeg"}]
    variety = [path for path in images if path.parent.name == "variety"]
    refuse_to_decode(monkeypatch)
    rng = np.random.default_rng(4)
    samplings, count = set(), 0
    for path in variety + images[::20]:
        try:
            photo = photo_file.examine(path, 10**9, 10**9)
            whole = decoder.decode(photo.data)
        except (PhotoError, CodecError):
            continue
        structure = photo.structure
        height, width = structure.height, structure.width
        most = height * width // (sampling.WINDOW_COST * evidence.SIDE**2)
        if structure.process not in SEQUENTIAL or most < 2:
            continue
        ordinary = evidence.controls(height, width, 836)
        sites = np.concatenate([at_edges(height, width), ordinary])
        sites = rng.permutation(sites)[: most - 1]
        expected = whole_frames.sample(whole, sites)
        assert np.array_equal(sample(photo, sites), expected), path
        samplings.add(tuple((c.h, c.v) for c in structure.components))
        count += 1

    assert count > 30
    assert len(samplings) >= 3


def test_photos_are_sampled_once_there_are_suspects(
    open_session: Callable[..., Session], sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 24)
    session = open_session()
    camera = fold(session, photos[:16])
    assert session.ledger.samples.newest(camera.id, 99) == []
    steps.make_map(session, camera.id, 10)
    assert len(session.ledger.samples.newest(camera.id, 99)) == 10
    fold(session, photos[16:])
    grid = evidence_of(session.ledger, camera)
    places = {(row, col) for row, col in grid.sites.tolist()}

    assert len(grid.photos) == 18
    assert {(one.row, one.col) for one in sensor.defects} <= places
    assert grid.suspects.shape == (18, len(grid.sites))
    assert (grid.suspects["clipped"] < NOT_SAMPLED).any()
    np.testing.assert_allclose(grid.conditions.exposure, 2.0)
    np.testing.assert_allclose(grid.conditions.focal, 35.0)


def test_what_was_sampled_at_another_list_keeps_what_both_have(
    open_session: Callable[..., Session], sensor: Sensor, folder: Path
) -> None:
    session = open_session()
    camera, tables = fold(session, sensor.write(folder, 16)), session.ledger.samples
    steps.make_map(session, camera.id, 16)
    before = evidence_of(session.ledger, camera)
    places = {(row, col) for row, col in before.sites.tolist()}
    new = next((row, 0) for row in range(200) if (row, 0) not in places)
    moved = np.concatenate([[new], before.sites[::-1]])
    tables.list_suspects(camera.id, moved)
    after = evidence_of(session.ledger, camera)

    assert (after.suspects["clipped"][:, 0] == NOT_SAMPLED).all()
    np.testing.assert_array_equal(after.suspects[:, 1:], before.suspects[:, ::-1])
    np.testing.assert_array_equal(after.controls, before.controls)


def test_a_photo_whose_file_is_gone_is_passed_over(
    open_session: Callable[..., Session], sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 16)
    session = open_session()
    camera = fold(session, photos)
    photos[3].unlink()
    photos[5].write_bytes(photos[6].read_bytes())
    steps.make_map(session, camera.id, JUDGED)

    assert len(evidence_of(session.ledger, camera).photos) == 14


def test_a_photo_that_a_decoder_died_of_is_not_sampled_again(
    open_session: Callable[..., Session],
    sensor: Sensor,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos = sensor.write(folder, 16)
    session = open_session()
    camera = fold(session, photos)
    bad, *_ = session.ledger.images.newest(camera.id, 1)
    with session.ledger.transaction():
        session.ledger.connection.execute(
            "INSERT INTO hazards VALUES (?, '')", (bytes.fromhex(bad.identity),)
        )
    monkeypatch.setattr(decode_trial, "reason", lambda _: "crashes the decoder")
    steps.make_map(session, camera.id, JUDGED)
    sampled = {photo.image for photo in evidence_of(session.ledger, camera).photos}

    assert len(sampled) == 15
    assert bad.id not in sampled


def test_a_row_takes_as_many_bytes_as_promised() -> None:
    most = suspects.BY_TRACE + suspects.BY_MEAN + len(evidence.controls(200, 280))

    assert evidence.SAMPLE.itemsize * most < 14_500
