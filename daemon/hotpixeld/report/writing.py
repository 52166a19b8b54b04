"""Writing the report to a file: for a command, or as a program that the daemon starts.

``python -m hotpixeld.report.writing STATE FILE`` takes the configuration, pickled, from
standard input; so the daemon's own memory stays what it was.  What goes wrong is one line
on standard error.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import pickle
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.errors import HotpixeldError, said
from hotpixeld.files import make_folder, write
from hotpixeld.store import state_folder
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hotpixeld.config.model import Config
    from hotpixeld.store.images import CameraRecord

NICE = 10
"""The daemon's report gives way to everything else."""
GENERATOR = b'<meta name="generator" content="hotpixeld '
"""In the first `HEAD` bytes of every report: by that it may be replaced."""
HEAD = 500
MISSING = (
    "the report needs {module}, which is not installed: install the extra"
    " hotpixeld[report], in a checkout with `.venv/bin/pip install '.[report]'`"
)


def _check_ours(target: Path) -> None:
    """Refuse to replace a file that is no report.

    Raises
    ------
    HotpixeldError, OSError
    """
    try:
        with target.open("rb") as file:
            head = file.read(HEAD)
    except FileNotFoundError:
        return
    if head and GENERATOR not in head:
        raise HotpixeldError(
            f"{target}: is no report of hotpixeld's: move it away, or name another"
        )


@contextlib.contextmanager
def _matplotlib_folder() -> Iterator[None]:
    """Keep matplotlib's list of fonts out of the home: to make it takes 0.1 s."""
    if "MPLCONFIGDIR" in os.environ or "matplotlib" in sys.modules:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="hotpixeld-") as folder:
        os.environ["MPLCONFIGDIR"] = folder
        try:
            yield
        finally:
            del os.environ["MPLCONFIGDIR"]


def write_report(
    target: Path, ledger: Ledger, config: Config, records: Sequence[CameraRecord]
) -> None:
    """Write the report of some cameras to a file, atomically and durably.

    Raises
    ------
    HotpixeldError
        What draws it is not installed, the ledger cannot be read, or the file that is there
        is no report.
    OSError
        The file cannot be written; what was there stays.
    """
    with _matplotlib_folder():
        try:
            # Half a second, and 60 MB: only for who wants a report.
            from hotpixeld.report import page  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise HotpixeldError(MISSING.format(module=error.name)) from error
        _check_ours(target)
        now = dt.datetime.now().astimezone()
        text = page.text(ledger, config, records, now)
    make_folder(target.absolute().parent)
    write(target, text.encode())


def main() -> None:
    """Write the report of a state, by the configuration on standard input."""
    folder, target = map(Path, sys.argv[1:])
    config = pickle.load(sys.stdin.buffer)  # noqa: S301 - the daemon's own
    os.nice(NICE)
    try:
        ledger = Ledger(state_folder.ledger_file(folder), read_only=True)
        try:
            write_report(target, ledger, config, list(ledger.images.cameras()))
        finally:
            ledger.close()
    except HotpixeldError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(said(error))


if __name__ == "__main__":
    main()
