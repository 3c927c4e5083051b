"""Queries over HTTP: routes that answer from readers of the store, live changes, and their OpenAPI description."""

from oncefold.serve.answers.readers import Clock, StoreReaders
from oncefold.serve.answers.routes import Administration, routes

__all__ = ["Administration", "Clock", "StoreReaders", "routes"]
