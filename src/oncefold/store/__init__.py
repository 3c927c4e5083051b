"""The durable store: one SQLite file, one transaction per micro-batch."""

from typing import TYPE_CHECKING

from oncefold.deferred import exports

if TYPE_CHECKING:
    from oncefold.store.load import Loaded
    from oncefold.store.reader import StoreFile
    from oncefold.store.writer import Store

__all__ = ["Loaded", "Store", "StoreFile"]

if not TYPE_CHECKING:
    # A writer needs no reader.
    __getattr__ = exports(__name__, {"Loaded": "load", "StoreFile": "reader", "Store": "writer"})
