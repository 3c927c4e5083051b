"""Modules that take long to import and are not always used, imported at their first use."""

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
