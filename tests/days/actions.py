"""What a user does on a walk: files moved about, lists and settings changed, programs run.

Each action acts on what there is, chosen by the random numbers that it is given.  To add
one, write it here.
"""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image

from days import truths
from days.user import FOLDERS
from faults.hotpixel import Fault, Mode
from jpegs import app, with_segment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from days.user import User

XMP = (
    b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'>%d</x:xmpmeta>"
)
OUTPUTS = ("repaired", "fixed", "../elsewhere/out")
NAMES = ("c_{name}", "r-{name}")
MOST_PHOTOS = 40
"""Originals that lie in the folders at once: what a step costs grows with them."""

Random: TypeAlias = random.Random
Act: TypeAlias = "Callable[[User, Random], str | None]"
ACTIONS: dict[str, tuple[int, Act]] = {}
"""Each action with how often it is taken.  It returns what it did, None if nothing."""


def action(weight: int) -> Callable[[Act], Act]:
    """Register an action under its function's name."""

    def register(function: Act) -> Act:
        ACTIONS[function.__name__] = weight, function
        return function

    return register


# Photos


@action(12)
def drop(user: User, random_: Random) -> str | None:
    """Drop a few new photos."""
    if len(user.originals()) >= MOST_PHOTOS:
        return None
    body = random_.choice(user.bodies)
    folder = user.home.photos / random_.choice(FOLDERS)
    name = f"{'ab'[user.bodies.index(body)]}_{{:04d}}.JPG"
    paths = body.shoot(folder, random_.choice((1, 1, 2, 4, 9)), name=name)
    user.took(paths)
    user.calm = False
    return f"{len(paths)} of {body.serial} up to {user.home.name(paths[-1])}"


def _original(user: User, random_: Random) -> Path | None:
    originals = user.originals()
    if not originals:
        return None
    user.calm = False
    return random_.choice(originals)


@action(3)
def drop_again(user: User, random_: Random) -> str | None:
    """Copy a photo to another place in the import folder."""
    path = _original(user, random_)
    if path is None or len(user.originals()) >= MOST_PHOTOS:
        return None
    place = user.new_place(random_, path, "again")
    user.put(place, path.read_bytes(), "photo")
    return f"{user.home.name(path)} -> {user.home.name(place)}"


@action(4)
def rename(user: User, random_: Random) -> str | None:
    """Rename or move a photo."""
    path = _original(user, random_)
    return user.move(path, user.new_place(random_, path)) if path else None


@action(1)
def swap(user: User, random_: Random) -> str | None:
    """Give two photos each other's name."""
    first, second = _original(user, random_), _original(user, random_)
    if first is None or second is None or first == second:
        return None
    away = user.home.root / "away"
    user.move(first, away)
    user.move(second, first)
    return user.move(away, second) + " and back"


@action(6)
def delete(user: User, random_: Random) -> str | None:
    """Delete a photo, or a whole folder of them."""
    path = _original(user, random_)
    if path is None:
        return None
    if random_.random() < 0.2:
        folder = [one for one in user.originals() if one.parent == path.parent]
        return f"{len([user.remove(one) for one in folder])} of {path.parent.name}"
    return user.remove(path)


@action(4)
def rate(user: User, random_: Random) -> str | None:
    """Give a photo a rating: other metadata, the same image."""
    path = _original(user, random_)
    if path is None:
        return None
    data = with_segment(path.read_bytes(), app(0xE1, XMP % random_.randrange(100)))
    if random_.random() < 0.5 and path.stat().st_nlink == 1:
        path.write_bytes(data)
        user.kept(path, "photo")
    else:
        user.put(path, data, "photo")
    return user.home.name(path)


@action(2)
def touch(user: User, random_: Random) -> str | None:
    """Let a program touch a photo's times."""
    # A running daemon learns of it with its next walk only, in a quarter of an hour.
    path = _original(user, random_)
    if path is None or path.stat().st_nlink > 1 or user.daemon is not None:
        return None
    path.touch()
    user.kept(path, "photo")
    return user.home.name(path)


