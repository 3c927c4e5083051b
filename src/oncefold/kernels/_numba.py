"""Kernels to object code with numba. It is imported by the build alone, never by a process that runs kernels.

`_nrt=False`, which leaves reference counts out, is the one part of numba here that numba does not document;
`pyproject.toml` bounds numba and llvmlite to the versions on which this was tested, and
tests/kernels/test_numba.py is the first to fail when one of them changes.
"""

import operator
import re
from collections.abc import Callable
from types import FunctionType
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import __version__, cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin
from numba.np.arrayobj import populate_array

from oncefold.kernels.abi import DATA, SHAPE, array_reader, entry_source, number_reader, record_classes
from oncefold.kernels.declare import Intrinsic, Kernel
from oncefold.kernels.signature import DTYPES, Array, Scalar
from oncefold.kernels.targets import Target

_OPTIONS = {"error_model": "numpy", "_nrt": False}
_PURE = re.compile(r"(llvm\..*|mem(cpy|move|set))$")
"""What machine code may call: the C library's moves of memory alone, so that it can be loaded anywhere."""


class CompileError(Exception):
    """A kernel does what kernels must not do, or this numba cannot compile it."""


def compiled(kernel: Kernel) -> Callable[..., Any]:
    """The kernel as a numba function, with all that it calls; it can be called in this process, too.

    Raises:
        ImportError: this version of numba has no such options.

    """
    found = _COMPILED.get(kernel)
    if found is None:
        try:
            found = njit(nogil=True, forceinline=kernel.inline, **_OPTIONS)(_with_numba_globals(kernel.function))
        except (AttributeError, KeyError, TypeError) as error:
            raise ImportError(
                f"numba {__version__} does not work with oncefold ({error}): install a version within the bounds of "
                "its package metadata"
            ) from error
        _COMPILED[kernel] = found
    return found


_COMPILED: dict[Kernel, Callable[..., Any]] = {}


def _with_numba_globals(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with numba's form of every kernel and operation that it calls."""
    assert isinstance(function, FunctionType)
    scope = dict(function.__globals__)
    for name in function.__code__.co_names:
        value = scope.get(name)
        if isinstance(value, Kernel):
            scope[name] = compiled(value)
        elif isinstance(value, Intrinsic):
            scope[name] = _INTRINSICS[value.__name__]
    return FunctionType(function.__code__, scope, function.__name__, function.__defaults__)


def object_code(kernel: Kernel, target: Target, symbol: str) -> bytes:
    """Object code for a processor whose only visible function is `symbol`. Raises CompileError."""
    signature = kernel.declared
    if signature is None:
        raise CompileError(f"{kernel.name} has no signature")
    scope = {
        "peek64": peek64, "peek32": peek32, "poke64": poke64, "target": compiled(kernel),
        **{array_reader(leaf): _array(leaf) for leaf in signature.leaves if isinstance(leaf, Array)},
        **{number_reader(leaf): _NUMBERS[leaf.dtype] for leaf in signature.leaves if isinstance(leaf, Scalar)},
        **record_classes(signature),
    }  # fmt: skip
    exec(compile(entry_source(signature), f"<entry of {kernel.name}>", "exec"), scope)  # noqa: S102
    try:
        entry = cfunc(types.int64(types.intp), **_OPTIONS)(scope["entry"])
    except Exception as error:
        raise CompileError(f"{kernel.name} cannot be compiled for {signature}: {error}") from error
    module = llvm.parse_assembly(entry.inspect_llvm())
    return _emitted(module, entry.native_name, symbol, target, kernel.name)


def _number(leaf: Scalar) -> Any:
    return types.boolean if leaf.dtype == "bool" else getattr(types, DTYPES[leaf.dtype])


@njit(**_OPTIONS, forceinline=True)
def _truth(word):  # type: ignore[no-untyped-def]
    return word != 0


_NUMBERS = {name: _truth if name == "bool" else _number(Scalar(name)) for name in DTYPES}
"""What makes a number of a word."""


def _emitted(module: Any, entry: str, symbol: str, target: Target, name: str) -> bytes:
    for function in module.functions:
        if function.name == entry:
            function.name = symbol
        elif not function.is_declaration:
            function.linkage = "internal"
    for variable in module.global_variables:
        if not variable.is_declaration:
            variable.linkage = "internal"
    module.triple = llvm.get_process_triple()
    machine = target.machine()
    _drop_unused(module, machine)
    impure = sorted({f.name for f in module.functions if f.is_declaration and not _PURE.match(f.name)})
    if impure:
        raise CompileError(
            f"{name} allocates, raises or calls Python, and a kernel must not: its machine code calls "
            f"{', '.join(impure)}. Arrays come from the caller, and errors are results"
        )
    code: bytes = machine.emit_object(module)
    return code


def _drop_unused(module: Any, machine: Any) -> None:
    passes = llvm.create_new_module_pass_manager()
    for _ in range(2):  # of a kernel with many callees the first round leaves branches that the second finds dead
        passes.add_ipsccp_pass()  # no callee fails, so what follows a failure goes
        passes.add_simplify_cfg_pass()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))


def _address(context: Any, builder: Any, signature: Any, args: Any, type_: Any) -> Any:
    array_type = signature.args[0]
    array = context.make_array(array_type)(context, builder, args[0])
    pointer = cgutils.get_item_pointer(context, builder, array_type, array, [args[1]], wraparound=False)
    return builder.bitcast(pointer, ir.PointerType(type_))


