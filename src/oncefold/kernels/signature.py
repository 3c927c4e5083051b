"""What a kernel takes and gives, as its decorator declares it.

u8 u32 u64 i32 i64 f64 bool     a number
i64[]  i64[,]                   an array of one or two axes, contiguous, that the kernel may write
const u8[]                      an array that it only reads
(const u8[], i64)               a tuple
DecodePlan                      a NamedTuple class of arrays, all of them const, or of such classes; its annotations
                                say which
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args, get_type_hints

import numpy as np

DTYPES = {"u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64", "i32": "int32", "i64": "int64",
          "bool": "bool"}  # fmt: skip
"""Each name, and numpy's."""

_NAME_OF = {np.dtype(name): letter for letter, name in DTYPES.items()}
_TOKEN = re.compile(r"\s*(?:(const\s+)?([a-z]\w*)(\[,*\])?|([(),]))")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number."""

    dtype: str

    def __str__(self) -> str:
        return self.dtype


@dataclass(frozen=True, slots=True)
class Array:
    """A contiguous array."""

    dtype: str
    axes: int
    const: bool

    def __str__(self) -> str:
        return f"{'const ' if self.const else ''}{self.dtype}[{',' * (self.axes - 1)}]"


@dataclass(frozen=True, slots=True)
class Record:
    """A tuple, or a NamedTuple of the class."""

    items: "tuple[Item, ...]"
    class_: type | None = None

    def __str__(self) -> str:
        return f"{self.class_.__name__ if self.class_ else ''}({', '.join(map(str, self.items))})"


Item = Scalar | Array | Record


class SignatureError(TypeError):
    """A signature cannot be read, or arrays that do not match one were passed."""


@dataclass(frozen=True)
class Signature:
    """Arguments and results of a kernel."""

    arguments: tuple[Item, ...]
    returns: tuple[Scalar, ...]
    is_tuple: bool
    """Whether the result is a tuple; else it is the only one of `returns`, or None."""

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.arguments))}) -> ({', '.join(map(str, self.returns))})"

    @cached_property
    def leaves(self) -> tuple[Scalar | Array, ...]:
        """The numbers and arrays of all arguments, depth first."""
        return tuple(leaf for item in self.arguments for leaf in _leaves(item))


def _leaves(item: Item) -> Iterator[Scalar | Array]:
    if isinstance(item, Record):
        for inner in item.items:
            yield from _leaves(inner)
    else:
        yield item


def signature_of(arguments: tuple[str | type, ...], returns: str) -> Signature:
    """Read a declaration. Raises SignatureError."""
    items: list[Item] = []
    for argument in arguments:
        items.extend(_parse(argument) if isinstance(argument, str) else [_named_tuple(argument)])
    results = _parse(returns) if returns else []
    is_tuple = len(results) == 1 and isinstance(results[0], Record)
    scalars = tuple(_leaves(results[0])) if results else ()
    if len(results) > 1 or not all(isinstance(scalar, Scalar) for scalar in scalars):
        raise SignatureError(f"a kernel returns nothing, a number or a tuple of numbers, not {returns!r}")
    return Signature(tuple(items), tuple(s for s in scalars if isinstance(s, Scalar)), is_tuple)


def _parse(text: str) -> list[Item]:
    stack: list[list[Item]] = [[]]
    at = 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            raise SignatureError(f"a signature of a kernel cannot be read from {text[at:]!r} on")
        at = found.end()
        const, dtype, axes, sign = found.groups()
        if dtype is not None:
            if dtype not in DTYPES:
                raise SignatureError(f"{dtype!r} in the signature of a kernel is none of {', '.join(DTYPES)}")
            stack[-1].append(Array(dtype, len(axes) - 1, const is not None) if axes else Scalar(dtype))
        elif sign == "(":
            stack.append([])
        elif sign == ")":
            if len(stack) == 1:
                raise SignatureError(f"the signature of a kernel closes what it does not open: {text!r}")
            items = tuple(stack.pop())
            stack[-1].append(Record(items))
    if len(stack) > 1:
        raise SignatureError(f"the signature of a kernel does not close what it opens: {text!r}")
    return stack[0]


def _named_tuple(class_: type) -> Record:
    if not (issubclass(class_, tuple) and hasattr(class_, "_fields")):
        raise SignatureError(f"{class_.__name__} in the signature of a kernel is no NamedTuple")
    hints = get_type_hints(class_, include_extras=True)
    return Record(tuple(_field(class_, name, hints[name]) for name in class_._fields), class_)


def _field(class_: type, name: str, hint: Any) -> Item:
    if isinstance(hint, type) and hasattr(hint, "_fields"):
        return _named_tuple(hint)
    axes = next((value for value in getattr(hint, "__metadata__", ()) if isinstance(value, int)), 1)
    array = get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
    try:
        dtype = _NAME_OF[np.dtype(get_args(get_args(array)[1])[0])]
    except (IndexError, KeyError, TypeError):
        raise SignatureError(
            f"{class_.__name__}.{name} is annotated as {hint}, which is no array that a kernel can take: "
            "use the array types of columnar/arrays.py"
        ) from None
    return Array(dtype, axes, const=True)
