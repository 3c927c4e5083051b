"""Sums and their decimal texts: few are converted one by one, many by Arrow, and both are one form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.core.decimals import format_decimal
from oncefold.store import amounts
from oncefold.store.amounts import from_ints, from_texts, to_ints, to_texts
from oncefold.store.errors import DamagedError

VALUES = st.lists(st.integers(-(2**90), 2**90), max_size=6)


@given(VALUES, st.integers(0, 18))
def test_few_and_many_are_one_form(values: list[int], scale: int) -> None:
    pairs = from_ints(values)
    texts = [format_decimal(value, scale) for value in values]
    for few in (0, 100):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(amounts, "FEW", few)
            assert to_texts(*pairs, scale) == texts
            assert to_ints(*from_texts(texts, scale)) == values


@pytest.mark.parametrize("few", [0, 100])
@pytest.mark.parametrize("text", ["", "x", "1.005", "NaN", "Infinity", None])
def test_what_is_no_decimal_of_the_scale_is_damage(text: str, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amounts, "FEW", few)
    with pytest.raises(DamagedError, match="a total is not a decimal of scale 2"):
        from_texts(["1.50", text], 2)


def test_no_values_are_no_texts() -> None:
    nothing = np.zeros(0, np.int64)
    assert to_texts(nothing, nothing, 2) == []
    assert [half.tolist() for half in from_texts([], 2)] == [[], []]
