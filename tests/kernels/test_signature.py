"""What a kernel's decorator declares is read as written, and what it cannot mean is refused with the reason."""

from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from oncefold.columnar.arrays import Int64Rows, UInt8s
from oncefold.kernels.signature import SignatureError, signature_of


class Plan(NamedTuple):
    names: UInt8s
    table: Int64Rows


class Unknown(NamedTuple):
    numbers: Annotated[list[int], 2]


class Single(NamedTuple):
    numbers: npt.NDArray[np.float32]


def test_numbers_arrays_tuples_and_named_tuples_are_read() -> None:
    signature = signature_of(("const u8[], i64", Plan, "((i64[,], bool), u32[])"), "(i64, bool)")
    assert str(signature) == (
        "(const u8[], i64, Plan(const u8[], const i64[,]), ((i64[,], bool), u32[])) -> (i64, bool)"
    )
    assert [str(leaf) for leaf in signature.leaves] == [
        "const u8[]", "i64", "const u8[]", "const i64[,]", "i64[,]", "bool", "u32[]",
    ]  # fmt: skip
    assert signature.is_tuple


@pytest.mark.parametrize(("returns", "is_tuple"), [("", False), ("i64", False), ("(i64)", True)])
def test_a_result_is_nothing_a_number_or_a_tuple(returns: str, is_tuple: bool) -> None:
    signature = signature_of(("i64",), returns)
    assert (len(signature.returns), signature.is_tuple) == (len(returns) > 0, is_tuple)


@pytest.mark.parametrize(
    ("arguments", "returns", "reason"),
    [
        (("const u8[], int",), "", "'int' in the signature of a kernel is none of u8, "),
        (("(u8[], i64",), "", "does not close what it opens"),
        (("u8[])",), "", "closes what it does not open"),
        (("u8[], ?",), "", "cannot be read from ' .' on"),
        (("i64",), "i64, i64", "returns nothing, a number or a tuple of numbers, not 'i64, i64'"),
        (("i64",), "i64[]", "returns nothing, a number or a tuple"),
        ((int,), "", "int in the signature of a kernel is no NamedTuple"),
        ((Unknown,), "", "Unknown.numbers is annotated as .* no array that a kernel can take"),
        ((Single,), "", "Single.numbers is annotated as .* no array that a kernel can take"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str | type, ...], returns: str, reason: str) -> None:
    with pytest.raises(SignatureError, match=reason):
        signature_of(arguments, returns)
