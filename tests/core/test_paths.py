"""Field paths and node paths: whatever is written is read back, and every error has a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.core import nodepath
from oncefold.core.fieldpath import FieldPath
from tests.core.strategies import LABELS, PATHS

LABEL_LISTS = st.lists(LABELS, max_size=5).map(tuple)


@given(PATHS)
def test_a_field_path_is_written_and_read_back(path: FieldPath) -> None:
    assert FieldPath.parse(str(path)) == path


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("TradeID", ("TradeID",)),
        ("Hierarchy.Region", ("Hierarchy", "Region")),
        ('"a.b".c', ("a.b", "c")),
        (r'"say \"hi\"".x', ('say "hi"', "x")),
        (r'"a\\b"', (r"a\b",)),
        (r"a\b.c", (r"a\b", "c")),
        ('""', ("",)),
        ("with space.tab\t", ("with space", "tab\t")),
        ("Ünï.😀", ("Ünï", "😀")),
    ],
)
def test_field_paths(text: str, segments: tuple[str, ...]) -> None:
    assert FieldPath.parse(text).segments == segments
    assert FieldPath.parse(text).column == ".".join(segments)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a name is missing at character 1"),
        (".a", "a name is missing at character 1"),
        ("a.", "a name is missing at character 3"),
        ("a..b", "a name is missing at character 3"),
        ('"a', "a name is missing at character 1"),
        ('"a\\"', "a name is missing at character 1"),
        ('"a"b', "expected a dot at character 4"),
        ('a"b"', "expected a dot at character 2"),
        ('a.b"', "expected a dot at character 4"),
    ],
)
def test_field_paths_that_are_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"is not a field path: {words}"):
        FieldPath.parse(text)


@given(LABEL_LISTS)
def test_a_node_path_is_written_and_read_back(labels: tuple[str, ...]) -> None:
    path = nodepath.join(labels)
    assert nodepath.split(path) == labels
    assert not set(path) & set("\n\r\t")


@given(LABEL_LISTS, LABEL_LISTS)
def test_two_nodes_never_share_a_path(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (one == other) == (nodepath.join(one) == nodepath.join(other))


@given(LABEL_LISTS, LABEL_LISTS)
def test_the_path_of_a_child_extends_its_parents(parent: tuple[str, ...], rest: tuple[str, ...]) -> None:
    if parent and rest:
        assert nodepath.join(parent + rest) == f"{nodepath.join(parent)}/{nodepath.join(rest)}"


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        ("", ()),
        (r"\e", ("",)),
        (r"\e/\e", ("", "")),
        ("Delta/FXSpot", ("Delta", "FXSpot")),
        (r"a\/b/c\\d", ("a/b", r"c\d")),
        (r"line\nbreak\r\t", ("line\nbreak\r\t",)),
    ],
)
def test_node_paths(path: str, labels: tuple[str, ...]) -> None:
    assert nodepath.split(path) == labels
    assert nodepath.join(labels) == path


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/", "has an empty part; an empty label is written"),
        ("/a", "has an empty part; an empty label is written"),
        ("a/", "has an empty part; an empty label is written"),
        ("a//b", "has an empty part; an empty label is written"),
        ("a\\", "is not an escape; a backslash is written"),
        ("a\\x/b", r"\\x is not an escape; a backslash is written"),
        ("a\\\nb", "is not an escape; a backslash is written"),
    ],
)
def test_node_paths_that_are_refused(path: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        nodepath.split(path)
