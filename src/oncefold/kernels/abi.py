"""How a kernel's machine code is called: the text of both sides of the call, made from its signature.

The machine code takes the addresses of numpy's array objects and reads the fields of numpy's public C struct
(`PyArrayObject_fields`) itself, because Python would need a microsecond for each array. It checks kind, type, axes and
flags of every array before anything else. All of that goes in one block of words, because each argument of ctypes costs
as much as a small kernel.
"""

import ctypes
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from oncefold.kernels.signature import DTYPES, Array, Item, Record, Scalar, Signature, SignatureError

HEAD = object.__basicsize__
"""The size of what every Python object begins with."""
KIND, DATA, AXES, SHAPE, DTYPE, FLAGS = HEAD - 8, HEAD, HEAD + 8, HEAD + 16, HEAD + 40, HEAD + 48
"""Offsets within an array object: its class, and numpy's fields."""
_CONTIGUOUS, _ALIGNED, _WRITEABLE = 0x1, 0x100, 0x400

# The class of arrays, then the object of each dtype: what the machine code compares with.
_KNOWN_DTYPES = [np.dtype(name) for name in DTYPES.values()]
_KNOWN = (ctypes.c_int64 * (1 + len(DTYPES)))(id(np.ndarray), *map(id, _KNOWN_DTYPES))
_KNOWN_ADDRESS = ctypes.addressof(_KNOWN)
_CODES = {letter: index + 1 for index, letter in enumerate(DTYPES)}

MISMATCH = -(2**63)
"""What the machine code returns if an array does not match; a number that it computes may be the same."""


def entry_source(signature: Signature) -> str:
    """Python text of the function `entry` that numba compiles, which checks its arguments and calls `target`.

    It takes the address of 64-bit words: those of `_KNOWN` and of room for the results of a tuple, then the arguments.
    It returns the result, if that is one number.
    """
    lines = ["def entry(words):", "    known = peek64(words)"]
    for index, leaf in enumerate(signature.leaves):
        a = f"a{index}"
        lines.append(f"    {a} = peek64(words + {8 * (index + 2)})")
        if isinstance(leaf, Array):
            flags = _CONTIGUOUS | _ALIGNED | (0 if leaf.const else _WRITEABLE)
            lines += [
                f"    if (peek64({a} + {KIND}) != peek64(known) or peek32({a} + {AXES}) != {leaf.axes}",
                f"            or peek64({a} + {DTYPE}) != peek64(known + {8 * _CODES[leaf.dtype]})",
                f"            or peek32({a} + {FLAGS}) & {flags} != {flags}):",
                f"        return {MISMATCH}",
            ]
    count = iter(range(len(signature.leaves)))
    call = f"target({', '.join(_argument(item, count) for item in signature.arguments)})"
    if signature.is_tuple:
        lines += ["    out = peek64(words + 8)", f"    result = {call}"]
        lines += [f"    poke64(out + {8 * k}, result[{k}])" for k in range(len(signature.returns))]
        lines.append("    return 0")
    elif signature.returns:
        lines.append(f"    return {call}")
    else:
        lines += [f"    {call}", "    return 0"]
    return "\n".join([*lines, ""])


def _argument(item: Item, count: Iterator[int]) -> str:
    if isinstance(item, Record):
        inner = "".join(f"{_argument(each, count)}, " for each in item.items)
        return f"{item.class_.__name__}({inner})" if item.class_ else f"({inner})"
    index = next(count)
    return f"{number_reader(item) if isinstance(item, Scalar) else array_reader(item)}(a{index})"


def array_reader(leaf: Array) -> str:
    """The name of the operation in the text of `entry` that takes an array object for such an array."""
    return f"{'const' if leaf.const else 'array'}_{leaf.dtype}_{leaf.axes}"


def number_reader(leaf: Scalar) -> str:
    """The name of the operation that takes a word for such a number."""
    return f"number_{leaf.dtype}"


def record_classes(signature: Signature) -> dict[str, type]:
    """The NamedTuple classes by name, which the text of `entry` calls."""
    found: dict[str, type] = {}
    items = list(signature.arguments)
    while items:
        item = items.pop()
        if isinstance(item, Record):
            items.extend(item.items)
            if item.class_:
                found[item.class_.__name__] = item.class_
    return found


