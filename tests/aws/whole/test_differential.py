"""The functions on AWS and the embedded engine give the same totals, digit for digit, and reject the same events."""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from examples.covid19.series import FOLDER, WORLD, Figures, read_events, read_published
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import oncefold
from oncefold.aws.functions.state import StreamRecord
from oncefold.core.decimals import format_decimal
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.fold import Outcome
from oncefold.core.nodepath import join, split
from oncefold.engine.session import Session
from oncefold.pipeline_file import load_pipeline
from tests.aws.functions.conftest import simulated
from tests.aws.functions.stacks import Stack
from tests.oracle.test_covid19 import as_json_lines, assert_equal_to_publisher
from tests.tools.sizes import examples, sized

Rows = dict[tuple[str, str], tuple[int, dict[str, str]]]
"""Count and sums, as texts, by rollup and path; nodes without live keys are left out."""


def batches(lines: Sequence[bytes], size: int) -> Iterator[list[StreamRecord]]:
    for start in range(0, len(lines), size):
        yield [StreamRecord("s", str(start + n), 0.0, line) for n, line in enumerate(lines[start : start + size])]


def on_aws(pipeline: Pipeline, lines: Sequence[bytes], size: int) -> tuple[Stack, int]:
    """The stack that the lines came to in batches of this size, and how many were rejected."""
    stack = simulated()
    stack.pipeline = pipeline
    rejected = 0
    for number, batch in enumerate(batches(lines, size)):
        folded = stack.fold(batch)
        assert folded.unfinished is None
        rejected += folded.outcomes[Outcome.REJECTED]
        if number % 3 == 0:
            stack.reduce()
    stack.reduce()
    assert stack.outbox() == []
    return stack, rejected


def rows_on_aws(stack: Stack) -> Rows:
    pipeline = stack.pipeline
    return {
        (pipeline.rollups[node.rollup].name, join(node.labels)): (
            total.count,
            {
                measure.name: format_decimal(value, measure.scale)
                for measure, value in zip(pipeline.measures, total.sums, strict=True)
            },
        )
        for node, total in stack.totals().items()
        if total.count
    }


def rows_embedded(store: Session) -> Rows:
    return {
        (rollup.name, row.path): (row.count, {name: f"{value:f}" for name, value in row.sums.items()})
        for rollup in store.pipeline.rollups
        for row in store.totals(rollup=rollup.name, depth=None)
        if row.count
    }


def test_the_covid19_series(tmp_path: Path) -> None:
    """All 115,080 events and a tenth of them again, shuffled, in batches of 500; in the short form the last 20 days."""
    rng, events, published = random.Random(7), read_events(), read_published()
    days = sorted(published)[sized(-20, 0) :]
    events = [event for event in events if event.day >= days[0]]
    stream = [*events, *rng.sample(events, len(events) // 10)]
    rng.shuffle(stream)
    as_json_lines(tmp_path / "stream", stream)
    data = (tmp_path / "stream.jsonl").read_bytes()
    pipeline = load_pipeline(FOLDER / "pipeline.toml")
    stack, rejected = on_aws(pipeline, data.splitlines(), 500)
    assert rejected == 0
    with oncefold.open(tmp_path / "embedded.db", pipeline) as store:
        store.ingest(data)
        assert rows_on_aws(stack) == rows_embedded(store)
    found = {
        split(path)[0] if path else WORLD: Figures(*(int(sums[name]) for name in Figures._fields))
        for (_, path), (_, sums) in rows_on_aws(stack).items()
        if len(split(path)) < 2
    }
    assert_equal_to_publisher(found, published[max(published)])


PIPELINES = [
    parse_toml(text)
    for text in (
        """
        name = "several"
        [event]
        key = ["id", "b"]
        version = "v"
        delete = { field = "gone", equals = "yes" }
        [rollups]
        one = ["a", "b"]
        other = [{ field = "b", missing = "(none)" }]
        all = []
        [measures]
        x = { sum = "x", scale = 2 }
        y = { sum = "y", scale = 18, missing = "zero" }
        """,
        """
        name = "windows"
        [event]
        key = "id"
        version = { field = "t", type = "timestamp" }
        time = "t"
        delete = "gone"
        [rollups]
        hours = [{ field = "t", window = "1h" }, "a"]
        months = [{ field = "t", window = "1mo", missing = "?" }]
        [measures]
        x = { sum = "x", scale = 0, round = "half-even" }
        """,
        """
        name = "inserts"
        [event]
        key = "id"
        [rollups]
        tree = ["deep.a", "deep.b", "a"]
        """,
    )
]
FIELDS: dict[str, list[str]] = {
    "id": ['"k"', '"k/1"', '""', "7", '"7"', "1.5", "null", '"\\u0000"', '"\\ud83d\\ude00"'],
    "v": ["1", "2", '"2"', "3", "-1", "1e2", "null", '"x"'],
    "t": ['"2026-01-01T00:30:00Z"', '"2026-01-01"', "1767225600", "1767229200.000000001", '"never"', "null"],
    "a": ['"a"', '"b"', '""', '"a/b"', '"\\\\"', "3", "null", "[]"],
    "b": ['"x"', '"y"', '"\\u0000"', '"\\u0000\\u0000"'],
    "x": ["1", "1.50", '"-2.25"', "0.005", "999999999999999", "1e15", "1e400", "NaN", "null", "0.5"],
    "y": ["0.000000000000000001", "-0.999999999999999999", "1", "null"],
    "gone": ["true", "false", '"yes"', '"no"', "null"],
    "deep": ['{"a": "p", "b": "q"}', '{"a": "p", "b": ""}', '{"a": "p"}', "{}", '"flat"'],
}
LINES = st.fixed_dictionaries(
    {name: st.sampled_from(values) for name, values in FIELDS.items()}, optional={"more": st.just("{}")}
).map(lambda fields: ("{" + ", ".join(f"{json.dumps(n)}: {v}" for n, v in fields.items()) + "}").encode())


@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda pipeline: str(pipeline.name))
@settings(
    max_examples=examples(25, short=3),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(lines=st.lists(LINES | st.just(b"{") | st.just(b"[1]"), max_size=60), size=st.integers(1, 30))
def test_random_events(pipeline: Pipeline, lines: list[bytes], size: int, tmp_path_factory: Any) -> None:
    stack, rejected = on_aws(pipeline, lines, size)
    with oncefold.open(tmp_path_factory.mktemp("embedded") / "s.db", pipeline) as store:
        ingested = store.ingest(b"\n".join(lines))
        assert rows_on_aws(stack) == rows_embedded(store)
        assert rejected == ingested.counts.get(Outcome.REJECTED, 0)
