"""Paths of routes: their parameters, of which the last may hold slashes and line feeds."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from starlette.routing import Route

from oncefold.serve.answers.problems import Problem, Receive, Send, send_problem

_PARAMETER = re.compile(r"\{([a-z]+)\}")


class WholeRoute(Route):
    """A route whose last parameter is the rest of the path, whatever it holds; other methods are told of in words."""

    def __init__(self, path: str, endpoint: Any, methods: Iterable[str], patterns: Sequence[str]) -> None:
        super().__init__(_PARAMETER.sub("x", path), endpoint, methods=sorted(methods))
        self.path = self.path_format = path
        self.path_regex = _compiled(path, patterns)
        self.param_convertors = dict.fromkeys(_PARAMETER.findall(path), _AS_IT_IS)

    async def handle(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer, or say which methods there are."""
        allowed = sorted(self.methods or ())
        if scope["method"] not in allowed:
            listed = ", ".join(allowed)
            detail = f"{scope['method']} is not a method of {self.path}; it has {listed}"
            await send_problem(scope, send, Problem(405, detail, {"Allow": listed}))
            return
        await self.app(scope, receive, send)


class _AsItIs:
    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


_AS_IT_IS: Any = _AsItIs()


def _compiled(path: str, patterns: Sequence[str]) -> re.Pattern[str]:
    pieces, rest = _PARAMETER.split(path), iter(patterns)
    whole = "".join(
        f"(?P<{piece}>{next(rest)})" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces)
    )
    return re.compile(rf"\A{whole}\Z", re.DOTALL)
