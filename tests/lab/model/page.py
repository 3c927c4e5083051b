"""The tables of docs/MODEL.md, written from the model: `python -m tests.lab.model.page`."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from oncefold_lab.model.explore import Checked, attempt, check
from oncefold_lab.model.mutations import FALSE_CLAIMS, MUTATIONS
from oncefold_lab.model.protocol import TRUE, ExpectedFailure
from oncefold_lab.model.scenario import ModelScenario
from oncefold_lab.model.scenarios import LARGE, SMALL

PAGE = Path(__file__).parents[3] / "docs" / "MODEL.md"


def row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def head(*cells: str) -> list[str]:
    return [row(*cells), "|" + "---|" * len(cells)]


def scenario_row(found: Checked) -> str:
    numbers = (found.states, found.transitions, found.depth, found.ends)
    return row(f"`{found.scenario.name}`", found.scenario.about, *(f"{number:,}" for number in numbers))


def scenario_head() -> list[str]:
    return head("scenario", "about", "states", "steps", "depth", "ends")


def claims() -> Iterator[str]:
    yield from head("claim", "")
    yield from (row(f"`{claim.name}`", claim.description) for claim in TRUE)


def falsehood_row(trial: ExpectedFailure) -> str:
    return row(f"`{trial.name}`", trial.description, f"`{trial.scenario.name}`", _steps(trial))


def mutation_row(trial: ExpectedFailure) -> str:
    return row(f"`{trial.name}`", trial.description, f"`{trial.claim.name}`", f"`{trial.scenario.name}`", _steps(trial))


def _steps(trial: ExpectedFailure) -> int:
    refuted = attempt(trial, time.process_time).refuted
    assert refuted is not None, trial.name
    return len(refuted.schedule)


def example() -> list[str]:
    """A schedule, as the command shows it."""
    trial = next(trial for trial in MUTATIONS if trial.name == "free-delete")
    refuted = attempt(trial, time.process_time).refuted
    assert refuted is not None
    return [f"    {number} {line}" for number, line in enumerate(refuted.schedule, 1)]


def tables(large: Sequence[str]) -> dict[str, list[str]]:
    """Every table by its mark; the rows of the large scenarios as they are given."""
    return {
        "claims": [*claims()],
        "small": [*scenario_head(), *map(scenario_row, _checked(SMALL))],
        "large": [*scenario_head(), *large],
        "false": [*head("false claim", "", "scenario", "steps"), *map(falsehood_row, FALSE_CLAIMS)],
        "mutations": [*head("mutation", "", "refutes", "scenario", "steps"), *map(mutation_row, MUTATIONS)],
        "example": example(),
    }


def _checked(scenarios: Iterable[ModelScenario]) -> Iterator[Checked]:
    for scenario in scenarios:
        found = check(scenario, time.process_time)
        assert found.refuted is None, found.refuted
        yield found


def table(page: str, mark: str) -> list[str]:
    """The lines between two marks of the page."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
    return page[page.index(begin) + len(begin) : page.index(end)].strip("\n").split("\n")


def write(large: bool) -> None:
    """Write the tables anew; those of the large scenarios, which take minutes, only if asked."""
    page = PAGE.read_text(encoding="utf-8")
    rows = [*map(scenario_row, _checked(LARGE))] if large else table(page, "large")[2:]
    for mark, lines in tables(rows).items():
        before, rest = page.split(f"<!-- {mark} -->\n")
        _, after = rest.split(f"<!-- end of {mark} -->")
        gap = "\n" if mark == "example" else ""
        page = "\n".join([f"{before}<!-- {mark} -->{gap}", *lines, f"{gap}<!-- end of {mark} -->{after}"])
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write("--large" in sys.argv)
