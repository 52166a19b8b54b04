"""Fingerprints: found again in a photo with other blocks, and in no other photo."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hotpixeld.defect import Defect, Kind
from hotpixeld.photo import fingerprint, photo_file
from hotpixeld.repair import lossless
from jpegs import jpeg, planted, scene

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.photo.photo_file import Photo

SITES = [(10, 20), (60, 100), (61, 200), (150, 33), (190, 260)]


def examined(path: Path, data: bytes) -> Photo:
    path.write_bytes(data)
    return photo_file.examine(path, 10**8, 10**8)


@pytest.fixture
def photo(tmp_path: Path) -> Photo:
    frame = scene(200, 280)
    for row, col in SITES:
        frame = planted(frame, row, col)
    return examined(tmp_path / "photo.jpg", jpeg(frame, restart_blocks=7))


def repaired(photo: Photo, sites: list[tuple[int, int]]) -> bytes:
    defects = [Defect(row, col, Kind.HOT) for row, col in sites]
    return lossless.repaired(photo.data, tuple(defects)).data


@pytest.mark.parametrize("count", range(1, len(SITES) + 1))
def test_a_repaired_copy_is_coded_as_its_original(
    photo: Photo, tmp_path: Path, count: int
) -> None:
    copy = examined(tmp_path / "copy.jpg", repaired(photo, SITES[-count:]))
    known, own = fingerprint.of(photo), fingerprint.of(copy)

    assert copy.identity != photo.identity
    assert fingerprint.shares_coding(known, copy.data, copy.structure)
    assert fingerprint.shares_coding(own, photo.data, photo.structure)
    assert (known.note, known.thumbnail, known.layout) == (
        own.note,
        own.thumbnail,
        own.layout,
    )


def test_no_other_photo_is(photo: Photo, tmp_path: Path) -> None:
    others = [
        examined(tmp_path / f"{seed}.jpg", jpeg(scene(200, 280, seed)))
        for seed in range(1, 5)
    ]
    for one, two in itertools.permutations([photo, *others], 2):
        known = fingerprint.of(one)

        assert len(known.telling) == fingerprint.SAMPLES
        assert not fingerprint.shares_coding(known, two.data, two.structure)


def test_a_black_frame_tells_nothing(tmp_path: Path) -> None:
    black = np.zeros((200, 280, 3), np.uint8)
    frames = [examined(tmp_path / f"{i}.jpg", jpeg(black)) for i in range(2)]
    known = fingerprint.of(frames[0])

    assert known.telling == []
    assert not fingerprint.shares_coding(known, frames[1].data, frames[1].structure)
    assert not fingerprint.shows_something(jpeg(black[:120, :160]))
    assert fingerprint.shows_something(jpeg(scene(120, 160)))


def test_progressive_photos_have_no_samples(tmp_path: Path) -> None:
    photo = examined(tmp_path / "p.jpg", jpeg(scene(200, 280), progressive=True))

    assert fingerprint.of(photo).telling == []


def test_its_size_is_some_hundred_bytes(photo: Photo) -> None:
    known = fingerprint.of(photo)

    assert len(known.samples) == 96
    assert len(known.head + known.note + known.thumbnail + known.layout) <= 28
