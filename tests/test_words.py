"""Names in the code are the field's words (docs/GLOSSARY.md): the ones below were replaced and must not come back."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PRODUCT = ROOT / "src"
PACKAGES = ("src", "packages/oncefold-lab/src", "packages/oncefold-workshop/src")

RETIRED = {
    "ask": "query",
    "asked": "query, queried",
    "asker": "client, reader",
    "asking": "query, reader",
    "beside": "attached",
    "express": "fast path",
    "hears": "receive",
    "heard": "received",
    "keyquestions": "key queries",
    "making": "converters",
    "mending": "reject administration",
    "paging": "snapshots",
    "patience": "timeout",
    "question": "query",
    "questions": "queries",
    "renewal": "WAL recovery",
    "standing": "current",
    "stands": "current",
    "stood": "previous",
    "tell": "notify, report",
    "teller": "observer",
    "telling": "notify, report",
    "tells": "notify, report",
    "tiers": "levels",
    "told": "notified, reported",
    "upkeep": "compaction",
}
"""Words of a name, and what is said instead."""
USUAL = {"beside", "standing"}
"""What in the lab and the workshop has its usual meaning: batches beside each other, the standing in a game."""


def parts(name: str) -> set[str]:
    """The words of a name, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def names(path: Path) -> Iterator[str]:
    """Every name that a module gives: its own, and those of functions, classes, arguments, variables and attributes."""
    yield path.stem
    yield path.parent.name
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def test_words_of_names() -> None:
    assert parts("_tell_idle") == {"tell", "idle"}
    assert parts("IllFormedQuestionError") == {"ill", "formed", "question", "error"}
    assert parts("MOST_HTTPBytes") == {"most", "http", "bytes"}


def modules() -> list[Path]:
    """Every module of the three distributions."""
    found = [sorted((ROOT / folder).rglob("*.py")) for folder in PACKAGES]
    assert all(found)
    return [path for paths in found for path in paths]


def test_no_name_is_made_of_a_retired_word() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}: say {RETIRED[word]}"
        for path in modules()
        for name in sorted(set(names(path)))
        for word in sorted(parts(name) & RETIRED.keys())
        if PRODUCT in path.parents or word not in USUAL
    ]
    assert not found, "\n".join(found)


PRIVATE = {
    "numba": r"numba\.core|numba\.misc|_nrt\b|\bcgutils\b",
    "json": r"encode_basestring",
    "starlette": r"path_regex|\bstarlette\b",
    "uvicorn": r"server_state|capture_signals|\buvicorn\b",
    "ministack": r"ministack\.app\b|ministack import app\b",
}
"""Parts of libraries that they do not document, or libraries that only served for such parts."""
GUARDED = {"numba": re.compile(r"_numba(_private)?\.py")}
"""The one module that may use them, has a bound in pyproject.toml and a test that fails first."""


def test_private_parts_of_libraries_are_in_their_one_guarded_module() -> None:
    for library, pattern in PRIVATE.items():
        users = [path for path in modules() if re.search(pattern, path.read_text(encoding="utf-8"))]
        guarded = [path for path in users if library in GUARDED and GUARDED[library].fullmatch(path.name)]
        assert users == guarded, library
        assert len(guarded) == (library in GUARDED), library
