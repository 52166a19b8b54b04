"""The gate: photos that show none of the defects that they should."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np

from hotpixeld.defect import Defect, Law
from hotpixeld.detection import evidence, gate
from hotpixeld.detection.evidence import EvidenceTable, SampledPhoto

SHORT, LONG = 0.01, 2.0
NOON, HOUR = dt.datetime(2024, 3, 1, 12), dt.timedelta(hours=1)
LAW = Law(0.002, 8e-4, 0.2, drift=0.2)


class Body:
    """A camera whose defects show at long exposures, by a law that its map knows."""

    def __init__(self, photos: int, defects: int) -> None:
        self.rng = np.random.default_rng(4)
        self.there = np.ones((photos, defects), np.bool_)
        self.gain = np.ones(photos)
        self.seconds = np.full(photos, LONG)
        self.map = [
            Defect(row=10, col=10 * number, score=20.0, law=LAW)
            for number in range(defects)
        ]

    def table(self) -> EvidenceTable:
        shape = self.there.shape
        level = self.rng.uniform(20, 120, shape)
        strength = LAW.offset + LAW.dark * 100 * self.seconds[:, None]
        added = (262 - level) * -np.expm1(-self.gain[:, None] * strength)
        added *= self.there * (1 + 0.1 * self.rng.standard_normal(shape))
        samples = np.zeros(shape, evidence.SAMPLE)
        samples["spread"], samples["level"] = 2, level
        shown = added + 2 * self.rng.standard_normal(shape)
        samples["residual"], samples["peak"] = shown, shown[..., None]
        nothing = np.zeros(0, evidence.SAMPLE)
        photos = [
            SampledPhoto(number, NOON + number * HOUR, seconds, 100,
                         None, None, "", 1, nothing)
            for number, seconds in enumerate(self.seconds.tolist())
        ]  # fmt: skip
        sites = np.array(sorted({(one.row, one.col) for one in self.map}))
        return EvidenceTable(sites, samples, samples, photos)

    def suppressed(self) -> list[int]:
        return np.flatnonzero(gate.suppressed(self.table(), self.map)).tolist()


def test_a_photo_that_shows_none_of_what_it_should_is_held_back() -> None:
    body = Body(20, 8)
    body.there[[5, 9]] = False
    body.gain[12] = 0.3

    assert body.suppressed() == [5, 9]


def test_something_else_at_one_of_the_places_does_not_let_it_through() -> None:
    body = Body(20, 8)
    body.there[5, 1:] = False

    assert body.suppressed() == [5]


def test_what_could_not_be_seen_in_a_photo_is_not_missed() -> None:
    body = Body(20, 8)
    body.seconds[5:9] = SHORT
    body.there[5:9] = False

    assert body.suppressed() == []


def test_one_that_is_missed_beside_one_that_is_seen_is_no_reason() -> None:
    body = Body(20, 2)
    body.there[5, 0] = False

    assert body.suppressed() == []


def test_defects_are_not_missed_before_they_began() -> None:
    body = Body(20, 8)
    body.there[:5] = False
    body.map = [
        Defect(one.row, one.col, score=20.0, law=LAW, after=NOON + 4 * HOUR, by=NOON + 5 * HOUR)
        for one in body.map
    ]  # fmt: skip

    assert body.suppressed() == []


def test_photos_from_before_a_service_are_asked_by_the_laws_of_then() -> None:
    """Those of the lives since then are of another warmth of the sensor."""
    body = Body(20, 8)
    service = NOON + 10 * HOUR
    body.gain[:10] = 0.1
    cold = LAW.times(0.1)
    before = [replace(one, law=cold, until=service) for one in body.map]
    body.map = before + [replace(one, by=service) for one in body.map]

    assert body.suppressed() == []


def test_a_map_without_laws_holds_nothing_back() -> None:
    body = Body(20, 8)
    body.there[5] = False
    body.map = [Defect(row=10, col=10, score=20.0)]

    assert body.suppressed() == []
