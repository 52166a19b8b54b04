"""What defects added to a photo, estimated from the scene around them.

Three fills, from the best to what is always possible:

- *adaptive*, a defect alone or with a few others over it: its footprint hides the scene,
  but not all of it.  The scene continues what lies around, and the footprint is one of
  those that cameras make.  Both are Gaussian priors, so that one set of linear equations
  separates scene and defect, says how sure that is, and leaves alone what the defect
  cannot have changed.  The equations of many defects are solved side by side.
- *adaptive*, a cluster: too many to separate, so the scene closes over all of them.
- *neighbours*, the original fill: a defect's centre becomes the mean of its eight
  neighbours.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from hotpixeld.compiled import function
from hotpixeld.repair import footprint, scene
from hotpixeld.repair.field import Box, PositionSet, overlapping, window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hotpixeld.repair.field import Field, Indices, Overlaps, Samples, Subsampling
    from hotpixeld.repair.footprint import FootprintPrior, Spot
    from hotpixeld.repair.shape import Amplitude, KnownFootprint

Fill = Literal["adaptive", "neighbours"]

# Covariance of noise by shift in levels squared, where nothing better is known.
NOISE = np.ones((1, 1), np.float32)
# First guess of a defect's amplitude in levels, and the smallest that is assumed.
STRONG, WEAK = 100.0, 0.5
# With more footprints than this over its own, a defect is one of a cluster.
MOST_OVERLAPS = 30
# Defects whose equations are in memory together.
CHUNK = 128
# And of those whose footprint is known, each with its own equations.
KNOWN_CHUNK = 16
# Standard deviations beyond which a photo contradicts what was expected of it.
FAR = 3.0
# Linked defects whose equations are kept from the first round to the second.
KEPT = 1024
# Weights of a sample's neighbours while the scene closes over a cluster.
_CLOSING_WEIGHTS = np.array(
    [[0.7, 1.0, 0.7], [1.0, 0.0, 1.0], [0.7, 1.0, 0.7]], np.float32
)
# Rounds of smoothing after that.
_ROUNDS = 40
# Weights of a centre's neighbours: diagonal ones weigh 1/sqrt(2).
_NEIGHBOUR_WEIGHTS = np.array([[0.5, 1, 0.5], [1, 0, 1], [0.5, 1, 0.5]]) ** 0.5


@dataclass(frozen=True, slots=True)
class Excess:
    """What n defects added to the samples of one component, in equal boxes.

    Attributes
    ----------
    tops, lefts : (n,) intp
        The boxes' first samples; a box may reach out of the frame.
    mean : (n, rows, columns) float32, levels
        To be subtracted; where boxes overlap, all of it.
    covariance : (n, rows * columns, rows * columns) float32, levels squared, or None
        How uncertain `mean` is; None where it is to be taken as it stands.
    """

    tops: Indices
    lefts: Indices
    mean: Samples
    covariance: Samples | None


def mean_of_neighbours(
    field: Field, subsampling: Subsampling, spots: Sequence[Spot]
) -> tuple[Indices, Indices, Samples]:
    """Return what to take off the samples at the centres of defects.

    Neighbours outside the frame and other defects weigh nothing.

    Returns
    -------
    rows, columns : (n,) intp
        The samples, each once; none that has no neighbour left.
    added : (n,) float32, levels
    """
    centres = [
        (spot.row // subsampling.down, spot.col // subsampling.across) for spot in spots
    ]
    bad = PositionSet.of(field.frame, [Box(y, x, y + 1, x + 1) for y, x in centres])
    rows, columns = bad.coordinates()
    corner = rows - 1, columns - 1
    seen, exists = field.cut(*corner, (3, 3))
    weights = _NEIGHBOUR_WEIGHTS * (exists & ~bad.cut(*corner, (3, 3)))
    total = weights.sum(axis=(1, 2))
    some = total > 0
    mean = (weights * seen).sum(axis=(1, 2))[some] / total[some]
    added = seen[some, 1, 1] - mean
    return rows[some], columns[some], np.asarray(added, np.float32)


def closed_over(field: Field, hidden: PositionSet, clusters: PositionSet) -> Samples:
    """Return what to take off the samples of clusters: the scene closes over them.

    From the rim inwards, then smoothed: the time grows with the number of samples and the
    width of the hole only.

    Parameters
    ----------
    field : Field
    hidden : PositionSet
        All samples that any footprint hides.
    clusters : PositionSet
        Those to fill, n of them, all hidden.

    Returns
    -------
    (n,) float32, levels
        0 where no clean sample can be reached.
    """
    rows, columns = clusters.coordinates()
    corner = rows - 1, columns - 1
    seen, exists = field.cut(*corner, (3, 3))
    clean = exists & ~hidden.cut(*corner, (3, 3))
    rank, member = clusters.index(*window(*corner, (3, 3)))
    # Samples outside the frame take part in nothing.
    member &= exists
    before = seen[:, 1, 1]
    values, known = before.copy(), np.zeros(len(before), bool)
    smoothing = 0
    while smoothing < _ROUNDS:
        held = np.where(member, known[rank], clean) * _CLOSING_WEIGHTS
        total = held.sum(axis=(1, 2))
        sums = (held * np.where(member, values[rank], seen)).sum(axis=(1, 2))
        reached = (total > 0) & exists[:, 1, 1]
        values = np.where(reached, sums / np.maximum(total, np.float32(1e-6)), values)
        smoothing += bool((reached == known).all())
        known = reached
    return np.asarray(np.where(known, before - values, 0), np.float32)


class Expected(NamedTuple):
    """What is expected of a defect in a photo."""

    footprint: KnownFootprint
    amplitude: Amplitude


class Priors(NamedTuple):
    """What is known of the footprints in one component.

    Attributes
    ----------
    camera : FootprintPrior or None
        Of any; None for what is usual.
    known : mapping of Spot to Expected
        Spots whose own footprint is known; their half width is its.
    """

    camera: FootprintPrior | None = None
    known: Mapping[Spot, Expected] = MappingProxyType({})


USUAL = Priors()


class _Group(NamedTuple):
    """Spots whose boxes have one shape, (rows, columns)."""

    shape: tuple[int, int]
    spots: Indices


class _Layout(NamedTuple):
    """Where footprints lie; see `_Task`."""

    boxes: Indices
    corners: Indices
    hidden: PositionSet
    overlaps: Overlaps


@functools.lru_cache(maxsize=8)
def _layout(frame: Box, subsampling: Subsampling, spots: tuple[Spot, ...]) -> _Layout:
    """Return where footprints lie in a component: both chroma components ask for it."""
    boxes = footprint.boxes(spots, subsampling)
    row, col, half = np.array(spots, np.intp).T
    place = row % subsampling.down, col % subsampling.across
    corners = np.stack([*boxes.T[:2], half, *place], axis=1)
    hidden = PositionSet.of(frame, boxes)
    return _Layout(boxes, corners, hidden, overlapping(boxes, MOST_OVERLAPS))


@dataclass(frozen=True, slots=True)
class _Task:
    """One component and all its spots: what every equation needs."""

    field: Field
    subsampling: Subsampling
    spots: Sequence[Spot]
    boxes: Indices  # of each spot
    corners: Indices  # top, left, half width, place within the sample: of each spot
    hidden: PositionSet
    overlaps: Overlaps
    prior: FootprintPrior
    known: Mapping[Spot, Expected]
    noise: Samples

    @classmethod
    def of(
        cls,
        field: Field,
        subsampling: Subsampling,
        spots: Sequence[Spot],
        priors: Priors,
        noise: Samples,
    ) -> _Task:
        """Return the task of repairing some spots."""
        layout = _layout(field.frame, subsampling, tuple(spots))
        prior = priors.camera or footprint.usual_prior()
        return cls(field, subsampling, spots, *layout, prior, priors.known, noise)

    def chunks(self, members: Indices) -> Iterator[_Group]:
        """Yield spots with boxes of one shape, a chunk at a time."""
        if not members.size:
            return
        sizes = self.boxes[:, 2:] - self.boxes[:, :2]
        is_known = [spot in self.known for spot in self.spots]
        kinds = np.column_stack([sizes, self.corners[:, 2], is_known])[members]
        for kind in sorted(set(map(tuple, kinds.tolist()))):
            spots = members[(kinds == kind).all(axis=1)]
            together = KNOWN_CHUNK if kind[3] else CHUNK
            for start in range(0, len(spots), together):
                yield _Group(kind[:2], spots[start : start + together])

    def equations(self, group: _Group) -> _Equations:
        """Return the equations of a chunk."""
        is_known = self.spots[int(group.spots[0])] in self.known
        return (_KnownEquations if is_known else _Equations)(self, group)

    def prior_of(self, spot: int) -> FootprintPrior:
        """Return what is known of a spot's footprint."""
        known = self.known.get(self.spots[spot])
        return self.prior if known is None else known.footprint


