"""docs/AWS_CONTRACT.md, written from the suite: `python -m tests.aws.contract.page`."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.aws.contract.deviations import DEVIATIONS, UNTESTED

PAGE = Path(__file__).parents[3] / "docs" / "AWS_CONTRACT.md"
ENGINES = ("simulator", "ministack", "dynoxide")
_WITH_KINESIS = ("ministack",)
_CHAPTERS = (
    "test_transactions",
    "test_tokens",
    "test_conditions",
    "test_concurrency",
    "test_numbers",
    "test_keys",
    "test_batches",
    "test_pages",
    "test_streams",
    "test_kinesis",
    "test_capacity",
)


@dataclass(frozen=True)
class Behaviour:
    """What one test pins, and the page of AWS's documentation that promises it."""

    test: str
    says: str
    source: str
    of_kinesis: bool


@dataclass(frozen=True)
class Chapter:
    """A module of the suite."""

    title: str
    behaviours: tuple[Behaviour, ...]


def chapters() -> Iterator[Chapter]:
    """The suite as its docstrings describe it."""
    folder = Path(__file__).parent
    assert {path.stem for path in folder.glob("test_*.py")} == {*_CHAPTERS, "test_page"}
    for name in _CHAPTERS:
        module = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        tests = (part for part in module.body if isinstance(part, ast.FunctionDef) and part.name.startswith("test_"))
        yield Chapter((ast.get_docstring(module) or "").rstrip("."), tuple(map(_behaviour, tests)))


def _behaviour(test: ast.FunctionDef) -> Behaviour:
    docstring = " ".join((ast.get_docstring(test) or "").split())
    found = re.fullmatch(r"(?P<says>.+) AWS: (?P<source>.+ \(.+\))", docstring)
    assert found, f"{test.name} does not say what it pins and which page of AWS promises it"
    takes = {argument.arg for argument in test.args.args}
    return Behaviour(test.name, found["says"], found["source"], "kinesis" in takes)


def text() -> str:
    """The page."""
    all_chapters = list(chapters())
    numbers = _numbers(all_chapters)
    lines = [_HEAD]
    for chapter in all_chapters:
        lines += [
            f"## {chapter.title}",
            "",
            f"| behaviour | {' | '.join(ENGINES)} | promised by |",
            "|---|---|---|---|---|",
        ]
        for behaviour in chapter.behaviours:
            cells = [_cell(engine, behaviour, numbers) for engine in ENGINES]
            lines.append(f"| {behaviour.says} | {' | '.join(cells)} | {behaviour.source} |")
        lines.append("")
    lines += [_DEVIATIONS, ""]
    by_test = {behaviour.test: behaviour for chapter in all_chapters for behaviour in chapter.behaviours}
    for (engine, test), number in numbers.items():
        source = by_test[test]
        lines.append(f"{number}. **{engine}** {DEVIATIONS[engine][test]}. Promised by {source.source}: {source.says}")
    lines += ["", _UNTESTED, ""]
    for engine in ENGINES:
        for reason in dict.fromkeys(UNTESTED.get(engine, {}).values()):
            tests = [test for test, why in UNTESTED[engine].items() if why == reason]
            lines.append(f"- **{engine}**: {reason} ({', '.join(f'`{test}`' for test in sorted(tests))}).")
    return "\n".join([*lines, _FOOT])


def _numbers(all_chapters: list[Chapter]) -> dict[tuple[str, str], int]:
    """The deviations' numbers, in the order of the page."""
    found = [
        (engine, behaviour.test)
        for chapter in all_chapters
        for behaviour in chapter.behaviours
        for engine in ENGINES
        if behaviour.test in DEVIATIONS.get(engine, {})
    ]
    return {deviation: number for number, deviation in enumerate(found, 1)}


def _cell(engine: str, behaviour: Behaviour, numbers: dict[tuple[str, str], int]) -> str:
    if (engine, behaviour.test) in numbers:
        return f"**no** ({numbers[engine, behaviour.test]})"
    if behaviour.of_kinesis and engine not in _WITH_KINESIS:
        return "-"
    return "not tested" if behaviour.test in UNTESTED.get(engine, {}) else "yes"


_HEAD = """\
# What Oncefold relies on at AWS

Every behaviour of DynamoDB, its streams and Kinesis that the functions lean on, each with the page of AWS's
documentation that promises it and a test that holds every engine at hand to it. This page is written from those tests
by `python -m tests.aws.contract.page`, and a test keeps it true. Why these behaviours suffice is in [AWS.md](AWS.md).

- **simulator**: the lab's own model of AWS, for the faults and races that no emulator makes; here with four stream
  shards, whose records come late and interleaved.
- **ministack**: what `oncefold aws local` runs on. It adds with 38 digits, as Oncefold starts it; by itself it has 28.
- **dynoxide**: DynamoDB over SQLite, a second opinion. `make` installs it where there is npm.
- Any other endpoint, and **the service itself**, which has the last word:

      ONCEFOLD_CONTRACT_ENDPOINT=http://127.0.0.1:8000 .venv/bin/pytest tests/aws/contract -k endpoint
      ONCEFOLD_CONTRACT_ENDPOINT=aws .venv/bin/pytest tests/aws/contract -k endpoint

  Credentials and region come from the environment as for every client of AWS. The run makes tables and a stream
  named `oncefold-contract-...` and deletes them at its end.

**no** means that the engine is known to do otherwise; its number leads to the list below. The test is expected to fail
there, and fails when it does not, so that a mended engine is noticed.
"""

_DEVIATIONS = """\
## Where an engine deviates

Where engines disagree, the one that does what AWS's page says is right. Nothing in Oncefold leans on a deviation:
conditions compare scalars only, reading goes on from whatever page or rest comes, sums are parsed in any form, and a
stream record is no more than a wake-up. What shows is this: `oncefold aws cost` reports too little on ministack, and a
total of more than 38 digits, which no number of keys in reach adds up to, is rounded there and refused elsewhere."""

_UNTESTED = "## What is not tested where"

_FOOT = """\

- in a table is for an engine that has no Kinesis.
"""

if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
