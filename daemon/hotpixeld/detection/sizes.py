"""Sizes: where a sensor site of photos of one size lies in those of another, of one body.

A camera makes its smaller sizes by scaling the frame, pixel edges onto pixel edges.  Frames
of another shape are centred crops of the sensor's, as wide or as high as that, then scaled.
So both have one centre, and one number takes places of one size to those of another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Size = tuple[int, int]

# Width over height of sensors; cameras cut or pad their frames by a few pixels.
SENSORS, SENSOR_LIKE = (4 / 3, 3 / 2), 0.01
MISFIT = 2.0
"""Pixels by which a scaled frame may miss the other's edge, on either side: sizes are
rounded, some to multiples of eight."""
CROPPED = 0.5
"""Pixels, before scaling, by which a crop may be off the centre: cameras cut whole ones."""
MOST_ENLARGED = 3.0
"""Beyond, a place in the small frame says too little of one in the large."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Takes places of one size to those of another.

    Attributes
    ----------
    size, other : (height, width)
    scale : float
        Pixels of the other per pixel.
    misfit : (float, float)
        Pixels of the other by which rows and columns may be off, near its edges.
    """

    size: Size
    other: Size
    scale: float
    misfit: tuple[float, float] = (0.0, 0.0)

    def places(
        self, sites: NDArray[np.floating] | NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Return where sites lie in the other size.

        Parameters
        ----------
        sites : (N, 2) float or int
            Row, column.

        Returns
        -------
        (N, 2) float64
            Row, column; outside of the frame where that does not show the site.

        >>> Scaling((200, 300), (100, 150), 0.5).places(np.array([[0, 0]])).tolist()
        [[-0.25, -0.25]]
        """
        here, there = np.array(self.size), np.array(self.other)
        return np.asarray((sites - (here - 1) / 2) * self.scale + (there - 1) / 2)

    def pixels(self, place: tuple[float, float]) -> tuple[tuple[int, int], ...]:
        """Return the pixels of the other size that may be a defect's brightest.

        A site is known to half a pixel, and so is the brightest of what shows it; enlarged,
        the first is more.

        Parameters
        ----------
        place : (row, col) float
            One of `places`.

        Returns
        -------
        tuple of (row, col)
            Those inside the frame.

        >>> Scaling((200, 300), (100, 150), 0.5).pixels((7.25, 4.75))
        ((7, 4), (7, 5), (8, 4), (8, 5))
        """
        reach = 0.5 + max(self.scale, 1.0) / 2
        rows, cols = (
            range(
                max(math.ceil(at - reach - misfit), 0),
                min(math.floor(at + reach + misfit), end - 1) + 1,
            )
            for at, misfit, end in zip(place, self.misfit, self.other, strict=True)
        )
        return tuple((row, col) for row in rows for col in cols)


def _is_sensor(size: Size) -> bool:
    """Return whether a frame may be the whole sensor's, by its shape."""
    shape = max(size) / min(size)
    return any(abs(shape / one - 1) < SENSOR_LIKE for one in SENSORS)


def _of_crop(size: Size, other: Size) -> float | None:
    """Return by how much one frame is scaled where one of the two is a crop.

    None where their shapes do not tell which: a 3:2 sensor has 4:3 crops, and the reverse.
    """
    down, across = (there / here for here, there in zip(size, other, strict=True))
    if 1.0 in {down, across}:
        return 1.0
    if _is_sensor(size) == _is_sensor(other):
        return None
    return max(down, across) if _is_sensor(size) else min(down, across)


def scaling(size: Size, other: Size) -> Scaling | None:
    """Return what takes places of one size of a body to those of another.

    Parameters
    ----------
    size, other : (height, width)

    Returns
    -------
    Scaling or None
        None where none is plausible.

    >>> scaling((3456, 5184), (1728, 2592)).scale, scaling((3456, 5184), (1080, 1920)).scale
    (0.5, 0.37037037037037035)
    >>> scaling((3456, 5184), (1920, 2560)) is None
    True
    """
    if (size[0] > size[1]) != (other[0] > other[1]):
        return None
    across = other[1] / size[1]
    misfit = abs(other[0] - across * size[0]) / 2
    found: Scaling | None = None
    if misfit <= MISFIT:
        found = Scaling(size, other, across, (misfit, 0.0))
    elif (scale := _of_crop(size, other)) is not None:
        off = CROPPED * scale
        found = Scaling(size, other, scale, (off, off))
    return found if found is not None and found.scale <= MOST_ENLARGED else None
