"""A learner's module, loaded afresh for each environment of a function, with stand-ins for some of what it imports.

The stand-ins come in by the module's own `__import__`, so nothing is changed for the rest of the process. The learner's
other modules, beside the first, are loaded the same way.
"""

import builtins
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import resolve_name
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from oncefold_workshop.course.functions import Functions


class Loader:
    """Loads a learner's modules; each environment is one of its own."""

    def __init__(
        self, functions: Functions, standins: Mapping[str, ModuleType], compiled: dict[Path, CodeType]
    ) -> None:
        """`compiled`: code by file, kept between environments."""
        self._functions = functions
        self._standins = standins
        self._compiled = compiled
        self._modules: dict[str, ModuleType] = {}

    def load(self) -> ModuleType:
        """The module of the handlers. Raises whatever it raises."""
        return self._own(self._functions.module)

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - as __import__ has it
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """See __import__."""
        if level:
            name = resolve_name("." * level + name, str((globals or {}).get("__package__") or ""))
        top = name.partition(".")[0]
        if name in self._standins:
            return self._standins[name if fromlist else top]
        if top in self._standins:
            return self._below(name, fromlist)
        if self._functions.own_file(top) is None:
            return builtins.__import__(name, globals, locals, fromlist or (), 0)
        module = self._own(name)
        for inner in fromlist or ():
            if not hasattr(module, inner) and self._functions.own_file(f"{name}.{inner}") is not None:
                self._own(f"{name}.{inner}")
        return module if fromlist else self._modules[top]

    def _below(self, name: str, fromlist: Sequence[str] | None) -> ModuleType:
        """A real module below a stand-in, as `boto3.dynamodb.types`."""
        top, _, rest = name.partition(".")
        if fromlist:
            return builtins.__import__(name, None, None, fromlist, 0)
        inner = rest.partition(".")[0]
        setattr(self._standins[top], inner, getattr(builtins.__import__(name), inner))
        return self._standins[top]

    def _own(self, name: str) -> ModuleType:
        if name in self._modules:
            return self._modules[name]
        parent, _, last = name.rpartition(".")
        if parent:
            self._own(parent)
        file = self._functions.own_file(name)
        if file is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        module = self._modules[name] = self._empty(name, file)
        with _known(name, module):
            exec(self._code(file), vars(module))  # noqa: S102 - to run it is what it is here for
        if parent:
            setattr(self._modules[parent], last, module)
        return module

    def _empty(self, name: str, file: Path) -> ModuleType:
        module = ModuleType(name)
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        if file.name == "__init__.py":
            module.__path__ = [str(file.parent)]
        logged = partial(print, file=sys.stderr)
        known = {**vars(builtins), "__import__": self._import, "print": logged}
        vars(module).update(__file__=str(file), __package__=package, __builtins__=known)
        return module

    def _code(self, file: Path) -> CodeType:
        if file not in self._compiled:
            self._compiled[file] = compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
        return self._compiled[file]


@contextmanager
def _known(name: str, module: ModuleType) -> Iterator[None]:
    """Have a module among the process's while it is run: dataclasses look there for what annotations mean."""
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        yield
    finally:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
