"""Merging: two generations of one camera become one, strip by strip.

Mean and M2 are joined by the formula of Chan, Golub and LeVeque, each side with the weight
that its photos have in one sequence by order of capture: as much of it is forgotten as if
all had been folded one after the other.  Within float32's rounding, two sides that forget
nothing give the state of all photos.  Where both forget, what is approximate is which photos
of a side make up its weight: its own order decided that.

Totals of traces and their variances add, those of the older side decayed as if the newer
photos had come to it one by one, a band each.  The ratio of both is worth what the photos
are that it sums up: no less than that of either side, and no more than that of a single
trace of all photos, of which each would have told less.

References
----------
T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample variance:
analysis and recommendations", The American Statistician 37 (1983) 242-247, formula 1.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.statistics.generation import (
    M2,
    MEAN,
    TELLING,
    TOTAL,
    Counts,
    own_planes,
    steps,
)
from hotpixeld.statistics.trace import BANDS, MEMORY, WHOLE

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from hotpixeld.camera import Bin
    from hotpixeld.statistics.generation import Planes, Strip

LARGEST = np.iinfo(np.int16).max


def weights(photos: int, memory: int) -> NDArray[np.float64]:
    """Return what each photo of a sequence weighs once all are folded, (photos,).

    Parameters
    ----------
    memory : int
        Photos to remember; 0 never forgets.

    >>> weights(4, 0)
    array([1., 1., 1., 1.])
    >>> weights(4, 2).round(2)
    array([0.25, 0.25, 0.5 , 1.  ])
    """
    found, _ = steps(Counts(), photos, memory)
    decays = [1.0, *(one.decay for one in found[:0:-1])][:photos]
    return np.asarray(np.cumprod(decays)[::-1], np.float64)


@dataclass(frozen=True, slots=True)
class Side:
    """One of two generations that are merged.

    Attributes
    ----------
    counts : Counts
    kept : float
        What its photos weigh in all; no more than they do by themselves.
    """

    counts: Counts
    kept: float

    @property
    def share(self) -> float:
        """Return how much of its M2 is kept."""
        return self.kept / self.counts.weight if self.counts.weight else 0.0


@dataclass(frozen=True, slots=True)
class Merging:
    """How two generations become one.

    Attributes
    ----------
    older, newer : Side
        By order of capture.
    photos : int
        In both, each counted once.
    bins : collection of Bin
        Those whose traces either has.
    """

    older: Side
    newer: Side
    photos: int
    bins: Collection[Bin] = ()

    @property
    def counts(self) -> Counts:
        """Return what the merged planes count."""
        traced = self.older.counts.traced + self.newer.counts.traced
        return Counts(self.photos, self.older.kept + self.newer.kept, traced)

    @property
    def decay(self) -> float:
        """Return how much of the older trace's totals is kept.

        As after the newer photos, a band each, but for those with which it is whole.
        """
        newer = self.newer.counts.traced
        later = min(max(self.older.counts.traced + newer - WHOLE, 0), newer)
        return float((1 - 1 / MEMORY) ** (later / BANDS))

    def merge(self, strip: Strip, older: Planes, newer: Planes) -> None:
        """Make the strip of the `older` planes that of both."""
        kept, added = self.older.kept, self.newer.kept
        both = kept + added
        mean, m2 = older.of(MEAN, strip), older.of(M2, strip)
        shift = newer.of(MEAN, strip).astype(np.float64) - mean
        m2[...] = (
            m2 * self.older.share
            + newer.of(M2, strip) * self.newer.share
            + shift**2 * (kept * added / both)
        )
        mean[...] = mean + shift * (added / both)
        for names in ((TOTAL, TELLING), *map(own_planes, self.bins)):
            total, telling = (older.of(name, strip) for name in names)
            new_total, new_telling = (newer.of(name, strip) for name in names)
            sums = total * self.decay + new_total
            total[...] = np.clip(np.rint(sums), -LARGEST, LARGEST)
            telling[...] = telling * self.decay**2 + new_telling
