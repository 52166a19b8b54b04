"""A trial: a photo decoded and repaired, only to see whether that kills a process.

As a program (``python -m hotpixeld.engine.decode_trial``) it reads the photo from standard input.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys

from hotpixeld.defect import Defect
from hotpixeld.errors import HotpixeldError
from hotpixeld.jpeg import coefficients, decoder
from hotpixeld.repair import lossless

SECONDS = 60.0
"""How long a trial may take."""


def reason(data: bytes) -> str:
    """Return how a process that decodes the photo dies, empty when it does not.

    Parameters
    ----------
    data : bytes
        The photo's file.
    """
    # -P: nothing that lies in the working directory is imported.
    command = [sys.executable, "-P", "-m", "hotpixeld.engine.decode_trial"]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command,
            input=data,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"takes longer than {SECONDS:.0f} s to decode"
    if done.returncode >= 0:  # an error that can be caught is no hazard
        return ""
    name = signal.Signals(-done.returncode).name
    return f"crashes the decoder ({name})"


def main() -> None:
    """Decode the photo on standard input and repair a pixel of it."""
    data = sys.stdin.buffer.read()
    with contextlib.suppress(HotpixeldError):
        size = coefficients.header(data)
        decoder.cut_out(data, ())
        lossless.repaired(data, (Defect.at(size.width // 2, size.height // 2),))


if __name__ == "__main__":
    main()
