"""Crowds of defects: too many to tell their footprints apart, so the hole is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.field import window

if TYPE_CHECKING:
    from hotpixeld.field import Field, PlaceSet, Samples

# Weights of a sample's neighbours.
_WEIGHTS = np.array([[0.7, 1.0, 0.7], [1.0, 0.0, 1.0], [0.7, 1.0, 0.7]], np.float32)
# Rounds of smoothing once the hole is closed.
_ROUNDS = 40


def filled(field: Field, hidden: PlaceSet, crowd: PlaceSet) -> Samples:
    """Return what to take off the samples of crowds, so that the scene closes over them.

    From the rim inwards, then smoothed: the time grows with the number of samples and the
    width of the hole only.

    Parameters
    ----------
    field : Field
    hidden : PlaceSet
        All samples that any footprint hides.
    crowd : PlaceSet
        Those to fill, n of them, all hidden.

    Returns
    -------
    (n,) float32, levels
        0 where no clean sample can be reached.
    """
    rows, columns = crowd.coordinates()
    corner = rows - 1, columns - 1
    seen, exists = field.cut(*corner, (3, 3))
    clean = exists & ~hidden.cut(*corner, (3, 3))
    rank, member = crowd.index(*window(*corner, (3, 3)))
    # Places outside the frame take part in nothing.
    member &= exists
    before = seen[:, 1, 1]
    values, known = before.copy(), np.zeros(len(before), bool)
    smoothing = 0
    while smoothing < _ROUNDS:
        held = np.where(member, known[rank], clean) * _WEIGHTS
        total = held.sum(axis=(1, 2))
        sums = (held * np.where(member, values[rank], seen)).sum(axis=(1, 2))
        reached = (total > 0) & exists[:, 1, 1]
        values = np.where(reached, sums / np.maximum(total, np.float32(1e-6)), values)
        smoothing += bool((reached == known).all())
        known = reached
    return np.asarray(np.where(known, before - values, 0), np.float32)
