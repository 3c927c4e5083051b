"""Pipelines and events for the tests of the functions: small worlds in which everything happens often."""

from dataclasses import replace

from hypothesis import strategies as st

from oncefold.core.definition import Delete, Level, Pipeline, Rollup, Version
from oncefold.core.event import DELETED, Content, Event
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import MEASURE_LIMIT
from oncefold.core.measures import Measure


def field(name: str) -> FieldPath:
    return FieldPath((name,))


def pipeline_of(*rollups: int, measures: int = 1, scale: int = 2) -> Pipeline:
    """A pipeline of so many rollups with so many levels each; rollups share levels from the first on."""
    levels = [Level(field(f"L{number}")) for number in range(max(rollups))]
    return Pipeline(
        name="world",
        key=(field("id"),),
        rollups=tuple(Rollup(f"r{number}", tuple(levels[:depth])) for number, depth in enumerate(rollups)),
        measures=tuple(Measure(f"m{number}", field(f"m{number}"), scale) for number in range(measures)),
        version=Version(field("v")),
        delete=Delete(field("gone")),
    )


MEASURED = replace(
    pipeline_of(2),
    measures=(
        Measure("mean", field("x"), 2, kind="avg"),
        Measure("total", field("x"), 2),
        Measure("known", field("x"), kind="count"),
    ),
)
"""Measures of every kind that the functions keep."""

PIPELINES = [pipeline_of(3), pipeline_of(2, 1, measures=2), MEASURED, pipeline_of(0), pipeline_of(5, 5, 5, measures=0)]

LABELS = st.sampled_from(["", "a", "b", "a/b", "\\", "\0", "\N{GRINNING FACE}", "ü" * 30])
AMOUNTS = st.integers(-300, 300) | st.sampled_from([MEASURE_LIMIT - 1, 1 - MEASURE_LIMIT])


def contents(pipeline: Pipeline, labels: st.SearchStrategy[str] = LABELS) -> st.SearchStrategy[Content]:
    live = st.builds(
        Content,
        st.tuples(*[labels] * len(pipeline.levels)),
        st.tuples(*[AMOUNTS] * len(pipeline.columns)),
    )
    return live | st.just(DELETED)


def events(pipeline: Pipeline, keys: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[Event]:
    some = st.sampled_from(["", "\0", "k", "key two", "\N{GRINNING FACE}"]) if keys is None else keys
    return st.builds(Event, some, st.integers(0, 3), contents(pipeline))
