"""Errors over HTTP: an exception that knows its status, and the answer that is made of it."""

from collections.abc import Mapping

from oncefold.core.errors import InvalidQueryError, OncefoldError, QueryError, StoreError
from oncefold.serve.operations.problem import ASGIApp, Receive, Send, problem_document, send_answer
from oncefold.serve.operations.request import request_id_of

TITLES = {
    400: "Bad request",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    422: "The question cannot be read",
    503: "Not now",
}
RETRY_SECONDS = 1
MEDIA_TYPE = "application/problem+json"
_UNREADABLE = 200
"""Characters of an input that a message repeats."""

__all__ = ["MEDIA_TYPE", "TITLES", "ASGIApp", "Problem", "Receive", "Send", "problem_of", "send_problem", "shown"]


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it so
    """An answer that reports an error; `detail` says what, where and what to do."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}


def problem_of(error: OncefoldError) -> Problem:
    """What an error of a question is over HTTP."""
    if isinstance(error, InvalidQueryError):
        return Problem(422, str(error))
    if isinstance(error, QueryError):
        return Problem(404, str(error))
    if isinstance(error, StoreError):
        return Problem(503, str(error), {"Retry-After": str(RETRY_SECONDS)})
    return Problem(400, str(error))


async def send_problem(scope: Mapping[str, object], send: Send, problem: Problem) -> None:
    """Answer with a problem."""
    title = TITLES.get(problem.status, "Error")
    body = problem_document(problem.status, title, problem.detail, request_id_of(scope))
    headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store", **problem.headers}
    await send_answer(
        send, problem.status, [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()], body
    )


def shown(text: str) -> str:
    """An input in a message: its beginning, in quotes."""
    return repr(text if len(text) <= _UNREADABLE else f"{text[:_UNREADABLE]}...")
