"""A camera: one body at one image size, the owner of one Welford state; and its bins."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, order=True)
class Camera:
    """A camera body and the stored size of its photos.

    Attributes
    ----------
    make, model : str
        As in EXIF, without the padding.
    serial : str
        The body's serial number, empty when the photos carry none: two bodies of one
        model can then not be told apart.
    width, height : int
        Stored (sensor) size in pixels, EXIF Orientation not applied.
    """

    make: str
    model: str
    serial: str
    width: int
    height: int

    @property
    def body(self) -> tuple[str, str, str]:
        """Return what its photos of all sizes have in common: make, model and serial."""
        return self.make, self.model, self.serial

    @property
    def id(self) -> str:
        """Return the camera's name for people and folders: a slug and a short hash.

        >>> Camera("Canon", "Canon EOS 1100D", "123", 4272, 2848).id
        'canon-eos-1100d-123-4272x2848-9841901c'
        """
        model, brand = self.model, self.make.lower().split(maxsplit=1)
        if brand and not model.lower().startswith(brand[0]):
            model = f"{self.make} {model}"
        words = f"{model} {self.serial} {self.width}x{self.height}".lower()
        slug = re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:80]
        exact = "\0".join((*self.body, str(self.width), str(self.height)))
        return f"{slug}-{hashlib.sha256(exact.encode()).hexdigest()[:8]}"


class Bin(NamedTuple):
    """What a camera's lens correction depends on: photos of one bin have one.

    Attributes
    ----------
    lens : str
        As the photo names it; empty where it does not.
    focal_mm : float or None
        Focal length, to a tenth of a millimetre.
    """

    lens: str
    focal_mm: float | None

    @classmethod
    def of(cls, lens: str, focal_mm: float | None) -> Bin:
        """Return the bin of a photo."""
        return cls(lens, None if focal_mm is None else round(focal_mm, 1))

    @property
    def plane(self) -> str:
        """Return the name that planes of the bin begin with.

        >>> Bin("Kit zoom", 16.0).plane
        'bin_f9745c2f'
        """
        exact = f"{self.lens}\0{self.focal_mm}"
        return f"bin_{hashlib.sha256(exact.encode()).hexdigest()[:8]}"

    def __str__(self) -> str:
        """Return it as people read it.

        >>> str(Bin("Kit zoom", 16.0)), str(Bin("", None))
        ('Kit zoom, 16 mm', 'unknown focal length')
        """
        if self.focal_mm is None:
            focal = "unknown focal length"
        else:
            focal = f"{self.focal_mm:g} mm"
        return f"{self.lens}, {focal}" if self.lens else focal


UNKNOWN_BIN = Bin("", None)
"""That of photos that tell nothing of their lens."""
