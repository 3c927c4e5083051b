"""The guide to operations is held to the code: its commands are run, and its outputs compared."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oncefold.aws.connect import client
from oncefold.aws.operations.cost import LIST_PRICES
from oncefold.cli.aws.group import aws as group
from oncefold.cli.main import main
from tests.aws.operations.test_rebuild_command import NEW
from tests.aws.reader.docs_stack import make
from tests.aws.reader.test_status import Metrics

PAGE = Path(__file__).parents[3] / "docs" / "AWS_OPERATIONS.md"
TEXT = PAGE.read_text(encoding="utf-8")
MINE = {"query", "explain", "verify", "rejects", "conflicts", "status", "cost", "logs", "drain", "redrive", "rebuild"}

_CHANGING = [
    (r"(?<= at )\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "TIME"),
    (r"the oldest [\d,.]+ (?:d|h|min|s)(?: \d+ (?:h|min|s))? old", "the oldest SPAN old"),
    (r"shardId-\d{12} from \d{20,} to \d{20,}", "SHARD from SEQUENCE to SEQUENCE"),
]
"""What differs from run to run, and what replaces it."""


class Mapped:
    """Lambda with both functions fed."""

    def list_event_source_mappings(self, **request: Any) -> dict[str, Any]:
        return {"EventSourceMappings": [{"UUID": "1", "State": "Enabled", "LastProcessingResult": "OK"}]}

    def get_function_configuration(self, **request: Any) -> dict[str, Any]:
        return {"Timeout": 60}


class NoErrors(Metrics):
    """CloudWatch of functions that do not fail."""

    def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
        return {"Datapoints": []} if request["MetricName"] == "Errors" else super().get_metric_statistics(**request)


def examples() -> Iterator[tuple[str, str]]:
    """The commands of the guide, each with the output that it shows."""
    for block in re.findall(r"^```console\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = example.partition("\n")
            yield command, output


def normalized(output: str) -> list[list[str]]:
    """The words of each line, without what differs from run to run."""
    for pattern, stand_in in _CHANGING:
        output = re.sub(pattern, stand_in, output)
    return [line.split() for line in output.splitlines() if line.strip()]


def test_the_commands_print_what_the_guide_shows(
    aws: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make()
    Path("new.toml").write_text(NEW)
    others = {"lambda": Mapped(), "cloudwatch": NoErrors()}
    monkeypatch.setattr("oncefold.aws.reader.status.client", lambda name: others.get(name) or client(name))
    monkeypatch.setattr("oncefold.aws.operations.rebuild_stack.client", lambda _: Mapped())
    # What changes the stack comes last, whatever the order of the page.
    for command, output in sorted(examples(), key=lambda example: "drain" in example[0] or "redrive" in example[0]):
        main(shlex.split(command)[1:])
        shown = capsys.readouterr()
        assert normalized(shown.out + shown.err) == normalized(output), command


def test_the_guide_has_every_command_and_every_price() -> None:
    assert set(re.findall(r"^## ([a-z]+)$", TEXT, re.MULTILINE)) == MINE
    assert {shlex.split(command)[2] for command, _ in examples()} == MINE
    assert set(group.list_commands(None)) >= MINE  # type: ignore[arg-type]
    assert all(f"`{name}`" in TEXT for name in LIST_PRICES.__dataclass_fields__ if name not in {"region", "date"})
