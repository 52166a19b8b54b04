"""A damaged checkpoint: the one before it is used, and what it lacks is folded again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults.crash import filled, once
from faults.world import in_the_end
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faults.crash import Table
    from faults.hotpixel import Zygote
    from faults.world import World


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _try(
    zygote: Zygote, world: World, damage: Callable[[Path], None], name: str
) -> list[str]:
    world.reset()
    if once(zygote, world):
        return ["the first run failed"]
    ledger = Ledger(world.state / "ledger.sqlite3", read_only=True)
    damaged = [
        record.camera.id
        for record in ledger.images.cameras()
        if ledger.generations.previous(record.camera.id)
    ]
    ledger.close()
    for camera in damaged:
        (path,) = world.state.glob(f"cameras/{camera}/*/{name}")
        damage(path)
    world.put(99)
    code = once(zygote, world)
    text = world.log.read_text()
    wrong = [f"exit code {code}: {text[-800:]}"] if code else []
    if text.count("the one before it is used") != len(damaged):
        wrong.append("not said once")
    wrong += in_the_end(world)
    (world.folders[0] / "day9" / "IMG_0099.JPG").unlink()
    return wrong if damaged else ["nothing was damaged"]


def of_the_newest(zygote: Zygote, root: Path, table: Table, ways: int = 4) -> None:
    """Damage the newest generation in so many ways."""
    world = filled(root)
    for damage in (_flip, type(root).unlink, _cut, _zero)[:ways]:
        for name in ("mean.npy", "m2.npy"):
            wrong = _try(zygote, world, damage, name)
            table.note("newest generation damaged", wrong, f"{damage.__name__} {name}")


def of_both(zygote: Zygote, root: Path, table: Table) -> None:
    """Damage both generations: refused, reported, and nothing overwritten."""
    world = filled(root)
    once(zygote, world)
    for path in world.state.rglob("*.npy"):
        _flip(path)
    before = {path: path.read_bytes() for path in world.state.rglob("*.npy")}
    world.put(99)
    code = once(zygote, world)
    text = world.log.read_text()
    wrong = [] if code == 4 else [f"exit code {code}"]
    wrong += [] if "hotpixeld relearn" in text else ["no advice"]
    if {path: path.read_bytes() for path in world.state.rglob("*.npy")} != before:
        wrong.append("overwritten")
    table.note("both generations damaged", wrong)
