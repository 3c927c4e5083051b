"""The durable store: one SQLite file, one transaction per micro-batch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oncefold.store.load import Loaded
    from oncefold.store.reader import StoreFile
    from oncefold.store.writer import Store

__all__ = ["Loaded", "Store", "StoreFile"]

_LATER = {"Loaded": "load", "StoreFile": "reader", "Store": "writer"}
"""Imported when it is first used: a writer needs no reader."""


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import what is exported and was not used yet."""
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
