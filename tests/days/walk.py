"""A long random walk over what a user does, with what must hold after each step.

``python tests/days/walk.py --steps 2000 1 2 3`` walks with these seeds. A walk that fails
prints its seed and is made as short as it gets while it still fails; ``--replay FILE``
walks a list of steps again.

A step is an action and a number from which the action chooses what it acts on: so a step
can be left out, and those after it still mean something.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from days import truths
from days.actions import ACTIONS
from days.user import User
from days.world import Home
from faults.hotpixel import Zygote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Step(NamedTuple):
    """An action by its name, and the number from which it chooses."""

    action: str
    seed: int


class Failed(Exception):  # noqa: N818 - a walk that failed
    """A walk that came to what must not be."""

    def __init__(self, steps: list[Step], told: list[str], wrong: str) -> None:
        super().__init__("\n".join([*told[-12:], wrong]))
        self.fault = re.sub(r"\S*[/\d]\S*", "", wrong.split("\n", maxsplit=1)[0])
        self.steps = steps
        self.told = told
        self.wrong = wrong


class Walk:
    """One walk in a new home.

    Attributes
    ----------
    taken : list of Step
    told : list of str
        What each did.
    seconds : dict of str to float
        How long each action took, with the look at what must hold after it.
    """

    def __init__(self, root: Path, programs: Zygote) -> None:
        shutil.rmtree(root, ignore_errors=True)
        self.user = User(Home(root, programs))
        self.user.home.configure(detection={"min_photos": 8})
        self.taken: list[Step] = []
        self.told: list[str] = []
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def take(self, step: Step) -> bool:
        """Take a step; return whether there was anything to do.

        Raises
        ------
        Failed
        """
        _, function = ACTIONS[step.action]
        self.taken.append(step)
        self.told.append(f"{len(self.taken)} {step.action}")
        began = time.monotonic()
        try:
            did = function(self.user, random.Random(step.seed))  # noqa: S311
            if did is None:
                del self.taken[-1], self.told[-1]
                return False
            self.told[-1] += f" {did}"
            wrong = truths.right_now(self.user)
            if self.user.calm:
                wrong += truths.when_calm(self.user)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
            wrong = [f"{type(error).__name__}: {error}"]
        self.seconds[step.action] += time.monotonic() - began
        if wrong:
            raise Failed(self.taken, self.told, "\n".join(wrong[:8]))
        return True

    def end(self) -> None:
        """End what still runs."""
        if self.user.daemon is not None:
            self.user.daemon.kill()


def walk(
    root: Path,
    programs: Zygote,
    seed: int,
    count: int,
    report: Callable[[Walk], None] = lambda _: None,
) -> Walk:
    """Walk `count` steps.

    Raises
    ------
    Failed
    """
    random_ = random.Random(seed)  # noqa: S311 - steps, not secrets
    names = list(ACTIONS)
    weights = [weight for weight, _ in ACTIONS.values()]
    one = Walk(root, programs)
    try:
        while len(one.taken) < count:
            (name,) = random_.choices(names, weights)
            if one.take(Step(name, random_.getrandbits(32))):
                report(one)
    finally:
        one.end()
    return one


def again(root: Path, programs: Zygote, steps: Sequence[Step]) -> Failed | None:
    """Take these steps in a new home; return how that failed, if it did."""
    one = Walk(root, programs)
    try:
        for step in steps:
            one.take(step)
    except Failed as failed:
        return failed
    finally:
        one.end()
    return None


def shortened(root: Path, programs: Zygote, failed: Failed, seconds: float) -> Failed:
    """Leave out steps, many at first, as long as the walk still fails."""
    ends, size = time.monotonic() + seconds, len(failed.steps) // 2
    while size:
        place = len(failed.steps) - 1 - size
        while place >= 0 and time.monotonic() < ends:
            fewer = failed.steps[:place] + failed.steps[place + size :]
            other = again(root, programs, fewer)
            if other and other.fault == failed.fault:
                failed = other
            place = min(place, len(failed.steps) - 1) - size
        size = 0 if time.monotonic() > ends else size // 2
    return failed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("seeds", nargs="*", type=int, help="[default: a random one]")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--shorten", type=float, default=180, metavar="SECONDS")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="of a failed walk")
    memory = Path("/dev/shm")  # noqa: S108 - a disk that needs no syncing, if there
    parser.add_argument(
        "--root", type=Path, default=memory if memory.is_dir() else None
    )
    return parser.parse_args()


def _progress(one: Walk) -> None:
    if len(one.taken) % 100 == 0:
        print(
            f"  {len(one.taken)} steps, {sum(one.seconds.values()):.0f} s", flush=True
        )


def main() -> int:
    """Walk from the command line; return 1 if a walk failed."""
    chosen = _arguments()
    code = 0
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(dir=chosen.root))
        root = Path(place) / "home"
        programs = stack.enter_context(Zygote(Path(place)))
        if chosen.replay:
            steps = [Step(*one) for one in json.loads(chosen.replay.read_text())]
            failed = again(root, programs, steps)
            print(failed or f"{len(steps)} steps, all is well")
            return bool(failed)
        for seed in chosen.seeds or [random.SystemRandom().getrandbits(32)]:
            print(f"seed {seed}", flush=True)
            try:
                one = walk(root, programs, seed, chosen.steps, _progress)
            except Failed as failed:
                code = 1
                print(f"seed {seed} failed at step {len(failed.steps)}:\n{failed}\n")
                short = shortened(root, programs, failed, chosen.shorten)
                kept = Path(f"walk-{seed}.json")
                kept.write_text(json.dumps(short.steps))
                print(f"shortened to {len(short.steps)} steps, kept in {kept}:")
                print(*short.told, short.wrong, sep="\n", flush=True)
            else:
                counts = Counter(step.action for step in one.taken)
                print(
                    f"seed {seed}: {len(one.taken)} steps, all is well: {dict(counts)}"
                )
                slowest = sorted(one.seconds.items(), key=lambda item: -item[1])
                print({name: round(seconds) for name, seconds in slowest})
    return code


if __name__ == "__main__":
    sys.exit(main())