def function_at(address: int, name: str, signature: Signature) -> Callable[..., Any]:
    """A Python function of the kernel's arguments around machine code at an address, which must stay loaded."""
    native = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_char_p)(address)
    leaves = signature.leaves
    words = struct.Struct("=qq" + "".join("Q" if leaf == Scalar("u64") else "q" for leaf in leaves))
    results = ctypes.c_int64 * max(1, len(signature.returns))

    def repeated(flat: tuple[Any, ...], out: int) -> int:
        """Call it with arrays that match but for their class or their dtype's identity; raises SignatureError."""
        fitting = [_fitting(name, signature, index, value) for index, value in enumerate(flat)]
        pairs = zip(leaves, fitting, strict=True)
        return native(words.pack(_KNOWN_ADDRESS, out, *(id(v) if isinstance(leaf, Array) else v for leaf, v in pairs)))

    count = iter(range(len(leaves)))
    parameters = [f"p{index}" for index in range(len(signature.arguments))]
    pairs = zip(parameters, signature.arguments, strict=True)
    unpack = [f"    {_target(item, count)} = {parameter}" for parameter, item in pairs]
    packed = "".join(f", id(a{i})" if isinstance(leaf, Array) else f", a{i}" for i, leaf in enumerate(leaves))
    flat = "".join(f"a{i}, " for i in range(len(leaves)))
    text = "\n".join(
        [
            f"def call({', '.join(parameters)}):",
            *unpack,
            *(["    out = results()", "    at = addressof(out)"] if signature.is_tuple else ["    at = 0"]),
            f"    result = native(pack(known, at{packed}))",
            f"    if result == {MISMATCH}:",
            f"        result = repeated(({flat}), at)",
            f"    return {_result(signature)}",
        ]
    )
    namespace: dict[str, Any] = {
        "native": native, "known": _KNOWN_ADDRESS, "pack": words.pack, "repeated": repeated, "results": results,
        "addressof": ctypes.addressof,
    }  # fmt: skip
    exec(compile(text, f"<call of {name}>", "exec"), namespace)  # noqa: S102 - the text is made above
    call: Callable[..., Any] = namespace["call"]
    return call


def _target(item: Item, count: Iterator[int]) -> str:
    if isinstance(item, Record):
        return f"({''.join(f'{_target(each, count)}, ' for each in item.items)})"
    return f"a{next(count)}"


def _result(signature: Signature) -> str:
    if signature.is_tuple:
        return f"({''.join(_number(f'out[{k}]', each) + ', ' for k, each in enumerate(signature.returns))})"
    return _number("result", signature.returns[0]) if signature.returns else "None"


def _number(text: str, result: Scalar) -> str:
    if result.dtype == "bool":
        return f"{text} != 0"
    return f"{text} & 0xFFFFFFFFFFFFFFFF" if result.dtype == "u64" else text


def _fitting(name: str, signature: Signature, index: int, value: Any) -> Any:
    """The argument as the machine code takes it, if that is the same memory; else raises SignatureError."""
    leaf = signature.leaves[index]
    if isinstance(leaf, Scalar):
        return value
    if isinstance(value, np.ndarray) and value.dtype == np.dtype(DTYPES[leaf.dtype]) and value.ndim == leaf.axes:
        flags = value.flags
        if flags.c_contiguous and flags.aligned and (leaf.const or flags.writeable):
            # A subclass of array, or another object of an equal dtype.
            return np.asarray(value).view(np.ndarray).view(_KNOWN_DTYPES[_CODES[leaf.dtype] - 1])
    raise SignatureError(
        f"{name} takes {leaf} as number or array {index + 1} of {signature}, and was given {_described(value)}: "
        "pass such an array, or change the signature in the kernel's decorator"
    )


def _described(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return type(value).__name__
    flags = value.flags
    faults = [
        word
        for word, applies in (
            ("not contiguous", not flags.c_contiguous),
            ("not aligned", not flags.aligned),
            ("read-only", not flags.writeable),
        )
        if applies
    ]
    return ", ".join([f"{value.dtype} of {value.ndim} axes", *faults])
