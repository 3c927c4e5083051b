"""How the demonstration looks: on a terminal, and as plain lines elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from processes import Command
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.rule import Rule
from rich.text import Text

WIDTH = 110
BAR_WIDTH = 40


class Show:
    """What a person sees."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, emoji=False, markup=False)
        if not self._console.is_terminal or self._console.width > WIDTH:
            self._console.width = WIDTH

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        self.line()
        self._console.print(Rule(Text(title, "bold"), align="left", style="dim"))

    def line(self, text: str = "", style: str = "") -> None:
        """A paragraph."""
        self._marked("", "", Text(text, style))

    def good(self, text: str) -> None:
        """Something that was checked and found right."""
        self._marked("✓", "bold green", Text(text))

    def bad(self, text: str) -> None:
        """Something that is wrong, or was done to a process."""
        self._marked("✗", "bold red", Text(text))

    def command(self, command: Command, remark: str = "") -> None:
        """A command as it is typed."""
        self._marked("$", "dim", Text.assemble((str(command), "cyan"), ("  " + remark if remark else "", "dim")))

    def output(self, text: str) -> None:
        """What a command printed."""
        for line in text.splitlines():
            self._console.print(Text("    " + line, "dim"), soft_wrap=True)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns of numbers, behind one of names."""
        lines = [headings, *rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for first, *others in lines:
            cells = [first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
            self._console.print(Text("    " + "  ".join(cells), "dim" if first == headings[0] else ""), soft_wrap=True)

    @contextmanager
    def bar(self, total: int) -> Iterator[Callable[[int], None]]:
        """While events are committed; call what it gives with their number."""
        columns = (BarColumn(BAR_WIDTH), TextColumn("{task.completed:,.0f} of {task.total:,.0f} events committed"))
        off = not self._console.is_terminal
        with Progress(TextColumn("  "), *columns, console=self._console, transient=True, disable=off) as progress:
            task = progress.add_task("", total=total)
            yield lambda events: progress.update(task, completed=events)

    def _marked(self, mark: str, style: str, text: Text) -> None:
        """A paragraph with a mark before it, wrapped beside the mark."""
        lines = text.wrap(self._console, self._console.width - 4)
        for number, line in enumerate(lines or [Text()]):
            line.rstrip()
            whole = Text.assemble(" ", (f"{'' if number else mark:1} ", style), line)
            whole.rstrip()
            self._console.print(whole, soft_wrap=True)
