"""All sources of one run: planned first, then read in order, one block at a time."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

from oncefold.core.errors import SourceError
from oncefold.sources.blocks import Block, Finding
from oncefold.sources.follow import follow
from oncefold.sources.inputs import STDIN, Input, ReadOptions, discover
from oncefold.sources.pipes import read_named_pipe, read_pipe
from oncefold.sources.position import Task, opened, plan
from oncefold.sources.tables import read_table
from oncefold.sources.text import TextFile
from oncefold.sources.waiting import Reading, RealWaiting, Waiting, read_together

_NAMED: Final = 3
"""Unreadable sources named in the error that ends a run."""


class OpenedStream(Protocol):
    """A stream without an end, opened."""

    def blocks(self, waiting: Waiting) -> Iterator[Block | Finding]:
        """Everything up to now, or as it comes until stopped. Raises SourceError if it cannot be read on."""
        ...


class OpenStream(Protocol):
    """Opens the stream that a `kinesis://` argument names; `oncefold.aws.stream.open_stream` is the one of AWS."""

    def __call__(self, name: str, positions: Mapping[str, str], *, follow: bool) -> OpenedStream:
        """Raises SourceError if there is none or it cannot be reached."""
        ...


class Sources:
    """What a run reads. `blocks` is pulled by one thread; stopping and `total_bytes` are safe from any."""

    def __init__(
        self,
        arguments: Sequence[str],
        options: ReadOptions | None = None,
        positions: Mapping[str, str] | None = None,
        waiting: Waiting | None = None,
        stdin: int = 0,
        *,
        open_stream: OpenStream | None = None,
    ) -> None:
        """`positions` are the states in the store by source; `stdin` is the descriptor that `-` means.

        Opens nothing for reading yet, but looks at every file and stream once. Raises SourceError as `discover` does,
        and for a stream that is not there or not to be reached.
        """
        self._arguments = arguments
        self._options = options or ReadOptions()
        self._positions = {} if positions is None or self._options.reread else dict(positions)
        self._waiting = waiting or RealWaiting()
        self._stdin = stdin
        self._open_stream = open_stream
        self.inputs: Sequence[Input] = discover(arguments, self._options)
        self.complete = False
        """Whether everything was read to its end; False while `blocks` goes on, and after a stop."""
        self._findings: list[Finding] = []
        self._tasks: list[Task] = []
        self._polled: list[str] = []
        """When following, the arguments that name files."""
        self._streams: dict[str, OpenedStream] = {}
        self.total_bytes: int | None = None
        """Stored bytes that this run will read, as far as known now; None for pipes and streams, and when following."""
        self.done_files = 0
        """Files that were read to their end before this run and did not change."""
        if self._options.follow:
            self._plan_following()
        else:
            self._plan()

    def blocks(self) -> Iterator[Block | Finding]:
        """Blocks, and findings where they come up; commit each block's position read_together with what is in it.

        Ends when everything was read, or soon after a stop. Raises SourceError at the end if a source could not be
        read; all the others were read then.
        """
        yield from self._findings
        unreadable: list[str] = []
        if self._options.follow:
            yield from self._followed(unreadable)
        for task in self._tasks if not self._options.follow else ():
            if self._waiting.stopped():
                break
            yield from self._read(task, unreadable, self._waiting)
        self.complete = not self._waiting.stopped()
        if unreadable:
            more = f"; and {len(unreadable) - _NAMED} more" if len(unreadable) > _NAMED else ""
            raise SourceError("; ".join(unreadable[:_NAMED]) + more)

    def _followed(self, unreadable: list[str]) -> Iterator[Block | Finding]:
        """Each pipe and each stream, and all files as one, at once."""
        readings: list[Reading] = [partial(self._read, task, unreadable) for task in self._tasks]
        if self._polled:
            readings.append(partial(follow, self._polled, self._options, self._positions))
        yield from read_together(readings, self._waiting) if len(readings) > 1 else readings[0](self._waiting)

    def _read(self, task: Task, unreadable: list[str], waiting: Waiting) -> Iterator[Block | Finding]:
        """All of one source. An error is yielded as a finding, and kept."""
        source = task.input.source
        try:
            yield from self._blocks_of(task, waiting)
        except Exception as error:  # whatever is wrong with one source, the others are read
            finding = Finding.unreadable(source, error)
            unreadable.append(finding.message)
            yield finding

    def _blocks_of(self, task: Task, waiting: Waiting) -> Iterator[Block | Finding]:
        item = task.input
        if item.is_pipe:
            if item.path == STDIN:
                yield from read_pipe(item.source, self._stdin, item.form, self._options, waiting)
            else:
                yield from read_named_pipe(item.source, item.path, item.form, self._options, waiting)
        elif item.is_stream:
            yield from self._streams[item.source].blocks(waiting)
        elif item.form.is_text:
            with opened(item.path) as descriptor:
                file = TextFile(
                    item.source, descriptor, item.form, self._options, waiting, task.state, columns=item.columns
                )
                yield from file.available()
                if not waiting.stopped():
                    yield from file.finish()
        else:
            yield from read_table(
                item.source, item.path, item.form, self._options, waiting, task.state, columns=item.columns
            )

    def _plan_following(self) -> None:
        """Files are looked for again and again, so their arguments are kept; what has no end is read as it comes."""
        for item in self.inputs:
            if _is_endless(item):
                self._add_endless(item)
        for argument in self._arguments:
            found = discover([argument], self._options)
            if not found or not all(map(_is_endless, found)):
                self._polled.append(argument)

    def _plan(self) -> None:
        total = 0
        for item in self.inputs:
            if _is_endless(item):
                self._add_endless(item)
                continue
            try:
                planned = plan(item, self._positions.get(item.source))
            except OSError as error:
                raise SourceError(f"{item.source}: it cannot be opened: {error.strerror or error}") from None
            if isinstance(planned, Finding):
                self._findings.append(planned)
            elif planned is None:
                self.done_files += 1
            else:
                total += planned.left_bytes
                self._tasks.append(planned)
        if not any(_is_endless(item) for item in self.inputs):
            self.total_bytes = total

    def _add_endless(self, item: Input) -> None:
        if item.is_stream:
            if self._open_stream is None:
                raise SourceError(f"{item.source}: streams are not read here; name files, or - for standard input")
            self._streams[item.source] = self._open_stream(item.path, self._positions, follow=self._options.follow)
        self._tasks.append(Task(item, None, 0))


def _is_endless(item: Input) -> bool:
    """Whether its end is not known beforehand, and it is no file to look at now and then."""
    return item.is_pipe or item.is_stream
