"""Replacing the definition of the store that is being written.

The kept events are read in a thread of its own, while events are taken under the old definition; what was kept
meanwhile is read again and again until it is little. The ingest thread reads the rest and switches the store: then the
loop has ended, and the server starts another writer with the new definition.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDone
from pathlib import Path
from typing import Any, Final

from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.engine.redefinition import Redefined, Redefinition
from oncefold.engine.session import Session
from oncefold.serve.writer.ingest_loop import Call, IngestLoop
from oncefold.serve.writer.resources import lower_priority

FEW_EVENTS: Final = 50_000
"""So many are read in a moment, while no events are taken."""
MOST_ROUNDS: Final = 8
_LOOK_SECONDS: Final = 0.2

Done = Callable[[dict[str, Any] | None, BaseException | None], object]
"""Called with what was made, as a JSON document, or with the error."""


class Redefining:
    """Replaces the definition; one thread calls, and one replacement is under way at a time."""

    def __init__(self, loop: IngestLoop, store: Path) -> None:
        self._loop, self._store = loop, store
        self._busy = threading.Lock()

    def start(self, pipeline: Pipeline, done: Done, *, dry_run: bool) -> None:
        """Begin; it is `done` in another thread."""
        if not self._busy.acquire(blocking=False):
            done(None, OncefoldError("another redefinition is under way; wait for it"))
            return
        threading.Thread(
            target=self._run, args=(pipeline, done, dry_run), name="oncefold-redefine", daemon=True
        ).start()

    def _run(self, pipeline: Pipeline, done: Done, dry_run: bool) -> None:  # noqa: FBT001 - arguments of a thread
        lower_priority()
        try:
            made = self._preview(pipeline) if dry_run else self._redefine(pipeline)
        except BaseException as error:
            self._busy.release()
            done(None, error)
        else:
            self._busy.release()
            done(made, None)

    def _preview(self, pipeline: Pipeline) -> dict[str, Any]:
        with Redefinition(self._store, pipeline) as redefinition:
            return redefinition.preview().document()

    def _redefine(self, pipeline: Pipeline) -> dict[str, Any]:
        with Redefinition(self._store, pipeline) as redefinition:
            self._call(lambda session: session.pause_event_compaction(paused=True))
            try:
                for _ in range(MOST_ROUNDS):
                    if redefinition.gather() <= FEW_EVENTS:
                        break
                made: Redefined = self._call(lambda session: session.switch(redefinition), last=True)
                return made.document()
            except BaseException:
                if not self._loop.ended:
                    self._call(lambda session: session.pause_event_compaction(paused=False))
                raise

    def _call(self, work: Callable[[Session], Any], *, last: bool = False) -> Any:
        """The result of something that the ingest thread does."""
        future: Future[Any] = Future()

        def done(result: Any, error: BaseException | None) -> None:
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self._loop.post(Call(work, done, last=last))
        while True:
            try:
                return future.result(_LOOK_SECONDS)
            except NotDone:
                if self._loop.ended and not future.done():
                    raise OncefoldError("the server ends; nothing was redefined") from None
