"""What a shell is offered behind Tab, beyond commands and options: cameras, and bins.

The shells ask click, by what `deploy/shell_files.py` installs.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from hotpixeld.cli import cameras as bins_of
from hotpixeld.cli import commands
from hotpixeld.config.load import load
from hotpixeld.config.model import Config
from hotpixeld.errors import HotpixeldError
from hotpixeld.store import state_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

    from hotpixeld.store.ledger import Ledger


@contextlib.contextmanager
def _opened(context: click.Context) -> Iterator[tuple[Ledger, Config]]:
    """Open the ledger that a command line means, and read its configuration."""
    config, state = context.params.get("config"), context.params.get("state")
    loaded = load(config) if config else Config()
    folder = state_folder.choose(state, loaded.state, os.environ)
    with commands.opened(folder) as ledger:
        yield ledger, loaded


def cameras(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the cameras that a word may become: by configured name, and by id.

    Nothing where no state can be read: a shell in which Tab is pressed wants no errors.
    """
    del parameter
    try:
        with _opened(context) as (ledger, loaded):
            known = [record.camera for record in ledger.images.cameras()]
    except (HotpixeldError, OSError):
        return []
    named = [
        (entry.name, camera)
        for camera in known
        for entry in loaded.camera_entries(camera)
        if entry.name and not set(entry.name) & set(" \t\n\"'")
    ]
    offered = dict([*named, *((camera.id, camera) for camera in known)])
    return [
        CompletionItem(word, help=f"{camera.model} {camera.serial}".strip())
        for word, camera in offered.items()
        if word.startswith(incomplete)
    ]


def bins(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the lenses and focal lengths that a word may become, as words without blanks.

    Of the camera that is named, or of all; nothing where no state can be read.
    """
    del parameter
    try:
        with _opened(context) as (ledger, loaded):
            records = commands.chosen(ledger, loaded, context.params.get("camera"))
            offered = [
                (word, str(one))
                for record in records
                for word, one in bins_of.spellings(
                    bins_of.choosable(ledger, record.camera)
                ).items()
            ]
    except (HotpixeldError, OSError):
        return []
    return [
        CompletionItem(word, help=name)
        for word, name in dict(offered).items()
        if word.startswith(incomplete) and re.fullmatch(r"[\w.,/:+-]+", word)
    ]
