"""Photos that do not show what the others do: told, and left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from days.world import Body
from sensor import scattered

if TYPE_CHECKING:
    from pathlib import Path

    from days.world import Home


class Suppressing:
    """A body whose camera takes its defects away in one photo, but for two specks."""

    def __init__(self) -> None:
        self.body = Body(defects=scattered(8, 88, 120, seed=3, levels=(70, 90)))
        self.whole = self.body.sensor
        self.specks = replace(self.whole, defects=self.whole.defects[:2])

    def shoot(self, folder: Path, count: int) -> None:
        """Take photos that show all defects."""
        self.body.sensor = self.whole
        self.body.shoot(folder, count)

    def suppress(self, folder: Path) -> Path:
        """Take a photo in which something like a defect stands out at two places."""
        self.body.sensor = self.specks
        return self.body.shoot(folder)[0]


def has_copy(home: Home, photo: Path) -> bool:
    return any(name.endswith(photo.name) for name in home.written())


def test_a_photo_from_which_the_camera_took_its_defects_is_not_repaired(
    home: Home,
) -> None:
    camera = Suppressing()
    camera.shoot(home.photos, 7)
    held_back = camera.suppress(home.photos)
    camera.shoot(home.photos, 8)
    home.once()

    assert len(home.written()) == 15
    assert not has_copy(home, held_back)
    told = home.hotpixeld("status", held_back).out
    assert "held back: what should be seen of the camera's pixels is not" in told
    assert not any(one["until"] for one in home.maps()[0]["pixels"])


def test_a_copy_made_before_a_map_could_tell_is_taken_back(home: Home) -> None:
    camera = Suppressing()
    camera.shoot(home.photos, 16)
    home.once()
    daemon = home.daemon()
    held_back = camera.suppress(home.photos)
    daemon.idle()
    assert has_copy(home, held_back)

    camera.shoot(home.photos, 8)
    daemon.until(lambda: not has_copy(home, held_back), "its copy stays")
    assert "held back" in home.hotpixeld("status", held_back).out
