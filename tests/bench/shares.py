#!/usr/bin/env python3
"""Run hotpixeld with a clock in each step; write where the processor time went, as JSON.

    python tests/bench/shares.py OUTPUT hotpixeld-arguments ...

Times are those of the threads (user and system), each step without the steps inside it.
Besides, by the clock: how long folding waited for a checkpoint or a map to be done with
the state.
"""

from __future__ import annotations

import functools
import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotpixeld.cli import main as cli_main
from hotpixeld.cli import run_once
from hotpixeld.engine import camera_state, maps, pipeline, sampling
from hotpixeld.engine.copy_writer import OutputFolder
from hotpixeld.jpeg import markers, turbojpeg
from hotpixeld.photo import metadata, photo_file
from hotpixeld.repair import lossless, pixel_list
from hotpixeld.statistics import welford
from hotpixeld.store import checkpoint
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS: dict[str, list[tuple[Any, str]]] = {
    "decode (libjpeg-turbo)": [(turbojpeg, "decode")],
    "read files": [(photo_file, "_read")],
    "identity: SHA-256": [(markers, "identity")],
    "marker structure": [(markers, "parse")],
    "metadata": [(metadata, "read"), (run_once, "in_order")],
    "fold": [(welford.State, "fold_all")],
    "sample suspects": [(pipeline, "sampled"), (sampling, "sampled")],
    "repair in coefficients": [(lossless, "repaired"), (pixel_list, "visible")],
    "write copies": [(OutputFolder, "write"), (OutputFolder, "sha256_of")],
    "checkpoints": [(checkpoint, "save")],
    "maps: scan": [(maps, "nominate")],
    "maps: judge": [(maps, "judge"), (maps, "evidence_of")],
    "ledger": [(Ledger, "_commit")],
}

_spent: Counter[str] = Counter()
_waits: list[float] = []
_local = threading.local()


def _timed(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` with its processor time counted, less that of steps inside."""

    @functools.wraps(function)
    def timed(*arguments: Any, **named: Any) -> Any:
        inside: list[float] = _local.__dict__.setdefault("inside", [])
        inside.append(0.0)
        began = time.thread_time()
        try:
            return function(*arguments, **named)
        finally:
            took = time.thread_time() - began
            _spent[step] += took - inside.pop()  # type: ignore[assignment] # seconds
            if inside:
                inside[-1] += took

    return timed


def _waited(still: Callable[..., None]) -> Callable[..., None]:
    """Return `Running.still` with its seconds noted."""

    @functools.wraps(still)
    def noted(*arguments: Any) -> None:
        began = time.monotonic()
        still(*arguments)
        _waits.append(time.monotonic() - began)

    return noted


def main() -> None:
    """Run the command and write the seconds by step."""
    output, *arguments = sys.argv[1:]
    for step, functions in STEPS.items():
        for owner, name in functions:
            setattr(owner, name, _timed(step, getattr(owner, name)))
    camera_state.Running.still = _waited(camera_state.Running.still)  # type: ignore[method-assign] # to time it
    status = cli_main.main(arguments)
    rest = time.process_time() - sum(_spent.values())
    found = {**_spent, "interpreter, imports, all else": rest}
    Path(output).write_text(json.dumps({"steps": found, "waits": _waits}))
    raise SystemExit(status)


if __name__ == "__main__":
    main()
