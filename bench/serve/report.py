"""The table of the service, and its place in a document."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.serve import clients
from bench.serve.cases import Found, Sizes, spread

BEGIN: Final = "<!-- service benchmark: written by `python -m bench.serve --out`, do not edit -->"
END: Final = "<!-- end of service benchmark -->"

ANSWERS_PER_SECOND: Final = 10_000
ANSWER_SECONDS: Final = 0.05
INGEST_SHARE: Final = 0.75
READER_SECONDS: Final = 0.008
KEPT: Final = 0.9


def table(found: Sequence[Found], names: Sequence[str], sizes: Sizes, about: str, *, targets: bool) -> str:
    """All figures, a column for each code; whether the last meets its targets is said where the size is for that."""
    sender = "wrk" if clients.wrk() else "a client in Python, which is slower than wrk"
    columns = [_rows(one, sizes) for one in found]
    lines = [
        f"{about} Single events are sent by {sender}. Medians of {sizes.rounds} rounds, with the least and greatest.",
        "",
        f"| metric | {' | '.join(names)} | target | met |",
        f"|---|{'--:|' * len(names)}--:|---|",
    ]
    verdicts = {None: "", True: "yes", False: "no"}
    for rows in zip(*columns, strict=True):
        name, _, target, met = rows[-1]
        values = " | ".join(value for _, value, _, _ in rows)
        lines.append(f"| {name} | {values} | {target} | {verdicts[met if targets else None]} |")
    return "\n".join(lines)


def _rows(found: Found, sizes: Sizes) -> list[tuple[str, str, str, bool | None]]:
    """Metric, value, target and whether it is met."""
    answers = statistics.median(found.answers_per_second)
    return [
        (
            f"{sizes.singles} clients, one event each: durable answers per second",
            spread(found.answers_per_second),
            f"≥ {ANSWERS_PER_SECOND:,}",
            answers >= ANSWERS_PER_SECOND,
        ),
        (
            "the same: time until the answer, median, 99th percentile",
            f"{_ms(found.median)}, {_ms(found.p99)}",
            f"99 % < {_ms(ANSWER_SECONDS)}",
            found.p99 < ANSWER_SECONDS,
        ),
        (f"the engine from a file of {sizes.events:,} events: events/s", spread(found.file_rates), "", None),
        (f"the same file over HTTP, {sizes.bodies} bodies at once: events/s", spread(found.http_rates), "", None),
        (
            "ingest over HTTP to the engine's own rate",
            f"{found.ingest_share:.0%}",
            f"≥ {INGEST_SHARE:.0%}",
            found.ingest_share >= INGEST_SHARE,
        ),
        (
            "a reader of all totals without ingest: median, 99th percentile",
            f"{_ms(found.quiet_reader['median'])}, {_ms(found.quiet_reader['p99'])}",
            "",
            None,
        ),
        (
            "the same during full ingest",
            f"{_ms(found.reader['median'])}, {_ms(found.reader['p99'])}",
            f"99 % < {_ms(READER_SECONDS)}",
            found.reader["p99"] < READER_SECONDS,
        ),
        (
            f"rate of ingest with {sizes.subscribers} subscribers to the rate without",
            f"{found.kept:.0%}",
            f"≥ {KEPT:.0%}",
            found.kept >= KEPT,
        ),
    ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < ANSWER_SECONDS and seconds * 1000 % 1 else f"{seconds * 1000:.0f} ms"


def check_place(path: Path) -> None:
    """Raises ValueError if a table cannot be put into this file."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{path}: no place for the table; it stands between {BEGIN} and {END}")


def put(path: Path, text: str) -> None:
    """Replace what stands between the marks. Raises ValueError where there are none."""
    check_place(path)
    head, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    path.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")
