"""Pipelines of several shapes."""

from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from tests.aws.functions.stacks import PIPELINE

RISK = PIPELINE

COUNTS = parse_toml(
    """
    name = "A_name-that-is_long-and-has-all-characters-0123456789-that-it"
    [event]
    key = ["a", "b"]
    [rollups]
    all = []
    """
)

WINDOWS = parse_toml(
    """
    name = "windows"
    [event]
    key = "id"
    version = { field = "at", type = "timestamp", unit = "ms" }
    [rollups]
    by_hour = [{ field = "at", window = "1h", unit = "ms" }, { field = "\\"dotted.name\\".x", missing = "(none)" }]
    [measures]
    fee = { sum = "fee", scale = 18, round = "half-even", missing = "zero" }
    """
)

ALL = (RISK, COUNTS, WINDOWS)


def tree(rollups: int, levels: int, measures: int = 0) -> Pipeline:
    """As many rollups as wanted, each of so many levels and none with a level of another's."""
    lines = ['name = "tree"', "[event]", 'key = "id"', 'version = "v"', "[rollups]"]
    for rollup in range(rollups):
        names = ", ".join(f'"f{rollup}_{level}"' for level in range(levels))
        lines.append(f"r{rollup} = [{names}]")
    lines.append("[measures]")
    lines += [f'm{number} = {{ sum = "m{number}", scale = 0 }}' for number in range(measures)]
    return parse_toml("\n".join(lines))