class _Pairs(NamedTuple):
    """Spots of a chunk, by their rank in it, and others that overlap them."""

    spot: Indices
    rank: Indices
    other: Indices

    @classmethod
    def of(cls, task: _Task, group: _Group) -> _Pairs:
        """Return all pairs of a chunk."""
        starts = task.overlaps.starts
        if (starts[group.spots] == starts[group.spots + 1]).all():
            nobody = np.empty(0, np.intp)
            return cls(nobody, nobody, nobody)
        others = [task.overlaps.of(spot) for spot in group.spots.tolist()]
        rank = np.repeat(np.arange(len(others)), [each.size for each in others])
        other = np.concatenate([np.empty(0, np.intp), *others])
        return cls(group.spots[rank], rank, other)

    def alike(self, task: _Task) -> Iterator[_Pairs]:
        """Yield the pairs whose footprints lie to each other in the same way."""
        spot, other = task.corners[self.spot], task.corners[self.other]
        # Each known footprint is one of its own.
        known = [task.spots[i] in task.known for i in self.other.tolist()]
        which = np.where(known, self.other, -1)
        keys = np.column_stack([other[:, :2] - spot[:, :2], other[:, 2:], which])
        _, group = np.unique(keys, axis=0, return_inverse=True)
        for number in range(int(group.max()) + 1):
            some = group == number
            yield _Pairs(*(part[some] for part in self))


