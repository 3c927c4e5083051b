"""Hypothesis strategies for definitions, contents and events."""

from dataclasses import replace

from hypothesis import strategies as st

from oncefold.core.definition import Delete, FirstOf, Level, Pipeline, Rollup, Time, Version
from oncefold.core.event import DELETED, Content, Event
from oncefold.core.fieldpath import FieldPath
from oncefold.core.leafset import pack
from oncefold.core.limits import MEASURE_DIGITS, MEASURE_LIMIT
from oncefold.core.measures import Measure
from oncefold.core.time_format import TimeFormat
from oncefold.core.windows import WEEKDAYS, Window

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
ZONES = st.none() | st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
FORMATS = st.none() | st.sampled_from(["%d.%m.%Y", "%m/%d/%Y %I:%M %p", "%d %b %Y %H:%M:%S.%f%z", "%%%Y%m%d"]).map(
    TimeFormat.parse
)
ZONED_WINDOWS = st.one_of(
    st.builds(Window, st.sampled_from([1, 5, 15, 40, 90]), st.just("m"), ZONES),
    st.builds(Window, st.sampled_from([1, 2, 6, 24]), st.just("h"), ZONES),
    st.builds(Window, st.integers(1, 500), st.just("d"), ZONES),
    st.builds(Window, st.integers(1, 5), st.just("w"), ZONES, st.sampled_from(WEEKDAYS)),
    st.builds(Window, st.sampled_from([1, 2, 4]), st.just("q"), ZONES),
    st.builds(Window, st.sampled_from([1, 6]), st.just("mo"), ZONES),
    st.builds(Window, st.integers(1, 10), st.just("y"), ZONES),
)
LEVELS = st.builds(Level, PATHS, missing=st.none() | LABELS) | st.builds(
    Level, PATHS, WINDOWS | ZONED_WINDOWS, UNITS, st.none() | LABELS, ZONES, FORMATS
)
EACH_LEVELS = st.builds(Level, PATHS, missing=st.none() | LABELS, each=st.just(True), inside=st.none() | PATHS)
_TIMES = st.builds(Version, PATHS, st.just("timestamp"), UNITS, timezone=ZONES, format=FORMATS)
_PARTS = st.builds(Version, PATHS) | _TIMES | st.builds(Version, PATHS, st.just("decimal"), scale=st.integers(0, 3))
VERSIONS = st.one_of(
    st.builds(Version, PATHS),
    _TIMES,
    st.builds(Version, PATHS, st.just("decimal"), scale=st.integers(0, 38)),
    st.builds(Version, PATHS, st.sampled_from(["ulid", "uuidv7", "lsn", "binlog", "text"])),
    st.builds(lambda one, *more: replace(one, then=more), _PARTS, st.builds(Version, PATHS, bits=st.integers(1, 60))),
    st.builds(lambda one, *more: replace(one, then=more), st.builds(Version, PATHS), _PARTS, st.builds(Version, PATHS)),
)
KEYS = PATHS | st.builds(FirstOf, st.lists(PATHS, min_size=1, max_size=3).map(tuple))


def _measures(name: str, *, timed: bool) -> st.SearchStrategy[Measure]:
    """Measures of this name, of all kinds, sums more than others."""
    scales, rounding = st.integers(0, MEASURE_DIGITS), st.sampled_from([None, "half-even"])
    sums = st.builds(Measure, st.just(name), PATHS, scales, rounding, st.sampled_from(["reject", "zero"]))
    counts = st.builds(Measure, st.just(name), PATHS, kind=st.sampled_from(["count", "distinct"]))
    kinds = st.sampled_from(["avg", "min", "max", "first", "last"] if timed else ["avg", "min", "max"])
    others = st.builds(Measure, st.just(name), PATHS, scales, rounding, kind=kinds)
    return sums | sums | counts | others


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """Any definition that a file can hold."""
    names = st.lists(NAMES, unique_by=str.lower, max_size=3)
    rollups = [
        Rollup(name, tuple(draw(st.lists(LEVELS | EACH_LEVELS, unique=True, max_size=4))))
        for name in draw(names.filter(bool))
    ]
    time = draw(st.none() | st.builds(Time, PATHS, UNITS, ZONES, FORMATS))
    measures = [draw(_measures(name, timed=time is not None)) for name in draw(names)]
    envelope = draw(st.sampled_from([None] * 9 + ["debezium", "dynamodb", "cloudevents"]))
    decimal, group = draw(st.sampled_from([(".", None), (",", "."), (",", " "), (".", "'"), (",", None)]))
    return Pipeline(
        name=draw(NAMES),
        key=tuple(draw(st.lists(KEYS, min_size=1, max_size=3))),
        rollups=tuple(rollups),
        measures=tuple(measures),
        version=draw(VERSIONS if envelope in {"debezium", "dynamodb"} else st.none() | VERSIONS),
        time=time,
        delete=draw(st.none() | st.builds(Delete, PATHS, st.none() | LABELS)),
        envelope=envelope,
        missing_texts=tuple(draw(st.lists(LABELS.filter(bool), unique=True, max_size=2))),
        decimal=decimal,
        group=group,
        keep_events=draw(st.sampled_from([None, True, False])),
    )


def contents(pipeline: Pipeline, labels: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[Content]:
    """Contents of few different labels and mantissas, so that equal ones meet; one in some is a delete."""
    label = st.sampled_from(["", "a", "b", "\uffff", "\U00010000"]) if labels is None else labels
    mantissa = st.sampled_from([-7, 0, 1, 5, MEASURE_LIMIT - 1, 1 - MEASURE_LIMIT])
    text = st.sampled_from([None, "", "a", "b", "\uffff", "\U00010000"])
    live = st.builds(
        Content,
        _labels(pipeline, label),
        st.tuples(*[mantissa] * pipeline.layout.numbers),
        st.tuples(*[text] * pipeline.layout.texts),
    )
    return st.one_of(live, live, live, st.just(DELETED))


def _labels(pipeline: Pipeline, label: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    """One label per level; of levels of one array those of up to three elements, packed."""
    elements = [st.sets(st.tuples(*[label] * len(levels)), min_size=1, max_size=3) for levels in pipeline.arrays]

    def filled(plain: tuple[str, ...], found: tuple[set[tuple[str, ...]], ...]) -> tuple[str, ...]:
        labels = list(plain)
        for levels, of_array in zip(pipeline.arrays, found, strict=True):
            for level, column in zip(levels, zip(*sorted(of_array), strict=True), strict=True):
                labels[level] = pack(column)
        return tuple(labels)

    return st.builds(filled, st.tuples(*[label] * len(pipeline.levels)), st.tuples(*elements))


def events(pipeline: Pipeline, keys: int = 3, versions: int = 3) -> st.SearchStrategy[Event]:
    """Events of few keys and versions, so that corrections, duplicates, conflicts and stale ones are common."""
    found = st.builds(Event, st.integers(1, keys).map(str), st.integers(-1, versions - 2), contents(pipeline))
    return st.builds(_perhaps_filtered, found, st.booleans())


def _perhaps_filtered(event: Event, filtered: bool) -> Event:
    """An event without content may be a delete or one that `where` leaves out."""
    return replace(event, filtered=True) if filtered and event.content.deleted else event
