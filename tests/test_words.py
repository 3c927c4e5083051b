"""Names in the code are the field's words (docs/GLOSSARY.md): the ones below were replaced and must not come back."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PRODUCT = ROOT / "src" / "oncefold"

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


def test_no_name_of_the_product_is_made_of_a_retired_word() -> None:
    sources = sorted(PRODUCT.rglob("*.py"))
    assert sources
    found = [
        f"{path.relative_to(ROOT)}: {name}: say {RETIRED[word]}"
        for path in sources
        for name in sorted(set(names(path)))
        for word in sorted(parts(name) & RETIRED.keys())
    ]
    assert not found, "\n".join(found)
