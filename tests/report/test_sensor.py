"""The sensor drawn to place."""

from __future__ import annotations

from hotpixeld.camera import Camera
from hotpixeld.defect import Defect
from hotpixeld.repair.pixel_list import ListedPixel
from hotpixeld.report.findings import Finding, Repaired
from hotpixeld.report.sensor import NAMED, dots, view

CAMERA = Camera("", "A1", "", 1500, 1000)


def finding(number: int, x: int, y: int, level: float = 20) -> Finding:
    defect = Defect(y, x, amplitude=(level, level, level))
    return Finding(number, ListedPixel(defect), Repaired(), True, number == 1)


def test_a_dot_is_at_its_place_and_larger_the_more_it_adds() -> None:
    faint, strong = dots([finding(1, 300, 200, 4), finding(2, 900, 700, 90)], CAMERA)

    assert (faint.x, faint.y, strong.x, strong.y) == (300, 200, 900, 700)
    assert strong.radius > 2 * faint.radius
    assert faint.ring > faint.radius
    assert faint.label
    assert faint.label[0] > 300 + faint.ring, "to the right of the ring"


def test_numbers_stand_inside_and_not_on_other_dots() -> None:
    found = dots(
        [finding(1, 1495, 500), finding(2, 1440, 505), finding(3, 5, 5)], CAMERA
    )
    boxes = [dot.box for dot in found]

    for dot in found:
        assert dot.label
        x, y = dot.label
        assert 0 < x < 1500
        assert 0 < y < 1000
        assert not any(b.left < x < b.right and b.top < y < b.bottom for b in boxes)
    labels = [dot.label for dot in found]
    assert len(set(labels)) == 3


def test_many_defects_have_no_numbers() -> None:
    many = [finding(n, 7 * n, 5 * n) for n in range(NAMED + 1)]

    assert {dot.label for dot in dots(many, CAMERA)} == {None}


def test_only_what_lies_outside_of_the_frame_makes_the_drawing_larger() -> None:
    inside, outside = finding(1, 1499, 3), finding(2, -55, 1090)
    drawn = dots([inside, outside], CAMERA)
    around = view(drawn, CAMERA)

    assert view(dots([inside], CAMERA), CAMERA) == (0, 0, 1500, 1000)
    assert [dot.is_outside(CAMERA) for dot in drawn] == [False, True]
    assert (around.top, around.right) == (0, 1500)
    assert around.left < -55 - drawn[1].radius
    assert around.bottom > 1090 + drawn[1].radius
    assert drawn[1].label
    assert around.left < drawn[1].label[0] < around.right
    assert drawn[1].label[1] < around.bottom
