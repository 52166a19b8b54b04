"""The command line: each command parses, calls one function and returns its exit code."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

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
from hotpixeld.cli.options import (
    NAMED_BY,
    PATH,
    Setup,
    changes_what_was_learned,
    from_a_list,
    is_agreed,
    jobs_option,
    json_option,
    may_show,
    new_folder,
    of_one_camera,
    on_machines,
    shared,
    since_option,
    to_files,
)
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
from hotpixeld.formats import json_map
from hotpixeld.formats.known_forms import FORMS
from hotpixeld.messages import counted, plain
from hotpixeld.report.writing import write_report
from hotpixeld.service import daemon, logs, status_file

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from hotpixeld.cli.options import Machines
    from hotpixeld.cli.pixel_lists import Files, GivenList


INTERRUPTED = 130
"""The exit code of shells for a program that Ctrl-C ended."""


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
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", type=PATH)
@click.option("--once", is_flag=True, help="Take the photos that are there, then exit.")
@click.option(
    "-q", "--quiet", is_flag=True, help="Say only what went wrong, as cron wants it."
)
@jobs_option
@shared
def run(
    folders: tuple[Path, ...], *, once: bool, quiet: bool, jobs: int, setup: Setup
) -> ExitCode:
    """Watch folders: learn from new photos, map hot pixels, write repaired copies.

    Needs no configuration when FOLDER is given: copies go to FOLDER/repaired.
    """

    def configuration() -> Config:
        loaded = setup.configuration(folders, quiet=quiet)
        if setup.config and not loaded.folders:
            advice = "no folder to watch: add one under `folders`"
            raise ConfigError([f"{setup.config}: {advice}"])
        return loaded

    first = configuration()
    if not first.folders:
        raise click.UsageError("no folder to watch: name one, or give --config FILE")
    folder = setup.folder(first, quiet=quiet)
    # With `--once` the progress shows the photos, and the log only what went wrong.
    level = logging.WARNING if once or quiet else logging.INFO
    with logs.sent(logging.ERROR if once and quiet else level):
        if not once:
            daemon.run(configuration, folder, jobs)
            return ExitCode.OK
        show = progress.without_progress if quiet else progress.with_progress
        ran = run_once.run_once(first, folder, jobs, show)
    return _told(ran, setup.typed, quiet=quiet)


def _told(ran: run_once.Ran, options: str, *, quiet: bool = False) -> ExitCode:
    """Say what a run did, and what it could not do."""
    if not quiet:
        click.echo(run_once.summary(ran, options))
    return _undone(ran.undone)


def _undone(faults: Sequence[str]) -> ExitCode:
    """Say what could not be done."""
    for fault in faults:
        click.echo(f"hotpixeld: {plain(fault)}", err=True)
    return ExitCode.PARTLY if faults else ExitCode.OK


@program.command(short_help="Tell what became of the photos, or of one.")
@click.argument("photo", required=False, type=PATH)
@click.option("--problems", is_flag=True, help="Name every problem, however many.")
@click.option(
    "--health",
    is_flag=True,
    help="Only whether the daemon is well; if not, exit code 1.",
)
@json_option
@shared
def status(
    *, photo: Path | None, problems: bool, health: bool, as_json: bool, setup: Setup
) -> ExitCode:
    """Show the cameras, the photos and what became of them, or of one PHOTO.

    With --health nothing but how the daemon is, in a line: well; or it does not run, hangs,
    or has a fault, such as a full disk or a folder that it may not use.
    """
    loaded = setup.configuration(quiet=health)
    folder = setup.folder(loaded, quiet=health, published=photo is None)
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
        text = status_text.text(found, in_full=problems, options=setup.typed)
    click.echo(json.dumps(found, indent=1) if as_json else text, nl=as_json)
    return ExitCode.OK


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
    type=PATH,
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
    setup: Setup,
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
    loaded, folder = setup.read()
    if photo:
        with commands.opened(folder) as ledger:
            told = photo_defects.of_photo(ledger, photo, loaded)
        as_json = json.dumps(told, indent=1) + "\n"
        text = as_json if format_ == "json" else photo_defects.text(told)
        files.take(text.encode())
    elif format_ == "pictures":
        pictures.draw(folder, loaded, camera, files.output)
    elif form is None:
        found = commands.camera_pixels(folder, loaded, camera, method, bin_)
        pixel_lists.say_what_is_outside([one.map for one in found])
        files.take(tables.text(found).encode())
    else:
        maps = commands.camera_maps(folder, loaded, camera, method, bin_)
        pixel_lists.export(form, maps, files)


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
def import_command(*, given: GivenList, camera: str, write: bool, setup: Setup) -> None:
    """Show what FILE, a list of another program, would add to the configuration's pixels.

    Reads what `map --format` writes.  With --write the file that --config names is changed,
    and nothing in it but that; it is made if it is not there.
    """
    config = setup.config
    if config is None:
        raise click.UsageError("name the configuration to change with --config FILE")
    there = setup if config.exists() else Setup(None, setup.state)
    _, folder = there.read()
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
@json_option
@shared
def cameras_command(*, camera: str | None, as_json: bool, setup: Setup) -> None:
    """Print the cameras, with their bins: photos of one lens and focal length.

    A camera that corrects its lenses shows a defect elsewhere in each bin; told is how
    many photos each has, and whether its correction is known, and why or why not.
    """
    loaded, folder = setup.read()
    with commands.opened(folder) as ledger:
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
    "what", nargs=-1, metavar="[CAMERA] [X,Y]", shell_complete=completion.cameras
)
@json_option
@shared
def history(what: tuple[str, ...], *, as_json: bool, setup: Setup) -> None:
    """Show since when each defect is there and when it shows; of one at X,Y all there is.

    CAMERA is its name, model or serial number, or the beginning of its id; it may be left
    out where there is one.
    """
    places = [text for text in what if is_place(text)]
    names = [text for text in what if not is_place(text)]
    if len(places) > 1 or len(names) > 1:
        raise click.UsageError("name one camera, and one pixel as X,Y")
    camera = names[0] if names else None
    loaded, folder = setup.read()
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
    type=PATH,
    default=Path("hotpixeld-report.html"),
    show_default=True,
    help="File to write, a page: its name ends in .html.",
)
@of_one_camera
@shared
def report(*, output: Path, camera: str | None, setup: Setup) -> None:
    """Write a page that shows each defect in real photos, before and after repair.

    One HTML file with all in it, to open in a browser: where the defects are, since when,
    when they show, what was not used and why.  With `report: FILE` in the configuration
    the daemon keeps it current.
    """
    if not is_page_name(output):
        raise click.BadParameter("must end in .html", param_hint="--output")
    loaded, folder = setup.read()
    with commands.opened(folder) as ledger:
        records = commands.chosen(ledger, loaded, camera)
        write_report(output, ledger, loaded, records)
    click.echo(f"{output}: open it in a browser")


@program.command(short_help="Learn an archive on many machines.")
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", type=PATH)
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
    machines: Machines | None,
    storage: str | None,
    shard_photos: int,
    setup: Setup,
) -> ExitCode:
    """Learn the photos in FOLDERS on many machines, as one run here would.

    Each FOLDER must be at the same path on all of them.  Writes the maps, and no copies.
    A run that was interrupted goes on where it was.
    """
    if machines is None:
        raise click.UsageError("name --scheduler ADDRESS or --local-cluster N")
    loaded = setup.configuration(folders)
    if not loaded.folders:
        raise click.UsageError("no folder to learn: name one, or give --config FILE")
    if machines.scheduler and not storage:
        advice = "name --storage URL, a place that all machines can write to"
        raise click.UsageError(advice)
    folder = setup.folder(loaded)
    with logs.sent(logging.WARNING), machines.connected() as client:
        url = storage or str(folder / "shards")
        ran = run_once.learn(loaded, folder, client, url, shard_photos)
    return _told(ran, setup.typed)


@program.command(name="notify", short_help="Tell people and programs what is new.")
@click.option(
    "--list", "lists", is_flag=True, help="Print the newest events as lines of JSON."
)
@click.option(
    "--test", "tries", is_flag=True, help="Send everybody a message of no meaning."
)
@shared
def notify_command(*, lists: bool, tries: bool, setup: Setup) -> ExitCode:
    """Tell whom the configuration names under `notify` what is new; each event once.

    A message that cannot be delivered is tried again, and holds up no other.  Run it by its
    timer (hotpixeld-notify.timer) or from cron.
    """
    from hotpixeld.service import notify  # noqa: PLC0415 - the daemon needs no web client

    loaded = setup.configuration(quiet=True)
    if tries:
        return _undone(notify.try_out(loaded))
    with commands.opened(setup.folder(loaded, quiet=True)) as ledger:
        if lists:
            for event in ledger.events.after(0):
                click.echo(event.line)
            return ExitCode.OK
        if loaded.notify == Config().notify:
            raise click.UsageError("nobody to tell: add `notify` to a --config FILE")
        return _undone(notify.notify(ledger, loaded))


def _repair_on_machines(
    machines: Machines, folders: Sequence[Path], setup: Setup
) -> ExitCode:
    """Write the copies that are due in folders, as a run that is done once does."""
    loaded = setup.configuration(folders)
    if not loaded.folders:
        raise click.UsageError("no folder: name those whose copies are due")
    folder = setup.folder(loaded)
    with logs.sent(logging.WARNING), machines.connected() as client:
        ran = run_once.make_copies(loaded, folder, client)
    return _told(ran, setup.typed)


@program.command(short_help="Write repaired copies of some photos now.")
@click.argument("photos", nargs=-1, metavar="[PHOTO]...", type=PATH)
@on_machines
@click.option(
    "--pixel", "pixels", multiple=True, metavar="X,Y", help="Repair this pixel."
)
@click.option("--output", type=PATH, help="Folder for the copies.")
@click.option(
    "--force", is_flag=True, help="Replace a copy of ours that has more repaired."
)
@shared
def repair(
    photos: tuple[Path, ...],
    *,
    machines: Machines | None,
    pixels: tuple[str, ...],
    output: Path | None,
    force: bool,
    setup: Setup,
) -> ExitCode:
    """Write repaired copies of PHOTOS.

    Without --pixel, the pixel list and the map of the photo's camera are used.  The copy
    goes where the daemon has it, else into `repaired` beside the photo; no file is replaced
    that is not as hotpixeld wrote it.

    With --scheduler or --local-cluster PHOTOS are folders that were learned: the machines
    write all copies that are due there, as `run --once` would.
    """
    if machines:
        if pixels or output or force:
            reason = (
                "--pixel, --output and --force are for photos that are repaired here"
            )
            raise click.UsageError(reason)
        return _repair_on_machines(machines, photos, setup)
    if not photos:
        raise click.UsageError("no photo to repair: name one")
    try:
        named = tuple(Defect.parse(text) for text in pixels)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--pixel") from error
    loaded, folder = setup.read()
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


@state_group.command()
@click.argument("first", metavar="A", type=PATH)
@click.argument("second", metavar="B", type=PATH)
@new_folder
@jobs_option
@shared
def merge(first: Path, second: Path, *, output: Path, jobs: int, setup: Setup) -> None:
    """Make one state of A and B, two state folders, which stay as they are.

    A photo that both have learned counts once.  Their daemons may go on.
    """
    loaded = setup.configuration()  # `--state` is none of its two
    with logs.sent(logging.WARNING):
        click.echo(states.merge(first, second, output, loaded, jobs))


@state_group.command(name="export")
@new_folder
@shared
def export_state(*, output: Path, setup: Setup) -> None:
    """Write the state to a new folder, as it is now; the daemon may go on."""
    loaded, folder = setup.read()
    click.echo(states.export(folder, output, loaded))


@state_group.command(name="import")
@click.argument("source", metavar="FOLDER", type=PATH)
@jobs_option
@shared
def import_state(source: Path, *, jobs: int, setup: Setup) -> None:
    """Add what the state in FOLDER has learned; stop the daemon first.

    A photo that both have learned counts once.
    """
    loaded, folder = setup.read()
    with logs.sent(logging.WARNING):
        click.echo(states.import_(folder, source, loaded, jobs))


@program.command(short_help="List the hot pixels of lens-cap frames at once.")
@click.argument("frames", metavar="FRAME ...", nargs=-1, required=True, type=PATH)
@click.option("--dry-run", is_flag=True, help="Say what would be listed.")
@shared
def prime(*, frames: tuple[Path, ...], dry_run: bool, setup: Setup) -> ExitCode:
    """List the hot pixels that 1 to 10 lens-cap frames (JPEG) show, as primed.

    They are repaired from the camera's first photo on, where it shows them, and confirmed
    or dropped by the photos that follow.  Frames are best taken at one exposure time, long
    and at a high ISO, two or more.  They are only read, and are no photos to learn from.
    """
    if len(frames) > priming.MOST:
        raise click.UsageError(f"{len(frames)} frames: name {priming.MOST} at most")
    loaded, folder = setup.read()
    text, refused = commands.prime(folder, frames, loaded, dry_run=dry_run)
    if text:
        click.echo(text)
    for error in refused:
        click.echo(f"hotpixeld: {error}", err=True)
    return ExitCode.PHOTO if refused else ExitCode.OK


@program.command(short_help="Prove what differs between a photo and its copy.")
@click.argument("original", type=PATH)
@click.argument("copy", type=PATH)
@shared
def diff(original: Path, copy: Path, *, setup: Setup) -> ExitCode:
    """Prove that COPY is ORIGINAL but for some blocks, and list them."""
    del setup  # every command takes it; this one compares two files
    text, is_repair = commands.diff(original, copy, Config().limits.max_bytes)
    click.echo(text)
    return ExitCode.OK if is_repair else ExitCode.DIFFERENT


@program.command(short_help="Give back the original of a copy, to the byte.")
@click.argument("copy", type=PATH)
@click.option(
    "--output",
    type=PATH,
    help="File to write.  [default: the original's name, beside COPY]",
)
@shared
def undo(copy: Path, *, output: Path | None, setup: Setup) -> None:
    """Write the original of COPY, to the byte.

    Works from what the ledger kept of it, wherever COPY is now; overwrites nothing.
    """
    loaded, folder = setup.read()
    click.echo(commands.undo(copy, output, loaded.limits.max_bytes, folder))


@program.command(short_help="Remove copies that are not needed where they are.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@shared
def tidy(*, dry_run: bool, yes: bool, setup: Setup) -> ExitCode:
    """Remove copies at former places that were written anew at the present one.

    Only what still is as hotpixeld wrote it; with `copies: {tidy: true}` the daemon does it.
    """
    loaded, folder = setup.read()
    text, count = copy_commands.tidy(folder, loaded, dry_run=True)
    click.echo(text)
    if dry_run or not count:
        return ExitCode.OK
    copy_commands.check_writable(folder)
    if not is_agreed("Remove them?", yes=yes):
        return ExitCode.FAULT
    text, removed = copy_commands.tidy(folder, loaded, dry_run=False)
    click.echo(text)
    return ExitCode.OK if removed == count else ExitCode.FAULT


@program.command(short_help="Forget what was learned of a camera.")
@click.argument("camera", required=False, shell_complete=completion.cameras)
@since_option(
    "Forget photos taken from this day on; the earlier ones are folded again."
)
@changes_what_was_learned
def forget(
    camera: str | None,
    *,
    since: dt.datetime | None,
    dry_run: bool,
    yes: bool,
    setup: Setup,
) -> ExitCode:
    """Forget what was learned of CAMERA; photos and copies stay.

    Says what will happen, and asks.  `relearn` takes it back.  CAMERA is its name, model
    or serial number, or the beginning of its id; it may be left out where there is one.
    """
    loaded, folder = setup.read()
    with commands.opened(folder) if dry_run else forgetting.held(folder) as ledger:
        plan = forgetting.to_forget(ledger, loaded, camera, since)
        click.echo(forgetting.forget_text(plan))
        if dry_run or plan.is_empty:
            return ExitCode.OK
        if not is_agreed("Forget it?", yes=yes):
            return ExitCode.FAULT
        click.echo(forgetting.forget(ledger, plan))
    return ExitCode.OK


@program.command(short_help="Learn a camera again from its photos.")
@click.argument("camera", required=False, shell_complete=completion.cameras)
@since_option("Of the forgotten photos, take those from this day on only.")
@changes_what_was_learned
def relearn(
    camera: str | None,
    *,
    since: dt.datetime | None,
    dry_run: bool,
    yes: bool,
    setup: Setup,
) -> ExitCode:
    """Learn CAMERA again from its photos, forgotten ones too.

    The next run, or the service, takes them as if they were new, by the configuration of
    then.  Asks only where files are gone, so that something would be lost.  CAMERA is as
    in `forget`.
    """
    loaded, folder = setup.read()
    with commands.opened(folder) if dry_run else forgetting.held(folder) as ledger:
        plan = forgetting.to_relearn(ledger, loaded, camera, since)
        click.echo(forgetting.relearn_text(plan))
        if dry_run or plan.is_empty:
            return ExitCode.OK
        if plan.loses and not is_agreed("Learn again without them?", yes=yes):
            return ExitCode.FAULT
        click.echo(forgetting.relearn(ledger, plan))
    return ExitCode.OK


@program.command(name="check-config", short_help="Name every fault of a configuration.")
@click.argument("file", type=PATH)
@shared
def check_config(file: Path, *, setup: Setup) -> ExitCode:
    """Check a configuration FILE: name every fault, and every path that is closed now."""
    loaded = Setup(file, None).configuration()
    folders = counted(len(loaded.folders), "folder")
    cameras = counted(len(loaded.cameras), "camera")
    click.echo(f"{file}: {folders}, {cameras}")
    return _undone(list(commands.closed_paths(loaded, setup.state or loaded.state)))


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
