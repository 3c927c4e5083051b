"""Questions over HTTP: routes that answer from readers of the store, live changes, and their OpenAPI description."""

from oncefold.serve.answers.asking import Asking, Clock
from oncefold.serve.answers.reject_administration import RejectAdministration
from oncefold.serve.answers.routes import routes

__all__ = ["Asking", "Clock", "RejectAdministration", "routes"]