class _Footprints(ctypes.Structure):
    """`struct footprints` of separation.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("count", "samples")),
        *((name, ctypes.c_void_p) for name in ("residuals", "covariances", "inside")),
        *((name, ctypes.c_void_p) for name in ("own", "kinds", "others", "amplitudes")),
    )


_peaks = function(
    "hotpixeld_peaks_1",
    *(ctypes.c_void_p, ctypes.c_float, ctypes.c_void_p),
    returns=ctypes.c_int,
)
_amplitudes = function(
    "hotpixeld_amplitudes_1", *[ctypes.c_void_p] * 4, returns=ctypes.c_int
)
_excess = function("hotpixeld_excess_1", *[ctypes.c_void_p] * 3, returns=ctypes.c_int)


class _Equations:
    """A chunk's equations: the scene under its footprints, and the footprints' priors."""

    def __init__(self, task: _Task, group: _Group) -> None:
        self.task, self.group = task, group
        self.pairs = _Pairs.of(task, group)
        self.corners = task.corners[group.spots, 0], task.corners[group.spots, 1]
        self.scene = scene.continued(
            task.field, task.hidden, self.corners, group.shape, task.noise
        )
        _, across = task.subsampling
        phase = task.corners[group.spots, 3] * across + task.corners[group.spots, 4]
        half = task.spots[int(group.spots[0])].half
        self.kinds = np.ascontiguousarray(phase, np.int64)
        samples = self.scene.inside.shape[1]
        self.own = task.prior.covariances(half, task.subsampling, samples)
        self.inside = np.ascontiguousarray(self.scene.inside)

    def _footprints(self, amplitudes: Samples) -> tuple[_Footprints, list[Samples]]:
        """Return the equations as the compiled code takes them, and what they refer to."""
        known = np.ascontiguousarray(amplitudes[self.group.spots])
        others = self._of_others(amplitudes) if self.pairs.rank.size else None
        parts = self.scene.residual, self.scene.covariance, self.inside
        footprints = _Footprints(
            *self.scene.residual.shape,
            *(part.ctypes.data for part in (*parts, self.own, self.kinds)),
            None if others is None else others.ctypes.data,
            known.ctypes.data,
        )
        return footprints, [known] if others is None else [known, others]

    def _of_others(self, amplitudes: Samples) -> Samples:
        """Return the covariance of what other spots' footprints add."""
        out = np.zeros_like(self.scene.covariance)
        for pairs in self.pairs.alike(self.task):
            rank, other = int(pairs.rank[0]), int(pairs.other[0])
            covariance = self.task.prior_of(other).embedded(
                self.task.spots[other],
                self.task.subsampling,
                Box(*self.task.boxes[self.group.spots[rank]].tolist()),
            )
            # No spot overlaps another twice in the same way: no rank comes twice.
            out[pairs.rank] += amplitudes[pairs.other][:, None, None] ** 2 * covariance
        return np.asarray(out * (self.inside[:, :, None] & self.inside[:, None, :]))

    def amplitudes(self, guessed: Samples) -> Samples:
        """Return the peak of each footprint, any amplitude being possible."""
        footprints, _held = self._footprints(guessed)
        peaks = np.empty(len(self.kinds), np.float32)
        if _peaks(ctypes.byref(footprints), STRONG, peaks.ctypes.data):
            raise MemoryError("no memory for a footprint's amplitude")
        # A pixel's amplitude: a sample shows only its share of a pixel.
        pixels = self.task.subsampling.down * self.task.subsampling.across
        return np.asarray(np.maximum(peaks * np.float32(pixels), WEAK), np.float32)

    def excess(self, amplitudes: Samples) -> Excess:
        """Return what the footprints added, their amplitudes being about the given."""
        footprints, _held = self._footprints(amplitudes)
        mean = np.empty((len(self.kinds), *self.group.shape), np.float32)
        # In the scene's place, which is read for the last time.
        covariance = self.scene.covariance
        if _excess(ctypes.byref(footprints), mean.ctypes.data, covariance.ctypes.data):
            raise MemoryError("no memory for what a footprint added")
        tops, lefts = self.corners
        enough = self.scene.enough
        if enough.all():
            return Excess(tops, lefts, mean, covariance)
        return Excess(tops[enough], lefts[enough], mean[enough], covariance[enough])


