"""Progress of a run, and of other long tasks: live on a terminal, plain lines elsewhere, nothing with --quiet."""

import contextlib
import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from oncefold.core.fold import Outcome
from oncefold.queries.render.formatting import many, printable, size

if TYPE_CHECKING:
    from oncefold.commit import Reject
    from oncefold.engine.run import RunProgress
    from oncefold.sources.blocks import Finding

_LINE_SECONDS = 5.0
"""Time between two plain lines."""
_REFRESH_SECONDS = 0.1
_SHOWN_RATE_SECONDS = 0.5
"""Shorter runs report no rate, since it would be noise."""
_REDRAW_SECONDS = 0.2
_SHOWN_REASONS = 5
_SHOWN_CHARS = 120
"""Characters of a rejected event that are shown."""
_ERASE = "\r\x1b[K"


class Reporter:
    """Reports a run line by line to a text stream; a stream whose reader has gone does not stop the run."""

    def __init__(self, out: TextIO, *, quiet: bool = False, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._out, self._quiet, self._monotonic = out, quiet, monotonic
        self._began = self._last = monotonic()
        self._reported = self._reported_events = self._reported_kinds = 0
        self._total: int | None = None
        self._stopping: Callable[[], bool] = lambda: False
        self._reported_stop = False

    def report(self, message: str) -> None:
        """One line for the user."""
        if not self._quiet:
            self._print(f"oncefold: {message}")

    @contextlib.contextmanager
    def running(self, total_bytes: int | None, stopping: Callable[[], bool]) -> Iterator[None]:
        """While the run goes on.

        `total_bytes` is what it will read, if that is known; `stopping` returns whether it is being stopped.
        """
        self._began = self._last = self._monotonic()
        self._total, self._stopping = total_bytes, stopping
        yield

    def update(self, progress: "RunProgress") -> None:
        """Called after every batch, and many times a second without one."""
        self._report_findings(progress.findings)
        self._report_first_rejects(progress)
        if self._stopping() and not self._reported_stop:
            self._reported_stop = True
            self.report("stopping: what is read is committed first (a second signal ends at once; nothing is lost)")
        self._show(progress, self._monotonic())

    def _show(self, progress: "RunProgress", now: float) -> None:
        if now - self._last >= _LINE_SECONDS and progress.events > self._reported_events:
            self._last, self._reported_events = now, progress.events
            self.report(self._facts(progress, now - self._began))

    def finish(self, progress: "RunProgress", session: Any, done_files: int, *, stopped: str = "") -> None:
        """Report what was folded and what to do next; `stopped` replaces the latter."""
        self._report_findings(progress.findings)
        self._report_first_rejects(progress)
        seconds = self._monotonic() - self._began
        if done_files:
            self.report(f"{many(done_files, 'file')} had been read before and did not change")
        at = f", commit {progress.last_commit}" if progress.last_commit else ""
        self.report(f"{self._facts(progress, seconds)}{at}")
        store = shlex.quote(str(session.path))
        if progress.counts[Outcome.REJECTED]:
            self._report_reasons(progress)
            self.report(f"to see the rejects: oncefold rejects list --store {store}")
        self.report(stopped or f"to see the totals: oncefold query --store {store}")

    def fail(self, message: str) -> None:
        """Report why the run ends with an error, also where little is wanted."""
        self._print(f"oncefold: {message}")

    def _report_first_rejects(self, progress: "RunProgress") -> None:
        """Report the first reject of each reason when it comes up, for the first few reasons."""
        if self._quiet or self._reported_kinds == _SHOWN_REASONS or not progress.counts[Outcome.REJECTED]:
            return
        kinds = [*progress.rejected.by_reason().values()][:_SHOWN_REASONS]
        for kind in kinds[self._reported_kinds :]:
            self.report(f"rejected: {described(kind.first)}")
        self._reported_kinds = len(kinds)

    def _report_reasons(self, progress: "RunProgress") -> None:
        """Report how many rejects each reason has, where that is not said yet."""
        kinds = progress.rejected.by_reason()
        if sum(kind.count for kind in kinds.values()) > len(kinds):
            most = sorted(kinds.items(), key=lambda item: -item[1].count)
            listed = "; ".join(f"{kind.count:,} x {reason}" for reason, kind in most[:_SHOWN_REASONS])
            more = f"; and {many(len(most) - _SHOWN_REASONS, 'more reason')}" if len(most) > _SHOWN_REASONS else ""
            self.report(f"rejected: {printable(listed)}{more}")
        if any("not UTF-8" in kind.first.reason for kind in kinds.values()):
            self.report("text in another encoding than UTF-8 is read with --encoding, for example --encoding cp1252")

    def _facts(self, progress: "RunProgress", seconds: float) -> str:
        text = f"{many(progress.events, 'event')}: {outcomes(progress.counts)}"
        if seconds >= _SHOWN_RATE_SECONDS:
            text += f"; {seconds:.1f} s, {progress.events / seconds:,.0f} events/s"
        if self._total:
            text += f", {100 * min(1.0, progress.consumed_bytes / self._total):.0f} % of {size(self._total)}"
        return text

    def _report_findings(self, findings: "list[Finding]") -> None:
        for finding in findings[self._reported :]:
            self._print(f"oncefold: {finding.message}")
        self._reported = len(findings)

    def _print(self, line: str) -> None:
        try:
            self._out.write(line + "\n")
            self._out.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())


