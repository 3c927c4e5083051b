"""Queries over HTTP: routes that answer from readers of the store, live changes, and their OpenAPI description."""

from oncefold.serve.answers.readers import Clock, StoreReaders
from oncefold.serve.answers.routes import RejectAdministration, routes

__all__ = ["Clock", "RejectAdministration", "StoreReaders", "routes"]
