"""The screen of a game that is watched: its speed, the scoreboard, every node of every player."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from oncefold.core.fold import Node
from oncefold_workshop.game.expected import Row, path_of
from oncefold_workshop.game.match import Match, Samples, Watch
from oncefold_workshop.game.players import PlayerEntry
from oncefold_workshop.game.report import round_begins, skipped_rounds
from oncefold_workshop.game.rules import SAMPLE_SECONDS, Round
from oncefold_workshop.game.stage import TotalsSample


class GameClock:
    """Holds samples back until their time; time that passes unseen is not waited for."""

    def __init__(self, round_seconds: float, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._round_seconds = round_seconds
        self._monotonic = monotonic
        self._sleep = sleep
        self._number = 0
        self._began = 0.0
        self._skipped = 0.0

    def then(self, watch: Watch) -> Watch:
        """The same watch, each sample at its time."""

        def paced(played: Round, expected: dict[Node, Row], samples: Samples) -> None:
            self._wait(played, samples)
            watch(played, expected, samples)

        return paced

    def _wait(self, played: Round, samples: Samples) -> None:
        if played.number != self._number:
            self._number, self._began, self._skipped = played.number, self._monotonic(), 0.0
        sample = next(iter(samples.values()))
        self._skipped += sample.skipped
        shown = (sample.at - played.start - self._skipped) * self._round_seconds / played.minute
        left = self._began + shown - self._monotonic()
        if left > 0:
            self._sleep(left)


_OTHER_LINES = 16
"""Lines of a frame that are no nodes."""
_RATE_LOOKS = 4
"""Samples over which messages a second are shown."""
_INCIDENTS = 2
"""That are shown of each player."""


class GameScreen:
    """Drawn anew with every sample."""

    def __init__(self, match: Match, rounds: int) -> None:
        self._match = match
        self._rounds = rounds
        self._entries: tuple[PlayerEntry, ...] = match.game.entries
        self._console = Console()
        self._live = Live(console=self._console, screen=False, auto_refresh=False, transient=True)
        self._seen: list[Samples] = []
        self._last = ""
        self._number = 0

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def line(self, text: str, style: str) -> None:
        """Print a line above what is redrawn."""
        self._console.print(Text(text, style), soft_wrap=True)

    def sample(self, played: Round, expected: dict[Node, Row], samples: Samples) -> None:
        """See Watch."""
        if played.number != self._number:
            self._number, self._seen, self._last = played.number, [], ""
        self._seen = [*self._seen[-_RATE_LOOKS:], samples]
        passed = next(iter(samples.values())).skipped
        if passed:
            self._last = skipped_rounds(passed)
        self._live.update(self._frame(played, expected, samples), refresh=True)

    def _frame(self, played: Round, expected: dict[Node, Row], samples: Samples) -> Group:
        at = next(iter(samples.values())).at - played.start
        head = Text(f"{round_begins(played)} of {self._rounds}, second {at:,.1f}", "bold")
        room = max(self._console.height - _OTHER_LINES, 3)
        return Group(
            head,
            Text(self._last, "yellow"),
            self._scores(samples),
            _nodes(self._entries, expected, samples, room),
            *_incidents(self._entries, samples),
            Text("Ctrl-C ends", "dim"),
        )

    def _scores(self, samples: Samples) -> Table:
        table = _table(["player", "points", "messages/s", "now"], right=(1, 2))
        for entry in self._entries:
            now = Text("right", "green") if samples[entry.name].right else Text("not yet", "yellow")
            table.add_row(entry.title, f"{self._match.points[entry.name]:,}", f"{self._rate(entry.name):,.0f}", now)
        return table

    def _rate(self, name: str) -> float:
        if len(self._seen) < 2:
            return 0.0
        first, last = self._seen[0][name], self._seen[-1][name]
        seconds = last.at - first.at
        return (last.processed - first.processed) / max(seconds, SAMPLE_SECONDS)


def _nodes(entries: Sequence[PlayerEntry], expected: dict[Node, Row], samples: Samples, room: int) -> Table:
    """The first measure of every node, or its count where there is none."""
    names = [entry.name for entry in entries]
    table = _table(["node", "expected in the round", *names], right=range(1, len(names) + 2))
    for node, row in list(expected.items())[:room]:
        column = min(1, len(row) - 1)
        wanted = row[column]
        cells = [_cell(samples[name], node, column, wanted) for name in names]
        table.add_row("  " * max(len(node.labels) - 1, 0) + path_of(node), _amount(wanted), *cells)
    return table


def _cell(sample: TotalsSample, node: Node, column: int, wanted: Decimal | None) -> Text:
    row = sample.rows.get(node)
    found = None if row is None else row[column]
    if found is None:
        return Text("-", "dim")
    near = wanted is not None and abs(found - wanted) < Decimal("0.00001")
    return Text(_amount(found), "green" if near else "yellow" if wanted is not None and found < wanted else "red")


def _amount(number: Decimal | None) -> str:
    return "-" if number is None else f"{number:,.2f}"


def _incidents(entries: Sequence[PlayerEntry], samples: Samples) -> Iterable[Text]:
    for entry in entries:
        for incident in samples[entry.name].incidents[-_INCIDENTS:]:
            yield Text(f"{entry.name}: {incident}", "dim", no_wrap=True, overflow="ellipsis")


def _table(headings: Sequence[str], right: Iterable[int]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number in {*right} else "left", no_wrap=True)
    return table