class TerminalReporter(Reporter):
    """The same with a live bar: bytes, events/s, outcomes, time left."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.fields[bytes]}"),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[outcomes]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(file=out),
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, bytes="", rate="", outcomes="")

    @contextlib.contextmanager
    def running(self, total_bytes: int | None, stopping: Callable[[], bool]) -> Iterator[None]:
        """Show the bar meanwhile."""
        with super().running(total_bytes, stopping), self._bar:
            self._bar.update(self._task, total=total_bytes)
            yield

    def _show(self, progress: "RunProgress", now: float) -> None:
        """Redraw the bar, a few times a second."""
        if now - self._last < _REFRESH_SECONDS:
            return
        self._last = now
        consumed = size(progress.consumed_bytes)
        self._bar.update(
            self._task,
            completed=progress.consumed_bytes,
            bytes=consumed if self._total is None else f"{consumed} / {size(self._total)}",
            rate=f"{compact(progress.events / max(now - self._began, 1e-3))} events/s",
            outcomes=outcomes(progress.counts, compact),
        )
        self._bar.refresh()

    def _print(self, line: str) -> None:
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)


def reporter_for(out: TextIO, *, quiet: bool) -> Reporter:
    """A reporter with a bar on a terminal, with plain lines elsewhere."""
    return TerminalReporter(out) if out.isatty() and not quiet else Reporter(out, quiet=quiet)


def described(reject: "Reject") -> str:
    """One reject in a line: where it is, why, and how it begins."""
    unit = {"table": "row", "item": "item"}.get(reject.format, "byte")
    raw = reject.raw.decode("utf-8", "replace")
    raw = raw if len(raw) <= _SHOWN_CHARS else f"{raw[:_SHOWN_CHARS]}..."
    return printable(f"{reject.source}, {unit} {reject.position:,}: {reject.reason}: {raw}")


def show_cursor() -> None:
    """Undo what a bar does to a terminal, from a signal handler too."""
    if os.isatty(2):
        os.write(2, b"\x1b[?25h")


def outcomes(counts: "Mapping[Outcome, int]", written: Callable[[int], str] = "{:,}".format) -> str:
    """`1,204 accepted, 96 duplicate, 3 stale`: those that occurred, accepted always."""
    counts = Counter(counts)
    accepted = counts[Outcome.INSERTED] + counts[Outcome.CORRECTED] + counts[Outcome.DELETED]
    conflicts = counts[Outcome.CONFLICT_WON] + counts[Outcome.CONFLICT_LOST]
    shown = [(accepted, "accepted"), (counts[Outcome.DUPLICATE], "duplicate"), (counts[Outcome.STALE], "stale")]
    shown += [(conflicts, "in conflict"), (counts[Outcome.REJECTED], "rejected")]
    shown += [(counts[Outcome.FILTERED], "filtered"), (counts[Outcome.IGNORED], "ignored")]
    return ", ".join(f"{written(number)} {word}" for number, word in shown if number or word == "accepted")


def compact(number: float) -> str:
    """A number in few characters, for a line that is redrawn: `1.71 M`."""
    for unit in ("", " k", " M"):
        if number < 999.5:
            return f"{number:.3g}{unit}"
        number /= 1_000
    return f"{number:.3g} G"


class ProgressLine:
    """Reports on stderr what a long task has done: a line that is redrawn on a terminal, else a line now and then.

    What takes no time is not mentioned.
    """

    def __init__(self, out: TextIO | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._out = sys.stderr if out is None else out
        self._live = self._out.isatty()
        self._monotonic = monotonic
        self._last = monotonic()
        self._drawn = False

    def __call__(self, what: str, seen: int) -> None:
        """So many of these are read."""
        now = self._monotonic()
        if now - self._last < (_REDRAW_SECONDS if self._live else _LINE_SECONDS):
            return
        self._last = now
        if self._live:
            self._out.write(f"{_ERASE}{seen:,} {what}")
            self._drawn = True
        else:
            self._out.write(f"oncefold: {seen:,} {what} so far\n")
        self._out.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            self._out.write(_ERASE)
            self._out.flush()
