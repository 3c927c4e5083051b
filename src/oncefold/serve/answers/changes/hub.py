"""The hub: after commits it notifies all subscribers that wait, each of what changed since its last message.

A subscriber is a commit number and a future. One that is slow does not wait, so nothing is made for it; when it waits
again, it is notified of every node that changed since, with the newest values. The message to equal subscribers is made
once.
"""

import asyncio
from collections import defaultdict
from contextlib import suppress

from oncefold.core.errors import OncefoldError
from oncefold.queries.changes.notices import (
    Begin,
    Message,
    Messages,
    SubscriberChanges,
    WaitingSubscribers,
    begin,
    read_changes,
)
from oncefold.queries.changes.wanted import Wanted, WatchedNodes
from oncefold.serve.answers.readers import StoreReaders
from oncefold.serve.http.response import RETRY_SOON, Problem

PACE_SECONDS = 0.25
"""Between two messages at least."""
REST = 4.0
"""And at least so many times as long as making the last ones took."""
MESSAGES_PER_SECOND = 250
"""To all subscribers together; where there are more than sixty or so, each is notified less often."""
MOST_SUBSCRIBERS = 4_096


class Subscription:
    """One subscriber: what it wants, and what it knows."""

    def __init__(self, want: Wanted, start: Begin) -> None:
        self.want = want
        self.since, self.counts = start.since, start.counts
        self.waits: asyncio.Future[Message | None] | None = None

    def notify(self, message: Message | None) -> None:
        """Give it the message that it waits for; None is the end."""
        if self.waits is not None and not self.waits.done():
            self.waits.set_result(message)


class Hub:
    """Notifies subscribers of changes. All of it but `committed` belongs to the event loop."""

    def __init__(self, readers: StoreReaders) -> None:
        self._readers = readers
        self._subscribers: set[Subscription] = set()
        self._watched: dict[Wanted, WatchedNodes] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._woken = False
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        readers.on_commit(self.committed)
        readers.on_end(self.end)

    def committed(self) -> None:
        """Called after each commit, in any thread."""
        if self._loop is not None and not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._wake.set)

    async def subscribe(self, want: Wanted, known: int | None) -> tuple[Subscription, Begin]:
        """Subscribe to what changes after now, or after the commit that is known already.

        Raises Problem 503 for one subscriber too many, and QueryError for too many nodes.
        """
        if self._ended or len(self._subscribers) >= MOST_SUBSCRIBERS:
            raise Problem(503, "no further subscriber is taken now", RETRY_SOON)
        self._start()
        start = await self._readers.subscriptions.run(lambda reader: begin(reader.file, want, known))
        subscription = Subscription(want, start)
        self._watched.setdefault(want, start.watched)
        self._subscribers.add(subscription)
        return subscription, start

    def leave(self, subscription: Subscription) -> None:
        """End one subscription."""
        self._subscribers.discard(subscription)
        if all(other.want != subscription.want for other in self._subscribers):
            self._watched.pop(subscription.want, None)

    def next(self, subscription: Subscription) -> asyncio.Future[Message | None]:
        """The next message to a subscriber; None is the end of all."""
        subscription.waits = asyncio.get_running_loop().create_future()
        if self._ended:
            subscription.notify(None)
        elif subscription.since < self._readers.newest.commit:
            self._wake.set()
        return subscription.waits

    def end(self) -> None:
        """End every subscription."""
        self._ended = True
        for subscription in self._subscribers:
            subscription.notify(None)
        if self._task is not None:
            self._task.cancel()

    def _start(self) -> None:
        if self._task is None:
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.ensure_future(self._run())
            self._task.add_done_callback(lambda _: self.end())

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._woken = False
            began = self._readers.clock.monotonic()
            messages = 0
            with suppress(OncefoldError, Problem):  # not now; the next round includes this commit
                messages = await self._round()
            took = self._readers.clock.monotonic() - began
            await asyncio.sleep(max(PACE_SECONDS, REST * took, messages / MESSAGES_PER_SECOND))

    async def _round(self) -> int:
        """Notify the subscribers that wait; returns how many those are."""
        ready: defaultdict[Wanted, list[Subscription]] = defaultdict(list)
        newest = self._readers.newest.commit
        for subscription in self._subscribers:
            if subscription.waits is not None and not subscription.waits.done() and subscription.since < newest:
                ready[subscription.want].append(subscription)
        if not ready:
            return 0
        waiting = [self._waiting(want, subscribers) for want, subscribers in ready.items()]
        changes = await self._readers.subscriptions.run(lambda reader: read_changes(reader.file, waiting))
        messages = Messages(changes, self._readers.clock.now())
        for (want, subscribers), of_want in zip(ready.items(), changes.changes, strict=True):
            if want in self._watched:
                self._watched[want] = of_want.watched
            for subscription in subscribers:
                self._notify(subscription, messages, of_want)
        return sum(map(len, ready.values()))

    def _waiting(self, want: Wanted, subscribers: list[Subscription]) -> WaitingSubscribers:
        """All late subscribers get what changed since the last of them: messages of their own would cost more."""
        return WaitingSubscribers(want, self._watched[want], _two({subscription.since for subscription in subscribers}))

    def _notify(self, subscription: Subscription, messages: Messages, changes: SubscriberChanges) -> None:
        since = max(begun for begun in changes.rows if begun <= subscription.since)
        subscription.notify(messages.of(changes.rows[since], subscription.since, subscription.counts))
        subscription.since, subscription.counts = messages.commit, messages.counts


def _two(since: set[int]) -> list[int]:
    """The first and the last."""
    return sorted({min(since), max(since)})
