"""The status in words fits a screen, whatever happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hotpixeld.cli import status_text
from hotpixeld.cli.status_text import COLUMNS, LINES

if TYPE_CHECKING:
    from hotpixeld.service.status_file import Json

FOLDER = "/srv/photos/2026-05 A holiday with a name"
CAMERA = {
    "id": "maker-model-1",
    "name": "Maker Model",
    "folded": 0,
    "pending": 6,
    "mapped": 0,
    "dropped": False,
    "photos_needed": 16,
    "defects": 0,
    "same_body": [],
    "forgotten": 0,
    "ignored": 0,
    "prior": 0,
    "primed": 0,
    "unsure": 0,
    "scenes": 1.0,
    "scenes_needed": 8,
    "folder_bytes": 0,
    "spool_bytes": 0,
}
MAPPED = CAMERA | {
    "folded": 40,
    "pending": 0,
    "mapped": 40,
    "defects": 1,
    "scenes": 9.0,
}


def reason(count: int, words: str, outcome: str = "failed") -> Json:
    names = [f"{FOLDER}/IMG_{number:05d}.JPG" for number in range(min(count, 3))]
    examples = [{"path": name, "reason": f"{words}: at byte 1"} for name in names]
    advice = "Copy from the card again, if it was whole there."
    return {
        "outcome": outcome,
        "words": words,
        "advice": advice,
        "count": count,
        "examples": examples,
    }


def state(**more: Any) -> Json:
    return {
        "cameras": [],
        "photos": {"folded": 40, "failed": 2},
        "copies": {},
        "state_bytes": 2_000_000,
        "folders": [],
        "former_copies": [],
        "problems": [],
        "problems_left_out": 0,
        "copy_problems": [],
        "copy_problems_left_out": 0,
        "reasons": [],
        "copy_reasons": [],
        "daemon": None,
        **more,
    }


def rows(text: str) -> int:
    return sum(max(-(-len(line) // COLUMNS), 1) for line in text.splitlines())


@pytest.mark.parametrize("kinds", [1, 4, 9, 40])
def test_four_thousand_bad_photos_of_many_reasons_fit_a_screen(kinds: int) -> None:
    reasons = [reason(4000 // kinds, f"reason {number}") for number in range(kinds)]
    many = state(
        reasons=reasons,
        copy_reasons=[reason(700, "changed by somebody", "former")],
        cameras=[MAPPED] * 30,
        folders=[{"path": f"/mnt/{n}", "reason": "is not there"} for n in range(9)],
    )
    text = status_text.text(many)

    assert rows(text) <= LINES
    assert "`hotpixeld status --problems` lists all" in text
    assert f"{4000 // kinds:,} failed: reason 0" in text


def test_few_are_told_in_full_with_what_to_do() -> None:
    text = status_text.text(state(reasons=[reason(2, "cut off")]))

    assert text.splitlines()[-3:] == [
        f"failed {FOLDER}/IMG_00000.JPG: cut off: at byte 1",
        f"failed {FOLDER}/IMG_00001.JPG: cut off: at byte 1",
        "  Copy from the card again, if it was whole there.",
    ]


def test_many_are_counted_with_three_examples_and_how_to_list_all() -> None:
    text = status_text.text(state(reasons=[reason(444, "cut off")]), options=" --x")

    assert text.splitlines()[-3:] == [
        "444 failed: cut off. Copy from the card again, if it was whole there.",
        f"  in {FOLDER}: IMG_00000.JPG, IMG_00001.JPG, IMG_00002.JPG, ...",
        "`hotpixeld status --problems --x` lists all",
    ]


def test_what_is_not_certain_is_told_beside_the_number_of_defects() -> None:
    text = status_text.text(state(cameras=[MAPPED | {"defects": 11, "unsure": 8}]))

    assert "11 defects, 8 of them not certain yet" in text


def test_who_runs_since_when_and_what_waits_for_what() -> None:
    daemon = {
        "pid": 7,
        "since": "2026-05-03T09:30:10+02:00",
        "status": "idle",
        "faults": [],
    }
    photos = {"pending": 6, "waiting": 1}
    running = status_text.text(state(daemon=daemon, photos=photos, cameras=[CAMERA]))
    stopped = status_text.text(state(photos=photos))

    assert running.splitlines()[:5] == [
        "daemon: running, process 7, since 3 May 2026, 09:30",
        "daemon: idle",
        "6 photos pending, 1 waiting",
        "pending: learned from within a day, once there are four of their camera",
        "waiting: not whole yet, perhaps still being written; read again for an hour",
    ]
    assert "Maker Model: 6 of 16 photos needed for a map\n" in running
    assert (
        "waiting: not whole yet; the next `hotpixeld run` reads them again" in stopped
    )


def test_of_many_cameras_the_first_are_told_and_the_others_counted() -> None:
    lines = status_text.text(state(cameras=[MAPPED] * 9)).splitlines()

    assert lines.count("Maker Model: 40 photos, 1 defect") == 5
    assert "and 4 more cameras: `hotpixeld status --problems` lists all" in lines
    full = status_text.text(state(cameras=[MAPPED] * 9), in_full=True)
    assert full.count("Maker Model: 40 photos, 1 defect\n") == 9
