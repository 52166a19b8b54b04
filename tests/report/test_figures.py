"""The figures, as SVG for a page."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from hotpixeld.defect import Appearance, Defect, Law, Strength
from hotpixeld.repair.pixel_list import ListedPixel

figures = pytest.importorskip(
    "hotpixeld.report.figures", reason="the extra hotpixeld[report] is not installed"
)
findings = pytest.importorskip("hotpixeld.report.findings")

FIRST, BETWEEN, LAST = (dt.datetime(2026, month, 1) for month in (1, 3, 9))
APPEARANCE = Appearance(
    9,
    10,
    (
        Strength((0.01, 0.02), (100, 200), 12.0, 6),
        Strength((0.5, 1.0), (400, 1600), 60.0, 3),
    ),
)
SHOWN = Defect(3, 4, law=Law(0.1, 0.001, 0.3), appearance=APPEARANCE)


def finding(defect: Defect, number: int = 1) -> object:
    repaired = findings.Repaired()
    return findings.Finding(number, ListedPixel(defect), repaired, True, False)


def test_without_a_beginning_there_is_nothing_to_draw() -> None:
    assert figures.onsets([Defect(1, 2), Defect(3, 4)], (FIRST, LAST), "a") == ""
    assert figures.laws([finding(Defect(1, 2))], {}, "a") == ""


def test_onsets_are_a_step_with_a_bar_of_uncertainty_each() -> None:
    defects = [
        Defect(1, 2),
        Defect(3, 4, after=FIRST, by=BETWEEN),
        Defect(5, 6, after=BETWEEN, by=LAST),
        Defect(7, 8, until=BETWEEN),
    ]
    svg = figures.onsets(defects, (FIRST, LAST), "c1-onsets")

    assert 'aria-label="4 defects over time, 2 of them seen to begin"' in svg
    bars = re.findall(r'<path d="M[^"]+"[^>]*stroke: var\(--accent\)', svg)
    assert len(bars) >= 2
    assert re.search(r"<text[^>]*>defects</text>", svg)


def test_a_bar_stands_where_the_number_of_defects_was_reached() -> None:
    middle = dt.datetime(2026, 2, 1)
    defects = [
        Defect(1, 2),
        Defect(3, 4, until=middle),
        Defect(5, 6, after=FIRST, by=BETWEEN),
        Defect(7, 8, after=FIRST, by=BETWEEN),
    ]

    assert [tuple(one) for one in figures._changes(defects)] == [
        (middle, 1, None),
        (BETWEEN, 2, FIRST),
        (BETWEEN, 3, FIRST),
    ]


def test_a_law_is_drawn_for_the_strongest_beside_what_photos_showed() -> None:
    many = [finding(SHOWN, number) for number in range(1, 10)]
    svg = figures.laws(many, {(3, 4): 90.0}, "c1-laws")
    titles = re.findall(r"<text[^>]*font-weight[^>]*>(\d)</text>|700[^>]*>(\d)<", svg)

    assert 'defects 1, 2, 3, 4, 5, 6"' in svg
    assert len(titles) in {0, figures.PANELS}
    assert "levels added" in svg


@pytest.mark.parametrize(
    ("reach", "ticks"),
    [
        ((3, 60), ["5", "10", "20", "50"]),
        ((0.05, 700), ["0.1", "1", "10", "100"]),
    ],
)
def test_an_axis_of_little_more_than_a_decade_has_finer_ticks(
    reach: tuple[float, float], ticks: list[str]
) -> None:
    axes = figures.Figure().add_subplot()
    axes.set_xscale("log")
    figures._plain_decades(axes, reach)

    assert [one.get_text() for one in axes.get_xticklabels()] == ticks


def test_two_figures_share_no_id_no_style_and_no_colour_of_their_own() -> None:
    defects = [Defect(3, 4, after=FIRST, by=BETWEEN)]
    one = figures.onsets(defects, (FIRST, LAST), "one")
    other = figures.laws([finding(SHOWN)], {}, "other")
    ids = re.findall(r'\bid="([^"]+)"', one + other)

    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:href="|url\()#([^")]+)', one + other)
    assert set(used) <= set(ids)
    assert "<style" not in one + other
    assert "<metadata" not in one + other
    assert re.findall(r"#[0-9a-f]{6}\b", one + other) == []
    assert "font-family" not in one + other
    assert len(one) < 40_000
    assert len(other) < 40_000
