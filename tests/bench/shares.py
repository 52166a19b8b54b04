#!/usr/bin/env python3
"""Run hotpixeld with a clock in each step; write where the processor time went, as JSON.

    python tests/bench/shares.py OUTPUT hotpixeld-arguments ...

Times are those of the threads (user and system), each step without the steps inside it.
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
from hotpixeld.detection import evidence, suspects
from hotpixeld.engine import maps, sampling
from hotpixeld.engine.output_folder import OutputFolder
from hotpixeld.jpeg import decoder, markers
from hotpixeld.photo import metadata, photo_file
from hotpixeld.repair import lossless, pixel_list
from hotpixeld.statistics.generation import Folding
from hotpixeld.store.generation_files import GenerationReader, GenerationWriter
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS: dict[str, list[tuple[Any, str]]] = {
    "decode (libjpeg-turbo)": [(decoder.SideBySide, "share")],
    "read files": [(photo_file, "_read")],
    "identity: SHA-256": [(markers, "identity")],
    "marker structure": [(markers, "parse")],
    "metadata": [(metadata, "read")],
    "fold": [(Folding, "_fold")],
    "trace": [(Folding, "_trace")],
    "sample suspects": [(evidence, "sample_rows")],
    "sample again": [(sampling, "sample")],
    "repair in coefficients": [(lossless, "repaired"), (pixel_list, "visible")],
    "write copies": [(OutputFolder, "write"), (OutputFolder, "sha256_of")],
    "generations": [(GenerationReader, "read"), (GenerationWriter, "write")],
    "maps: scan": [(suspects, "nominated")],
    "maps: judge": [(maps, "find")],
    "ledger": [(Ledger, "_commit")],
}

_spent: Counter[str] = Counter()
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


def main() -> None:
    """Run the command and write the seconds by step."""
    output, *arguments = sys.argv[1:]
    for step, functions in STEPS.items():
        for owner, name in functions:
            setattr(owner, name, _timed(step, getattr(owner, name)))
    status = cli_main.main(arguments)
    rest = time.process_time() - sum(_spent.values())
    found = {**_spent, "interpreter, imports, all else": rest}
    Path(output).write_text(json.dumps({"steps": found}))
    raise SystemExit(status)


if __name__ == "__main__":
    main()
