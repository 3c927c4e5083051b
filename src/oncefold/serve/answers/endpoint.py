"""A route of queries: checks, entity tags, kept answers, forms, freshness."""

import asyncio
import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from oncefold.queries.converters import freshness_of
from oncefold.queries.model import AsOfCommit, SearchResult
from oncefold.queries.render.document import content
from oncefold.queries.render.rows import compact_json
from oncefold.queries.store_reader import StoreReader
from oncefold.serve.answers.declared import DeclaredRoute, Form, Values, accepted, named, read_one, read_query
from oncefold.serve.answers.readers import Answered, Cache, StoreReaders
from oncefold.serve.http.request import Header, Request
from oncefold.serve.http.response import Response

MOST_AHEAD = 16
"""Queries of a route that are repeated after a commit."""

_VERSION = 2
"""Of the documents' shape; it is in the entity tags."""


@dataclass(frozen=True, slots=True)
class _Query:
    """A query as its request says it, well-formed."""

    key: Hashable
    values: Values
    form: Form
    past: int | None
    """The commit that is named by its number; such an answer never changes."""
    matches: frozenset[str]
    """Entity tags of answers that the client has."""


class Endpoint:
    """Answers one route."""

    def __init__(self, route: DeclaredRoute, readers: StoreReaders, cache: Cache) -> None:
        self._route, self._readers, self._cache = route, readers, cache
        self._under_way: dict[Hashable, asyncio.Task[Answered]] = {}
        self._recent: dict[Hashable, _Query] = {}
        """Quick queries about now that came since the last commit."""
        self._ahead: set[asyncio.Task[Answered]] = set()
        self._repeated = route.query.kept and route.query.lane == "quick"
        if self._repeated:
            readers.on_repeat(self._repeat)

    async def __call__(self, request: Request) -> Response:
        """Answer. Raises Problem for what cannot be read, and what the query raises."""
        query = self._read(request)
        tag = self._known_tag(query)
        if tag is not None and tag in query.matches:
            return self._unchanged(tag, query)
        return self._response(await self._answered(query), query)

    def _read(self, request: Request) -> _Query:
        route = self._route
        in_path = {p.name: read_one(p, request.parameters[p.name]) for p in route.in_path}
        values = {**in_path, **read_query(request.query, route.in_query)}
        name, accept = values.get("form"), request.headers.all(b"accept")
        form = named(name) if name is not None else accepted(_joined(accept), route.query.forms)
        past = values.get("as_of")
        return _Query(
            key=(route.path, tuple(values.items()), form.name),
            values=values,
            form=form,
            past=int(past) if isinstance(past, str) and past.isascii() and past.isdigit() else None,
            matches=_tags(_joined(request.headers.all(b"if-none-match"))),
        )

    def _known_tag(self, query: _Query) -> str | None:
        """The tag of the answer, if that is known before it is read."""
        if not self._route.query.kept or not query.matches:
            return None
        newest = self._readers.newest.commit
        if query.past is None:
            return None if query.values.get("as_of") else self._tag(query, newest)
        return self._tag(query, query.past) if query.past <= newest else None

    def _tag(self, query: _Query, commit: int) -> str:
        return f'"{self._readers.store_id}-{commit}-{_digest(query.key)}"'

    async def _answered(self, query: _Query) -> Answered:
        """The answer as of the newest commit at this moment, or of a later one."""
        least = 0 if query.past is not None else self._readers.newest.commit
        if not self._route.query.kept:
            return await self._read_answer(query)
        kept = self._cache.get(query.key, least)
        if query.values.get("as_of") is not None:
            return kept or await self._read_once(query)
        self._note(query)
        return kept or await self._read_since(query, least)

    def _note(self, query: _Query) -> None:
        """A query about now has come."""
        if len(self._recent) < MOST_AHEAD:
            self._recent[query.key] = query

    async def _read_since(self, query: _Query, least: int) -> Answered:
        """The answer as of this commit or a later one."""
        while True:  # one that began before that commit may be too old
            answer = await self._read_once(query)
            if answer.fresh.commit >= least:
                return answer

    def _repeat(self, commit: int) -> list[asyncio.Task[Answered]]:
        """Repeat what was queried since the last commit: most who query once query again, and find the answer there."""
        recent, self._recent = self._recent, {}
        tasks = [asyncio.ensure_future(self._read_since(request, commit)) for request in recent.values()]
        for task in tasks:
            self._ahead.add(task)
            task.add_done_callback(self._ahead.discard)
            task.add_done_callback(_looked_at)
        return tasks

    async def _read_once(self, query: _Query) -> Answered:
        """Read the answer, or wait for the same one that is under way."""
        task = self._under_way.get(query.key)
        if task is None or task.done():
            task = self._under_way[query.key] = asyncio.ensure_future(self._read_and_keep(query))
            task.add_done_callback(partial(self._over, query.key))
        return await asyncio.shield(task)

    def _over(self, key: Hashable, task: asyncio.Task[Answered]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]
        _looked_at(task)

    async def _read_and_keep(self, query: _Query) -> Answered:
        answer = await self._read_answer(query)
        self._cache.put(query.key, answer)
        return answer

    async def _read_answer(self, query: _Query) -> Answered:
        route_query = self._route.query
        lane = self._readers.quick if route_query.lane == "quick" else self._readers.slow

        def answered(reader: StoreReader) -> Answered:
            answer = route_query.answer(reader, query.values)
            assert isinstance(answer.as_of, AsOfCommit)
            fresh, form = freshness_of(answer.as_of), query.form
            if form.write is None or isinstance(answer, SearchResult):
                return Answered(fresh, form.content_type, compact_json(content(answer)), document=True)
            return Answered(fresh, form.content_type, b"".join(form.write(answer)), document=False)

        return await lane.run(answered)

    def _unchanged(self, tag: str, query: _Query) -> Response:
        fresh = self._readers.newest
        known = fresh.headers(self._readers.clock.now()) if query.past is None else []
        return Response(304, (*_of_tag(tag), *known))

    def _response(self, answer: Answered, query: _Query) -> Response:
        now = self._readers.clock.now()
        headers = answer.fresh.headers(now)
        if self._route.query.kept:
            tag = self._tag(query, answer.fresh.commit)
            headers += _of_tag(tag)
            if tag in query.matches:
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
    """An error is raised to whoever still waits, or queries next; nobody need wait."""
    if not task.cancelled():
        task.exception()


@lru_cache(256)
def _digest(key: Hashable) -> str:
    return hashlib.sha256(repr((_VERSION, key)).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _of_tag(tag: str) -> list[Header]:
    """Weak, since how far the newest event lies back goes on with the clock."""
    return [(b"etag", f"W/{tag}".encode()), (b"cache-control", b"no-cache"), (b"vary", b"Accept")]


def _joined(values: Sequence[bytes]) -> str:
    return b",".join(values).decode("latin-1")


def _tags(text: str) -> frozenset[str]:
    """The entity tags of an If-None-Match header; weak and strong ones are alike here."""
    return frozenset(part.strip().removeprefix("W/") for part in text.split(",")) if text else frozenset()
