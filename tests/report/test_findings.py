"""What the report says, and in which words."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from hotpixeld.camera import Camera
from hotpixeld.defect import Defect, Kind
from hotpixeld.repair.pixel_list import ListedPixel
from hotpixeld.report.findings import (
    CameraFindings,
    Finding,
    Findings,
    Repaired,
    _findings,
    began,
)
from hotpixeld.store.images import CameraRecord

MAY, JUNE = dt.datetime(2026, 5, 3), dt.datetime(2026, 6, 9)
RECORD = CameraRecord(
    Camera("NIKON", "D90", "1", 40, 30), 0, 0, 20, 9.0, 1, 20, 20.0, 0
)


def finding(defect: Defect, *, is_new: bool = False) -> Finding:
    return Finding(1, ListedPixel(defect), Repaired(), is_seen=True, is_new=is_new)


def found(*cameras: CameraFindings, repaired: int = 0, failed: int = 0) -> Findings:
    return Findings(cameras, (), repaired, failed, (), 16)


def camera(*findings: Finding, name: str = "D90") -> CameraFindings:
    counts = {"folded": 20, "pending": 0}
    return CameraFindings(RECORD, name, counts, (MAY, JUNE), 0, findings)


NEW = finding(Defect(1, 2, after=MAY, by=JUNE), is_new=True)
OLD = finding(Defect(9, 2))
WEAK, WEAKER = (finding(Defect(30, col, score=5.0)) for col in (2, 9))
GONE = finding(Defect(20, 2, until=JUNE))


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (
            found(camera(NEW, OLD), repaired=312, failed=4),
            (
                "Your D90 has 2 hot pixels, 1 of them new since May 2026;"
                " 312 photos were repaired, 4 could not be."
            ),
        ),
        (
            found(camera(NEW), repaired=1),
            "Your D90 has 1 hot pixel, it is new since May 2026; 1 photo was repaired.",
        ),
        (
            found(camera(OLD, WEAK, WEAKER)),
            "Your D90 has 1 hot pixel, 2 more not certain yet.",
        ),
        (
            found(camera(WEAK)),
            "Your D90 has no hot pixels that photos show, 1 not certain yet.",
        ),
        (
            found(camera(GONE)),
            "Your D90 has no hot pixels that photos show.",
        ),
        (
            found(camera(OLD), camera(finding(Defect(5, 5, Kind.DEAD))), failed=2),
            (
                "Your 2 cameras have 2 defective pixels; no photo was repaired,"
                " 2 could not be."
            ),
        ),
        (found(), "No photo has come yet: name a folder with photos to hotpixeld run."),
        (
            replace(found(), beginning=(camera(), camera())),
            "None of your 2 cameras has the 16 photos needed yet.",
        ),
    ],
)
def test_the_first_sentence(told: Findings, sentence: str) -> None:
    assert told.sentence == sentence


@pytest.mark.parametrize(
    ("defect", "words"),
    [
        (Defect(1, 1), "listed without a date"),
        (Defect(1, 1, by=MAY), "already there on 3 May 2026"),
        (Defect(1, 1, after=MAY), "since 3 May 2026"),
        (Defect(1, 1, after=MAY, by=MAY), "began on 3 May 2026"),
        (
            Defect(1, 1, by=MAY, until=JUNE),
            "already there on 3 May 2026, gone since 9 June 2026",
        ),
    ],
)
def test_dates_are_as_a_person_writes_them(defect: Defect, words: str) -> None:
    assert began(defect) == words


def test_what_no_copy_needed_is_too_faint_to_see_and_old_is_not_new() -> None:
    strong = Defect(1, 2, amplitude=(40, 40, 40), after=MAY, by=MAY)
    faint = Defect(5, 6, amplitude=(9, 9, 9))
    listing = [ListedPixel(faint), ListedPixel(strong)]
    first, second = _findings(listing, [Repaired(), Repaired(7)], JUNE)
    late = _findings(listing, [Repaired(), Repaired()], dt.datetime(2027, 6, 9))

    assert [first.defect, second.defect] == [strong, faint]
    assert (first.is_seen, first.is_new, first.repaired.count) == (True, True, 7)
    assert not second.is_seen
    assert first.is_certain
    assert not any(one.is_new for one in late)
    assert all(one.is_seen for one in late), "nothing was repaired: the levels say"


def test_what_is_not_certain_is_seen_by_its_levels_and_not_by_copies() -> None:
    strong = ListedPixel(Defect(1, 2, score=1.0, amplitude=(40, 40, 40)))
    faint = ListedPixel(Defect(5, 6, score=1.0, amplitude=(1, 1, 1)))
    first, second = _findings([strong, faint], [Repaired(), Repaired(7)], JUNE)

    assert (first.is_certain, first.is_seen) == (False, True)
    assert (second.is_certain, second.is_seen) == (False, False)
