"""Several leaves end to end: the engine, its reopened store and the functions on AWS equal the reference model."""

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from oncefold.columnar.trees import Trees
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.fold import Node, Total
from oncefold.queries.store_reader import StoreReader
from oncefold.store.check import check_store
from tests.aws.functions.conftest import simulated
from tests.aws.functions.stacks import Stack
from tests.aws.functions.stacks import lines as records_of
from tests.engine.measured import opened, totals
from tests.tools import reference
from tests.tools.sizes import sized

SUMS = """
name = "orders"
[event]
key = "id"
version = "v"
delete = "gone"
[rollups]
tags = ["region", { each = "tags", missing = "(none)" }]
both = [{ each = "items", field = "kind", missing = "-" }, { each = "tags", missing = "(none)" }]
plain = ["region"]
[measures]
amount = { sum = "amount", scale = 2 }
"""
ALL = (
    SUMS
    + """
least = { min = "amount", scale = 2 }
kinds = { distinct = "region" }
"""
)


def records(seed: int, size: int = 60) -> list[bytes]:
    random = Random(seed)
    found = []
    for _ in range(size):
        record: dict[str, Any] = {
            "id": random.randint(1, 9),
            "v": random.randint(1, 5),
            "region": random.choice(["EU", "US"]),
            "tags": random.choices(["red", "big", "\0", 7], k=random.randint(0, 3)),
            "items": [{"kind": random.choice("xy")} for _ in range(random.randint(0, 2))],
            "amount": f"{random.randint(-500, 500) / 100:.2f}",
        }
        found.append(json.dumps(record | ({"gone": True} if random.random() < 0.1 else {})).encode())
    return found


def expected(pipeline: Pipeline, lines: list[bytes]) -> dict[Node, Total]:
    return reference.totals(pipeline, map(Decoder(pipeline).json, lines))


@pytest.mark.parametrize("seed", range(sized(2, 12)))
def test_every_commit_of_the_engine_is_the_plain_definition(tmp_path: Path, seed: int) -> None:
    pipeline, path, lines = parse_toml(ALL), tmp_path / "store.db", records(seed)
    for start in range(0, len(lines), 10):
        with opened(path, pipeline) as session:
            session.ingest(b"".join(line + b"\n" for line in lines[start : start + 10]))
        reference.assert_equal(expected(pipeline, lines[: start + 10]), totals(path), pipeline)
    assert check_store(path) == []
    with StoreReader.open(path) as reader:
        assert reader.verify().exact
        for node, rollup in (("EU/red", "tags"), ("", "both"), ("x/red", "both")):
            assert reader.explain(node, rollup=rollup, limit=None).adds_up
    for commit in range(1, len(lines) // 10 + 1):
        reference.assert_equal(expected(pipeline, lines[: commit * 10]), totals(path, commit), pipeline)


@pytest.mark.parametrize("seed", range(sized(2, 12)))
def test_the_functions_have_the_totals_of_the_engine(tmp_path: Path, seed: int) -> None:
    pipeline, path, lines = parse_toml(SUMS), tmp_path / "store.db", records(seed)
    made = simulated()
    stack = Stack(made.client, made.names, pipeline, made.time)
    for start in range(0, len(lines), 7):
        stack.fold(records_of([line.decode() for line in lines[start : start + 7]]))
        stack.reduce()
    stack.fold(records_of([line.decode() for line in lines[::-1]]))
    stack.reduce()
    with opened(path, pipeline) as session:
        session.ingest(b"".join(line + b"\n" for line in lines))
    reference.assert_equal(expected(pipeline, lines), stack.totals(), pipeline)
    reference.assert_equal(totals(path), stack.totals(), pipeline)


def test_a_key_that_counts_once_for_each_leaf_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the nodes above two leaves of a key are listed for each of them."""
    real = Trees._grow_sets

    def twice(trees: Trees, first: int) -> None:
        real(trees, first)
        ends, nodes = trees._set_ends, trees._set_nodes
        lists = [nodes[ends[i] : ends[i + 1]] for i in range(trees.leaves.count)]
        lists = [np.append(one, one[0]) if len(one) > 6 and i >= first else one for i, one in enumerate(lists)]
        trees._set_nodes = np.concatenate(lists).astype(np.int32)
        trees._set_ends = np.cumsum([0, *map(len, lists)]).astype(np.int64)

    monkeypatch.setattr(Trees, "_grow_sets", twice)
    pipeline, path, lines = parse_toml(SUMS), tmp_path / "store.db", records(1)
    with opened(path, pipeline) as session:
        session.ingest(b"".join(line + b"\n" for line in lines))
    assert reference.differences(expected(pipeline, lines), totals(path))
    with StoreReader.open(path) as reader:
        assert not reader.verify().exact
