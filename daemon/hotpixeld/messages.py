"""Messages: kinds of journal entries and of events, and untrusted names made safe to show."""

from __future__ import annotations

import re
from enum import StrEnum

# C0 and C1 controls, line and paragraph separators, bidirectional overrides (which
# reorder a line on a terminal), and the surrogates that stand for non-UTF-8 bytes.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


class MessageId(StrEnum):
    """What a journal entry is about, as ``journalctl MESSAGE_ID=...`` finds it.

    The numbers are random, and stay for ever: people's queries hold them.
    """

    PHOTO_DONE = "86606f9c96d741faaec53728ce3bd6d5"
    PHOTO_SKIPPED = "8759ded0cd4d4860ae42a342a8b54b31"
    PHOTO_FAILED = "2cc6f2209b894d0195d5a3ed5be8e56b"
    PHOTO_LOST = "e927045c9c6a41bfa05debbb2294a390"
    DEFECT_FOUND = "e3ca2eded2e34c7e918e2a309da19b98"
    DEFECT_GONE = "fb5f9722df8b47b2b881ab4f8a748971"
    MAP_WRITTEN = "3627ee78918549c990a1d0c74f5e776d"
    CHECKPOINT_WRITTEN = "68d98aad5bce46709eb6ceb7b87a02eb"
    CHECKPOINT_DAMAGED = "abfabe888caa86e7185cb09dba7c06e2"
    CAMERA_DROPPED = "c6245357753d41cb922c86556d156965"
    COPY_LEFT_ALONE = "3509a848d35e4b77a116d8e206ceaa22"
    FOLDER_OFFLINE = "4e45d7d7cd50441d9c0eb238106ca00c"
    FOLDER_ONLINE = "ca8aa81a4e4f4c1ebbe96e2a38f54573"
    FOLDER_POLLED = "87a496718cba408bb822a413451e2265"
    EVENTS_LOST = "5773ca7f535541268b3f44a704fae741"
    DISK_FULL = "aec56bf821e44412855610af026cbe0d"
    DISK_RESUMED = "0fd2648c08504e82862e98864affbb4e"
    FOLDER_CLOSED = "f7717419d08843c5b8db8073da9a9a80"
    CONFIGURATION_REFUSED = "84c0b3db78744fba8b37f4cf414c9294"


class EventKind(StrEnum):
    """What people are told by `hotpixeld notify`; scripts hold these names."""

    DEFECT_FOUND = "defect_found"
    """A map lists defects that the one before did not; one event for each map."""
    DEFECT_GONE = "defect_gone"
    """Defects are there no more, or were none; likewise."""
    FOLDER_OFFLINE = "folder_offline"
    """A watched folder, or that of its copies, cannot be used."""
    FOLDER_ONLINE = "folder_online"
    """It can be used again."""
    DISK_FULL = "disk_full"
    """The daemon pauses, as a disk is full or faulty."""
    DISK_RESUMED = "disk_resumed"
    """It goes on."""
    PHOTO_LOST = "photo_lost"
    """Photos were gone before they could be learned from."""
    PHOTO_FAILED = "photo_failed"
    """A photo cannot be used."""
    RUN_STARTED = "run_started"
    """`run --once` begins; told to `ping` only."""
    RUN_FINISHED = "run_finished"
    """It is done, with what came of it."""


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: the byte that was there
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def plain(text: object) -> str:
    r"""Return the text on one line, with nothing in it that a terminal would obey.

    A photo's name, or what its EXIF says, can hold any byte: newlines that forge log
    lines, escape sequences, bytes that are not UTF-8.

    >>> plain("IMG\n1.jpg")
    'IMG\\x0a1.jpg'
    """
    return _UNSAFE.sub(_escape, str(text))


def counted(number: int, what: str) -> str:
    """Return a number of things in words.

    >>> counted(1, "folder"), counted(30, "day"), counted(1_000_000, "copy")
    ('1 folder', '30 days', '1,000,000 copies')
    """
    if number == 1:
        return f"1 {what}"
    is_y = what.endswith("y") and not what.endswith("ay")
    many = f"{what[:-1]}ies" if is_y else f"{what}s"
    return f"{number:,} {many}"
