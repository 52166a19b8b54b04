"""A mirror for a gallery: every photo under its own name, repaired where need be."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from days.world import files

if TYPE_CHECKING:
    from days.world import Body, Home


@pytest.fixture
def mirrored(home: Home, body: Body) -> Home:
    """Return a home with 16 photos in a folder, and their mirror."""
    body.shoot(home.photos / "trip", 16)
    (home.photos / "trip" / "IMG_0003.xmp").write_text("<x:xmpmeta/>")
    home.configure_folder(
        repaired=home.root / "gallery", name="{name}", unchanged="link"
    )
    home.once()
    return home


def test_the_mirror_has_every_photo_under_its_own_name(mirrored: Home) -> None:
    gallery = mirrored.root / "gallery"

    assert set(files(gallery)) == {f"trip/IMG_{n:04d}.JPG" for n in range(16)}
    repaired = 0
    for copy in gallery.rglob("*.JPG"):
        original = mirrored.photos / copy.relative_to(gallery)
        if copy.samefile(original):
            continue
        repaired += 1
        assert copy.read_bytes() != original.read_bytes()
    assert repaired == len(mirrored.written())
    assert repaired > 0


def test_what_is_deleted_or_rated_in_the_gallery_stays_so(mirrored: Home) -> None:
    gallery = mirrored.root / "gallery" / "trip"
    rated, deleted = gallery / "IMG_0001.JPG", gallery / "IMG_0002.JPG"
    edited = rated.read_bytes() + b"rating"
    rated.unlink()  # as galleries save: a new file takes the place
    rated.write_bytes(edited)
    (gallery / "IMG_0001.JPG.xmp").write_text("<x:xmpmeta/>")
    deleted.unlink()

    mirrored.once()

    assert rated.read_bytes() == edited
    assert (gallery / "IMG_0001.JPG.xmp").exists()
    assert not deleted.exists()
    assert (mirrored.photos / "trip" / "IMG_0002.JPG").exists()


def test_the_mirror_follows_moves(mirrored: Home) -> None:
    trip = mirrored.photos / "trip"
    (mirrored.photos / "best").mkdir()
    os.rename(trip / "IMG_0004.JPG", mirrored.photos / "best" / "first.JPG")  # noqa: PTH104

    mirrored.once()

    gallery = mirrored.root / "gallery"
    assert (gallery / "best" / "first.JPG").exists()
    assert not (gallery / "trip" / "IMG_0004.JPG").exists()


def test_what_a_gallery_writes_into_a_copy_stays_out_of_the_original(
    home: Home, body: Body
) -> None:
    """As digiKam does, in place: with links it would change the originals."""
    body.shoot(home.photos, 16)
    home.configure_folder(
        repaired=home.root / "gallery", name="{name}", unchanged="copy"
    )
    home.once()
    originals = [home.photos / f"IMG_{n:04d}.JPG" for n in range(16)]
    before = [photo.read_bytes() for photo in originals]
    copies = [home.root / "gallery" / photo.name for photo in originals]
    for copy in copies:
        with copy.open("ab") as file:
            file.write(b"rating")

    home.once()

    assert [photo.read_bytes() for photo in originals] == before
    assert all(copy.read_bytes().endswith(b"rating") for copy in copies)


def test_stacks_find_both_versions_in_one_folder(home: Home, body: Body) -> None:
    body.shoot(home.photos, 16)
    home.configure_folder(repaired=home.root / "edits", name="{stem}.edit{suffix}")

    home.once()
    home.once()

    names = {f"IMG_{n:04d}.edit.JPG" for n in range(16)}
    assert set(files(home.root / "edits")) <= names
    assert len(home.written()) == len(files(home.root / "edits")) > 0
    assert home.folded() == 16
