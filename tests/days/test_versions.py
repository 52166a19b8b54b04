"""Versions of a photo, and photos that only look like one: a shot is learned once."""

from __future__ import annotations

import datetime as dt
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from days.world import maker_note
from hotpixeld.jpeg import markers
from jpegs import turned
from sensor import START, exposed, write_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from days.world import Body, Home


def saved(image: Image.Image, exif: Image.Exif | bytes, **how: object) -> bytes:
    """Return a picture as a program saves it that carries EXIF over."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif, **how)
    return buffer.getvalue()


def carried(photo: Path, **how: object) -> bytes:
    """Return a photo saved by a program that leaves its EXIF alone."""
    with Image.open(photo) as image:
        return saved(image, image.info["exif"], **how)


def edited(photo: Path, change: Callable[[Image.Image], Image.Image]) -> bytes:
    """Return a photo changed with Pillow, its EXIF size brought up to date."""
    with Image.open(photo) as image:
        exif = image.getexif()
        new = change(image.convert("RGB"))
    exif.get_ifd(0x8769).update({0xA002: new.width, 0xA003: new.height})
    return saved(new, exif, quality=85)


VERSIONS = {
    "saved again": lambda photo: edited(photo, lambda image: image),
    "saved again in fine steps": lambda photo: carried(photo, quality=99),
    "mirrored": lambda photo: edited(
        photo, lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    ),
    "upside down": lambda photo: edited(
        photo, lambda image: image.transpose(Image.Transpose.ROTATE_180)
    ),
    "on its side": lambda photo: edited(
        photo, lambda image: image.transpose(Image.Transpose.ROTATE_90)
    ),
    "turned without loss": lambda photo: turned(photo.read_bytes(), "rotate 90"),
    "mirrored without loss": lambda photo: turned(photo.read_bytes(), "mirror"),
    "progressive": lambda photo: carried(photo, progressive=True),
}


def outcomes(home: Home, part: str) -> set[str]:
    return {what for name, what in home.outcomes().items() if part in name}


UNTOLD = {("mirrored without loss", "with them")}
"""Without a thumbnail, nothing tells which of the two came first."""


TOLD_BY_ITSELF = ("turned without loss", "later")
"""Its size tells that it was edited, of whatever photo: none of the new ones can be used."""


@pytest.mark.parametrize(
    ("name", "when"),
    [
        (name, when)
        for name in VERSIONS
        for when in ("later", "with them")
        if (name, when) not in UNTOLD
    ],
)
def test_a_photo_is_edited_and_saved_beside_it(
    home: Home, body: Body, name: str, when: str
) -> None:
    """The name of the version sorts before that of the photo."""
    photos = body.shoot(home.photos, 16)
    if when == "later":
        home.once()
    for photo in photos[:8]:
        (home.photos / f"A_{photo.name}").write_bytes(VERSIONS[name](photo))
    home.once(code=6 if (name, when) == TOLD_BY_ITSELF else 0)

    assert home.folded() == 16
    assert home.listed() == body.xy
    assert outcomes(home, "/A_") == {"skipped"}
    assert outcomes(home, "/IMG_") == {"image"}
    assert len([one for one in home.written() if "A_" in one]) == 0


@pytest.mark.parametrize("how", ["mirror", "rotate 180"])
@pytest.mark.parametrize("set_name", ["canon-t5i-2592", "canon-1100d", "nikon-l6"])
def test_a_photo_with_a_thumbnail_is_turned_without_loss_before_it_is_imported(
    home: Home, photo_sets: Path, set_name: str, how: str
) -> None:
    """The thumbnail tells which of the two came first."""
    photos = sorted((photo_sets / set_name).glob("*.JPG"))[:4]
    for photo in photos:
        home.drop_copy(photo, home.photos / photo.name)
        version = turned(photo.read_bytes(), how)
        (home.photos / f"A_{photo.name}").write_bytes(version)
    home.once()

    assert home.folded() == 4
    assert outcomes(home, "/A_") == {"skipped"}


def test_an_edited_photo_is_refused_with_its_reason(home: Home, body: Body) -> None:
    first, *_ = body.shoot(home.photos, 16)
    home.once()
    (home.photos / "mirrored.jpg").write_bytes(VERSIONS["mirrored"](first))
    home.once()
    with home.ledger() as ledger:
        (record,) = ledger.paths.with_reason(10)

    assert record.path == home.photos / "mirrored.jpg"
    assert record.reason == f"a version of {first}: flipped or turned"


def test_a_photo_is_edited_in_place(home: Home, body: Body) -> None:
    """Its copy is of the photo as it was, and stays."""
    first, *_ = body.shoot(home.photos, 16)
    home.once()
    written = home.written()
    first.write_bytes(VERSIONS["saved again"](first))
    home.daemon().idle().stop()
    with home.ledger() as ledger:
        (record,) = ledger.paths.with_reason(10)

    assert record.path == first
    assert record.reason == "a version of the photo that was here before: saved again"
    assert home.folded() == 16
    assert home.written() == written


def test_photos_are_exported_smaller_by_a_program_that_tells_nothing(
    home: Home, body: Body
) -> None:
    """A camera that writes two sizes itself lays both files out alike: they are photos."""
    photos = body.shoot(home.photos, 16)
    home.once()
    for photo in photos:
        small = edited(photo, lambda image: image.resize((60, 44)))
        (home.photos / f"camera_{photo.name}").write_bytes(small)
        # Another program writes a table a segment, this one all in one.
        (home.photos / f"other_{photo.name}").write_bytes(with_tables_joined(small))
    home.once()

    assert outcomes(home, "/camera_") == {"image"}
    assert outcomes(home, "/other_") == {"skipped"}
    assert outcomes(home, "/IMG_") == {"image"}


def with_tables_joined(data: bytes) -> bytes:
    """Return a JPEG with its Huffman tables in one segment, as cameras write them."""
    structure = markers.parse(data)
    tables = [one for one in structure.segments if one.marker == markers.DHT]
    joined = b"".join(one.payload(data) for one in tables)
    segment = b"\xff\xc4" + (len(joined) + 2).to_bytes(2, "big") + joined
    return data[: tables[0].offset] + segment + data[tables[-1].end :]


def test_a_burst_within_one_second_is_learned_whole(home: Home, body: Body) -> None:
    """Same second, same MakerNote, a tripod: only the noise is another."""
    rng = np.random.default_rng(3)
    light = body.sensor.scene(0)
    home.photos.mkdir(exist_ok=True)
    for number in range(20):
        frame = exposed(light, rng, 1.5, body.sensor.defects)
        write_jpeg(
            home.photos / f"burst_{number:02d}.jpg",
            frame,
            START + dt.timedelta(seconds=number // 10),
            model=body.model,
            maker_note=maker_note("3012345", 7),
        )
    home.once()

    assert home.folded() == 20
    assert set(home.outcomes().values()) == {"image"}


def test_brackets_within_one_second_are_learned_whole(home: Home, body: Body) -> None:
    rng = np.random.default_rng(4)
    light = body.sensor.scene(1)
    for number, exposure in enumerate((0.7, 1.0, 1.4) * 6):
        frame = exposed(light * exposure, rng, 1.5, body.sensor.defects)
        write_jpeg(
            home.photos / f"bracket_{number:02d}.jpg",
            frame,
            START + dt.timedelta(seconds=number // 3),
            model=body.model,
            maker_note=b"",
        )
    home.once()

    assert home.folded() == 18


def test_photos_of_a_camera_whose_clock_stands_still_are_learned(
    home: Home, body: Body
) -> None:
    for number in range(20):
        write_jpeg(home.photos / f"{number:02d}.jpg", body.sensor.frame(number), START)
    home.once()

    assert home.folded() == 20
    assert home.listed() == body.xy


def test_dark_frames_within_one_second_are_photos(home: Home, body: Body) -> None:
    """They agree in being black, and that says nothing."""
    rng = np.random.default_rng(5)
    black = np.zeros((body.height, body.width, 3))
    for number in range(8):
        frame = exposed(black, rng, 0.6, body.sensor.defects)
        write_jpeg(home.photos / f"dark_{number}.jpg", frame, START)
    home.once()

    assert home.folded() == 8


@pytest.mark.parametrize("edited", ["skip", "fold"])
def test_photos_are_taken_with_a_fisheye_effect_of_the_camera(
    home: Home, body: Body, edited: str
) -> None:
    body.shoot(home.photos, 16)
    home.configure_folder(edited=edited)
    for number in range(16, 20):
        write_jpeg(
            home.photos / f"fisheye_{number}.jpg",
            body.sensor.frame(number),
            START + dt.timedelta(minutes=number),
            make="NIKON CORPORATION",
            model=body.model,
            serial=body.serial,
            maker_note=maker_note(body.serial, 1000 + number, retouch=25),
        )
    home.once()

    assert home.folded() == 16
    assert not any("fisheye" in name for name in home.written())
    answer = home.hotpixeld("status", str(home.photos / "fisheye_16.jpg"))
    assert 'a creative filter of the camera: "fisheye"' in answer.out


def test_a_folder_of_edited_photos_is_folded_where_the_configuration_says_so(
    home: Home, body: Body
) -> None:
    photos = body.shoot(home.photos, 4)
    home.once()
    home.configure_folder(edited="fold")
    (home.photos / "again.jpg").write_bytes(VERSIONS["saved again"](photos[0]))
    home.once()

    assert home.outcomes()["photos/again.jpg"] == "image"
