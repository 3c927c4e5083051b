"""A route of questions: checks, entity tags, kept answers, forms, freshness."""

import asyncio
import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from oncefold.queries.model import AsOfCommit, SearchResult
from oncefold.queries.render.document import content
from oncefold.queries.render.text import compact_json
from oncefold.queries.store_reader import StoreReader
from oncefold.serve.answers.asking import Asking
from oncefold.serve.answers.cache import Answered, Cache
from oncefold.serve.answers.declared import Route, Values
from oncefold.serve.answers.formats import Form, accepted, named
from oncefold.serve.answers.fresh import freshness_of
from oncefold.serve.answers.parameters import read_one, read_query
from oncefold.serve.http.request import Header, Request
from oncefold.serve.http.response import Response

MOST_AHEAD = 16
"""Questions of a route that are asked ahead after a commit."""

_VERSION = 2
"""Of the documents' shape; it is in the entity tags."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What a request asks, well-formed."""

    question: Hashable
    values: Values
    form: Form
    past: int | None
    """The commit that is asked for by its number; such an answer never changes."""
    matches: frozenset[str]
    """Entity tags of answers that the client has."""


class Endpoint:
    """Answers one route."""

    def __init__(self, route: Route, asking: Asking, cache: Cache) -> None:
        self._route, self._asking, self._cache = route, asking, cache
        self._under_way: dict[Hashable, asyncio.Task[Answered]] = {}
        self._recent: dict[Hashable, _Question] = {}
        """Quick questions about now that came since the last commit."""
        self._ahead: set[asyncio.Task[Answered]] = set()
        self._asked_ahead = route.inquiry.kept and route.inquiry.lane == "quick"
        if self._asked_ahead:
            asking.on_ahead(self._ask_ahead)

    async def __call__(self, request: Request) -> Response:
        """Answer. Raises Problem for what cannot be read, and what the question raises."""
        asked = self._read(request)
        tag = self._known_tag(asked)
        if tag is not None and tag in asked.matches:
            return self._unchanged(tag, asked)
        return self._response(await self._answered(asked), asked)

    def _read(self, request: Request) -> _Question:
        route = self._route
        in_path = {p.name: read_one(p, request.parameters[p.name]) for p in route.in_path}
        values = {**in_path, **read_query(request.query, route.in_query)}
        name, accept = values.get("form"), request.headers.all(b"accept")
        form = named(name) if name is not None else accepted(_joined(accept), route.inquiry.forms)
        past = values.get("as_of")
        return _Question(
            question=(route.path, tuple(values.items()), form.name),
            values=values,
            form=form,
            past=int(past) if isinstance(past, str) and past.isascii() and past.isdigit() else None,
            matches=_tags(_joined(request.headers.all(b"if-none-match"))),
        )

    def _known_tag(self, request: _Question) -> str | None:
        """The tag of the answer, if that is known before it is asked for."""
        if not self._route.inquiry.kept or not request.matches:
            return None
        newest = self._asking.newest.commit
        if request.past is None:
            return None if request.values.get("as_of") else self._tag(request, newest)
        return self._tag(request, request.past) if request.past <= newest else None

    def _tag(self, request: _Question, commit: int) -> str:
        return f'"{self._asking.store_id}-{commit}-{_digest(request.question)}"'

    async def _answered(self, request: _Question) -> Answered:
        """The answer as of the newest commit at this moment, or of a later one."""
        least = 0 if request.past is not None else self._asking.newest.commit
        if not self._route.inquiry.kept:
            return await self._ask(request)
        kept = self._cache.get(request.question, least)
        if request.values.get("as_of") is not None:
            return kept or await self._asked_once(request)
        self._note(request)
        return kept or await self._asked_since(request, least)

    def _note(self, request: _Question) -> None:
        """A question about now was asked."""
        if len(self._recent) < MOST_AHEAD:
            self._recent[request.question] = request

    async def _asked_since(self, request: _Question, least: int) -> Answered:
        """The answer as of this commit or a later one."""
        while True:  # one that was asked before that commit may be too old
            answer = await self._asked_once(request)
            if answer.fresh.commit >= least:
                return answer

    def _ask_ahead(self, commit: int) -> list[asyncio.Task[Answered]]:
        """Ask again what was asked since the last commit: most who ask once ask again, and find the answer there."""
        recent, self._recent = self._recent, {}
        tasks = [asyncio.ensure_future(self._asked_since(request, commit)) for request in recent.values()]
        for task in tasks:
            self._ahead.add(task)
            task.add_done_callback(self._ahead.discard)
            task.add_done_callback(_looked_at)
        return tasks

    async def _asked_once(self, request: _Question) -> Answered:
        """Ask, or wait for the answer to the same question that is under way."""
        task = self._under_way.get(request.question)
        if task is None or task.done():
            task = self._under_way[request.question] = asyncio.ensure_future(self._ask_and_keep(request))
            task.add_done_callback(partial(self._over, request.question))
        return await asyncio.shield(task)

    def _over(self, question: Hashable, task: asyncio.Task[Answered]) -> None:
        if self._under_way.get(question) is task:
            del self._under_way[question]
        _looked_at(task)

    async def _ask_and_keep(self, request: _Question) -> Answered:
        answer = await self._ask(request)
        self._cache.put(request.question, answer)
        return answer

    async def _ask(self, request: _Question) -> Answered:
        inquiry = self._route.inquiry
        lane = self._asking.quick if inquiry.lane == "quick" else self._asking.slow

        def answered(reader: StoreReader) -> Answered:
            answer = inquiry.answer(reader, request.values)
            assert isinstance(answer.as_of, AsOfCommit)
            fresh, form = freshness_of(answer.as_of), request.form
            if form.write is None or isinstance(answer, SearchResult):
                return Answered(fresh, form.content_type, compact_json(content(answer)), document=True)
            return Answered(fresh, form.content_type, b"".join(form.write(answer)), document=False)

        return await lane.ask(answered)

    def _unchanged(self, tag: str, request: _Question) -> Response:
        fresh = self._asking.newest
        known = fresh.headers(self._asking.clock.now()) if request.past is None else []
        return Response(304, (*_of_tag(tag), *known))

    def _response(self, answer: Answered, request: _Question) -> Response:
        now = self._asking.clock.now()
        headers = answer.fresh.headers(now)
        if self._route.inquiry.kept:
            tag = self._tag(request, answer.fresh.commit)
            headers += _of_tag(tag)
            if tag in request.matches:
                return Response(304, tuple(headers))
        else:
            headers.append((b"cache-control", b"no-store"))
        body = answer.body
        if answer.document:
            rest = b"," + body[1:] if len(body) > 2 else b"}"
            body = answer.fresh.members(now) + rest
        headers.append((b"content-type", answer.content_type.encode()))
        return Response(200, tuple(headers), body)


def _looked_at(task: asyncio.Task[Answered]) -> None:
    """An error is met by whoever still waits, or asks next; nobody need wait."""
    if not task.cancelled():
        task.exception()


@lru_cache(256)
def _digest(question: Hashable) -> str:
    return hashlib.sha256(repr((_VERSION, question)).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _of_tag(tag: str) -> list[Header]:
    """Weak, since how far the newest event lies back goes on with the clock."""
    return [(b"etag", f"W/{tag}".encode()), (b"cache-control", b"no-cache"), (b"vary", b"Accept")]


def _joined(values: Sequence[bytes]) -> str:
    return b",".join(values).decode("latin-1")


def _tags(text: str) -> frozenset[str]:
    """The entity tags of an If-None-Match header; weak and strong ones are alike here."""
    return frozenset(part.strip().removeprefix("W/") for part in text.split(",")) if text else frozenset()
