"""Answers as data frames of pandas and polars, neither of which is needed for anything else."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from oncefold.core.errors import InvalidQueryError
from oncefold.queries.render.arrow import DIGITS_128, to_arrow

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from oncefold.queries.model import Answer


def to_pandas(answer: Answer[Any]) -> pd.DataFrame:
    """The rows as a frame of pandas with Arrow's types. Raises ImportError without pandas."""
    pandas = _library("pandas")
    frame: pd.DataFrame = to_arrow(answer).to_pandas(types_mapper=pandas.ArrowDtype)
    return frame


def to_polars(answer: Answer[Any]) -> pl.DataFrame:
    """The rows as a frame of polars. Raises ImportError without polars, InvalidQueryError beyond 38 digits."""
    polars, table = _library("polars"), to_arrow(answer)
    wide = [field.name for field in table.schema if pa.types.is_decimal256(field.type)]
    if wide:
        raise InvalidQueryError(
            f"{', '.join(wide)}: a number has more than the {DIGITS_128} digits that polars holds; use to_arrow() or "
            "to_pandas()"
        )
    frame: pl.DataFrame = polars.from_arrow(table)
    return frame


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ImportError(f"to_{name}() needs {name}, which is not installed: pip install 'oncefold[{name}]'") from None
