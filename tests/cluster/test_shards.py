from __future__ import annotations

import datetime as dt
from pathlib import Path

from hotpixeld.cluster import shards
from hotpixeld.cluster.shards import NO_BODY, Body, Scanned

ANNA: Body = ("Maker", "Model One", "111")
BEN: Body = ("Maker", "Model One", "222")


def photo(
    name: str,
    minute: int | None,
    body: Body = ANNA,
    identity: str = "",
) -> Scanned:
    captured = None if minute is None else dt.datetime(2024, 3, 1, 12, minute)
    path = Path("/photos") / name
    order = (
        *(body == NO_BODY, body, captured is None),
        *(captured or dt.datetime.max, name, "/photos"),
    )
    return Scanned(path, order, None, identity or name, body, captured)


def names(families: list[list[list[Scanned]]]) -> list[list[list[str]]]:
    return [[[one.path.name for one in part] for part in parts] for parts in families]


def test_bodies_are_apart_and_each_is_cut_by_time() -> None:
    photos = [photo(f"a{minute}", minute) for minute in (3, 1, 0, 2)]
    photos += [photo(f"b{minute}", minute, BEN) for minute in (1, 0)]

    families = shards.cut(photos, 2)

    assert names(families) == [[["a0", "a1"], ["a2", "a3"]], [["b0", "b1"]]]


def test_no_shard_has_fewer_photos_than_asked_for_where_there_are_so_many() -> None:
    families = shards.cut([photo(f"{i:02}", i) for i in range(11)], 4)

    assert [len(part) for part in families[0]] == [6, 5]


def test_photos_of_one_moment_stay_together() -> None:
    photos = [photo(f"{i}", minute) for i, minute in enumerate((0, 1, 1, 1, 2, 3))]

    families = shards.cut(photos, 2)

    assert names(families) == [[["0", "1", "2", "3"], ["4", "5"]]]


def test_files_of_one_image_are_in_the_shard_of_the_first() -> None:
    photos = [photo(f"{i}", i) for i in range(4)]
    again = photo("again", 50, BEN, identity="0")
    refused = Scanned(Path("/photos/refused"), again.order, None, "1")

    families = shards.cut([*photos, again, refused], 2)

    assert names(families) == [[["0", "again"], ["1", "refused"], ["2", "3"]]]


def test_a_body_whose_serial_may_have_appeared_is_one_shard_with_it() -> None:
    nameless: Body = ("Maker", "Model One", "")
    photos = [photo(f"a{i}", i) for i in range(4)]
    photos += [photo(f"n{i}", i, nameless) for i in range(4)]

    families = shards.cut(photos, 2)

    assert [[len(part) for part in parts] for parts in families] == [[8]]


def test_two_forms_of_a_serial_are_one_body() -> None:
    other: Body = ("Maker", "Model One", "000111")

    assert len(shards.cut([photo("a", 0), photo("b", 1, other)], 1)) == 1


def test_what_is_no_cameras_photo_has_shards_of_its_own() -> None:
    strays = [photo(f"s{i}", i, NO_BODY) for i in range(4)]

    families = shards.cut([photo("a", 0), *strays], 2)

    assert names(families) == [[["s0", "s1"], ["s2", "s3"]], [["a"]]]


def test_a_shard_is_named_by_its_photos_and_by_how_they_are_learned() -> None:
    one, two = photo("a", 0), photo("b", 1)

    assert shards.name([one, two], "100") == shards.name([one, two], "100")
    assert shards.name([one, two], "100") != shards.name([one, two], "50")
    assert shards.name([one, two], "100") != shards.name([two, one], "100")
