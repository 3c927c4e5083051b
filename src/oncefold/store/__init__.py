"""The durable store: one SQLite file, one transaction per micro-batch."""

from oncefold.store.load import Loaded
from oncefold.store.reader import StoreFile
from oncefold.store.writer import Store

__all__ = ["Loaded", "Store", "StoreFile"]