def _saved(path: Path, random_: Random) -> bytes:
    """Return what a program makes of a photo: another picture, with its name in EXIF."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        exif = image.getexif()
        exif[0x0131] = "GIMP 2.10"
        pictures: list[Callable[[], Image.Image]] = [
            lambda: image.point(lambda level: min(level + 2, 255)),
            lambda: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
            lambda: image.transpose(Image.Transpose.ROTATE_90),
            lambda: image.resize((image.width // 2, image.height // 2)),
        ]
        random_.choice(pictures)().save(buffer, "JPEG", quality=90, exif=exif)
    return buffer.getvalue()


@action(3)
def edit(user: User, random_: Random) -> str | None:
    """Save a photo with a program, beside it or over it."""
    path = _original(user, random_)
    if path is None:
        return None
    place = path
    if random_.random() < 0.5:
        place = user.new_place(random_, path, "edit")
    user.put(place, _saved(path, random_), "edit")
    return f"{user.home.name(path)} -> {user.home.name(place)}"


@action(2)
def tear(user: User, random_: Random) -> str | None:
    """Copy a photo half, as a card that is pulled out does."""
    path = _original(user, random_)
    if path is None:
        return None
    data = path.read_bytes()
    place = user.new_place(random_, path, "torn")
    user.put(place, data[: len(data) * 2 // 3], "torn")
    return user.home.name(place)


@action(2)
def mend(user: User, random_: Random) -> str | None:
    """Copy what came half once more, or delete it."""
    torn = sorted(path for path, mine in user.files.items() if mine.kind == "torn")
    path = _original(user, random_)
    if not torn or path is None:
        return None
    place = random_.choice(torn)
    if random_.random() < 0.3:
        return user.remove(place)
    user.put(place, path.read_bytes(), "photo")
    return user.home.name(place)


# Copies


def _copy(user: User, random_: Random) -> Path | None:
    copies = user.copies()
    if not copies:
        return None
    user.calm = False
    return random_.choice(copies)


@action(3)
def delete_copy(user: User, random_: Random) -> str | None:
    """Delete a copy."""
    path = _copy(user, random_)
    if path is None:
        return None
    user.spoil(path)
    return user.remove(path)


@action(2)
def edit_copy(user: User, random_: Random) -> str | None:
    """Rate a copy, or save it with an editor."""
    path = _copy(user, random_)
    if path is None:
        return None
    user.spoil(path)
    if random_.random() < 0.5:
        data = with_segment(path.read_bytes(), app(0xE1, XMP % 5))
        user.put(path, data, user.kind(path))
    else:
        user.put(path, _saved(path, random_), "edit")
    return user.home.name(path)


@action(2)
def move_copy(user: User, random_: Random) -> str | None:
    """Move a copy, within the output folder or out of it."""
    path = _copy(user, random_)
    if path is None:
        return None
    user.spoil(path)
    if random_.random() < 0.5:
        return user.move(path, path.with_name(f"best_{path.name[-40:]}"))
    return user.move(path, user.new_place(random_, path, "moved"))


@action(3)
def copy_copy(user: User, random_: Random) -> str | None:
    """Copy a copy, or a copy of one, into the import folder."""
    before = [path for path, mine in user.files.items() if mine.kind == "own"]
    path = _copy(user, random_)
    if before and random_.random() < 0.3:
        path = random_.choice(sorted(before))
    if path is None:
        return None
    user.calm = False
    place = user.new_place(random_, path, "copied")
    user.put(place, path.read_bytes(), user.kind(path))
    return f"{user.home.name(path)} -> {user.home.name(place)}"


@action(2)
def foreign(user: User, random_: Random) -> str | None:
    """Put a file of one's own into the output folder, perhaps where a copy would go."""
    output = user.home.outputs()[0]
    place = output / f"notes{random_.randrange(9)}.txt"
    path = _original(user, random_)
    if path is not None and random_.random() < 0.5:
        name = user.home.settings["folders"][0].get("name", "c_{name}")
        inside = path.relative_to(user.home.photos).parent
        place = output / inside / name.format(name=path.name)
    if place.exists():
        return None
    user.put(place, b"mine", "other")
    return user.home.name(place)


# Lists and settings


@action(3)
def ignore(user: User, random_: Random) -> str:
    """Ignore a defect, or none any more."""
    body = random_.choice(user.bodies)
    x, y = random_.choice(sorted(body.xy))
    was = user.entry(body).get("ignore")
    user.set_entry(body, ignore=None if was else [[x, y]], pixels=None)
    return f"{body.serial} {x},{y}: {'no more' if was else 'from now on'}"


@action(3)
def pixels(user: User, random_: Random) -> str:
    """List a pixel by hand, or none any more."""
    body = random_.choice(user.bodies)
    x, y = random_.choice([*sorted(body.xy), (50, 50)])
    was = user.entry(body).get("pixels")
    user.set_entry(body, pixels=None if was else [[x, y]], ignore=None)
    return f"{body.serial} {x},{y}: {'no more' if was else 'from now on'}"


@action(1)
def service(user: User, random_: Random) -> str:
    """Have a camera serviced, or take that back."""
    body = random_.choice(user.bodies)
    was = user.entry(body).get("serviced")
    user.set_entry(body, serviced=None if was else "2024-03-01T12:20:00")
    return f"{body.serial}: {'never' if was else 'at 12:20'}"


@action(2)
def unchanged(user: User, random_: Random) -> str:
    """Choose what a photo without a visible defect gets."""
    how = random_.choice(("skip", "link", "copy"))
    user.home.configure_folder(unchanged=how)
    user.reloaded()
    return how


@action(1)
def which(user: User, random_: Random) -> str:
    """Choose which pixels are repaired."""
    what = random_.choice(("configured", "detected", "both", "both"))
    user.home.configure(repair={"pixels": what})
    user.reloaded()
    return what


@action(3)
def output(user: User, random_: Random) -> str:
    """Have copies go to another place, or by another name."""
    place, name = random_.choice(OUTPUTS), random_.choice(NAMES)
    user.home.configure_folder(repaired=place, name=name)
    user.reloaded()
    return f"{place}/{name}"


