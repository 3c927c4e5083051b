"""Modules that take long to import and are not always used, imported at their first use."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


class Deferred:
    """Stands for a module: `pc = Deferred("pyarrow.compute")` imports it when something of it is first read."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        """The attribute of the module, which is imported now if it was not."""
        value = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value


def exports(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package that exports names of its modules: one is imported when its name is first read."""

    def found(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return found
