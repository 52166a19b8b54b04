"""The part of the sandbox that follows from the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotpixeld.config.load import parse
from hotpixeld.errors import ConfigError
from hotpixeld.service import sandbox

SOURCE = Path("/etc/hotpixeld/hotpixeld.yaml")


def settings(text: str, home: Path | None = None) -> list[str]:
    lines = sandbox.drop_in_text(parse(text, SOURCE), SOURCE, home).splitlines()
    return lines[lines.index("[Service]") + 1 :]


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


def test_the_folder_of_the_report_can_be_written_to() -> None:
    text = "folders: [{path: /srv/a}]\nreport: "

    assert settings(text + "/srv/pages/report.html") == [
        'ReadWritePaths="-/srv/a"',
        'ReadWritePaths="-/srv/pages"',
    ]
    assert settings(text + "/srv/a/report.html") == ['ReadWritePaths="-/srv/a"']


def make_home(home: Path) -> None:
    for name in (".config", "Letters", "Pictures", ".photos/new", ".with\nbreak"):
        (home / name).mkdir(parents=True)
    (home / ".netrc").touch()
    (home / ".latest").symlink_to(home / "Pictures")
    (home / "Album").symlink_to(home / ".photos")


def test_of_a_home_what_leads_to_no_folder_is_hidden(tmp_path: Path) -> None:
    make_home(tmp_path)
    folders = (
        f"folders: [{{path: {tmp_path}/Pictures}}, {{path: {tmp_path}/Album/new}}]"
    )

    assert settings(folders, tmp_path) == [
        f'ReadWritePaths="-{tmp_path}/Album/new"',
        f'ReadWritePaths="-{tmp_path}/Pictures"',
        *(
            f'InaccessiblePaths="-{tmp_path}/{name}"'
            for name in (".config", ".gnupg", ".netrc", ".ssh", "Letters")
        ),
    ]


def test_of_a_home_that_is_watched_as_a_whole_what_begins_with_a_dot_is_hidden(
    tmp_path: Path,
) -> None:
    make_home(tmp_path)

    assert settings(f"folders: [{{path: {tmp_path}}}]", tmp_path)[1:] == [
        f'InaccessiblePaths="-{tmp_path}/{name}"'
        for name in (".config", ".gnupg", ".netrc", ".photos", ".ssh")
    ]


def test_a_home_that_cannot_be_listed_still_hides_its_keys(tmp_path: Path) -> None:
    home = tmp_path / "not-there"
    keys = [f'InaccessiblePaths="-{home}/{name}"' for name in (".gnupg", ".ssh")]

    assert settings("folders: [{path: /srv/a}]", home)[1:] == keys


def test_names_are_quoted_as_systemd_reads_them() -> None:
    path = r"""/home/a/x:y "50%" \z é"""
    escaped = r"""-/home/a/x:y \"50%%\" \\z é"""

    assert settings(f"folders: [{{path: '{path}'}}]") == [f'ReadWritePaths="{escaped}"']


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

    assert sandbox.drop_in([str(source)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"# Written by hotpixeld-apply from {source}:")
    assert printed.endswith(f'[Service]\nReadWritePaths="-{tmp_path}/photos"\n')
    assert sandbox.drop_in([str(source), str(tmp_path)]) == 0
    assert f'InaccessiblePaths="-{tmp_path}/.ssh"' in capsys.readouterr().out
    source.write_text("fodlers: []")
    assert sandbox.drop_in([str(source)]) == 78
    out, err = capsys.readouterr()
    assert out == ""
    assert "did you mean 'folders'" in err
