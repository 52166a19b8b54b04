"""The command line: each command parses, calls one function and returns its exit code."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import logging
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hotpixeld.cli import (
    cameras,
    commands,
    completion,
    copy_commands,
    forgetting,
    photo_defects,
    photo_status,
    pictures,
    pixel_lists,
    progress,
    run_once,
    states,
    status_text,
    tables,
)
from hotpixeld.config.load import for_folders, load
from hotpixeld.config.model import Config, is_page_name
from hotpixeld.defect import Defect, is_place
from hotpixeld.engine import priming
from hotpixeld.errors import (
    ConfigError,
    ExitCode,
    HotpixeldError,
    PhotoError,
    PhotoGoneError,
    RefusedError,
    exit_code,
    said,
)
from hotpixeld.formats import json_map, known_forms
from hotpixeld.formats.known_forms import FORMS
from hotpixeld.messages import counted, plain
from hotpixeld.report.writing import write_report
from hotpixeld.service import daemon, logs, status_file
from hotpixeld.store import state_folder

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence

    from distributed import Client

    from hotpixeld.formats.form import CameraMaps, Form


INTERRUPTED = 130
"""The exit code of shells for a program that Ctrl-C ended."""


def shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every command takes."""
    # Another user's state is not readable, but its daemon may have published a status.
    existing = click.Path(readable=False, path_type=Path)
    state = click.option(
        "--state", type=existing, help="Folder for what hotpixeld remembers."
    )
    config = click.option("--config", type=existing, help="Configuration file (YAML).")
    return config(state(command))


jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=lambda: min(len(os.sched_getaffinity(0)), 8),
    help="Photos worked on at once.  [default: the number of cores]",
)


def _configuration(
    config: Path | None, folders: Sequence[Path] = (), *, quiet: bool = False
) -> Config:
    """Return the configuration; folders named on the command line replace its own."""
    loaded = load(config) if config else Config()
    for warning in () if quiet else loaded.warnings():
        click.echo(f"{config}: {warning}", err=True)
    return for_folders(folders, loaded) if folders else loaded


def _state(
    option: Path | None, config: Config, *, quiet: bool = False, published: bool = False
) -> Path:
    """Return the state folder, and print which it is, and which is passed over.

    The latter even if `quiet`: whoever means another state than the service's names it.

    Parameters
    ----------
    published : bool
        What a service publishes of a state that this user may not read will do, if this
        user has none.
    """
    folder = state_folder.choose(option, config.state, os.environ)
    closed = state_folder.closed_system_state(option, config.state, os.environ)
    note = ""
    if closed is not None:
        is_new = not state_folder.ledger_file(folder).exists()
        if published and is_new and status_file.published(closed) is not None:
            folder, note = closed, " (as its service publishes it)"
        else:
            command = f"{state_folder.as_owner(closed)}hotpixeld ... --state {closed}"
            note = f" (not the service's, which this user may not read: `{command}`)"
    if note or not quiet:
        click.echo(f"state: {folder}{note}", err=True)
    return folder


NAMED_BY = (
    "its name, model or serial number, or the beginning of its id, as `hotpixeld status"
    " --json` has them"
)


