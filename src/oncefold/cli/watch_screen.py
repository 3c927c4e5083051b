"""Looks on a terminal: redrawn in place, with the numbers that changed highlighted, until `q` is typed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from enum import Enum, auto
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from oncefold.cli.watch_text import columns, facts, headings, name, numbers
from oncefold.watch.watching import Seen, fitting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from oncefold.watch.watching import Look, Watching

_OTHER_LINES = 6
"""Lines of a frame that are no nodes: facts, an empty one, headings, an empty one, a note."""
_TROUBLE_LINES = 2
"""Lines that long words about a trouble take beyond the first."""
_GAP = "  "
_LEAST_NAME = 12
"""Characters that remain of a node's name on a narrow terminal."""
_CHANGED = "bold yellow"
_LEAVE = "q ends"


class _ScreenSignal(Enum):
    """What a user or the system wants."""

    END = auto()
    REDRAW = auto()


_Inbox = SimpleQueue[Seen | Exception | _ScreenSignal]


class LiveScreen:
    """The screen while a source is watched. Looks are taken by a thread, so that keys are answered at once."""

    def __init__(self, watching: Watching, every: float, monotonic: Callable[[], float]) -> None:
        """Look every so many seconds of this monotonic clock."""
        self._watching = watching
        self._every = every
        self._monotonic = monotonic
        self._console = Console()
        self._inbox: _Inbox = SimpleQueue()
        self._wanted: SimpleQueue[int] = SimpleQueue()
        self._seen = Seen(None)

    def run(self, looks: int | None) -> Seen:
        """Watch for so many looks (None: on and on) or until the user ends it; what was seen last."""
        threading.Thread(target=self._look_when_wanted, daemon=True).start()
        try:
            with ExitStack() as stack:
                live = Live(console=self._console, screen=True, auto_refresh=False, redirect_stdout=False,
                            redirect_stderr=False)  # fmt: skip
                stack.enter_context(live)
                stack.enter_context(_signals(self._inbox))
                stack.enter_context(_keys(self._inbox))
                self._watch(live, looks)
        except KeyboardInterrupt:
            pass
        if self._seen.look is not None:
            self._console.print(frame(self._seen, self._console.width, None, _now(), note=""))
        return self._seen

    def _watch(self, live: Live, looks: int | None) -> None:
        taken, looking, due = 0, False, self._monotonic()
        while looking or looks is None or taken < looks:
            now = self._monotonic()
            if not looking and now >= due:
                self._wanted.put(self._room)
                taken, looking, due = taken + 1, True, max(now, due + self._every)
            try:
                received = self._inbox.get(timeout=None if looking else max(due - now, 0))
            except Empty:
                continue
            if received is _ScreenSignal.END:
                return
            if isinstance(received, Exception):
                raise received
            if isinstance(received, Seen):
                self._seen, looking = received, False
            else:
                due = now
            live.update(self._frame(), refresh=True)

    @property
    def _room(self) -> int:
        return max(self._console.height - _OTHER_LINES, 1)

    def _frame(self) -> Group:
        return frame(self._seen, self._console.width, self._room, _now(), note=_LEAVE)

    def _look_when_wanted(self) -> None:
        while True:
            room = self._wanted.get()
            try:
                self._inbox.put(self._watching.look(room))
            except Exception as error:
                self._inbox.put(error)  # to be raised where the screen is left in order
                return


def _now() -> datetime:
    return datetime.now(UTC)


def frame(seen: Seen, width: int, room: int | None, now: datetime, note: str) -> Group:
    """One picture, no line of it wider than the terminal; the last line says what is amiss, or the note."""
    waiting = Text(f"waiting: {seen.trouble}" if seen.trouble else "looking ...", "yellow", overflow="fold")
    if seen.look is None:
        return Group(waiting, *_lines(["", note], ["", "dim"]))
    if seen.trouble and room is not None:
        room = max(room - _TROUBLE_LINES, 1)
    head = _lines([*facts(seen.look, seen.rate, now), ""], ["bold", "", ""])
    foot = "; ".join(filter(None, [note, _left_out(seen.look, room)]))
    end = [waiting] if seen.trouble else _lines([foot], ["dim"])
    return Group(*head, *_table(seen, seen.look, width, room), Text(), *end)


def _lines(texts: Sequence[str], styles: Sequence[str]) -> list[Text]:
    return [_line(Text(text, style)) for text, style in zip(texts, styles, strict=False)]


def _line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _left_out(look: Look, room: int | None) -> str:
    """That there is more, where there is."""
    cut = look.cut or fitting(look.totals.rows, room)[1]
    return "more lies below: make the terminal taller, or name a NODE" if cut else ""


def _table(seen: Seen, look: Look, width: int, room: int | None) -> list[Text]:
    rows, _ = fitting(look.totals.rows, room)
    titles = headings(look)
    cells = [numbers(row) for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(titles, *cells, strict=True)]
    names = [name(look, row) for row in rows]
    left = width - sum(widths) - len(_GAP) * len(widths)
    wide = min(max(cell_len(text) for text in [look.totals.rollup, *names]), max(left, _LEAST_NAME))
    lines = [_row(look.totals.rollup, titles, [wide, *widths], ["bold"] * len(titles), "bold")]
    for row, text, values in zip(rows, names, cells, strict=True):
        changed = seen.changed.get(row.path, frozenset())
        styles = [_CHANGED if column in changed else "" for column in columns(look)]
        lines.append(_row(text, values, [wide, *widths], styles, ""))
    return lines


def _row(name: str, values: Sequence[str], widths: Sequence[int], styles: Sequence[str], style: str) -> Text:
    shown = name if cell_len(name) <= widths[0] else set_cell_size(name, widths[0] - 1) + "…"
    line = Text(set_cell_size(shown, widths[0]), style)
    for value, width, its_style in zip(values, widths[1:], styles, strict=True):
        line.append(_GAP + " " * (width - cell_len(value)))
        line.append(value, its_style)
    return _line(line)


@contextmanager
def _signals(inbox: _Inbox) -> Iterator[None]:
    """A new size is drawn at once; SIGTERM ends it like `q`, so that the terminal is left in order."""
    wanted = {"SIGWINCH": _ScreenSignal.REDRAW, "SIGTERM": _ScreenSignal.END}
    numbers = {getattr(signal, name): received for name, received in wanted.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, lambda n, _: inbox.put(numbers[n])) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _keys(inbox: _Inbox) -> Iterator[None]:
    """Keys are read as they are typed, and not shown; where that cannot be, Ctrl-C is left."""
    try:
        import termios
        import tty
    except ImportError:
        yield
        return
    if not sys.stdin.isatty():
        yield
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    threading.Thread(target=_read_keys, args=(terminal, inbox), daemon=True).start()
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _read_keys(terminal: int, inbox: _Inbox) -> None:
    while True:
        try:
            typed = os.read(terminal, 64)
        except OSError:
            return
        if not typed:
            return
        if b"q" in typed.lower():
            inbox.put(_ScreenSignal.END)