@action(2)
def tidied(user: User, _: Random) -> str:
    """Have copies at former places removed by themselves, or kept."""
    was = bool(user.home.settings.get("copies"))
    user.home.configure(copies={} if was else {"tidy": True})
    user.reloaded()
    return "no more" if was else "from now on"


@action(2)
def tidy(user: User, _: Random) -> str | None:
    """Remove the copies at former places."""
    if not truths.cameras(user.home):
        return None
    answer = user.home.hotpixeld("tidy", "--yes", code=None)
    if answer.code not in {0, 1}:  # 1: it says which stay, and why
        raise AssertionError(answer)
    return ""


@action(2)
def repair(user: User, random_: Random) -> str | None:
    """Repair a photo by hand; it may say no."""
    path = _original(user, random_)
    if path is None:
        return None
    where = ("--output", user.home.photos / "hand") if random_.random() < 0.3 else ()
    user.home.hotpixeld("repair", path, *where, code=None)
    user.calm = False
    return f"{user.home.name(path)} {where and user.home.name(where[1])}"


@action(2)
def forget(user: User, random_: Random) -> str | None:
    """Forget a camera, or what it took from some minute on, or learn it again."""
    cameras = truths.cameras(user.home)
    if not cameras:
        return None
    camera = random_.choice(cameras)
    since = ("--since", "2024-03-01T12:15:00") if random_.random() < 0.5 else ()
    code = 0 if user.daemon is None else 4
    command = random_.choice(("forget", "relearn"))
    user.home.hotpixeld(command, "--yes", camera, *since, code=code)
    user.calm = False
    return f"{command} {camera} {' '.join(since)}"


# The program

NONE = "`hotpixeld status"
"""Stands in the last line of a run of which nothing came: each reason is in the status."""


def _run_once(user: User) -> None:
    answer = user.home.once(code=None)
    # 6 says that it could not do all: none of the new photos or copies, and why.
    told = answer.err.rstrip().splitlines()[-1:]
    is_told = any(line.startswith("hotpixeld: ") and NONE in line for line in told)
    if answer.code != (6 if is_told else 0):
        raise AssertionError(answer)
    user.calm = True


@action(14)
def once(user: User, random_: Random) -> str | None:
    """Run it once; at times twice, and then nothing may happen."""
    if user.daemon is not None:
        return None
    _run_once(user)
    if random_.random() < 0.3:
        before = truths.everything(user)
        _run_once(user)
        truths.same(before, truths.everything(user))
        return "twice"
    return ""


@action(1)
def second(user: User, _: Random) -> str | None:
    """Run it once with another state, on the same folders, its copies elsewhere."""
    if not truths.cameras(user.home):
        return None
    if user.second is None:
        user.second = user.home.also("second")
        user.second.configure(folders=user.home.settings["folders"])
        user.second.configure_folder(repaired=user.home.root / "second" / "copies")
    user.second.hotpixeld("run", "--once", "--jobs", "1", code=None)
    truths.nothing_learned(user, user.second)
    return ""


def _fault(user: User, random_: Random) -> Fault:
    at = int(random_.triangular(1, 200, 10))
    mode = random_.choice((Mode.KILL, Mode.TORN))
    return Fault(mode, at, at, (user.home.root,))


@action(4)
def once_killed(user: User, random_: Random) -> str | None:
    """Run it once, and kill it at some call that changes a file."""
    if user.daemon is not None:
        return None
    fault = _fault(user, random_)
    answer = user.home.once(code=None, fault=fault)
    if answer.code not in {0, 6, -9}:
        raise AssertionError(answer)
    user.calm = answer.code != -9
    return f"{fault.mode.name} at {fault.at}: {answer.code}"


@action(4)
def start(user: User, random_: Random) -> str | None:
    """Start the daemon."""
    if user.daemon is not None:
        return None
    user.daemon = user.home.daemon()
    user.calm = False
    return ""


@action(3)
def start_killed(user: User, random_: Random) -> str | None:
    """Start the daemon, and kill it at some call that changes a file."""
    if user.daemon is not None:
        return None
    fault = _fault(user, random_)
    daemon = user.home.daemon(fault)
    daemon.process.until(lambda: not daemon.under_way())
    code = daemon.process.stop()
    if code not in {0, -9}:
        raise AssertionError(f"exit code {code}: {daemon.log}")
    user.calm = False
    return f"{fault.mode.name} at {fault.at}: {code}"


@action(5)
def wait(user: User, random_: Random) -> str | None:
    """Wait until the daemon has done what is due."""
    if user.daemon is None:
        return None
    user.daemon.idle()
    user.calm = True
    return ""


@action(3)
def stop(user: User, random_: Random) -> str | None:
    """Stop the daemon."""
    if user.daemon is None:
        return None
    user.daemon.stop()
    user.daemon = None
    return ""


@action(2)
def kill(user: User, random_: Random) -> str | None:
    """Kill the daemon."""
    if user.daemon is None:
        return None
    user.daemon.kill()
    user.daemon, user.calm = None, False
    return ""
