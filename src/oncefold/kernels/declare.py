"""The decorators of kernels, and the callable that they make of a function."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar, cast, overload

from oncefold.kernels.signature import Signature, signature_of

Function = TypeVar("Function", bound=Callable[..., Any])


class Kernel:
    """A function for the compiler. One with a signature can be called; its machine code is loaded at the first call."""

    def __init__(self, function: Callable[..., Any], signature: Signature | None, *, inline: bool) -> None:
        self.function = function
        self.declared = signature
        self.inline = inline
        self.__name__, self.__doc__, self.__module__ = function.__name__, function.__doc__, function.__module__
        self.__wrapped__ = function

    def __call__(self, *arguments: Any) -> Any:
        """Run it on arrays and numbers that match the signature; the GIL is released meanwhile."""
        return self.native(*arguments)

    @cached_property
    def native(self) -> Callable[..., Any]:
        """The loaded machine code, as a function of the same arguments. Raises KernelError if there is none."""
        from oncefold.kernels.loading import load  # noqa: PLC0415 - modules that declare kernels import fast

        return load(self)

    @property
    def name(self) -> str:
        """Its module's and its own name, below the package."""
        return f"{self.__module__.removeprefix('oncefold.')}.{self.__name__}"


class Intrinsic:
    """An operation of the processor that the compiler writes itself; only kernels can call it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__name__, self.__doc__ = function.__name__, function.__doc__

    def __call__(self, *_: Any) -> Any:
        """Refuse: there is nothing to run in Python."""
        raise TypeError(f"{self.__name__} is an operation of the processor: call it in a kernel")


@overload
def kernel(function: Function, /) -> Function: ...
@overload
def kernel(*arguments: str | type, returns: str = "") -> Callable[[Function], Function]: ...


def kernel(*arguments: Any, returns: str = "") -> Any:
    """Declare a kernel: plain, for one that only kernels call; with its signature, for one that Python calls.

    A kernel allocates nothing and raises nothing: its arrays, scratch space too, are the caller's.
    An index counts from the start of its array: a negative one is outside it.

    Args:
        arguments: What it takes, as `oncefold.kernels.signature` says: texts and NamedTuple classes, in order.
        returns: The number or the tuple of numbers that it returns, in the same form.

    Example:
        >>> from oncefold.kernels.declare import kernel
        >>> @kernel("const i64[], i64[]", returns="i64")
        ... def copy_positive(values, out):
        ...     count = 0
        ...     for i in range(len(values)):
        ...         if values[i] > 0:
        ...             out[count] = values[i]
        ...             count += 1
        ...     return count

    """
    if len(arguments) == 1 and not isinstance(arguments[0], str | type):
        return Kernel(arguments[0], None, inline=False)
    signature = signature_of(arguments, returns)
    return lambda function: Kernel(function, signature, inline=False)


def inlined(function: Function) -> Function:
    """Declare a kernel that LLVM merges into the kernels that call it."""
    return cast("Function", Kernel(function, None, inline=True))


def intrinsic(function: Function) -> Function:
    """Declare an operation of the processor, which `oncefold.kernels._numba` implements under the same name."""
    return cast("Function", Intrinsic(function))
