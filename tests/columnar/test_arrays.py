"""Memory that grows in place, and that serves one commit after another."""

import numpy as np
import pytest

from oncefold.columnar.arrays import GrowingArray
from oncefold.engine.tuning import tune_malloc


@pytest.mark.parametrize("width", [(), (3,)])
def test_rows_stay_and_new_ones_are_zero(width: tuple[int, ...]) -> None:
    array = GrowingArray(np.int64, *width)
    written = 0
    for rows in (1, 9_000, 40_000, 900_000, 900_001):
        array.reserve(rows)
        assert array.rows.shape[1:] == width
        assert len(array.rows) >= rows
        first = np.arange(written).reshape(-1, *[1] * len(width))
        assert (array.rows[:written] == first).all()
        assert not array.rows[written:rows].any()
        array.rows[written:rows] = np.arange(written, rows).reshape(-1, *[1] * len(width))
        written = rows


def test_rows_that_are_held_on_to_stay_as_they_are() -> None:
    array = GrowingArray(np.uint8)
    held = array.rows
    held[:10] = 7
    array.reserve(10_000_000)
    array.rows[:10] = 8
    assert (held[:10] == 7).all()
    assert len(array.rows) >= 10_000_000


def test_memory_may_be_kept_anywhere() -> None:
    tune_malloc()
