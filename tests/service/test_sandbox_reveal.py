"""What is hidden in a home is revealed once the configuration names it.

That a service reads it then is shown under a real systemd, in deploy/test_installed.py.
"""

from __future__ import annotations

from pathlib import Path

from hotpixeld.config.load import parse
from hotpixeld.service.sandbox import hidden_now, to_reveal
from hotpixeld.watch import survey

SOURCE = Path("/etc/hotpixeld/anna.yaml")
# As of a service under systemd 252: two paths in a home hidden, one folder to write to.
MOUNTINFO = """\
310 271 0:59 / / ro,relatime master:2 - overlay overlay rw,lowerdir=/
477 310 0:63 /systemd/inaccessible/dir /home/anna/My\\040\303\244 ro,nosuid - tmpfs run rw
478 310 0:63 /systemd/inaccessible/reg /home/anna/.netrc ro,nosuid - tmpfs run rw
479 310 0:59 /home/anna/Pictures /home/anna/Pictures rw,relatime - overlay overlay rw
"""


def test_what_systemd_hides_is_read_from_the_mounts() -> None:
    hidden = hidden_now(survey.parse_mounts(MOUNTINFO))

    assert hidden == [Path("/home/anna/My ä"), Path("/home/anna/.netrc")]


def test_a_folder_of_the_configuration_is_revealed_and_nothing_else(
    tmp_path: Path,
) -> None:
    for name in ("New/deep", "Letters", ".config"):
        (tmp_path / name).mkdir(parents=True)
    config = parse(f"folders: [{{path: {tmp_path}/New/deep}}]", SOURCE)
    paths = [tmp_path / name for name in ("New", "Letters", ".config", ".ssh")]
    elsewhere = tmp_path / "Letters/New"

    assert to_reveal([*paths, elsewhere], tmp_path, config) == [tmp_path / "New"]


def test_keys_stay_hidden_in_a_home_that_is_watched_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "Letters").mkdir()
    config = parse(f"folders: [{{path: {tmp_path}}}]", SOURCE)
    paths = [tmp_path / "Letters", tmp_path / ".ssh"]

    assert to_reveal(paths, tmp_path, config) == [tmp_path / "Letters"]
