"""Totals as one text whose SHA-256 says whether two of them are the same; the text is that of `bench/peers`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.definition import SCALE
from oncefold.core.decimals import format_decimal
from oncefold.core.nodepath import split
from oncefold.store.reader import StoreFile


def digest(totals: Mapping[str, tuple[int, str]]) -> str:
    """The SHA-256 of the sorted lines `path`, `count`, `value`."""
    lines = sorted((path.encode(), count, value.encode()) for path, (count, value) in totals.items())
    return hashlib.sha256(b"".join(b"%s\t%d\t%s\n" % line for line in lines)).hexdigest()


def digest_of_truth(truth: Mapping[str, Any]) -> str:
    """The SHA-256 of what the generator says the totals are."""
    return digest({path: (node["count"], node["value"]) for path, node in truth["nodes"].items()})


def digest_of_store(path: str | Path) -> str:
    """The SHA-256 of a store's first rollup and measure, as another process reads them, without empty nodes."""
    with StoreFile.open(path) as reader:
        rows = reader.totals(reader.pipeline.rollups[0].name).rows
    return digest(
        {
            "/".join(split(row.path)): (row.count, format_decimal(row.sums[0], SCALE))
            for row in rows
            if row.count or not row.path
        }
    )
