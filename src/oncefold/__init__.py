"""Exactly-once aggregation of event streams: hierarchical running totals, exact decimals, one file.

import oncefold

with oncefold.open("risk.db", "pipeline.toml") as store:
    store.ingest(b'{"TradeID": "a", "Version": 1, "Value": 10.50, "Desk": "FX"}')
    for row in store.totals("FX"):
        print(row.path, row.count, row.sums)
"""

from pathlib import Path
from typing import TYPE_CHECKING

from oncefold.core.definition import Delete, Level, Measure, Pipeline, Rollup, Time, Version
from oncefold.core.errors import (
    DefinitionError,
    OncefoldError,
    QuestionError,
    SourceError,
    StoreError,
    StoreLockedError,
)
from oncefold.core.fieldpath import FieldPath
from oncefold.core.fold import Outcome
from oncefold.pipeline_file import load_pipeline

if TYPE_CHECKING:
    from oncefold.engine.session import Session
    from oncefold.queries.store_reader import StoreReader
    from oncefold.store.retention import Retention

__version__ = "0.1.0"

__all__ = [
    "DefinitionError",
    "Delete",
    "FieldPath",
    "Level",
    "Measure",
    "OncefoldError",
    "Outcome",
    "Pipeline",
    "QuestionError",
    "Rollup",
    "SourceError",
    "StoreError",
    "StoreLockedError",
    "Time",
    "Version",
    "__version__",
    "load_pipeline",
    "open",
    "open_reader",
]


def open(  # noqa: A001
    store: str | Path, pipeline: str | Path | Pipeline, *, retention: "Retention | None" = None
) -> "Session":
    """Open a store for writing and querying, made anew if there is none; `pipeline` is a TOML file or a definition.

    Raises DefinitionError if the definition is wrong or does not fit the store, StoreLockedError while another
    process writes the store, StoreError if it cannot be opened.
    """
    from oncefold.engine.session import Session

    definition = pipeline if isinstance(pipeline, Pipeline) else load_pipeline(pipeline)
    return Session.open(store, definition, retention=retention)


def open_reader(store: str | Path) -> "StoreReader":
    """Open a store for queries alone, whether or not it is being written; each answer is as of one commit.

    Raises StoreError if there is no store or it cannot be read.

    >>> with oncefold.open_reader("risk.db") as reader:
    ...     totals = reader.query("FX", depth=None)
    """
    from oncefold.queries.store_reader import StoreReader

    return StoreReader.open(store)
