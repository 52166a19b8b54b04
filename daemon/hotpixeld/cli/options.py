"""The options that commands share, and what they stand for.

Options that say one thing together reach a command as one value: `Setup`, `Files`,
`GivenList` and `Machines`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hotpixeld.cli import completion, pixel_lists
from hotpixeld.cli.pixel_lists import Files, GivenList
from hotpixeld.config.load import for_folders, load
from hotpixeld.config.model import Config
from hotpixeld.formats.known_forms import FORMS
from hotpixeld.service import status_file
from hotpixeld.store import state_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from distributed import Client

    Command = Callable[..., Any]

PATH = click.Path(path_type=Path)
NAMED_BY = (
    "its name, model or serial number, or the beginning of its id, as `hotpixeld status"
    " --json` has them"
)


@dataclass(frozen=True, slots=True)
class Setup:
    """Which configuration and which state a command is about, as its options name them."""

    config: Path | None
    state: Path | None

    def configuration(
        self, folders: Sequence[Path] = (), *, quiet: bool = False
    ) -> Config:
        """Return the configuration; folders named on the command line replace its own."""
        loaded = load(self.config) if self.config else Config()
        for warning in () if quiet else loaded.warnings():
            click.echo(f"{self.config}: {warning}", err=True)
        return for_folders(folders, loaded) if folders else loaded

    def folder(
        self, config: Config, *, quiet: bool = False, published: bool = False
    ) -> Path:
        """Return the state folder, and print which it is, and which is passed over.

        The latter even if `quiet`: whoever means another state than the service's names it.

        Parameters
        ----------
        published : bool
            What a service publishes of a state that this user may not read will do, if
            this user has none.
        """
        folder = state_folder.choose(self.state, config.state, os.environ)
        closed = state_folder.closed_system_state(self.state, config.state, os.environ)
        note = ""
        if closed is not None:
            is_new = not state_folder.ledger_file(folder).exists()
            if published and is_new and status_file.published(closed) is not None:
                folder, note = closed, " (as its service publishes it)"
            else:
                owner = state_folder.as_owner(closed)
                command = f"{owner}hotpixeld ... --state {closed}"
                note = (
                    f" (not the service's, which this user may not read: `{command}`)"
                )
        if note or not quiet:
            click.echo(f"state: {folder}{note}", err=True)
        return folder

    def read(self) -> tuple[Config, Path]:
        """Return the configuration and the state folder."""
        loaded = self.configuration()
        return loaded, self.folder(loaded)

    @property
    def typed(self) -> str:
        """Return the options as they are typed, for a command that is to follow."""
        named = {"--config": self.config, "--state": self.state}
        return "".join(
            f" {option} {shlex.quote(str(path))}"
            for option, path in named.items()
            if path
        )


def shared(command: Command) -> Command:
    """Add the options that every command takes, which it gets as `setup`."""
    # Another user's state is not readable, but its daemon may have published a status.
    existing = click.Path(readable=False, path_type=Path)

    @click.option("--config", type=existing, help="Configuration file (YAML).")
    @click.option("--state", type=existing, help="Folder for what hotpixeld remembers.")
    @functools.wraps(command)
    def with_setup(
        *, config: Path | None, state: Path | None, **others: object
    ) -> object:
        return command(setup=Setup(config, state), **others)

    return with_setup


jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=lambda: min(len(os.sched_getaffinity(0)), 8),
    help="Photos worked on at once.  [default: the number of cores]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
of_one_camera = click.option(
    "--camera",
    metavar="CAMERA",
    shell_complete=completion.cameras,
    help=f"This camera only: {NAMED_BY}.",
)
new_folder = click.option(
    "--output",
    required=True,
    type=PATH,
    help="Folder to write; not there yet, or empty.",
)


def since_option(text: str) -> Callable[[Command], Command]:
    """Return the option of a day, with its help."""
    times = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
    return click.option("--since", metavar="DATE", type=times, help=text)


def changes_what_was_learned(command: Command) -> Command:
    """Add the options of commands that delete what was learned."""
    dry_run = click.option("--dry-run", is_flag=True, help="Say what would happen.")
    yes = click.option("--yes", is_flag=True, help="Do not ask.")
    return dry_run(yes(shared(command)))


def is_agreed(question: str, *, yes: bool) -> bool:
    """Return whether the user agrees: by --yes, or on the terminal."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError("nothing was done: where nobody can be asked, say --yes")
    agrees = click.confirm(question, err=True)
    if not agrees:
        click.echo("nothing was done")
    return agrees


