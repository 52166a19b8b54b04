"""The law of light: how strongly a planted defect shows in a photo, and where it tells.

What dates are held against: a photo tells of a defect where the defect would be visible in
it, which is known, since both the photo with the defect and the one without it are there.
Nothing here is taken from what the program expects to see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotpixeld.detection.evidence import Samples

WHITE = 262.0
"""Level that a defect's display saturates at; a little above what a JPEG can hold."""
VISIBLE = 2.55
"""Levels that an eye finds at all in a smooth area: a hundredth of full scale."""
CLEAR = 3.0
"""Standard deviations of the surroundings that a visible defect exceeds."""
ROUNDING = 0.5
CLIPPED = 64
"""Share (of 255) of the surroundings that may be clipped white."""


@dataclass(frozen=True, slots=True)
class Law:
    """How a defect's strength follows the light.

    Attributes
    ----------
    offset : float
        What it adds in every photo, in units of the saturating display.
    dark : float
        What it adds for each second of exposure at ISO 1.
    """

    offset: float
    dark: float = 0.0

    def amplitude(self, level: float, light: float, gain: float = 1.0) -> float:
        """Return how many levels it shows above surroundings.

        Parameters
        ----------
        level : float
            Of the surroundings, 0-255.
        light : float
            Seconds times ISO.
        gain : float
            Doubles with every ten degrees or so; 1 at the temperature of the law.
        """
        charge = gain * (self.offset + self.dark * light)
        return (WHITE - level) * -math.expm1(-charge)


def tells(clean: Samples, shown: Samples) -> NDArray[np.bool_]:
    """Return where a defect would be visible, by the same photo without it and with it.

    Parameters
    ----------
    clean, shown : (N,) of `evidence.SAMPLE`
    """
    change = np.abs(shown["residual"].astype(np.float64) - clean["residual"])
    noise = np.hypot(clean["spread"].astype(np.float64), ROUNDING)
    clear = change >= np.maximum(VISIBLE, CLEAR * noise)
    return np.asarray(clear & (clean["clipped"] <= CLIPPED))


def off(telling: NDArray[np.bool_], change: int, dated: int) -> int:
    """Return by how many telling photos the date of a change is off; below 0: early.

    Parameters
    ----------
    telling : (photos,) bool
        The photos in which the defect would be visible, if it were there.
    change, dated : int
        The first photo after the change, and the one that was told.
    """
    first, last = sorted((change, dated))
    count = int(np.count_nonzero(telling[first:last]))
    return count if dated > change else -count
