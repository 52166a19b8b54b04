"""Lens corrections found in traces, and traces stacked by them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hotpixeld.camera import Bin
from hotpixeld.detection import constellation, registration, sensor_trace
from hotpixeld.detection.lens_correction import (
    NONE,
    NOT_CORRECTED,
    NOWHERE,
    Correction,
    Corrections,
)
from hotpixeld.detection.sensor_trace import SensorTrace
from hotpixeld.statistics import peaks
from hotpixeld.statistics.trace import CELL, SNR_UNIT, UNIT, Trace

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = (480, 720)
WIDE, MIDDLE, TELE = (Bin("zoom", focal) for focal in (16.0, 24.0, 50.0))
BENT = Correction(1.03, -0.09, -0.01)
OTHER = Correction(1.04, -0.12, 0.01)


def sites(count: int, seed: int) -> NDArray[np.int64]:
    """Return places of defects, a footprint from one another and from the edge."""
    rng = np.random.default_rng((seed, 1))
    cells = rng.choice(21 * 33, count, replace=False)
    return np.stack([cells // 33, cells % 33], axis=1) * 20 + rng.integers(
        30, 38, (count, 2)
    )


def trace(
    places: NDArray[np.float64] | NDArray[np.int64], seed: int, ratio: float = 9.0
) -> Trace:
    """Return a trace of noise, and of defects that stand out of it at some places."""
    rng = np.random.default_rng((seed, 2))
    snr = rng.normal(0, 1, SIZE)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for row, col in places:
        near = (
            slice(max(int(row) - 4, 0), int(row) + 5),
            slice(max(int(col) - 4, 0), int(col) + 5),
        )
        snr[near] += ratio * np.exp(
            -((y[near] - row) ** 2 + (x[near] - col) ** 2) / 1.2
        )
    cells = SIZE[0] // CELL, SIZE[1] // CELL
    return Trace(8, np.rint(snr * UNIT).astype(np.int16), np.ones(cells, np.float32))


def lies(count: int, correction: Correction, seed: int = 0) -> list[Trace]:
    """Return the traces of the reference and of a bin, with some defects in both."""
    there = sites(count, seed)
    return [trace(there, seed), trace(correction.places(there, SIZE), seed + 1000)]


@pytest.mark.parametrize("count", [8, 30])
@pytest.mark.parametrize("correction", [BENT, OTHER, Correction(0.96, 0.08, 0.06)])
def test_a_correction_is_found_to_a_pixel(count: int, correction: Correction) -> None:
    _, found = registration.register(
        lies(count, correction), [None, None], [WIDE, TELE]
    )

    assert found.correction is not None
    rows, cols = np.mgrid[0 : SIZE[0] : 20, 0 : SIZE[1] : 20]
    grid = np.stack([rows.ravel(), cols.ravel()], axis=1)
    shown = correction.places(grid, SIZE)
    inside = np.all((shown >= 0) & (shown < np.array(SIZE)), axis=1)
    off = np.hypot(*(found.correction.places(grid, SIZE) - shown)[inside].T)
    assert float(np.median(off)) < 0.5
    assert found.score > 2 * found.chance


@pytest.mark.parametrize("count", [8, 30])
def test_a_camera_that_corrects_nothing_is_known_exactly(count: int) -> None:
    found = registration.register(lies(count, NONE), [None, None], [WIDE, TELE])

    assert [one.correction for one in found] == [NONE, NONE]


def test_one_match_more_by_chance_moves_no_camera() -> None:
    there = sites(30, 3)
    middle = (np.array(SIZE) - 1) / 2
    far = np.hypot(*(there - middle).T) / np.hypot(*middle)
    inner = there[far < 0.6]
    corner = np.array([[30, 60]])
    beside = corner + np.rint(5 * (corner - middle) / np.hypot(*(corner - middle).T))
    traces = [
        trace(np.concatenate([inner, corner]), 1),
        trace(np.concatenate([inner, beside]), 2),
        trace(inner, 3),
    ]

    found = registration.register(traces, [None] * 3, [WIDE, TELE, MIDDLE])

    assert [one.correction for one in found] == [NONE] * 3


def test_two_defects_tell_nothing() -> None:
    _, found = registration.register(lies(2, BENT), [None, None], [WIDE, TELE])

    assert found.correction is None
    assert "too few" in found.why or "chance" in found.why


def test_traces_without_common_defects_are_not_registered() -> None:
    locked = 0
    for seed in range(20):
        unlike = [trace(sites(12, seed), seed), trace(sites(12, seed + 500), seed + 1)]
        _, found = registration.register(unlike, [None, None], [WIDE, TELE])
        locked += found.correction is not None
    assert locked == 0


def test_one_scene_enlarged_by_the_zoom_is_no_correction() -> None:
    enlarged = lies(30, Correction(1.1))

    _, found = registration.register(
        enlarged, [None, None], [Bin("", 10.0), Bin("", 11.0)]
    )

    assert found.correction is None
    assert found.why == "one scene, enlarged"


def test_a_bin_that_shows_few_defects_is_known_by_those_of_others() -> None:
    there = sites(30, 4)
    middle = Correction(1.015, -0.045, -0.005)
    traces = [
        trace(there, 4),
        trace(BENT.places(there, SIZE), 5),
        trace(middle.places(there[:6], SIZE), 6, ratio=7.0),
    ]

    found = registration.register(traces, [None] * 3, [WIDE, TELE, MIDDLE])

    assert found[2].correction is not None
    assert found[2].correction.moves_by(middle, SIZE) < 3


def in_numpy(
    traces: list[Trace], corrections: list[Correction], margin: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the stacked signal to noise, place by place."""
    rows = np.arange(-margin[0], SIZE[0] + margin[0])
    cols = np.arange(-margin[1], SIZE[1] + margin[1])
    y, x = np.meshgrid(rows, cols, indexing="ij")
    there = np.stack([y.ravel(), x.ravel()], axis=1)
    total, information = np.zeros(len(there)), np.zeros(len(there))
    for one, correction in zip(traces, corrections, strict=True):
        places = np.floor(correction.places(there, SIZE) + 0.5).astype(int)
        inside = np.all((places >= 0) & (places < np.array(SIZE)), axis=1)
        inside &= correction.are_known(there, SIZE)
        row, col = places[inside].T
        total[inside] += one.total[row, col] / UNIT
        information[inside] += one.information[row // CELL, col // CELL]
    ratio = total / np.sqrt(np.maximum(information, 1e-9))
    return np.trunc(ratio * SNR_UNIT).reshape(len(rows), len(cols))


def test_the_compiled_stack_is_that_of_numpy() -> None:
    corrections = [NONE, BENT, Correction(0.95, 0.1, 0.02, -0.01)]
    corrections.append(replace(OTHER, inside=((0.0, 0.4), (0.5, 0.6))))
    traces = [trace(sites(5, seed), seed) for seed in range(4)]
    margin = sensor_trace.margin(corrections, SIZE)

    got = sensor_trace.sensor_snr(traces, corrections, peaks.zeros, margin)

    want = in_numpy(traces, corrections, margin)
    assert min(margin) > 0
    assert got.shape == want.shape
    # A place half way between two pixels may go either way.
    assert float((abs(got - want) > 1).mean()) < 1e-4


def rays_in_numpy(
    seen: Trace, there: NDArray[np.int64], signs: NDArray[np.float64], turn: float
) -> NDArray[np.float32]:
    """Return what `constellation.rays_through` reads."""
    centre = (np.array(SIZE, np.float64) - 1) / 2
    aside = there - centre
    length, far = float(np.hypot(*centre)), np.hypot(*aside.T)
    cos, sin = np.cos(turn), np.sin(turn)
    turned = aside @ np.array([[cos, -sin], [sin, cos]])
    ray = turned / np.maximum(far, 1)[:, None]
    reach = int(np.ceil(constellation.MOST_MOVED * length * constellation.STEPS))
    along = np.arange(-reach, reach + 1) / constellation.STEPS
    places = centre + turned[:, None] + along[:, None] * ray[:, None]
    row, col = np.moveaxis(np.rint(places).astype(int), -1, 0)
    inside = (row >= 0) & (row < SIZE[0]) & (col >= 0) & (col < SIZE[1])
    row, col = np.where(inside, row, 0), np.where(inside, col, 0)
    noise = np.sqrt(seen.information[row // CELL, col // CELL])
    ratio = signs[:, None] * seen.total[row, col] / np.float32(UNIT) / noise
    ratio = np.where(inside, ratio, 0)
    beside = np.pad(ratio, ((0, 0), (1, 1)), constant_values=-np.inf)
    wide = np.max([beside[:, :-2], ratio, beside[:, 2:]], axis=0)
    limit = constellation.MOST_MOVED * far + constellation.NEAR
    last = np.array(SIZE) - 1 - constellation.EDGE
    near_edge = ((places < constellation.EDGE) | (places > last)).any(axis=-1)
    wide[(abs(along) > limit[:, None]) | near_edge] = 0
    return np.asarray(wide, np.float32)


@pytest.mark.parametrize("turn", [0.0, 0.3, np.pi])
def test_the_compiled_rays_are_those_of_numpy(turn: float) -> None:
    there, seen = sites(30, 2), trace(sites(30, 3), 3)
    there[:3] = [[240, 360], [0, 0], [479, 500]]
    seen.information[:] = np.random.default_rng(1).uniform(
        0.5, 4, seen.information.shape
    )
    signs = np.where(np.arange(30) % 3, 1.0, -1.0)

    read = constellation.rays_through(seen, there.astype(float), signs, turn).ratios

    want = rays_in_numpy(seen, there, signs, turn)
    assert np.count_nonzero(want) > 0.1 * want.size
    np.testing.assert_allclose(read, want, rtol=1e-6, atol=1e-6)


def test_a_sensor_trace_shows_what_lies_outside_of_the_references_frame() -> None:
    wide = Correction(0.9)
    outside = np.array([[-10, 300], [200, 100]])
    bins = {WIDE: trace(outside[1:], 1), TELE: trace(wide.places(outside, SIZE), 2)}
    known = Corrections(WIDE, {WIDE: NONE, TELE: wide})

    stacked = SensorTrace.of(bins, known)

    found = {tuple(site) for site in stacked.suspects(2).sites.tolist()}
    near = [min(abs(r - row) + abs(c - col) for r, c in found) for row, col in outside]
    assert max(near) <= 2
    assert stacked.ratios(200, 100)[6, 6] > 9


@pytest.mark.parametrize("ratio", [12.0, -12.0, 3.0])
def test_bins_together_tell_where_in_its_pixel_a_site_lies(ratio: float) -> None:
    """Unless it hardly stands out: noise would tell."""
    there = np.array([[201.3, 149.6], [331.0, 520.2]])
    moved = {WIDE: NONE, MIDDLE: OTHER, TELE: BENT}
    bins = {
        one: trace(correction.places(there, SIZE), seed, ratio)
        for seed, (one, correction) in enumerate(moved.items())
    }
    stacked = SensorTrace.of(bins, Corrections(WIDE, moved))

    found = [stacked.aside(*site) for site in np.rint(there).astype(int).tolist()]

    if abs(ratio) < sensor_trace.CLEAR:
        assert found == [(0.0, 0.0)] * 2
    else:
        assert np.abs(np.array(found) - [[0.3, -0.4], [0, 0.2]]).max() <= 0.2


def test_what_moves_no_place_by_half_a_pixel_stays_as_it_was() -> None:
    bins = dict(zip((WIDE, TELE), lies(30, BENT), strict=True))
    first = registration.corrections(bins, NOT_CORRECTED)
    assert first.move
    assert first.reference == WIDE
    more = dict(zip((WIDE, TELE), lies(30, BENT, seed=0), strict=True))
    more[TELE].total[...] += np.int16(3)

    again = registration.corrections(more, first)

    assert again.of == first.of
    assert again.have_sites_of(first)


def test_a_bin_that_lost_its_trace_keeps_its_correction() -> None:
    bins = dict(zip((WIDE, TELE), lies(30, BENT), strict=True))
    first = registration.corrections(bins, NOT_CORRECTED)

    assert registration.corrections({WIDE: bins[WIDE]}, first).of == first.of
    assert registration.corrections({TELE: bins[TELE]}, first) is first


def test_places_in_photos() -> None:
    known = Corrections(WIDE, {WIDE: NONE, TELE: Correction(1.1)}, {TELE: "why"})
    there = np.array([[240, 360], [5, 360]])

    assert known.places(there, WIDE, SIZE).tolist() == there.tolist()
    assert known.places(there, TELE, SIZE).tolist() == [[240, 360], [NOWHERE] * 2]
    assert known.places(there, MIDDLE, SIZE).tolist() == [[NOWHERE] * 2] * 2
    assert NOT_CORRECTED.places(there, TELE, SIZE).tolist() == there.tolist()
    assert Corrections.parse(known.to_json()) == known
    assert Corrections.parse("") == NOT_CORRECTED


def bent(share: float) -> Correction:
    """Return a correction between none and that of the widest focal length."""
    return Correction(1 + 0.03 * share, -0.09 * share, -0.01 * share)


def zoom(seed: int, ratio: float = 7.0) -> tuple[list[Trace], list[Bin]]:
    """Return the traces of a zoom, the last of a bin that shows few defects, all inside."""
    there = sites(30, seed)
    aside = np.hypot(*((there - np.array(SIZE) / 2) / np.hypot(*SIZE) * 2).T)
    bins = [Bin("zoom", focal) for focal in (50.0, 35.0, 24.0, 18.0, 20.0)]
    traces = [
        trace(bent(share).places(there, SIZE), seed * 10 + number)
        for number, share in enumerate((0.0, 0.3, 0.7, 1.0))
    ]
    few = bent(0.9).places(there[aside < 0.5][:5], SIZE)
    return [*traces, trace(few, seed * 10 + 9, ratio)], bins


def off_and_known(found: Correction, truth: Correction) -> tuple[float, float]:
    """Return by how much places are off at most where known, and the share that is."""
    rows, cols = np.mgrid[0 : SIZE[0] : 10, 0 : SIZE[1] : 10]
    grid = np.stack([rows.ravel(), cols.ravel()], axis=1)
    known = found.are_known(grid, SIZE)
    off = found.places(grid, SIZE) - truth.places(grid, SIZE)
    return float(np.hypot(*off[known].T).max(initial=0)), float(known.mean())


@pytest.mark.parametrize("seed", range(4))
def test_neighbouring_focal_lengths_tell_what_few_defects_do_not(seed: int) -> None:
    traces, bins = zoom(seed)

    together = registration.register(traces, [None] * 5, bins)[4].correction
    alone = registration.register(
        [traces[0], traces[4]], [None] * 2, [bins[0], Bin("zoom", 20.0)]
    )[1].correction

    assert together is not None
    off, within = off_and_known(together, bent(0.9))
    assert off < 1.6
    assert within > 0.7
    assert alone is None or off_and_known(alone, bent(0.9))[1] < within


@pytest.mark.parametrize("is_moved", [True, False])
def test_two_defects_are_enough_of_what_neighbours_make_likely(
    *, is_moved: bool
) -> None:
    """Where a search would find chance; but not where they lie as without a correction."""
    traces, bins = zoom(1)
    aside = np.hypot(*((sites(30, 1) - np.array(SIZE) / 2) / np.hypot(*SIZE) * 2).T)
    two = sites(30, 1)[(aside > 0.55) & (aside < 0.75)][:2]
    truth = bent(0.9) if is_moved else NONE
    traces[4] = trace(truth.places(two, SIZE), 19, ratio=9.0)

    found = registration.register(traces, [None] * 5, bins)[4]

    if is_moved:
        assert found.correction is not None
        assert "as other focal lengths have it" in found.why
        assert off_and_known(found.correction, truth)[0] < 1.6
    else:
        assert found.correction is None


@pytest.mark.parametrize("count", [8, 30])
def test_places_are_not_off_where_they_are_said_to_be_known(count: int) -> None:
    for seed in range(3):
        _, found = registration.register(
            lies(count, BENT, seed), [None, None], [WIDE, TELE]
        )

        assert found.correction is not None
        assert off_and_known(found.correction, BENT)[0] < 3


def test_a_site_beyond_what_is_known_is_nowhere() -> None:
    known = Corrections(WIDE, {WIDE: NONE, TELE: Correction(1.1, inside=((0.0, 0.5),))})
    centre, corner = [240, 360], [40, 60]

    assert known.places(np.array([centre, corner]), TELE, SIZE).tolist() == [
        centre,
        [NOWHERE] * 2,
    ]
    assert Corrections.parse(known.to_json()) == known
    stacked = SensorTrace.of(
        {WIDE: trace(np.array([corner]), 1, 0.0), TELE: trace(sites(5, 2), 2)}, known
    )
    alone = stacked.traces[0].ratios(*corner)
    assert np.allclose(stacked.ratios(*corner), alone, atol=0.02)


def test_outside_of_the_reference_it_is_known_where_other_bins_show_sites() -> None:
    """As well as the fullest of them, that is; and where none but one shows any."""
    correction = Correction(1.1, inside=((0.0, 0.5),), outside=((0.0, 0.8), (1.1, 2.0)))
    there = np.array([[240, 500], [20, 30], [-30, 360], [240, -50], [-120, -160]])

    known = correction.are_known(there, SIZE)

    radii = np.hypot(*(there - (np.array(SIZE) - 1) / 2).T) / np.hypot(239.5, 359.5)
    assert radii.round(2).tolist() == [0.33, 0.92, 0.62, 0.95, 1.46]
    assert known.tolist() == [True, False, True, False, True]


@pytest.mark.parametrize("seed", range(3))
def test_bins_that_show_more_of_the_sensor_agree_on_what_lies_there(seed: int) -> None:
    """One that shows as much tells nothing by itself; together they have its sites."""
    there = sites(40, seed)
    aside = np.hypot(*((there - np.array(SIZE) / 2) / np.hypot(*SIZE) * 2).T)
    inner = there[aside < 0.6][:9]
    outer = np.array([[240, -18], [-14, 160], [490, 610], [120, 738]])
    wider = {MIDDLE: Correction(0.96, -0.02), TELE: Correction(0.94, -0.04, 0.01)}
    bins = {WIDE: trace(inner, seed * 10)}
    for number, (one, correction) in enumerate(wider.items(), 1):
        shown = correction.places(np.concatenate([inner, outer]), SIZE)
        bins[one] = trace(shown, seed * 10 + number)

    found = registration.corrections(bins, NOT_CORRECTED).of

    by_tele = found[TELE].sites(wider[TELE].places(outer, SIZE), SIZE)
    assert found[TELE].are_known(by_tele, SIZE).all()
    assert found[MIDDLE].are_known(by_tele, SIZE).all()
    off = found[MIDDLE].places(by_tele, SIZE) - wider[MIDDLE].places(outer, SIZE)
    assert np.hypot(*off.T).max() < 1.6


def test_of_corrections_that_explain_as_much_the_likelier_is_the_best() -> None:
    seen = constellation.Constellation.of(
        sites(9, 1), np.full(9, 9.0), trace(sites(9, 1), 1)
    )
    nothing = seen.seen_in(trace(np.empty((0, 2)), 2, ratio=0), np.arange(9), edge=300)
    places = seen.places(SIZE)
    likely = registration._likely(
        places, [WIDE, TELE], [None] * 2, 1, np.arange(9), np.ones(9)
    )
    usual = np.array([1.046, -0.176, 0.096, -0.024])
    winding = np.array([1.058, -0.275, 0.237, -0.067])

    best, score = registration._best(nothing, np.stack([winding, usual]), likely)

    assert score == 0
    assert best.tolist() == usual.tolist()


def test_what_older_versions_kept_is_known_everywhere() -> None:
    text = (
        '{"reference": ["zoom", 16.0], "of": [["zoom", 50.0, 1.1, 0, 0, 0]], "why": []}'
    )

    up_to = text.replace("0, 0, 0]", "0, 0, 0, 0.7]")

    assert Corrections.parse(text).of == {TELE: Correction(1.1)}
    assert Corrections.parse(up_to).of == {
        TELE: Correction(1.1, inside=((0.0, 0.7),), outside=((0.0, 0.7),))
    }
