"""Inputs after public reports (tests/data/cases): every record is read as the scalar decoder reads it."""

from pathlib import Path

import pytest

from oncefold.core.definition_toml import parse_toml
from tests.columnar.test_json_scan import assert_as_the_core

SHAPES = Path(__file__).parents[1] / "data" / "cases" / "jsonshapes"
PIPELINE = parse_toml((SHAPES / "p.toml").read_text())
READ = {
    "bom": 0, "concat": 0, "cr": 0, "nums": 17, "rs": 0, "sse": 0, "surr": 7, "trail": 0, "u2028": 2, "utf16": 0,
}  # fmt: skip
"""How many records of a file are events."""


@pytest.mark.parametrize("name", READ)
def test_every_record_is_what_the_core_says(name: str) -> None:
    read = assert_as_the_core(PIPELINE, (SHAPES / f"{name}.jsonl").read_bytes())
    assert sum(event is not None for _, event in read.records) == READ[name]