class _KnownEquations(_Equations):
    """The equations of footprints that are known, and of which amplitudes are expected.

    What a defect of amplitude a adds is a f + a d, with f the footprint and d what photos
    bend: about its expectation a Gaussian, too.
    """

    def __init__(self, task: _Task, group: _Group) -> None:
        super().__init__(task, group)
        known = [task.known[task.spots[i]] for i in group.spots.tolist()]
        each = [
            one.footprint.known(task.subsampling, *place)
            for one, place in zip(known, task.corners[group.spots, 3:], strict=True)
        ]
        inside = self.inside
        levels = np.stack([one.levels for one in each]) * inside
        self.levels: Samples = np.ascontiguousarray(levels, np.float32)
        self.bent = np.stack([one.deviation for one in each])
        self.expected = np.array([one.amplitude.mean for one in known], np.float32)
        deviation = [one.amplitude.deviation for one in known]
        self.deviation = np.array(deviation, np.float32)
        # Each footprint is of its own kind: what it is bent by, then all that it may be.
        self.own, self.kinds = self.bent, np.arange(len(known), dtype=np.int64)

    def amplitudes(self, guessed: Samples) -> Samples:
        """Return the amplitude of each footprint, by what is expected and what is seen."""
        about = guessed.copy()
        about[self.group.spots] = np.hypot(self.expected, self.deviation)
        footprints, _held = self._footprints(about)
        seen, power = np.empty((2, len(self.kinds)), np.float32)
        parts = (self.levels, seen, power)
        if _amplitudes(ctypes.byref(footprints), *(part.ctypes.data for part in parts)):
            raise MemoryError("no memory for a footprint's amplitude")
        # Where a photo clearly contradicts what was expected, it is believed.
        wide = np.hypot(self.deviation, power**-0.5)
        is_off = np.abs(seen - self.expected) > FAR * wide
        either = np.abs(seen) + np.abs(self.expected)
        self.deviation = np.where(is_off, either, self.deviation)
        variance = self.deviation**2
        share = variance / (variance + 1 / power)
        return np.asarray(self.expected + share * (seen - self.expected), np.float32)

    def excess(self, amplitudes: Samples) -> Excess:
        """Return what the footprints added, their amplitudes being about the given."""
        about = amplitudes[self.group.spots]
        whole = self.deviation[:, None] * self.levels
        bent = np.square(about)[:, None, None] * self.bent
        self.own = bent + whole[:, :, None] * whole[:, None, :]
        expected = self.expected[:, None] * self.levels
        self.scene = self.scene._replace(residual=self.scene.residual - expected)
        once = amplitudes.copy()
        once[self.group.spots] = 1
        found = super().excess(once)
        shape = found.mean.shape
        return replace(
            found, mean=found.mean + expected[self.scene.enough].reshape(shape)
        )


