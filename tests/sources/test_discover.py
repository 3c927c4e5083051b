"""Arguments to files: order, what is left out, nothing twice, and errors with their reasons."""

import os
from pathlib import Path

import pytest

from oncefold.core.errors import SourceError
from oncefold.sources.inputs import EXTENSIONS, Format, ReadOptions, discover, extension_format, format_of


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(root: Path, *arguments: str, **options: object) -> list[str]:
    found = discover([str(root / a) for a in arguments], ReadOptions(**options))  # type: ignore[arg-type]
    return [os.path.relpath(item.source, root) for item in found]


def test_directories_patterns_and_files_in_order_and_once(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "b/2.csv",
        "b/1.jsonl",
        "b/c/3.parquet",
        "b/.hidden.csv",
        "b/_tmp/4.csv",
        "b/5.csv.tmp",
        "b/6.txt",
        "b/7.csv~",
    )
    touch(tmp_path, "a.jsonl.gz", "z.jsonl")
    assert names(tmp_path, "b") == ["b/1.jsonl", "b/2.csv", "b/c/3.parquet"]
    assert names(tmp_path, "z.jsonl", "**/*.csv", "b") == [
        "z.jsonl",
        "b/2.csv",
        "b/_tmp/4.csv",
        "b/1.jsonl",
        "b/c/3.parquet",
    ]
    assert names(tmp_path, "*.jsonl*") == ["a.jsonl.gz", "z.jsonl"]
    assert names(tmp_path, "b", format="csv") == ["b/1.jsonl", "b/2.csv", "b/6.txt", "b/c/3.parquet"]


def test_the_same_file_under_two_names_is_read_once(tmp_path: Path) -> None:
    touch(tmp_path, "real.jsonl")
    (tmp_path / "link").symlink_to(tmp_path / "real.jsonl")
    assert names(tmp_path, "link", "real.jsonl", "./real.jsonl") == ["real.jsonl"]


def test_a_name_with_pattern_characters_is_a_file_first(tmp_path: Path) -> None:
    touch(tmp_path, "a[1].jsonl", "a1.jsonl")
    assert names(tmp_path, "a[1].jsonl") == ["a[1].jsonl"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("none.jsonl", "there is no such file"),
        ("*.csv", "no file matches"),
        ("empty", "no file below this directory"),
        ("a.log", "say --format with one of jsonl, csv, tsv, parquet, arrow"),
    ],
)
def test_errors_name_the_argument(tmp_path: Path, argument: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "a.log")
    with pytest.raises(SourceError) as caught:
        names(tmp_path, argument)
    assert message in str(caught.value)
    assert argument in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.JSONL", "jsonl"),
        ("a.ndjson.zst", "ndjson"),
        ("a.b.csv.gz", "csv"),
        ("a.pq", "pq"),
        ("a.parquet.gz", None),
        ("a", None),
        ("csv", None),
        ("x.gz", None),
    ],
)
def test_formats_by_name(name: str, expected: str | None) -> None:
    assert extension_format(name) == expected


def test_told_formats_and_delimiters() -> None:
    assert format_of("-", ReadOptions()) == Format("json")
    assert format_of("a.log", ReadOptions(format="tsv")) == Format("csv", "\t")
    assert format_of("a.csv", ReadOptions(delimiter=";")) == Format("csv", ";")
    with pytest.raises(SourceError, match="choose one of"):
        ReadOptions(format="xml")
    for wrong in ("", ";;", '"', "\n", "é"):
        with pytest.raises(SourceError, match="one ASCII character"):
            ReadOptions(delimiter=wrong)


def test_a_path_that_is_not_utf8_has_a_name_that_is(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff.jsonl"
    os.close(os.open(raw, os.O_CREAT | os.O_WRONLY))
    (found,) = discover([str(tmp_path)], ReadOptions())
    found.source.encode()
    assert Path(found.path).exists()


def test_the_docs_name_every_extension() -> None:
    text = (Path(__file__).parents[2] / "docs" / "SOURCES.md").read_text()
    assert [name for name in EXTENSIONS if f"`.{name}`" not in text] == []
