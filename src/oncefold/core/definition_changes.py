"""What a change of a definition would make of totals that are kept under the old one."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

from oncefold.core.definition import UNSET, FirstOf, Level, Pipeline, Rollup, depends_on_time
from oncefold.core.expression import Expression
from oncefold.core.fieldpath import FieldPath
from oncefold.core.measures import Measure
from oncefold.core.time_format import TimeFormat


def changes_of_meaning(old: Pipeline, new: Pipeline) -> list[str]:
    """What `new` would make of totals kept under `old` that they do not mean: one line each, empty if none.

    A measure or level that used to reject events without its field may begin to accept them, and a measure may
    begin to round what it used to reject: the events rejected so far are on the reject list and can be redriven.
    Everything else changes what is kept.
    """
    return list(chain(event_changes(old, new), _rollup_changes(old, new), _measure_changes(old, new)))


def event_changes(old: Pipeline, new: Pipeline) -> Iterator[str]:
    """What `new` reads otherwise of an event than `old` does, beside labels and measures: one line each."""
    for name in ("envelope", "key", "version", "delete", "where", "missing_texts", "decimal", "group"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"[event] {name} was {_words(before)} and is now {_words(after)}"
    if old.time != new.time and depends_on_time(old):
        yield f"[event] time was {_words(old.time)} and is now {_words(new.time)}"


def _rollup_changes(old: Pipeline, new: Pipeline) -> Iterator[str]:
    if [r.name for r in old.rollups] != [r.name for r in new.rollups]:
        yield f"[rollups] were {_names(old.rollups)} and are now {_names(new.rollups)}"
        return
    if old.rollup_levels != new.rollup_levels:
        yield f"[rollups] the labels of a leaf were {_words(old.levels)} and are now {_words(new.levels)}"
    for before, after in zip(old.rollups, new.rollups, strict=True):
        pairs = list(zip(before.levels, after.levels, strict=False))
        if len(before.levels) != len(after.levels) or not all(_widens_level(b, a) for b, a in pairs):
            yield f"[rollups] {before.name} was {_words(before.levels)} and is now {_words(after.levels)}"


def _widens_level(old: Level, new: Level) -> bool:
    same = replace(old, missing=None) == replace(new, missing=None)
    return same and (old.missing is None or old.missing == new.missing)


def _measure_changes(old: Pipeline, new: Pipeline) -> Iterator[str]:
    if [m.name for m in old.measures] != [m.name for m in new.measures]:
        yield f"[measures] were {_names(old.measures)} and are now {_names(new.measures)}"
        return
    for before, after in zip(old.measures, new.measures, strict=True):
        if not _widens_measure(before, after):
            changed = [
                f"{name} was {_words(was)} and is now {_words(getattr(after, name))}"
                for name, was in _fields(before)
                if was != getattr(after, name)
            ]
            yield f"[measures] {before.name}: {', '.join(changed)}"


def _widens_measure(old: Measure, new: Measure) -> bool:
    same = (old.kind, old.field, old.scale) == (new.kind, new.field, new.scale)
    return same and old.round in {None, new.round} and old.missing in {"reject", new.missing}


def _names(named: tuple[Rollup, ...] | tuple[Measure, ...]) -> str:
    return ", ".join(item.name for item in named) or "none"


def _words(value: Any) -> str:
    if value is None:
        return "absent"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_words, value)) + "]"
    if isinstance(value, FieldPath | FirstOf | Expression | TimeFormat | str | int):
        return str(value)
    parts = (
        f"{name} {_words(item) if isinstance(item, tuple) else item}"
        for name, item in _fields(value)
        if item is not None and (name not in UNSET or name == "scale" or item != UNSET[name])
    )
    return "{" + ", ".join(parts) + "}"


def _fields(value: Any) -> list[tuple[str, Any]]:
    return [(name, getattr(value, name)) for name in value.__dataclass_fields__]
