"""The part of the sandbox that follows from the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotpixeld import dropin
from hotpixeld.configfile import parse
from hotpixeld.errors import ConfigError

SOURCE = Path("/etc/hotpixeld/hotpixeld.yaml")


def settings(text: str) -> list[str]:
    lines = dropin.text(parse(text, SOURCE), SOURCE).splitlines()
    return [line for line in lines if line.startswith(("ReadWrite", "Bind"))]


def test_a_shared_folder_can_be_written_to_wherever_its_copies_go() -> None:
    text = (
        "folders: [{path: /srv/a}, {path: /srv/b, repaired: /mnt/out},"
        " {path: /srv/c, repaired: /mnt/out/c}]"
    )

    assert settings(text) == [
        'ReadWritePaths="-/mnt/out"',
        'ReadWritePaths="-/srv/a"',
        'ReadWritePaths="-/srv/b"',
        'ReadWritePaths="-/srv/c"',
    ]


def test_of_a_home_only_the_folder_is_shown() -> None:
    assert settings("folders: [{path: /home/anna/Pictures}, {path: /srv/a}]") == [
        'BindPaths="-/home/anna/Pictures"',
        'ReadWritePaths="-/srv/a"',
    ]


def test_names_are_quoted_as_systemd_reads_them() -> None:
    path = r"""/home/a/x:y "50%" \z é"""
    escaped = r"""-/home/a/x\:y \"50%%\" \\z é"""

    assert settings(f"folders: [{{path: '{path}'}}]") == [f'BindPaths="{escaped}"']


def test_a_name_that_no_unit_file_can_hold_is_a_fault() -> None:
    with pytest.raises(ConfigError, match="rename the folder"):
        settings('folders: [{path: "/srv/a\\nExecStart=/bin/sh"}]')


def test_no_folder_is_a_fault() -> None:
    with pytest.raises(ConfigError, match="no folder to watch: add one"):
        settings("folders: []")


def test_the_program_prints_it_or_the_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "hotpixeld.yaml"
    source.write_text("folders: [{path: photos}]")

    assert dropin.main([str(source)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"# Written by hotpixeld-apply from {source}:")
    assert printed.endswith(f'[Service]\nReadWritePaths="-{tmp_path}/photos"\n')
    source.write_text("fodlers: []")
    assert dropin.main([str(source)]) == 78
    told = capsys.readouterr()
    assert told.out == ""
    assert "did you mean 'folders'" in told.err