def _element(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """(where an element is, what its axes are that no index names): indexes count from the start, and are in bounds."""
    array_type, index_type = signature.args[:2]
    array = context.make_array(array_type)(context, builder, args[0])
    kinds, values = [index_type], [args[1]]
    if isinstance(index_type, types.BaseTuple):
        kinds, values = list(index_type), cgutils.unpack_tuple(builder, args[1])
    if not all(isinstance(kind, types.Integer) for kind in kinds):
        raise CompileError(f"an array of {array_type.ndim} axes cannot be indexed by {index_type} in a kernel")
    indices = [context.cast(builder, value, kind, types.intp) for value, kind in zip(values, kinds, strict=True)]
    named = len(indices)
    indices += [ir.Constant(ir.IntType(64), 0)] * (array_type.ndim - named)
    pointer = cgutils.get_item_pointer(context, builder, array_type, array, indices, wraparound=False)
    return pointer, [cgutils.unpack_tuple(builder, axes)[named:] for axes in (array.shape, array.strides)]


@lower_builtin(operator.getitem, types.Array, types.Integer)
@lower_builtin(operator.getitem, types.Array, types.BaseTuple)
def _get_element(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Read an element, or the rest of the axes as an array.

    In numba's own code a negative index counts from the end, so that every access asks for the sign of its index.
    """
    pointer, (shape, strides) = _element(context, builder, signature, args)
    kind = signature.args[0].dtype
    if not shape:
        return context.unpack_value(builder, kind, pointer)
    rest = context.make_array(signature.return_type)(context, builder)
    itemsize = context.get_abi_sizeof(context.get_data_type(kind))
    populate_array(rest, pointer, shape, strides, itemsize, None)
    return rest._getvalue()  # noqa: SLF001 - numba's documented way out of a struct proxy


@lower_builtin(operator.setitem, types.Array, types.Integer, types.Any)
@lower_builtin(operator.setitem, types.Array, types.BaseTuple, types.Any)
def _set_element(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Write an element, as `_get_element` reads it."""
    pointer, (rest, _) = _element(context, builder, signature, args)
    if rest:
        raise CompileError("a kernel writes single elements, or slices of an array of one axis")
    kind = signature.args[0].dtype
    context.pack_value(builder, kind, context.cast(builder, args[2], signature.args[2], kind), pointer)
    return context.get_dummy_value()


@intrinsic
def load64(typing_context: Any, array: Any, index: Any) -> Any:  # noqa: ARG001
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _address(context, builder, signature, args, ir.IntType(64))
        return builder.load(pointer, align=1)

    return types.uint64(array, types.intp), codegen


@intrinsic
def store64(typing_context: Any, array: Any, index: Any, word: Any) -> Any:  # noqa: ARG001
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _address(context, builder, signature, args, ir.IntType(64))
        builder.store(args[2], pointer, align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.uint64), codegen


@intrinsic
def prefetch(typing_context: Any, array: Any, index: Any) -> Any:  # noqa: ARG001
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(8)
        pointer = _address(context, builder, signature, args, byte)
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [pointer, flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@intrinsic
def multiply_fold(typing_context: Any, a: Any, b: Any) -> Any:  # noqa: ARG001
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        wide, word = ir.IntType(128), ir.IntType(64)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), word)
        return builder.xor(high, builder.trunc(product, word))

    return types.uint64(types.uint64, types.uint64), codegen


@intrinsic
def trailing_zeros(typing_context: Any, word: Any) -> Any:  # noqa: ARG001
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), codegen


_INTRINSICS = {each.__name__: each for each in (load64, store64, prefetch, multiply_fold, trailing_zeros)}
"""The code of what `intrinsics.py` declares."""


def _peek(width: int, kind: Any) -> Any:
    @intrinsic
    def peek(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
        """The integer in memory at an address."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
            return builder.load(builder.inttoptr(args[0], ir.PointerType(ir.IntType(width))))

        return kind(types.intp), codegen

    return peek


peek64, peek32 = _peek(64, types.int64), _peek(32, types.int32)


@intrinsic
def poke64(typing_context: Any, address: Any, value: Any) -> Any:  # noqa: ARG001
    """Write an integer into memory at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        builder.store(args[1], builder.inttoptr(args[0], ir.PointerType(ir.IntType(64))))
        return context.get_dummy_value()

    return types.void(types.intp, types.int64), codegen


def _array(leaf: Array) -> Any:
    """The operation that reads an array of this kind out of an array object at an address."""
    kind = types.Array(_number(Scalar(leaf.dtype)), leaf.axes, "C", readonly=leaf.const)
    word = ir.IntType(64)

    @intrinsic
    def array(typing_context: Any, address: Any) -> Any:  # noqa: ARG001
        """The array of an array object that was found to be of this kind."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
            def field(base: Any, offset: int) -> Any:
                at = builder.add(base, ir.Constant(word, offset))
                return builder.load(builder.inttoptr(at, ir.PointerType(word)))

            itemsize = context.get_abi_sizeof(context.get_data_type(kind.dtype))
            made = context.make_array(kind)(context, builder)
            shape = field(args[0], SHAPE)
            lengths = [field(shape, 8 * axis) for axis in range(leaf.axes)]
            strides = [ir.Constant(word, itemsize)]
            for length in reversed(lengths[1:]):
                strides.insert(0, builder.mul(strides[0], length))
            data = builder.inttoptr(field(args[0], DATA), ir.PointerType(context.get_data_type(kind.dtype)))
            populate_array(made, data, lengths, strides, itemsize, None)
            return made._getvalue()  # noqa: SLF001 - numba's documented way out of a struct proxy

        return kind(types.intp), codegen

    return array
