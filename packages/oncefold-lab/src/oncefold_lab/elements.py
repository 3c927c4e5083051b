"""Arrays for events that are made for a definition: those whose elements fill its levels."""

from collections.abc import Callable
from typing import Any

from oncefold.core.definition import Level, Pipeline
from oncefold.core.expression import Source


def arrays_of(
    pipeline: Pipeline, elements: Callable[[], int], label: Callable[[Level], str]
) -> dict[Source, list[Any]]:
    """The value of each field whose elements fill levels, of so many elements; an element has a label for each level.

    Not fewer than one where a level does not say what an empty array means.
    """
    found: dict[Source, list[Any]] = {}
    for indexes in pipeline.arrays:
        levels = [pipeline.levels[index] for index in indexes]
        least = int(any(level.missing is None for level in levels))
        found[levels[0].field] = [_element(levels, label) for _ in range(max(least, elements()))]
    return found


def _element(levels: list[Level], label: Callable[[Level], str]) -> Any:
    whole: dict[str, Any] = {}
    for level in levels:
        if level.inside is None:
            return label(level)
        *path, name = level.inside.segments
        inner = whole
        for segment in path:
            inner = inner.setdefault(segment, {})
        inner[name] = label(level)
    return whole
