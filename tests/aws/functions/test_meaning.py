"""Wide versions, envelopes and zones in the functions: the right values of tests/data/cases, in any order."""

import json
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from oncefold.aws.deploy.package import build
from oncefold.aws.functions import layout
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.fold import Node, Outcome, Stored
from oncefold.core.zones import zone_file
from tests.aws.functions.conftest import simulated
from tests.aws.functions.stacks import Stack
from tests.aws.functions.stacks import lines as records_of

CASES = Path(__file__).parents[2] / "data" / "cases"
RIGHT = [
    ("dbz/right.toml", "dbz/ev.jsonl", 1, 1_000),
    ("ddbstream/right.toml", "ddbstream/ev.jsonl", 0, 0),
    ("ddbstream/right.toml", "ddbstream/tie.jsonl", 1, 4_000),
    ("versions/mx2.toml", "versions/mx.jsonl", 1, 2_500),
    ("versions/crdb_right.toml", "versions/crdb.jsonl", 2, 2_500),
    ("window/tz.toml", "window/ev.jsonl", 5, 2_300),
    ("tags/right.toml", "tags/ev.jsonl", 1, 500),
]


def stack_of(pipeline: Pipeline) -> Stack:
    made = simulated()
    return Stack(made.client, made.names, pipeline, made.time)


def lines_of(name: str) -> list[str]:
    return (CASES / name).read_text().splitlines()


@pytest.mark.parametrize(("definition", "events", "count", "total"), RIGHT)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_functions_give_the_right_totals(
    definition: str, events: str, count: int, total: int, backwards: bool
) -> None:
    stack = stack_of(parse_toml((CASES / definition).read_text()))
    lines = lines_of(events)
    for line in lines[::-1] if backwards else lines:
        stack.fold(records_of([line]))
    stack.fold(records_of(lines))
    stack.reduce()
    root = stack.totals().get(Node(0))
    assert (count, total) == (0, 0) if root is None else (root.count, root.sums[0]) == (count, total)


def test_ignored_records_and_moved_keys() -> None:
    stack = stack_of(parse_toml((CASES / "dbz" / "right.toml").read_text()))
    moved = {"before": {"id": 1, "region": "EU", "amount": "1"}, "after": {"id": 2, "region": "EU", "amount": "2"},
             "source": {"lsn": 7}, "op": "u"}  # fmt: skip
    folded = stack.fold(records_of(["null", json.dumps(moved)]))
    assert folded.outcomes == {Outcome.IGNORED: 1, Outcome.DELETED: 1, Outcome.INSERTED: 1}
    assert stack.states()["1"].content.deleted
    assert stack.rejects("reject") == []


def test_wide_versions_are_attributes_that_sort_as_they_do() -> None:
    pipeline = parse_toml((CASES / "versions" / "crdb_right.toml").read_text())
    versions = [-(10**38) + 1, -(2**64), -1, 0, 1, 2**63, 2**64 - 1, 2**64, 10**38 - 1]
    written = [layout.version_value(pipeline, version) for version in versions]
    assert [layout.parse_version(value) for value in written] == versions
    assert sorted(value["S"] for value in written) == [value["S"] for value in written]
    narrow = parse_toml((CASES / "versions" / "mx.toml").read_text())
    item = layout.state_content(narrow, Stored(3, layout.DELETED))
    assert item["version"] == {"N": "3"}


def test_the_zip_has_the_zones_that_the_pipeline_names() -> None:
    package = build(parse_toml((CASES / "window" / "tz.toml").read_text()))
    with zipfile.ZipFile(BytesIO(package.data)) as archive:
        assert archive.read("zoneinfo/Europe/Berlin") == zone_file("Europe/Berlin")
        assert [name for name in archive.namelist() if name.startswith("zoneinfo/")] == ["zoneinfo/Europe/Berlin"]