def _adaptive(task: _Task) -> Iterator[Excess]:
    """Yield what the defects added: scene and footprints separated."""
    amplitudes = np.full(len(task.spots), STRONG, np.float32)
    guessed = amplitudes.copy()
    overlaps = task.overlaps
    # Thousands are solved again rather than kept: their equations would fill the memory.
    kept: list[_Equations] = []
    for group in task.chunks(overlaps.linked):
        equations = task.equations(group)
        amplitudes[group.spots] = equations.amplitudes(guessed)
        if overlaps.linked.size <= KEPT:
            kept.append(equations)
    closed = PositionSet.of(task.field.frame, task.boxes[overlaps.clustered])
    for equations in kept or (
        task.equations(group) for group in task.chunks(overlaps.linked)
    ):
        yield _without(equations.excess(amplitudes), closed)
    for group in task.chunks(overlaps.alone):
        equations = task.equations(group)
        amplitudes[group.spots] = equations.amplitudes(guessed)
        yield equations.excess(amplitudes)
    if closed.numbers.size:
        mean = closed_over(task.field, task.hidden, closed)
        yield Excess(*closed.coordinates(), mean[:, None, None], None)


def _without(excess: Excess, closed: PositionSet) -> Excess:
    """Return an excess less what the closing of a cluster replaces."""
    taken = closed.cut(excess.tops, excess.lefts, excess.mean.shape[1:3])
    mean = np.where(taken, np.float32(0), excess.mean)
    return Excess(excess.tops, excess.lefts, mean, excess.covariance)


def excesses(
    field: Field,
    subsampling: Subsampling,
    spots: Sequence[Spot],
    *,
    fill: Fill = "adaptive",
    priors: Priors = USUAL,
    noise: Samples = NOISE,
) -> list[Excess]:
    """Estimate what defects added to the samples of one component.

    Parameters
    ----------
    field : Field
        The component, known some 8 samples around each footprint.
    subsampling : Subsampling
    spots : sequence of Spot
        All defects, each once.
    fill : str
        ``adaptive``: scene and footprint separated; ``neighbours``: the centre becomes
        the mean of its eight neighbours, diagonals weighing 1/sqrt(2).
    priors : Priors
    noise : (2 k + 1, 2 k + 1) float32, levels squared
        Covariance of two samples' noise, by their shift of -k to k.

    Returns
    -------
    list of Excess
        Nothing about defects around which nothing clean is left to judge from.
    """
    if not spots:
        return []
    if fill == "neighbours":
        rows, columns, added = mean_of_neighbours(field, subsampling, spots)
        return [Excess(rows, columns, added[:, None, None], None)]
    task = _Task.of(field, subsampling, spots, priors, noise)
    return list(_adaptive(task))
