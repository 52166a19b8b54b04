"""What the log shows of names that it must not trust."""

from __future__ import annotations

import os
import re

import pytest

from hotpixeld.messages import MessageId, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße aus 東京 🙂.jpg", "Grüße aus 東京 🙂.jpg"),
        ("a\nb\tc\0", "a\\x0ab\\x09c\\x00"),
        ("\x1b[2J\x9b31m", "\\x1b[2J\\x9b31m"),
        ("gpj.\u202eevil", "gpj.\\u202eevil"),
        ("a\u2028b", "a\\u2028b"),
        (os.fsdecode(b"\xff\xe9.jpg"), "\\xff\\xe9.jpg"),
        ("\ud800", "\\ud800"),
    ],
)
def test_text_is_shown_on_one_line_without_orders_to_the_terminal(
    text: str, shown: str
) -> None:
    assert plain(text) == shown
    assert plain(text).encode().decode() == shown


def test_message_ids_are_what_the_journal_takes() -> None:
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in MessageId)
    assert len(set(MessageId)) == len(list(MessageId))
