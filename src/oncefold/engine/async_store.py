"""A store or a server for programs with an event loop: `oncefold.open_async` and `oncefold.connect_async`."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial, wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar

from oncefold.core.errors import StoreError
from oncefold.engine.server_session import ServerSession
from oncefold.engine.session import Session
from oncefold.queries.changes.subscription import Changes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

    from oncefold.queries.arguments import Node
    from oncefold.queries.changes.model import Change

Arguments = ParamSpec("Arguments")
Found = TypeVar("Found")


def _in_thread(
    method: Callable[Concatenate[Session, Arguments], Found],
) -> Callable[Concatenate[AsyncStore, Arguments], Awaitable[Found]]:
    """The method of the same name and arguments, run in the store's own thread."""
    name = method.__name__

    @wraps(method)
    async def call(self: AsyncStore, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Found:
        return await self._run(lambda store: getattr(store, name)(*args, **kwargs))

    call.__doc__ = f"Await what `Session.{name}` gives; see there for the arguments and errors."
    return call


class AsyncStore:
    """The methods of a store or of a server to be awaited; `oncefold.open_async` and `oncefold.connect_async` give it.

    Use it in an `async with` statement, or await `close`. Everything runs in one thread of its own, one call after the
    other; what was cancelled while it ran runs to its end.
    """

    def __init__(self, open_store: Callable[[], Session | ServerSession]) -> None:
        """Use a store or server that is opened with the first call."""
        self._open = open_store
        self._store: Session | ServerSession | None = None
        self._thread: ThreadPoolExecutor | None = ThreadPoolExecutor(1, "oncefold")

    query = _in_thread(Session.query)
    totals = _in_thread(Session.totals)
    series = _in_thread(Session.series)
    search = _in_thread(Session.search)
    explain = _in_thread(Session.explain)
    history = _in_thread(Session.history)
    rejects = _in_thread(Session.rejects)
    conflicts = _in_thread(Session.conflicts)
    verify = _in_thread(Session.verify)
    status = _in_thread(Session.status)
    ingest = _in_thread(Session.ingest)
    redrive = _in_thread(Session.redrive)
    discard = _in_thread(Session.discard)
    redefine = _in_thread(Session.redefine)

    def changes(
        self, *nodes: Node, rollup: str | None = None, depth: int | None = None, since: int | None = None
    ) -> Changes:
        """Subscribe to what changes after the calls before this one; see `Session.changes`. Its errors come with it."""
        work = partial(_changes, nodes=nodes, rollup=rollup, depth=depth, since=since)
        return Changes(_Opening(self._submitted(work)))

    async def close(self) -> None:
        """Close it; without effect when closed."""
        thread, self._thread = self._thread, None
        if thread is not None:
            store = self._store
            await asyncio.wrap_future(thread.submit(lambda: None if store is None else store.close()))
            thread.shutdown()

    async def __aenter__(self) -> Self:
        await self._run(lambda _: None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "closed" if self._thread is None else "not open yet" if self._store is None else repr(self._store)
        return f"<AsyncStore {state}>"

    async def _run(self, work: Callable[[Session | ServerSession], Found]) -> Found:
        return await asyncio.wrap_future(self._submitted(work))

    def _submitted(self, work: Callable[[Session | ServerSession], Found]) -> Future[Found]:
        if self._thread is None:
            raise StoreError("the store is closed; open it again")
        return self._thread.submit(self._call, work)

    def _call(self, work: Callable[[Session | ServerSession], Found]) -> Found:
        if self._store is None:
            self._store = self._open()
        return work(self._store)


def _changes(
    store: Session | ServerSession, nodes: Sequence[Node], rollup: str | None, depth: int | None, since: int | None
) -> Changes:
    return store.changes(*nodes, rollup=rollup, depth=depth, since=since)


class _Opening:
    """The changes of a subscription that the store's thread begins."""

    def __init__(self, opened: Future[Changes]) -> None:
        self._opened = opened

    def next(self) -> Change | None:
        """Wait for the next change; None after `stop`."""
        return next(self._opened.result(), None)

    def stop(self) -> None:
        """End the waiting."""
        self._opened.add_done_callback(_end)


def _end(opened: Future[Changes]) -> None:
    if not opened.cancelled() and opened.exception() is None:
        opened.result().close()