def _raw_offset(
    ctx: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[int, int] | None:
    del ctx, parameter
    try:
        return None if text is None else pixel_lists.raw_offset(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


raw_offset_option = click.option(
    "--raw-offset",
    metavar="X,Y",
    callback=_raw_offset,
    help="Where the photos' top left pixel lies in the raw frame: in lists of raw"
    " converters, which count from the raw frame's.",
)
of_one_camera = click.option(
    "--camera",
    metavar="CAMERA",
    shell_complete=completion.cameras,
    help=f"This camera only: {NAMED_BY}.",
)


def _options(config: Path | None, state: Path | None) -> str:
    """Return options as they are typed, for a command that is to follow."""
    named = {"--config": config, "--state": state}
    return "".join(
        f" {option} {shlex.quote(str(path))}" for option, path in named.items() if path
    )


def changes_what_was_learned(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of commands that delete what was learned."""
    dry_run = click.option("--dry-run", is_flag=True, help="Say what would happen.")
    yes = click.option("--yes", is_flag=True, help="Do not ask.")
    return dry_run(yes(shared(command)))


def _agreed(question: str, *, yes: bool) -> bool:
    """Return whether the user agrees: by --yes, or on the terminal."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError("nothing was done: where nobody can be asked, say --yes")
    return click.confirm(question, err=True)


def _declined() -> ExitCode:
    click.echo("nothing was done")
    return ExitCode.FAULT


class Commands(click.Group):
    """Commands in the order in which people come to need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, as they stand below."""
        del ctx
        return list(self.commands)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hotpixeld")
def program() -> None:
    """Find a camera's hot pixels in its ordinary JPEGs and write repaired copies."""


@program.command(
    short_help="Learn from photos, find hot pixels, write repaired copies."
)
@click.argument(
    "folders", nargs=-1, metavar="[FOLDER]...", type=click.Path(path_type=Path)
)
@click.option("--once", is_flag=True, help="Take the photos that are there, then exit.")
@click.option(
    "-q", "--quiet", is_flag=True, help="Say only what went wrong, as cron wants it."
)
@jobs_option
@shared
def run(
    folders: tuple[Path, ...],
    *,
    once: bool,
    quiet: bool,
    jobs: int,
    config: Path | None,
    state: Path | None,
) -> ExitCode:
    """Watch folders: learn from new photos, map hot pixels, write repaired copies.

    Needs no configuration when FOLDER is given: copies go to FOLDER/repaired.
    """

    def configuration() -> Config:
        loaded = _configuration(config, folders, quiet=quiet)
        if config and not loaded.folders:
            advice = "no folder to watch: add one under `folders`"
            raise ConfigError([f"{config}: {advice}"])
        return loaded

    first = configuration()
    if not first.folders:
        raise click.UsageError("no folder to watch: name one, or give --config FILE")
    folder = _state(state, first, quiet=quiet)
    # With `--once` the progress shows the photos, and the log only what went wrong.
    level = logging.WARNING if once or quiet else logging.INFO
    with logs.sent(logging.ERROR if once and quiet else level):
        if not once:
            daemon.run(configuration, folder, jobs)
            return ExitCode.OK
        show = progress.without_progress if quiet else progress.with_progress
        ran = run_once.run_once(first, folder, jobs, show)
    return _told(ran, _options(config, state), quiet=quiet)


def _told(ran: run_once.Ran, options: str, *, quiet: bool = False) -> ExitCode:
    """Say what a run did, and what it could not do."""
    if not quiet:
        click.echo(run_once.summary(ran, options))
    for fault in ran.undone:
        click.echo(f"hotpixeld: {plain(fault)}", err=True)
    return ExitCode.PARTLY if ran.undone else ExitCode.OK


@program.command(short_help="Tell what became of the photos, or of one.")
@click.argument("photo", required=False, type=click.Path(path_type=Path))
@click.option("--problems", is_flag=True, help="Name every problem, however many.")
@click.option(
    "--health",
    is_flag=True,
    help="Only whether the daemon is well; if not, exit code 1.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@shared
def status(
    *,
    photo: Path | None,
    problems: bool,
    health: bool,
    as_json: bool,
    config: Path | None,
    state: Path | None,
) -> ExitCode:
    """Show the cameras, the photos and what became of them, or of one PHOTO.

    With --health nothing but how the daemon is, in a line: well; or it does not run, hangs,
    or has a fault, such as a full disk or a folder that it may not use.
    """
    loaded = _configuration(config, quiet=health)
    folder = _state(state, loaded, quiet=health, published=photo is None)
    if health:
        if photo or problems or as_json:
            raise click.UsageError("--health stands alone")
        wrong = status_file.ailments(folder)
        click.echo(f"unwell: {plain('; '.join(wrong))}" if wrong else "well")
        return ExitCode.FAULT if wrong else ExitCode.OK
    if photo is not None:
        with commands.opened(folder) as ledger:
            found = photo_status.of_photo(ledger, photo, loaded)
        text = photo_status.text(found)
    else:
        most = None if problems else status_file.PROBLEMS
        found = commands.status(folder, loaded, most)
        text = status_text.text(
            found, in_full=problems, options=_options(config, state)
        )
    click.echo(json.dumps(found, indent=1) if as_json else text, nl=as_json)
    return ExitCode.OK


def _show(
    folder: Path, config: Config, camera: str | None, output: Path | None
) -> None:
    """Draw the defects of a state on the terminal, or into a folder."""
    with commands.opened(folder) as ledger:
        records = commands.chosen(ledger, config, camera)
        if output is None:
            pictures.show(ledger, config, records)
            return
        written = pictures.save(ledger, config, records, output)
    click.echo(f"{output}: {counted(len(written), 'picture')}, before and after")


def may_show(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--show`, which says the same as a format."""

    @functools.wraps(command)
    def as_told(*, show: bool, format_: str, **rest: object) -> object:
        return command(format_="pictures" if show else format_, **rest)

    about = "As --format pictures: each defect enlarged, before and after repair."
    return click.option("--show", is_flag=True, help=about)(as_told)


@dataclass(frozen=True, slots=True)
class Files:
    """Where lists go, and what their coordinates begin at; see `pixel_lists`."""

    output: str | None
    raw_offset: tuple[int, int] | None


def to_files(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where lists go, which the command gets as `files`."""

    @click.option(
        "--output",
        type=click.Path(),
        help="File to write; with DIR/, or a folder that is there, one for each camera."
        "  With --show a folder for PNG files.",
    )
    @raw_offset_option
    @functools.wraps(command)
    def with_files(
        *, output: str | None, raw_offset: tuple[int, int] | None, **others: object
    ) -> object:
        return command(files=Files(output, raw_offset), **others)

    return with_files


@program.command(
    name="map", short_help="List the hot pixels of each camera, or draw them."
)
@of_one_camera
@click.option(
    "--method",
    type=click.Choice(["contrast", "variance"]),
    help="Make the map from the state now, by this method; the daemon's map stays.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "pictures", *FORMS]),
    default="table",
    show_default=True,
    help="For people, or in the form that another program reads.",
)
@click.option(
    "--bin",
    "bin_",
    metavar="BIN",
    shell_complete=completion.bins,
    help="Places at this lens and focal length, named as `hotpixeld cameras` has them,"
    " or by either alone.  [default: the reference's]",
)
@click.option(
    "--photo",
    type=click.Path(path_type=Path),
    help="Tell where this photo shows each, how likely, and what was done: a table or JSON.",
)
@may_show
@to_files
@shared
def map_command(  # noqa: PLR0913 - options of a command
    *,
    photo: Path | None,
    camera: str | None,
    bin_: str | None,
    method: str | None,
    format_: str,
    files: Files,
    config: Path | None,
    state: Path | None,
) -> None:
    """Print the cameras' lists of pixels: where, what, how strong, and when they show.

    A table on a terminal; in a pipe a line of fields between tabs for each pixel.  With
    --format for other programs, which take one camera's list at a time: name it with
    --camera, or a folder with --output.
    """
    if format_ == "pictures" and (method or bin_):
        reason = "--show draws the maintained map: without --method and --bin"
        raise click.UsageError(reason)
    form = FORMS.get(format_)
    if files.raw_offset and not (form and form.is_raw):
        raw = ", ".join(name for name, one in FORMS.items() if one.is_raw)
        raise click.UsageError(f"--raw-offset is for {raw}: --format names one")
    if photo and (method or camera or bin_ or format_ not in {"table", "json"}):
        raise click.UsageError("--photo is a table or --format json of one photo")
    loaded = _configuration(config)
    folder = _state(state, loaded)
    if photo:
        with commands.opened(folder) as ledger:
            told = photo_defects.of_photo(ledger, photo, loaded)
        as_json = json.dumps(told, indent=1) + "\n"
        text = as_json if format_ == "json" else photo_defects.text(told)
        _print_or_write(text.encode(), files.output)
    elif format_ == "pictures":
        _show(folder, loaded, camera, Path(files.output) if files.output else None)
    elif form is None:
        found = commands.camera_pixels(folder, loaded, camera, method, bin_)
        _say_what_is_outside([one.map for one in found])
        _print_or_write(tables.text(found).encode(), files.output)
    else:
        maps = commands.camera_maps(folder, loaded, camera, method, bin_)
        _export(form, maps, files)


def _export(form: Form, maps: CameraMaps, files: Files) -> None:
    """Print maps in a form, or write one file or one for each camera."""
    if note := pixel_lists.border(form, files.raw_offset):
        click.echo(f"hotpixeld: {note}", err=True)
    offset = files.raw_offset or (0, 0)
    maps = [known_forms.addressable(form, one) for one in maps]
    _say_what_is_outside(maps)
    if files.output and pixel_lists.is_folder(files.output):
        for path in pixel_lists.export(form, maps, offset, Path(files.output)):
            click.echo(path)
    else:
        _print_or_write(known_forms.written(form, maps, offset), files.output)


def _say_what_is_outside(maps: CameraMaps) -> None:
    """Say how many places of each camera's list are left out."""
    for one in maps:
        if one.outside:
            pixels = counted(one.outside, "pixel")
            lie = "lies" if one.outside == 1 else "lie"
            left = (
                f"{pixels} {lie} outside of the frame of photos at {one.bin}, left out"
            )
            click.echo(f"hotpixeld: {one.camera.id}: {plain(left)}", err=True)


def _print_or_write(content: bytes, output: str | None) -> None:
    if output:
        commands.write_file(Path(output), content)
    elif b"\0" in content and sys.stdout.isatty():
        raise click.UsageError("this is no text: name a file with --output")
    else:
        click.echo(content, nl=False)


def from_a_list(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says which list is meant, which the command gets as `given`."""

    @click.argument("file", type=click.Path(path_type=Path))
    @click.option(
        "--format",
        "format_",
        type=click.Choice(list(FORMS)),
        help="What FILE is.  [default: what it looks like]",
    )
    @raw_offset_option
    @functools.wraps(command)
    def with_list(
        *,
        file: Path,
        format_: str | None,
        raw_offset: tuple[int, int] | None,
        **others: object,
    ) -> object:
        form = None if format_ is None else FORMS[format_]
        return command(given=pixel_lists.GivenList(file, form, raw_offset), **others)

    return with_list


@program.command(name="import", short_help="Take over a pixel list of another program.")
@from_a_list
@click.option(
    "--camera",
    required=True,
    metavar="CAMERA",
    shell_complete=completion.cameras,
    help=f"The camera that it is of: {NAMED_BY}.",
)
@click.option("--write", is_flag=True, help="Change the configuration.")
@shared
def import_command(
    *,
    given: pixel_lists.GivenList,
    camera: str,
    write: bool,
    config: Path | None,
    state: Path | None,
) -> None:
    """Show what FILE, a list of another program, would add to the configuration's pixels.

    Reads what `map --format` writes.  With --write the file that --config names is changed,
    and nothing in it but that; it is made if it is not there.
    """
    if config is None:
        raise click.UsageError("name the configuration to change with --config FILE")
    loaded = _configuration(config if config.exists() else None)
    folder = _state(state, loaded)
    change = pixel_lists.import_(given, camera, config, folder)
    click.echo(change.diff, nl=False)
    for line in change.said:
        click.echo(f"hotpixeld: {line}", err=True)
    if change.before == change.after:
        click.echo(f"{config}: nothing to change", err=True)
    elif write:
        change.write()
        click.echo(
            f"{config}: written; a running daemon takes it at a reload", err=True
        )
    else:
        click.echo(f"{config}: not changed: --write does it", err=True)


@program.command(
    name="cameras", short_help="List the cameras, and where lenses move defects."
)
@of_one_camera
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@shared
def cameras_command(
    *, camera: str | None, as_json: bool, config: Path | None, state: Path | None
) -> None:
    """Print the cameras, with their bins: photos of one lens and focal length.

    A camera that corrects its lenses shows a defect elsewhere in each bin; told is how
    many photos each has, and whether its correction is known, and why or why not.
    """
    loaded = _configuration(config)
    with commands.opened(_state(state, loaded)) as ledger:
        records = commands.chosen(ledger, loaded, camera)
        found = cameras.of_state(ledger, records, loaded)
    text = json.dumps(found, indent=1) + "\n" if as_json else cameras.text(found)
    click.echo(text, nl=False)


class TakesPlaces(click.Command):
    """A command among whose arguments are places: ``-55,1636`` is one, and no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Have the places come last, where nothing is an option."""
        end = args.index("--") if "--" in args else len(args)
        before, after = args[:end], args[end + 1 :]
        places = [text for text in before if is_place(text)]
        rest = [text for text in before if not is_place(text)]
        last = ["--", *places, *after] if places or after else []
        return super().parse_args(ctx, [*rest, *last])


@program.command(
    cls=TakesPlaces, short_help="Tell since when each is there; of one, all there is."
)
@click.argument(
    "what",
    nargs=-1,
    metavar="[CAMERA] [X,Y]",
    shell_complete=completion.cameras,
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@shared
def history(
    what: tuple[str, ...], *, as_json: bool, config: Path | None, state: Path | None
) -> None:
    """Show since when each defect is there and when it shows; of one at X,Y all there is.

    CAMERA is its name, model or serial number, or the beginning of its id; it may be left
    out where there is one.
    """
    places = [text for text in what if is_place(text)]
    names = [text for text in what if not is_place(text)]
    if len(places) > 1 or len(names) > 1:
        raise click.UsageError("name one camera, and one pixel as X,Y")
    camera = names[0] if names else None
    loaded = _configuration(config)
    folder = _state(state, loaded)
    if as_json:
        maps = commands.camera_maps(folder, loaded, camera, None)
        text = json_map.json_text(maps, json_map.life)
    else:
        found = commands.camera_pixels(folder, loaded, camera)
        text = tables.details(found, places[0]) if places else tables.text(found)
    click.echo(text, nl=False)


@program.command(short_help="Write a page with pictures, before and after.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("hotpixeld-report.html"),
    show_default=True,
    help="File to write, a page: its name ends in .html.",
)
@of_one_camera
@shared
def report(
    *, output: Path, camera: str | None, config: Path | None, state: Path | None
) -> None:
    """Write a page that shows each defect in real photos, before and after repair.

    One HTML file with all in it, to open in a browser: where the defects are, since when,
    when they show, what was not used and why.  With `report: FILE` in the configuration
    the daemon keeps it current.
    """
    if not is_page_name(output):
        raise click.BadParameter("must end in .html", param_hint="--output")
    loaded = _configuration(config)
    with commands.opened(_state(state, loaded)) as ledger:
        records = commands.chosen(ledger, loaded, camera)
        write_report(output, ledger, loaded, records)
    click.echo(f"{output}: open it in a browser")


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


def on_machines(
    command: Callable[..., Any], here: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """Add the options that name machines, which the command gets as `machines`.

    Where none is named, `here` is called in its place, if there is such.
    """

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
    @functools.wraps(here or command)
    def with_machines(
        *, scheduler: str | None, workers: int | None, **others: object
    ) -> object:
        if scheduler and workers:
            raise click.UsageError("name --scheduler or --local-cluster, not both")
        if scheduler or workers:
            return command(machines=Machines(scheduler, workers), **others)
        if here is None:
            raise click.UsageError("name --scheduler ADDRESS or --local-cluster N")
        return here(**others)

    return with_machines


@program.command(short_help="Learn an archive on many machines.")
@click.argument(
    "folders",
    nargs=-1,
    metavar="[FOLDER]...",
    type=click.Path(path_type=Path),
)
@on_machines
@click.option(
    "--storage",
    metavar="URL",
    help="Where the machines leave what they learned for each other: a folder or an"
    " s3:// URL that all can write to.  [default with --local-cluster: in the state]",
)
@click.option(
    "--shard-photos",
    type=click.IntRange(4),
    default=1000,
    show_default=True,
    help="Photos of one camera in a task, at least; no fewer than 10 times"
    " `detection: memory`.",
)
@shared
def learn(
    folders: tuple[Path, ...],
    *,
    machines: Machines,
    storage: str | None,
    shard_photos: int,
    config: Path | None,
    state: Path | None,
) -> ExitCode:
    """Learn the photos in FOLDERS on many machines, as one run here would.

    Each FOLDER must be at the same path on all of them.  Writes the maps, and no copies.
    A run that was interrupted goes on where it was.
    """
    loaded = _configuration(config, folders)
    if not loaded.folders:
        raise click.UsageError("no folder to learn: name one, or give --config FILE")
    if machines.scheduler and not storage:
        advice = "name --storage URL, a place that all machines can write to"
        raise click.UsageError(advice)
    folder = _state(state, loaded)
    with logs.sent(logging.WARNING), machines.connected() as client:
        url = storage or str(folder / "shards")
        ran = run_once.learn(loaded, folder, client, url, shard_photos)
    return _told(ran, _options(config, state))


def _repair_on_machines(
    *,
    machines: Machines,
    photos: tuple[Path, ...],
    config: Path | None,
    state: Path | None,
    **others: object,
) -> ExitCode:
    """Write the copies that are due in folders, as a run that is done once does."""
    if any(others.values()):
        reason = "--pixel, --output and --force are for photos that are repaired here"
        raise click.UsageError(reason)
    loaded = _configuration(config, photos)
    if not loaded.folders:
        raise click.UsageError("no folder: name those whose copies are due")
    folder = _state(state, loaded)
    with logs.sent(logging.WARNING), machines.connected() as client:
        ran = run_once.make_copies(loaded, folder, client)
    return _told(ran, _options(config, state))


@program.command(name="notify", short_help="Tell people and programs what is new.")
@click.option(
    "--list", "lists", is_flag=True, help="Print the newest events as lines of JSON."
)
@click.option(
    "--test", "tries", is_flag=True, help="Send everybody a message of no meaning."
)
@shared
def notify_command(
    *, lists: bool, tries: bool, config: Path | None, state: Path | None
) -> ExitCode:
    """Tell whom the configuration names under `notify` what is new; each event once.

    A message that cannot be delivered is tried again, and holds up no other.  Run it by its
    timer (hotpixeld-notify.timer) or from cron.
    """
    from hotpixeld.service import notify  # noqa: PLC0415 - the daemon needs no web client

    loaded = _configuration(config, quiet=True)
    if tries:
        return _not_told(notify.try_out(loaded))
    with commands.opened(_state(state, loaded, quiet=True)) as ledger:
        if lists:
            for event in ledger.events.after(0):
                click.echo(event.line)
            return ExitCode.OK
        if loaded.notify == Config().notify:
            raise click.UsageError("nobody to tell: add `notify` to a --config FILE")
        return _not_told(notify.notify(ledger, loaded))


def _not_told(faults: Sequence[str]) -> ExitCode:
    """Say what could not be told."""
    for fault in faults:
        click.echo(f"hotpixeld: {plain(fault)}", err=True)
    return ExitCode.PARTLY if faults else ExitCode.OK


@program.command(short_help="Write repaired copies of some photos now.")
@click.argument(
    "photos", nargs=-1, metavar="[PHOTO]...", type=click.Path(path_type=Path)
)
@functools.partial(on_machines, _repair_on_machines)
@click.option(
    "--pixel", "pixels", multiple=True, metavar="X,Y", help="Repair this pixel."
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder for the copies."
)
@click.option(
    "--force", is_flag=True, help="Replace a copy of ours that has more repaired."
)
@shared
def repair(
    photos: tuple[Path, ...],
    *,
    pixels: tuple[str, ...],
    output: Path | None,
    force: bool,
    config: Path | None,
    state: Path | None,
) -> ExitCode:
    """Write repaired copies of PHOTOS.

    Without --pixel, the pixel list and the map of the photo's camera are used.  The copy
    goes where the daemon has it, else into `repaired` beside the photo; no file is replaced
    that is not as hotpixeld wrote it.

    With --scheduler or --local-cluster PHOTOS are folders that were learned: the machines
    write all copies that are due there, as `run --once` would.
    """
    if not photos:
        raise click.UsageError("no photo to repair: name one")
    try:
        named = tuple(Defect.parse(text) for text in pixels)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--pixel") from error
    loaded = _configuration(config)
    folder = _state(state, loaded)
    code = ExitCode.OK
    for path in photos:
        try:
            click.echo(
                copy_commands.repair(path, named, output, loaded, folder, force=force)
            )
        except (PhotoError, RefusedError) as error:
            code = max(code, ExitCode.PHOTO)
            is_gone = isinstance(error, PhotoGoneError)
            reason = "no such file: check the spelling" if is_gone else error.reason
            click.echo(plain(f"{path}: {reason}"), err=True)
        except OSError as error:  # of the output
            code = max(code, ExitCode.FAULT)
            click.echo(plain(f"{path}: no copy: {said(error)}"), err=True)
    return code


@program.group(name="state", short_help="Merge, export or import what was learned.")
def state_group() -> None:
    """Merge, export or import what was learned, as a whole."""


new_folder = click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder to write; not there yet, or empty.",
)


@state_group.command()
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@new_folder
@jobs_option
@shared
def merge(
    first: Path,
    second: Path,
    *,
    output: Path,
    jobs: int,
    config: Path | None,
    state: Path | None,
) -> None:
    """Make one state of A and B, two state folders, which stay as they are.

    A photo that both have learned counts once.  Their daemons may go on.
    """
    del state  # every command takes it; this one is told its states
    loaded = _configuration(config)
    with logs.sent(logging.WARNING):
        click.echo(states.merge(first, second, output, loaded, jobs))


@state_group.command(name="export")
@new_folder
@shared
def export_state(*, output: Path, config: Path | None, state: Path | None) -> None:
    """Write the state to a new folder, as it is now; the daemon may go on."""
    loaded = _configuration(config)
    click.echo(states.export(_state(state, loaded), output, loaded))


@state_group.command(name="import")
@click.argument("source", metavar="FOLDER", type=click.Path(path_type=Path))
@jobs_option
@shared
def import_state(
    source: Path, *, jobs: int, config: Path | None, state: Path | None
) -> None:
    """Add what the state in FOLDER has learned; stop the daemon first.

    A photo that both have learned counts once.
    """
    loaded = _configuration(config)
    folder = _state(state, loaded)
    with logs.sent(logging.WARNING):
        click.echo(states.import_(folder, source, loaded, jobs))


@program.command(short_help="List the hot pixels of lens-cap frames at once.")
@click.argument(
    "frames",
    metavar="FRAME ...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@click.option("--dry-run", is_flag=True, help="Say what would be listed.")
@shared
def prime(
    *,
    frames: tuple[Path, ...],
    dry_run: bool,
    config: Path | None,
    state: Path | None,
) -> ExitCode:
    """List the hot pixels that 1 to 10 lens-cap frames (JPEG) show, as primed.

    They are repaired from the camera's first photo on, where it shows them, and confirmed
    or dropped by the photos that follow.  Frames are best taken at one exposure time, long
    and at a high ISO, two or more.  They are only read, and are no photos to learn from.
    """
    if len(frames) > priming.MOST:
        raise click.UsageError(f"{len(frames)} frames: name {priming.MOST} at most")
    loaded = _configuration(config)
    folder = _state(state, loaded)
    text, refused = commands.prime(folder, frames, loaded, dry_run=dry_run)
    if text:
        click.echo(text)
    for error in refused:
        click.echo(f"hotpixeld: {error}", err=True)
    return ExitCode.PHOTO if refused else ExitCode.OK


@program.command(short_help="Prove what differs between a photo and its copy.")
@click.argument("original", type=click.Path(path_type=Path))
@click.argument("copy", type=click.Path(path_type=Path))
@shared
def diff(
    original: Path, copy: Path, *, config: Path | None, state: Path | None
) -> ExitCode:
    """Prove that COPY is ORIGINAL but for some blocks, and list them."""
    del config, state  # every command takes them; this one compares two files
    text, is_repair = commands.diff(original, copy, Config().limits.max_bytes)
    click.echo(text)
    return ExitCode.OK if is_repair else ExitCode.DIFFERENT


@program.command(short_help="Give back the original of a copy, to the byte.")
@click.argument("copy", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="File to write.  [default: the original's name, beside COPY]",
)
@shared
def undo(
    copy: Path, *, output: Path | None, config: Path | None, state: Path | None
) -> None:
    """Write the original of COPY, to the byte.

    Works from what the ledger kept of it, wherever COPY is now; overwrites nothing.
    """
    loaded = _configuration(config)
    folder = _state(state, loaded)
    click.echo(commands.undo(copy, output, loaded.limits.max_bytes, folder))


@program.command(short_help="Remove copies that are not needed where they are.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@shared
def tidy(
    *, dry_run: bool, yes: bool, config: Path | None, state: Path | None
) -> ExitCode:
    """Remove copies at former places that were written anew at the present one.

    Only what still is as hotpixeld wrote it; with `copies: {tidy: true}` the daemon does it.
    """
    loaded = _configuration(config)
    folder = _state(state, loaded)
    text, count = copy_commands.tidy(folder, loaded, dry_run=True)
    click.echo(text)
    if dry_run or not count:
        return ExitCode.OK
    copy_commands.check_writable(folder)
    if not _agreed("Remove them?", yes=yes):
        return _declined()
    text, removed = copy_commands.tidy(folder, loaded, dry_run=False)
    click.echo(text)
    return ExitCode.OK if removed == count else ExitCode.FAULT


@program.command(short_help="Forget what was learned of a camera.")
@click.argument("camera", required=False, shell_complete=completion.cameras)
@click.option(
    "--since",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Forget photos taken from this day on; the earlier ones are folded again.",
)
@changes_what_was_learned
def forget(
    camera: str | None,
    *,
    since: dt.datetime | None,
    dry_run: bool,
    yes: bool,
    config: Path | None,
    state: Path | None,
) -> ExitCode:
    """Forget what was learned of CAMERA; photos and copies stay.

    Says what will happen, and asks.  `relearn` takes it back.  CAMERA is its name, model
    or serial number, or the beginning of its id; it may be left out where there is one.
    """
    loaded = _configuration(config)
    folder = _state(state, loaded)
    with commands.opened(folder) if dry_run else forgetting.held(folder) as ledger:
        plan = forgetting.to_forget(ledger, loaded, camera, since)
        click.echo(forgetting.forget_text(plan))
        if dry_run or plan.is_empty:
            return ExitCode.OK
        if not _agreed("Forget it?", yes=yes):
            return _declined()
        click.echo(forgetting.forget(ledger, plan))
    return ExitCode.OK


@program.command(short_help="Learn a camera again from its photos.")
@click.argument("camera", required=False, shell_complete=completion.cameras)
@click.option(
    "--since",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Of the forgotten photos, take those from this day on only.",
)
@changes_what_was_learned
def relearn(
    camera: str | None,
    *,
    since: dt.datetime | None,
    dry_run: bool,
    yes: bool,
    config: Path | None,
    state: Path | None,
) -> ExitCode:
    """Learn CAMERA again from its photos, forgotten ones too.

    The next run, or the service, takes them as if they were new, by the configuration of
    then.  Asks only where files are gone, so that something would be lost.  CAMERA is as
    in `forget`.
    """
    loaded = _configuration(config)
    folder = _state(state, loaded)
    with commands.opened(folder) if dry_run else forgetting.held(folder) as ledger:
        plan = forgetting.to_relearn(ledger, loaded, camera, since)
        click.echo(forgetting.relearn_text(plan))
        if dry_run or plan.is_empty:
            return ExitCode.OK
        if plan.loses and not _agreed("Learn again without them?", yes=yes):
            return _declined()
        click.echo(forgetting.relearn(ledger, plan))
    return ExitCode.OK


@program.command(name="check-config", short_help="Name every fault of a configuration.")
@click.argument("file", type=click.Path(path_type=Path))
@shared
def check_config(file: Path, *, config: Path | None, state: Path | None) -> ExitCode:
    """Check a configuration FILE: name every fault, and every path that is closed now."""
    del config  # every command takes it; this one looks at FILE
    loaded = _configuration(file)
    folders = counted(len(loaded.folders), "folder")
    cameras = counted(len(loaded.cameras), "camera")
    click.echo(f"{file}: {folders}, {cameras}")
    closed = list(commands.closed_paths(loaded, state or loaded.state))
    for fault in closed:
        click.echo(f"hotpixeld: {plain(fault)}", err=True)
    return ExitCode.PARTLY if closed else ExitCode.OK


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    logging.captureWarnings(capture=True)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A locale without the letters of a photo's name.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = program.main(args=arguments, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except HotpixeldError as error:
        click.echo(f"hotpixeld: {error}", err=True)
        return exit_code(error)
    except OSError as error:
        click.echo(f"hotpixeld: {plain(said(error))}", err=True)
        return ExitCode.FAULT
    return int(code or ExitCode.OK)
