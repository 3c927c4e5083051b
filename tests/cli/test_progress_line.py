"""Long readings say how far they are, short ones nothing."""

import io

from oncefold.cli.progress import ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_line_that_is_erased_at_the_end() -> None:
    out, now = Terminal(), iter([0.0, 0.1, 0.3, 0.35, 0.6])
    with ProgressLine(out, lambda: next(now)) as progress:
        for seen in (1, 1000, 1001, 2000):
            progress("keys", seen)
    assert out.getvalue().split("\r\x1b[K") == ["", "1,000 keys", "2,000 keys", ""]


def test_elsewhere_there_is_a_line_now_and_then() -> None:
    out, now = io.StringIO(), iter([0.0, 1.0, 5.5, 6.0, 11.0])
    with ProgressLine(out, lambda: next(now)) as progress:
        for seen in (1, 1000, 1001, 2000):
            progress("keys", seen)
    assert out.getvalue() == "oncefold: 1,000 keys so far\noncefold: 2,000 keys so far\n"


def test_what_takes_no_time_is_not_mentioned() -> None:
    out = Terminal()
    with ProgressLine(out, lambda: 0.0) as progress:
        progress("keys", 1)
    assert not out.getvalue()
