"""The client that functions get: every call is seen, with what became of it."""

from collections.abc import Callable
from typing import Any, Protocol

from botocore.exceptions import ClientError

TOKEN_SECONDS = 600.0


class Observer(Protocol):
    """Gets to know what became of calls."""

    def called(self, operation: str, outcome: str) -> None:
        """A call has come back."""

    def token(self, token: str) -> None:
        """A transaction is sent under a token."""

    def done(self, token: str) -> None:
        """A transaction is known to be done under a token."""


class Client:
    """A simulated client whose calls are told to an observer."""

    def __init__(self, client: Any, observer: Observer) -> None:
        self._client = client
        self._observer = observer
        self.exceptions = client.exceptions

    def transact_write_items(self, **request: Any) -> Any:
        """TransactWriteItems."""
        token = request.get("ClientRequestToken", "")
        self._observer.token(token)
        answer = self._told("transact_write_items", request)
        self._observer.done(token)
        return answer

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            return self._told(operation, request)

        return call

    def _told(self, operation: str, request: dict[str, Any]) -> Any:
        try:
            answer = getattr(self._client, operation)(**request)
        except ClientError as error:
            self._observer.called(operation, error.response["Error"]["Code"])
            raise
        except Exception as error:
            self._observer.called(operation, type(error).__name__)
            raise
        self._observer.called(operation, "ok")
        return answer
