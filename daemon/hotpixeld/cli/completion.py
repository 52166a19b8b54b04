"""What a shell is offered behind Tab, beyond commands and options: cameras.

The shells ask click, by what `deploy/shell_files.py` installs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from hotpixeld.cli import commands
from hotpixeld.config.load import load
from hotpixeld.config.model import Config
from hotpixeld.errors import HotpixeldError
from hotpixeld.store import state_folder

if TYPE_CHECKING:
    import click


def cameras(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the cameras that a word may become: by configured name, and by id.

    Nothing where no state can be read: a shell in which Tab is pressed wants no errors.
    """
    del parameter
    config, state = context.params.get("config"), context.params.get("state")
    try:
        loaded = load(config) if config else Config()
        folder = state_folder.choose(state, loaded.state, os.environ)
        with commands.opened(folder) as ledger:
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
