"""Attached sources: decoded in a thread of their own, folded and committed with what requests bring."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Final

from oncefold.aws.stream import open_stream
from oncefold.core.errors import SourceError
from oncefold.engine.decoding import BlockDecoder
from oncefold.engine.run import DECODED_AHEAD, decoded
from oncefold.serve.channel.messages import AttachedSources, SourceEnded, SourcesStarted
from oncefold.serve.writer.capacity import Capacity
from oncefold.serve.writer.group_commit import Part
from oncefold.sources.blocks import Finding
from oncefold.sources.sources import Sources
from oncefold.sources.waiting import RealWaiting

_ENDS: Final = frozenset({"unreadable", "truncated", "replaced"})
"""Findings after which a source is not read on."""

_LOOK_SECONDS: Final = 0.1
"""How often a thread whose block is not taken looks whether it still will be."""


class SourceReader:
    """Reads the sources on from the positions of one session, until it is closed."""

    def __init__(
        self,
        attached: AttachedSources,
        positions: Mapping[str, str],
        decoder: BlockDecoder,
        post: Callable[[Part], object],
        logger: logging.Logger,
        capacity: Capacity,
        notify: Callable[[SourcesStarted | SourceEnded], object] = lambda _: None,
    ) -> None:
        """Raises SourceError for sources that are not there."""
        self._post, self._decoder, self._logger, self._capacity = post, decoder, logger, capacity
        self._notify = notify
        self._closed = threading.Event()
        self._room = threading.Semaphore(DECODED_AHEAD)
        self._sources = Sources(
            attached.arguments, attached.options, positions, RealWaiting(self._closed), open_stream=open_stream
        )
        self._thread = threading.Thread(target=self._work, name="oncefold-sources", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading and wait for the thread."""
        self._closed.set()
        self._thread.join()

    def _work(self) -> None:
        self._notify(SourcesStarted())
        try:
            for item in decoded(self._decoder, self._sources.blocks()):
                if isinstance(item, Finding):
                    self._logger.warning(item.message)
                    if item.kind in _ENDS:
                        self._notify(SourceEnded(item.source, item.message))
                    continue
                while not self._room.acquire(timeout=_LOOK_SECONDS):
                    if self._closed.is_set():
                        return
                if self._capacity.full:
                    self._logger.error("the sources are read no further: %s", self._capacity.full)
                    self._notify(SourceEnded("all sources", self._capacity.full))
                    return
                self._post(Part(self, item, self._room.release))
        except SourceError as error:
            self._logger.error(str(error))  # noqa: TRY400 - it is meant for a person
            self._notify(SourceEnded(""))
        except Exception as error:
            self._logger.exception("the sources could not be read on; restart the server to go on with them")
            self._notify(SourceEnded("all sources", f"they could not be read on: {type(error).__name__}: {error}"))
        else:
            if not self._closed.is_set():
                self._logger.info("the sources are read to their end")
                self._notify(SourceEnded(""))