def may_show(command: Command) -> Command:
    """Add `--show`, which says the same as a format."""

    @click.option(
        "--show",
        is_flag=True,
        help="As --format pictures: each defect enlarged, before and after repair.",
    )
    @functools.wraps(command)
    def as_told(*, show: bool, format_: str, **rest: object) -> object:
        return command(format_="pictures" if show else format_, **rest)

    return as_told


def _raw_offset(
    ctx: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[int, int] | None:
    del ctx, parameter
    try:
        return None if text is None else pixel_lists.raw_offset(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


_raw_offset_option = click.option(
    "--raw-offset",
    metavar="X,Y",
    callback=_raw_offset,
    help="Where the photos' top left pixel lies in the raw frame: in lists of raw"
    " converters, which count from the raw frame's.",
)


def to_files(command: Command) -> Command:
    """Add the options that say where lists go, which the command gets as `files`."""

    @click.option(
        "--output",
        type=click.Path(),
        help="File to write; with DIR/, or a folder that is there, one for each camera."
        "  With --show a folder for PNG files.",
    )
    @_raw_offset_option
    @functools.wraps(command)
    def with_files(
        *, output: str | None, raw_offset: tuple[int, int] | None, **others: object
    ) -> object:
        return command(files=Files(output, raw_offset), **others)

    return with_files


def from_a_list(command: Command) -> Command:
    """Add what says which list is meant, which the command gets as `given`."""

    @click.argument("file", type=PATH)
    @click.option(
        "--format",
        "format_",
        type=click.Choice(list(FORMS)),
        help="What FILE is.  [default: what it looks like]",
    )
    @_raw_offset_option
    @functools.wraps(command)
    def with_list(
        *,
        file: Path,
        format_: str | None,
        raw_offset: tuple[int, int] | None,
        **others: object,
    ) -> object:
        form = None if format_ is None else FORMS[format_]
        return command(given=GivenList(file, form, raw_offset), **others)

    return with_list


@dataclass(frozen=True, slots=True)
class Machines:
    """Which machines do the work: a scheduler's, or so many processes of this one."""

    scheduler: str | None
    workers: int | None

    @contextlib.contextmanager
    def connected(self) -> Iterator[Client]:
        """Connect to them; say where to watch them."""
        from hotpixeld.cluster import scheduler as dask  # noqa: PLC0415 - an extra

        connection = (
            dask.connected(self.scheduler)
            if self.scheduler
            else dask.local(self.workers or 1)
        )
        with connection as client:
            if link := dask.dashboard(client):
                click.echo(f"dashboard: {link}", err=True)
            yield client


def on_machines(command: Command) -> Command:
    """Add the options that name machines, which the command gets as `machines`, or None."""

    @click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Work on the machines of this Dask scheduler, such as tcp://10.0.0.5:8786.",
    )
    @click.option(
        "--local-cluster",
        "workers",
        type=click.IntRange(1, 1024),
        metavar="N",
        help="Work in N processes on this machine.",
    )
    @functools.wraps(command)
    def with_machines(
        *, scheduler: str | None, workers: int | None, **others: object
    ) -> object:
        if scheduler and workers:
            raise click.UsageError("name --scheduler or --local-cluster, not both")
        named = Machines(scheduler, workers) if scheduler or workers else None
        return command(machines=named, **others)

    return with_machines
