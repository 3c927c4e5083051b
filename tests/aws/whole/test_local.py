"""`oncefold aws local` as a user runs it: a process, a port, Ctrl-C."""

import re
import signal
from pathlib import Path

import pytest

from oncefold.cli.main import main
from oncefold.core.errors import OncefoldError
from oncefold_lab.local.emulator import Emulator, free_port
from tests.tools.processes import Command
from tests.tools.sizes import full_only
from tests.tools.waiting import until


@full_only("the demonstration of the README, 7 s")
def test_the_demonstration_ends_exact(tmp_path: Path) -> None:
    with Command(tmp_path, "aws", "local", "--demo", "--events", 600, "--seed", 3) as command:
        assert command.wait(180) == 0, command.words
    assert "19 of 19 nodes exact" in command.words
    assert "All 19 nodes are exact" in command.words


DEFINITION = """
name = "many-trees"
[event]
key = ["shop.id", "order"]
version = { field = "updated", type = "timestamp" }
time = "updated"
delete = { field = "state", equals = "void" }
[rollups]
place = ["country", { field = "city", missing = "(none)" }]
day = [{ field = "updated", window = "1h" }, "country"]
[measures]
net = { sum = "amounts.net", scale = 2 }
pieces = { sum = "pieces", scale = 0 }
"""


@full_only("the demonstration once more, 7 s")
def test_the_demonstration_makes_messages_for_any_definition(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(DEFINITION, encoding="utf-8")
    settings = ("--events", 300, "--seed", 3)
    with Command(tmp_path, "aws", "local", tmp_path / "p.toml", "--demo", *settings) as command:
        assert command.wait(180) == 0, command.words
    assert re.search(r"All \d+ nodes are exact", command.words)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@full_only("a pipeline, 4 s")
def test_a_pipeline_runs_until_it_is_told_to_end_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    pipeline, port = tmp_path / "pipeline.toml", free_port()
    assert main(["init", str(pipeline)]) == 0
    with Command(tmp_path, "aws", "local", pipeline, "--port", port) as command:
        until(lambda: "Ctrl-C ends it all" in command.words or not command.running, "it is up", 180)
        assert f"export AWS_ENDPOINT_URL=http://127.0.0.1:{port}" in command.words
        assert "export ONCEFOLD_STACK=oncefold-risk" in command.words
        assert Emulator(port).answers()
        command.send(number)
        assert command.wait(60) == 0, command.words
    until(lambda: not Emulator(port).answers(), "the emulator is gone")


def test_without_a_pipeline_it_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["aws", "local"]) == 2
    assert "which pipeline? Name its file, or say --demo" in capsys.readouterr().err


def test_a_port_that_is_taken_is_refused(aws: Emulator) -> None:
    port = int(aws.endpoint.rpartition(":")[2])
    with pytest.raises(OncefoldError, match="something listens on"):
        Emulator(port).start()
