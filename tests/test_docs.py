"""The READMEs, the command line, the exit codes, the modules and the example agree."""

from __future__ import annotations

import ast
import builtins
import functools
import re
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

import documents
from hotpixeld.cli import main, photo_status
from hotpixeld.errors import ExitCode
from hotpixeld.formats.known_forms import FORMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "daemon" / "hotpixeld"
README = (ROOT / "README.md").read_text()
TASKS = (ROOT / "deploy" / "README.md").read_text()
HOUSE = (ROOT / "daemon" / "README.md").read_text()
READMES = ("README.md", "daemon/README.md", "deploy/README.md")
ELSEWHERE = {"map.yaml", "os.path.realpath"}
"""What looks like a pointer into the package and is none."""


def commands() -> list[str]:
    """Return the commands of the synopsis, a line each."""
    block = TASKS.split("## Commands\n\n```\n")[1].split("```")[0]
    return block.splitlines()


def shown_in(line: str) -> str:
    """Return which command a line of the synopsis shows."""
    words = line.split()
    is_group = isinstance(main.program.commands.get(words[1]), click.Group)
    return " ".join(words[1 : 2 + is_group])


def test_the_synopsis_names_every_command_and_no_other() -> None:
    assert sorted(map(shown_in, commands())) == sorted(
        documents.all_commands(main.program)
    )


@pytest.mark.parametrize("line", commands())
def test_the_synopsis_names_every_option_and_argument(line: str) -> None:
    command = documents.all_commands(main.program)[shown_in(line)]
    options = {
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if option.startswith("--")
    }

    assert set(re.findall(r"--[a-z-]+", line)) == options - {"--config", "--state"}


def test_the_exit_codes_are_those_of_the_table() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", TASKS, re.MULTILINE)

    assert {int(code) for code, _ in rows} == set(map(int, ExitCode))


def test_every_format_of_the_map_is_named() -> None:
    for name in ("table", *FORMS):
        assert f"`{name}`" in TASKS


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_every_outcome_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+ \|$", README, re.MULTILINE)

    assert sorted(rows) == sorted(photo_status.OUTCOMES)


def test_the_unit_knows_the_configuration_fault() -> None:
    unit = (ROOT / "deploy" / "hotpixeld.service").read_text()

    assert f"RestartPreventExitStatus={ExitCode.CONFIG.value}\n" in unit


def anchor(heading: str) -> str:
    """Return what GitHub makes of a heading for links."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("readme", READMES)
def test_the_files_and_headings_that_a_readme_links_to_exist(readme: str) -> None:
    path = ROOT / readme
    links = re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", path.read_text())

    assert links
    for file, heading in links:
        target = path.parent / file if file else path
        assert target.exists(), file
        if heading:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert heading in map(anchor, headings)


def assigned(node: ast.AST) -> list[str]:
    """Return the names that a statement assigns to."""
    inner = [name for name in ast.walk(node) if isinstance(name, ast.Name)]
    return [name.id for name in inner if isinstance(name.ctx, ast.Store)]


def defined(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Yield what statements define: NAME, Class, Class.method, Class.attribute."""
    for node in body:
        if isinstance(node, ast.If):  # TYPE_CHECKING
            yield from defined(node.body)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from assigned(node)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            own = re.findall(r"\bself\.(\w+)(?:: .+)? = ", ast.unparse(node))
            yield from (f"{node.name}.{name}" for name in (*defined(node.body), *own))


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def package_names() -> set[str]:
    """Return every pointer that holds: `verdict.life`, `detection.verdict`, `Life`."""
    names = {path.name for path in PACKAGE.rglob("*.c")}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        parts = tuple(part for part in parts if part != "__init__")
        own = set(defined(tree(path).body))
        names |= own
        for start in range(len(parts)):
            module = ".".join(parts[start:])
            names |= {module, *(f"{module}.{name}" for name in own)}
    return names


@functools.cache
def prose(path: Path) -> str:
    """Return the comments and docstrings of a module."""
    with tokenize.open(path) as file:
        return "\n".join(
            token.string
            for token in tokenize.generate_tokens(file.readline)
            if token.type == tokenize.COMMENT or token.string.endswith('"""')
        )


def test_what_docstrings_and_comments_point_to_exists() -> None:
    names = package_names() | ELSEWHERE
    pointers = {
        (path.name, pointer)
        for path in PACKAGE.rglob("*.py")
        for pointer in re.findall(r"(?<!`)`([\w.]+)`(?!`)", prose(path))
        if "." in pointer or re.match("_?[A-Z]", pointer)
    }

    assert len(pointers) >= 100
    assert [pointer for pointer in sorted(pointers) if pointer[1] not in names] == []


def test_the_types_that_docstrings_name_exist() -> None:
    wrong, count = [], 0
    for path in PACKAGE.rglob("*.py"):
        names = {*vars(builtins), *defined(tree(path).body)}
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names |= {alias.asname or alias.name for alias in node.names}
        for types in re.findall(r"(?m)^ *\w+(?:, \w+)* : (.*)$", prose(path)):
            classes = re.findall(r"(?<![.\w])[A-Z][a-z]\w+", types)
            count += len(classes)
            wrong += [(path.name, name) for name in classes if name not in names]

    assert count >= 100
    assert wrong == []


def test_the_map_of_the_house_names_modules_and_what_they_define() -> None:
    modules = set(re.findall(r"`([a-z_/]+\.py)`", HOUSE))
    pairs = re.findall(r"`([a-z_/]+\.py)`: `([\w.]+)`", HOUSE)
    pairs += [
        (module, name)
        for name, module in re.findall(r"`([\w.]+)` in `([a-z_/]+\.py)`", HOUSE)
    ]

    assert len(modules) >= 25
    for module in modules:
        assert (PACKAGE / module).is_file(), module
    assert len(pairs) >= 20
    for module, name in pairs:
        own = set(defined(tree(PACKAGE / module).body))
        assert any(f".{other}".endswith(f".{name}") for other in own), name


def test_the_map_of_the_house_has_a_line_for_every_package() -> None:
    named = re.findall(r"^\| `(\w+)` \|", HOUSE, re.MULTILINE)

    assert sorted(named) == sorted(
        path.parent.name
        for path in PACKAGE.glob("*/*.py")
        if path.name == "__init__.py"
    )


def test_ci_calls_exactly_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    (pattern,) = re.findall(r"s/(\^.*\$)/\\1/p", script)
    found = [
        line
        for line in README.splitlines()
        if re.match(pattern.replace("\\(", "(").replace("\\)", ")"), line)
    ]

    assert found == [
        "    deploy/setup test && .venv/bin/pytest -q -n 2 --dist loadfile"
    ]
    assert 'eval "$command"' in script


@pytest.mark.parametrize("readme", ["tests/faults/README.md", "deploy/README.md"])
def test_every_test_that_a_table_names_is_there(readme: str) -> None:
    table = (ROOT / readme).read_text()
    named = {
        (module, test)
        for module, tests in re.findall(r"(test_\w+): ((?:`test_\w+`(?:, )?)+)", table)
        for test in re.findall(r"`(\w+)`", tests)
    }
    there = {
        (path.stem, test)
        for path in (ROOT / "tests").rglob("test_*.py")
        for test in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }

    assert named
    assert len(named) == len(set(re.findall(r"`(test_\w+)`", table)))
    assert named <= there
