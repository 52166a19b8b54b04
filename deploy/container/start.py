#!/usr/bin/python3
"""The container's `hotpixeld`: as the user and with the configuration that are wanted.

With PUID (and PGID) it goes on as that user, unless the engine has already made it another
one than root; with UMASK, octal, copies have that.  The configuration is /config/hotpixeld.yaml,
else the container's own.  It changes neither owner nor mode of any file.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

OWN, GIVEN = Path("/etc/hotpixeld/hotpixeld.yaml"), Path("/config/hotpixeld.yaml")


def stop(number: int, _frame: object) -> None:
    """End: the first process of a container is not ended by a signal of itself."""
    sys.exit(128 + number)


def number(name: str, base: int) -> int | None:
    """Return what a variable says, None where it is not set."""
    text = os.environ.get(name, "")
    try:
        return int(text, base) if text else None
    except ValueError:
        sys.exit(f"hotpixeld: {name}={text} is no number")


def become() -> None:
    """Take the user, the group and the umask that the environment names."""
    uid, gid = number("PUID", 10), number("PGID", 10)
    if os.geteuid() == 0:
        if uid is not None or gid is not None:
            os.setgroups([])
            os.setgid(gid if gid is not None else uid or 0)
            os.setuid(uid or 0)
    elif uid not in {None, os.geteuid()}:
        said = f"PUID={uid} is passed over: it was started as user {os.geteuid()}"
        print(f"hotpixeld: {said}", file=sys.stderr)  # noqa: T201 - for the container's log
    if (mask := number("UMASK", 8)) is not None:
        os.umask(mask)


def configured(arguments: list[str]) -> list[str]:
    """Return a command with the configuration, unless it names one or takes none."""
    is_option = arguments[0].startswith("-")
    named = any(one.partition("=")[0] == "--config" for one in arguments)
    if is_option or arguments[0] == "check-config" or named:
        return arguments
    return [*arguments, "--config", str(GIVEN if GIVEN.exists() else OWN)]


def main() -> int:
    """Run hotpixeld."""
    signal.signal(signal.SIGTERM, stop)
    become()
    for folder in (Path("/state"), Path("/repaired")):
        if sys.argv[1:] == ["run"] and not os.access(folder, os.W_OK | os.X_OK):
            said = f"{folder} is closed to user {os.geteuid()}, group {os.getegid()}"
            advice = "mount one that is theirs, or set `user:`, or PUID and PGID"
            print(f"hotpixeld: {said}: {advice}", file=sys.stderr)  # noqa: T201 - likewise
    from hotpixeld.cli.main import main as hotpixeld  # noqa: PLC0415 - takes a second

    return hotpixeld(configured(sys.argv[1:] or ["--help"]))


sys.exit(main())
