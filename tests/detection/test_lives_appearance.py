"""How a defect appears in the photos of its life."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from hotpixeld.defect import Defect
from hotpixeld.detection import evidence, lives
from hotpixeld.detection.dates import Life
from hotpixeld.detection.evidence import EvidenceTable, SampledPhoto

NOON = dt.datetime(2024, 3, 1, 12)
# Exposure time, ISO, focal length and excess of six photos.
PHOTOS = (
    (1 / 60, 100, 5.0, 2.0),
    (0.5, 100, 5.0, 30.0),
    (1 / 60, 200, 17.0, 4.0),
    (0.4, 100, 5.0, 26.0),
    (None, None, None, 9.0),
    (1 / 8, 100, 6.0, 10.0),
)


def table() -> EvidenceTable:
    samples = np.zeros((6, 1), evidence.SAMPLE)
    samples["spread"] = 1.0
    samples["peak"] = np.array([peak for *_, peak in PHOTOS])[:, None, None]
    taken = [
        SampledPhoto(number, NOON, seconds, iso, focal, None, "", 1, samples[number])
        for number, (seconds, iso, focal, _) in enumerate(PHOTOS)
    ]
    return EvidenceTable(np.array([[5, 7]]), samples, samples, taken)


VOTES = np.array([-2.0, 4.0, 0.2, 4.0, 1.5, 3.0], np.float32)


def test_it_is_counted_and_measured_by_exposure_time() -> None:
    found = lives.appearance(table(), 0, VOTES, Life(0, 5, None, None))

    assert (found.seen, found.telling) == (4, 5)
    by_time = {one.seconds: one for one in found.strengths}
    short, long, unknown = by_time[1 / 60, 1 / 60], by_time[0.4, 0.5], by_time[None]
    assert (short.photos, long.photos, unknown.photos) == (2, 2, 1)
    levels = [one.amplitude for one in (short, long, unknown)]
    assert levels == pytest.approx([3.0, 28.0, 9.0])
    assert short.iso == (100, 200)


def test_photos_outside_its_life_do_not_count() -> None:
    found = lives.appearance(table(), 0, VOTES, Life(1, 3, 0, 4))

    assert (found.seen, found.telling) == (2, 2)
    assert sum(one.photos for one in found.strengths) == 3


def test_the_focal_range_is_that_of_the_photos_that_show_it() -> None:
    at_wide = np.array([True, True, False, True, False, True])

    assert lives.focal_range(table(), at_wide) == (5.0, 6.0)


def test_a_pixel_is_looked_for_only_at_its_focal_lengths() -> None:
    moved = Defect(5, 7, focal=(4.3, 5.0))

    assert moved.is_at(4.3)
    assert moved.is_at(None)
    assert not moved.is_at(17.0)
    assert Defect(5, 7).is_at(17.0)
