"""Hypothesis strategies for definitions, contents and events."""

from dataclasses import replace

from hypothesis import strategies as st

from oncefold.core.definition import Delete, Level, Measure, Pipeline, Rollup, Time, Version
from oncefold.core.event import DELETED, Content, Event
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import MEASURE_DIGITS, MEASURE_LIMIT
from oncefold.core.timestamps import Window

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
"""Any text that UTF-8 can hold."""

AWKWARD = st.text(st.sampled_from('ab.\\"/\n\r\t\x00\x7fé€😀 ne'), max_size=8)
"""Text out of what escapes and separators are made of."""

LABELS = TEXT | AWKWARD
UNITS = st.sampled_from(["s", "ms", "us", "ns"])
PATHS = st.builds(FieldPath, st.lists(LABELS, min_size=1, max_size=4).map(tuple))
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NAME_CHARS = _LETTERS + "0123456789_-"
NAMES = st.builds(str.__add__, st.sampled_from(_LETTERS), st.text(st.sampled_from(_NAME_CHARS), max_size=10)).filter(
    lambda name: name.lower() not in {"count", "rollup", "path", "depth", "label"}
)
WINDOWS = st.one_of(
    st.builds(Window, st.integers(1, 500), st.sampled_from(["s", "m", "h", "d", "w"])),
    st.builds(Window, st.sampled_from([1, 2, 3, 4, 6, 12]), st.just("mo")),
    st.builds(Window, st.integers(1, 1000), st.just("y")),
)
LEVELS = st.builds(Level, PATHS, missing=st.none() | LABELS) | st.builds(
    Level, PATHS, WINDOWS, UNITS, st.none() | LABELS
)
VERSIONS = st.builds(Version, PATHS) | st.builds(Version, PATHS, st.just("timestamp"), UNITS)


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """Any definition that a file can hold."""
    names = st.lists(NAMES, unique_by=str.lower, max_size=3)
    rollups = [
        Rollup(name, tuple(draw(st.lists(LEVELS, unique=True, max_size=4)))) for name in draw(names.filter(bool))
    ]
    measures = [
        Measure(
            name,
            draw(PATHS),
            draw(st.integers(0, MEASURE_DIGITS)),
            draw(st.sampled_from([None, "half-even"])),
            draw(st.sampled_from(["reject", "zero"])),
        )
        for name in draw(names)
    ]
    return Pipeline(
        name=draw(NAMES),
        key=tuple(draw(st.lists(PATHS, min_size=1, max_size=3))),
        rollups=tuple(rollups),
        measures=tuple(measures),
        version=draw(st.none() | VERSIONS),
        time=draw(st.none() | st.builds(Time, PATHS, UNITS)),
        delete=draw(st.none() | st.builds(Delete, PATHS, st.none() | LABELS)),
    )


def contents(pipeline: Pipeline, labels: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[Content]:
    """Contents of few different labels and mantissas, so that equal ones meet; one in some is a delete."""
    label = st.sampled_from(["", "a", "b", "\uffff", "\U00010000"]) if labels is None else labels
    mantissa = st.sampled_from([-7, 0, 1, 5, MEASURE_LIMIT - 1, 1 - MEASURE_LIMIT])
    live = st.builds(
        Content,
        st.tuples(*[label] * len(pipeline.levels)),
        st.tuples(*[mantissa] * len(pipeline.measures)),
    )
    return st.one_of(live, live, live, st.just(DELETED))


def events(pipeline: Pipeline, keys: int = 3, versions: int = 3) -> st.SearchStrategy[Event]:
    """Events of few keys and versions, so that corrections, duplicates, conflicts and stale ones are common."""
    found = st.builds(Event, st.integers(1, keys).map(str), st.integers(-1, versions - 2), contents(pipeline))
    return st.builds(_perhaps_filtered, found, st.booleans())


def _perhaps_filtered(event: Event, filtered: bool) -> Event:
    """An event without content may be a delete or one that `where` leaves out."""
    return replace(event, filtered=True) if filtered and event.content.deleted else event
