from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hotpixeld.config import yaml_positions
from hotpixeld.config.yaml_positions import Document, OddNumber, Place
from hotpixeld.errors import ConfigError


def read(text: str) -> Document:
    return yaml_positions.parse(text, "some.yaml")


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text)
    (problem,) = caught.value.problems
    return problem


def test_scalars_are_what_people_read() -> None:
    text = "[1, -2, 1_000, 2.5, .5, yes, No, null, ~, text, '7', 2009-05-01, !!str 7]"

    assert read(text).value == (
        *(1, -2, 1000, 2.5, 0.5, True, False, None, None),
        *("text", "7", "2009-05-01", "7"),
    )


@pytest.mark.parametrize("text", ["0100", "0x1f", "0b11", "1:30", ".inf", ".nan"])
def test_a_number_that_people_would_misread_is_marked(text: str) -> None:
    assert read(text).value == OddNumber(text)


def test_a_number_of_endless_digits_is_not_worked_out() -> None:
    assert isinstance(read("9" * 100_000).value, OddNumber)


def test_every_value_remembers_its_line_and_its_text() -> None:
    document = read("a: 1\nb:\n  - 0123\n  - c: [5]\n")

    assert document.places == {
        (): Place(1, 1),
        ("a",): Place(1, 1, "1"),
        ("b",): Place(2, 1),
        ("b", 0): Place(3, 5, "0123"),
        ("b", 1): Place(4, 5),
        ("b", 1, "c"): Place(4, 5),
        ("b", 1, "c", 0): Place(4, 9, "5"),
    }


def test_what_is_missing_is_placed_at_what_is_around_it() -> None:
    document = read("a:\n  b: 1\n")

    assert document.place(("a", "c", 4)).line == 1
    assert document.place(()).line == 1


def test_nothing_has_a_place_too() -> None:
    document = read("# nothing\n")

    assert document.value is None
    assert document.place(("a",)) == Place(1, 1)


def test_aliases_are_expanded() -> None:
    assert read("a: &p [1, 2]\nb: *p").value == {"a": (1, 2), "b": (1, 2)}


@pytest.mark.parametrize(
    ("text", "line", "fault"),
    [
        ("a: 1\na: 2", 2, "key 'a' is given twice (first in line 1): remove one"),
        ("a: &m {b: 1}\n<<: *m", 2, "'<<' is not used: write the keys out"),
        ("a: !secret b", 1, "tag '!secret' is not used: remove it"),
        ("a: !!set {b}", 1, "tag 'tag:yaml.org,2002:set' is not used: remove it"),
        ("a: 1\n[b]: 1", 2, "a key must be text: are quotes missing?"),
    ],
)
def test_what_has_no_place_in_a_configuration_is_a_fault(
    text: str, line: int, fault: str
) -> None:
    document = read(text)

    (found,) = document.faults
    assert found.text == fault
    assert (found.place or document.place(found.loc)).line == line


def test_of_a_key_given_twice_the_first_counts() -> None:
    assert read("a: 1\na: 2").value == {"a": 1}


def test_python_objects_are_never_made() -> None:
    document = read("!!python/object/apply:os.system [exit 1]")

    assert document.value is None
    assert "python/object" in document.faults[0].text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1, 2\nb: 3", r"some\.yaml:2: not valid YAML: .* \(column \d+\)"),
        ("a:\n\t- 1", r"some\.yaml:2: not valid YAML: .*'\\t'.* \(column 1\)"),
        ("a: 1\n---\nb: 1", r"some\.yaml:2: not valid YAML: .*document.*"),
        ("a: *b", r"some\.yaml:1: not valid YAML: found undefined alias.*"),
        (
            "a: 1\nb: \x07",
            r"some\.yaml:2: character U\+0007 is not allowed in YAML: remove it",
        ),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(text: str, problem: str) -> None:
    assert re.fullmatch(problem, refusal(text))


def test_aliases_cannot_fill_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]

    assert "more than 250000 values once aliases are expanded" in refusal(
        "\n".join(lines)
    )


def test_an_alias_inside_its_own_anchor_is_refused() -> None:
    assert "nested more than 20 deep" in refusal("a: &a [*a]")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused(opening: str) -> None:
    assert "nested more than 20 deep" in refusal(opening * 50_000)


@given(st.text())
def test_any_text_survives_quoting(text: str) -> None:
    quoted = yaml_positions.quote(text)

    assert "\n" not in quoted
    assert yaml.safe_load(f"[{quoted}]") == [text]
    assert read(f"key: {quoted}").value == {"key": text}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "nothing"),
        (True, "true"),
        (False, "false"),
        (2.5, "2.5"),
        ("it's\n", '"it\'s\\n"'),
        ("x" * 100, f"'{'x' * 57}...'"),
        ({"a": 1}, "a mapping"),
        ((), "[]"),
        ((1, "a", (2,)), "[1, 'a', [2]]"),
        ((1, 2, 3, 4, 5, 6), "[1, 2, 3, 4, 5, ...]"),
        (OddNumber("0100"), "0100"),
    ],
)
def test_values_are_shown_on_one_line(value: object, shown: str) -> None:
    assert yaml_positions.show(value) == shown


@given(st.text(alphabet="ab:[]{}&*!|>-#'\"\n\t <~0.", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        problems: tuple[str, ...] = ()
        read(text)
    except ConfigError as error:
        problems = error.problems

    assert all(problem.startswith("some.yaml:") for problem in problems)
