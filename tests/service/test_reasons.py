"""Reasons of one kind are told together."""

from __future__ import annotations

from pathlib import Path

from hotpixeld.service.reasons import COPIES, Example, by_kind
from hotpixeld.store.paths import Told


def test_reasons_of_one_kind_are_counted_together() -> None:
    texts = [
        *(f"stored size {n}x3 differs from the EXIF size 9x{n}" for n in range(5)),
        'edited with "GIMP 2.4"',
        "something else: at byte 44",
    ]
    told = [
        Told("skipped", text, 2, (Path(f"/p/{n}.jpg"),)) for n, text in enumerate(texts)
    ]
    first, *rest = by_kind(told)

    assert (first.count, first.words) == (
        10,
        "resized or cropped since it was taken",
    )
    assert first.examples == tuple(Example(f"/p/{n}.jpg", texts[n]) for n in range(3))
    assert rest[1].words == "something else"
    assert rest[1].advice.startswith("`hotpixeld status PHOTO`")


def test_an_outcome_is_told_apart_and_what_has_no_reason_is_said() -> None:
    told = [Told("failed", "empty", 1, ()), Told("waiting", "empty", 1, ())]
    copies = [Told("foreign", "", 2, (Path("/c"),))]

    assert [one.outcome for one in by_kind(told)] == ["failed", "waiting"]
    assert by_kind(copies, COPIES)[0].words == "without a reason"
