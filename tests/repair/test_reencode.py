from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import jpegs
from hotpixeld.defect import Defect
from hotpixeld.errors import RefusedError
from hotpixeld.jpeg import markers
from hotpixeld.repair import reencode

CLEAN = jpegs.scene(47, 61)
HOT = jpegs.planted(CLEAN, 20, 24)
DEFECT = Defect(20, 24)


def opened(data: bytes) -> jpegs.Frame:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0", "grey"])
@pytest.mark.parametrize("progressive", [False, True])
def test_settings_and_metadata_are_kept_and_the_defect_is_gone(
    sampling: jpegs.Sampling, *, progressive: bool
) -> None:
    data = jpegs.jpeg(HOT, sampling, progressive=progressive, trailing=b"tail")
    data = jpegs.with_segment(data, jpegs.app(0xE2, b"ICC_PROFILE\0\1\1..."))

    repaired = reencode.reencoded(data, [DEFECT])

    before, after = markers.parse(data), markers.parse(repaired.data)
    assert repaired.method == "reencoded"
    assert after.progressive == progressive
    assert after.components == before.components
    assert markers.quantisation(data, before) == markers.quantisation(
        repaired.data, after
    )
    assert [data[s.offset : s.end] for s in before.segments if s.marker >= 0xE0] == [
        repaired.data[s.offset : s.end] for s in after.segments if s.marker >= 0xE0
    ]
    assert repaired.data.endswith(b"\xff\xd9tail")
    was, now = opened(data).astype(int), opened(repaired.data).astype(int)
    assert np.abs(now - was)[20, 24].max() > 30
    assert np.abs(now - was)[30:].max() < 12


def test_a_cmyk_photo_keeps_its_colours() -> None:
    rng = np.random.default_rng(0)
    frame = np.clip(rng.normal(90, 3, (24, 40, 4)), 0, 255).astype(np.uint8)
    frame[11, 19] = 250
    buffer = io.BytesIO()
    Image.fromarray(frame, "CMYK").save(buffer, "JPEG", quality=95)

    repaired = reencode.reencoded(buffer.getvalue(), [Defect(11, 19)])

    assert np.abs(opened(repaired.data).astype(int) - 90).max() < 30


def test_an_rgb_photo_keeps_its_colours() -> None:
    buffer = io.BytesIO()
    Image.fromarray(HOT).save(buffer, "JPEG", quality=95, keep_rgb=True)

    repaired = reencode.reencoded(buffer.getvalue(), [DEFECT])

    assert np.abs(opened(repaired.data).astype(int) - CLEAN).mean() < 3


@pytest.mark.parametrize(
    ("data", "defect", "reason"),
    [
        (jpegs.jpeg(HOT)[:-40], DEFECT, "truncated"),
        (b"no photo", DEFECT, "not a JPEG"),
        (jpegs.jpeg(HOT), Defect(99, 0), "outside"),
        (jpegs.jpeg(HOT, "4:4:0"), DEFECT, "sampling 1x2"),
    ],
    ids=["truncated", "other", "outside", "440"],
)
def test_what_cannot_be_encoded_alike_is_refused(
    data: bytes, defect: Defect, reason: str
) -> None:
    with pytest.raises(RefusedError, match=reason):
        reencode.reencoded(data, [defect])


def test_the_frame_of_the_caller_stays() -> None:
    frame = HOT.copy()

    filled = reencode.filled(frame, [DEFECT])

    assert np.array_equal(frame, HOT)
    assert np.array_equal(filled[30:], HOT[30:])
    assert abs(int(filled[20, 24, 0]) - int(CLEAN[20, 24, 0])) < 12
