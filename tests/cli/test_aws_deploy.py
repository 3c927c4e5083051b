"""`oncefold aws package, template, deploy, destroy`, as a person uses them, on the emulator."""

import io
import json
import re
import sys
import zipfile
from itertools import count
from pathlib import Path

import pytest

from oncefold.aws.connect import client
from oncefold.aws.deploy import deployment
from oncefold.aws.deploy.cloudformation import EventTail, StackEvent
from oncefold.aws.deploy.package import build
from oncefold.aws.deploy.template import template
from oncefold.aws.deploy.template_text import MOST_BYTES
from oncefold.aws.names import Names
from oncefold.cli import main
from oncefold.cli.aws.deploy import StackProgress, interrupt_explained
from oncefold.cli.definition import EXAMPLE
from oncefold.core.definition_toml import parse_toml
from oncefold_lab.local.emulator import Emulator
from tests.aws.conftest import aws, emulator  # noqa: F401 - fixtures
from tests.aws.tables import make_tables
from tests.tools.processes import Command
from tests.tools.sizes import full_only

RISK = parse_toml(EXAMPLE)
_NUMBERS = count(1)


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipeline file, in the folder where the commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONCEFOLD_STACK", raising=False)
    path = tmp_path / "pipeline.toml"
    path.write_text(EXAMPLE)
    return path


@pytest.fixture
def stack(aws: Emulator) -> str:  # noqa: F811
    return f"cli-{next(_NUMBERS)}"


class Shell:
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.out = self.err = ""

    def __call__(self, *arguments: object, stdin: str = "") -> int:
        """The exit status."""
        self._capsys.readouterr()
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            status = main.main(["aws", *map(str, arguments)])
        self.out, self.err = self._capsys.readouterr()
        assert "Traceback" not in self.err
        return status

    def deploy(self, *arguments: object, stdin: str = "") -> int:
        return self("deploy", *arguments, "--parameter", "MappingsEnabled=false", stdin=stdin)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(capsys, monkeypatch)


def stacks() -> dict[str, str]:
    found = client("cloudformation").list_stacks()["StackSummaries"]
    return {one["StackName"]: one["StackStatus"] for one in found if one["StackStatus"] != "DELETE_COMPLETE"}


# package and template


def test_package_writes_the_zip_and_names_it(pipeline: Path, shell: Shell) -> None:
    assert shell("package", pipeline) == 0
    built = build(RISK)
    assert shell.out == f"oncefold-risk.zip: {len(built.data):,} bytes, SHA-256 {built.sha256}\n"
    assert Path("oncefold-risk.zip").read_bytes() == built.data
    assert shell("package", pipeline, "-o", "other.zip") == 0
    with zipfile.ZipFile("other.zip") as archive:
        assert archive.testzip() is None
    assert shell("package", pipeline, "-o", "none/other.zip") == 2
    assert shell.err.startswith("oncefold: none/other.zip: cannot be written: No such file")


def test_template_prints_the_template(pipeline: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shell("template", pipeline) == 0
    assert json.loads(shell.out) == template(RISK, Names("oncefold-risk"))
    assert len(shell.out.encode()) < MOST_BYTES
    document = json.loads(shell.out)
    assert shell("template", pipeline, "--pretty") == 0
    assert json.loads(shell.out) == document
    assert len(shell.out.splitlines()) > 100
    assert shell("template", pipeline, "--stack", "other") == 0
    assert json.loads(shell.out) == template(RISK, Names("other"))
    monkeypatch.setenv("ONCEFOLD_STACK", "third")
    assert shell("template", pipeline) == 0
    assert json.loads(shell.out) == template(RISK, Names("third"))
    assert shell("template", pipeline, "--stack", "9") == 2
    assert "is no name for a stack" in shell.err


def test_a_template_that_no_request_takes_says_so(pipeline: Path, shell: Shell) -> None:
    assert shell("template", pipeline) == 0
    assert not shell.err
    assert shell("template", pipeline, "--mode", "economy") == 0
    assert "too many for a request: give --yaml" in shell.err
    assert shell("template", pipeline, "--mode", "economy", "--yaml") == 0
    assert len(shell.out.encode()) < MOST_BYTES
    assert not shell.err


def test_a_pipeline_that_dynamodb_cannot_hold_is_refused(pipeline: Path, shell: Shell) -> None:
    measures = "\n".join(f'm{number} = {{ sum = "m{number}" }}' for number in range(201))
    pipeline.write_text(f'name = "wide"\n[event]\nkey = "id"\n[rollups]\nall = []\n[measures]\n{measures}')
    for command in ("package", "template"):
        assert shell(command, pipeline) == 2
        assert shell.err.startswith("oncefold: pipeline wide: it has 201 measures")


# deploy


def test_deploy_shows_asks_and_makes_the_stack(pipeline: Path, stack: str, shell: Shell) -> None:
    assert shell.deploy(pipeline, "--stack", stack, stdin="y\n") == 0
    assert f"stack {stack} in account 000000000000, region us-east-1: would be made" in shell.out
    assert re.search(r"^code: .* in s3://oncefold-000000000000-us-east-1", shell.out, re.MULTILINE)
    assert re.search(r"^add +StateTable +DynamoDB::Table$", shell.out, re.MULTILINE)
    assert shell.out.index("add ") < shell.out.index(f"stack {stack} is ready")
    assert f"StreamName           {stack}-events" in shell.out
    assert f"oncefold aws send EVENTS --stack {stack}" in shell.out
    assert re.search(r"^oncefold: +\d+ of \d+  StateTable created$", shell.err, re.MULTILINE)
    assert stacks()[stack] == "CREATE_COMPLETE"


def test_no_is_an_answer(pipeline: Path, stack: str, shell: Shell) -> None:
    assert shell.deploy(pipeline, "--stack", stack, stdin="n\n") == 1
    assert "nothing was changed" in shell.err
    assert stack not in stacks()


@full_only("a stack of its own, 1 s")
def test_silence_is_no_answer(pipeline: Path, stack: str, shell: Shell) -> None:
    assert shell.deploy(pipeline, "--stack", stack) == 130
    assert stack not in stacks()


@full_only("a stack of its own, 2 s")
def test_deploy_again_says_that_there_is_nothing_to_change(pipeline: Path, stack: str, shell: Shell) -> None:
    assert shell.deploy(pipeline, "--stack", stack, "--yes") == 0
    assert shell.deploy(pipeline, "--stack", stack) == 0
    assert f"stack {stack} is as the file says; nothing to change" in shell.out
    assert "Go on?" not in shell.err


def test_deploy_shows_what_changes(pipeline: Path, stack: str, shell: Shell) -> None:
    assert shell.deploy(pipeline, "--stack", stack, "--yes") == 0
    pipeline.write_text(EXAMPLE.replace("scale = 2 }", 'scale = 2, missing = "zero" }', 1))
    changed = ("--parameter", "StateBatchSize=50", "--parameter", "LogRetentionDays=7")
    assert shell.deploy(pipeline, "--stack", stack, "--yes", *changed) == 0
    assert f"stack {stack} in account 000000000000, region us-east-1: would be changed" in shell.out
    assert "definition: it widens, and the totals go on" in shell.out
    assert re.search(r'^  - value = .* missing = "reject" }$', shell.out, re.MULTILINE)
    assert re.search(r'^  \+ value = .* missing = "zero" }$', shell.out, re.MULTILINE)
    assert "parameter StateBatchSize: 500 → 50\n" in shell.out
    assert re.search(r"^change.* StateMapping +Lambda::EventSourceMapping", shell.out, re.MULTILINE)
    assert "StateTable " not in shell.out[: shell.out.index("is ready")]
    # The emulator lists the two versions, whose condition is false here; AWS lists seven.
    assert re.search(r"^oncefold: +\d+ of 9  StateMapping changed$", shell.err, re.MULTILINE)
    assert "StateTable" not in shell.err


@full_only("a stack of its own, 1 s")
def test_a_change_of_meaning_is_refused(pipeline: Path, stack: str, shell: Shell) -> None:
    assert shell.deploy(pipeline, "--stack", stack, "--yes") == 0
    pipeline.write_text(EXAMPLE.replace('key = "TradeID"', 'key = "Id"', 1))
    assert shell.deploy(pipeline, "--stack", stack, "--yes") == 2
    expected = f"oncefold: stack {stack}: this definition would change what its totals mean: [event] key was"
    assert shell.err.startswith(expected)
    assert shell.err.count("\n") == 1


@full_only("a stack of its own, 1 s")
def test_what_failed_is_said_in_a_line(
    pipeline: Path, stack: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> dict[str, object]:
        document = template(*arguments)  # type: ignore[arg-type]
        document["Resources"]["Broken"] = {"Type": "AWS::Nothing::Such", "DependsOn": ["StateMapping"]}
        return document

    monkeypatch.setattr(deployment, "template", broken)
    assert shell.deploy(pipeline, "--stack", stack, "--yes") == 2
    assert "oncefold: Broken: FAILED: Unsupported resource type" in shell.err
    assert "oncefold: the stack: ROLLBACK_IN_PROGRESS" in shell.err
    last = shell.err.splitlines()[-1]
    assert last.startswith(f"oncefold: stack {stack}: Broken (AWS::Nothing::Such) failed: Unsupported resource type")
    assert last.endswith(f"remove what is left: oncefold aws destroy --stack {stack}")
    assert shell("destroy", "--stack", stack, "--yes") == 0
    assert stack not in stacks()


def test_wrong_settings_are_refused_before_aws_is_asked(
    pipeline: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert shell.deploy(pipeline, "--parameter", "Shards=3") == 2
    assert "no such parameter; did you mean ShardCount?" in shell.err


def test_an_endpoint_that_does_not_answer_is_one_line(
    pipeline: Path, stack: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("oncefold.aws.connect._ATTEMPTS", 1)
    for command in (["deploy", pipeline], ["destroy"]):
        assert shell(*command, "--stack", stack) == 2
        assert shell.err.startswith(f"oncefold: stack {stack}: AWS does not answer: Could not connect")
        assert shell.err.count("\n") == 1


# destroy


def test_destroy_shows_asks_for_the_name_and_removes_everything(pipeline: Path, stack: str, shell: Shell) -> None:
    assert shell.deploy(pipeline, "--stack", stack, "--yes") == 0
    assert shell("destroy", "--stack", stack, "--delete-data", stdin="yes\n") == 1
    assert "nothing was changed" in shell.err
    assert stacks()[stack] == "CREATE_COMPLETE"
    assert shell("destroy", "--stack", stack, "--delete-data", stdin=f"{stack}\n") == 0
    assert re.search(rf"^deleted +Kinesis::Stream +{stack}-events$", shell.out, re.MULTILINE)
    assert re.search(rf"^DELETED, with all data +DynamoDB::Table +{stack}-state$", shell.out, re.MULTILINE)
    assert re.search(r"^kept +S3 object +s3://", shell.out, re.MULTILINE)
    assert shell.out.endswith("removed, with its tables\n")
    # The first line follows the question on its own line: the answer came from a file, not from a terminal.
    assert re.search(r"^(Type .*: )?oncefold: +\d+ of \d+  Stream deleted$", shell.err, re.MULTILINE)
    assert stack not in stacks()
    assert f"{stack}-state" not in client("dynamodb").list_tables()["TableNames"]
    assert shell("destroy", "--stack", stack) == 2
    assert f"stack {stack}: there is none in account 000000000000, region us-east-1" in shell.err


@full_only("a stack of its own, 1 s")
def test_destroy_keeps_the_tables_or_says_that_they_are_lost(pipeline: Path, stack: str, shell: Shell) -> None:
    """The emulator knows no DeletionPolicy, so that here they are."""
    assert shell.deploy(pipeline, "--stack", stack, "--yes") == 0
    assert shell("destroy", "--stack", stack, "--yes") == 1
    assert re.search(rf"^kept +DynamoDB::Table +{stack}-aggregate$", shell.out, re.MULTILINE)
    assert f"these tables should have stayed, but are gone: {stack}-state" in shell.err


def test_tables_without_a_stack_are_deleted_only_on_request(stack: str, pipeline: Path, shell: Shell) -> None:
    make_tables(Names(stack), client("dynamodb"))
    assert shell("destroy", "--stack", stack, "--yes") == 0
    assert f"there is no stack {stack} any more; its tables are there: {stack}-state" in shell.out
    assert "add --delete-data" in shell.out
    assert shell("destroy", "--stack", stack, "--yes", "--delete-data") == 0
    assert shell("destroy", "--stack", stack, "--yes", "--delete-data") == 2


def test_which_stack_has_to_be_said(shell: Shell, pipeline: Path) -> None:
    assert shell("destroy") == 2
    assert shell.err.startswith("oncefold: which stack? Name one with --stack, or in the environment")


# progress


def test_an_interrupt_says_that_cloudformation_continues(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), interrupt_explained():
        raise KeyboardInterrupt
    assert "CloudFormation continues" in capsys.readouterr().err


@full_only("a stack of its own, 1 s")
def test_an_interrupted_change_ends_with_130(
    pipeline: Path, stack: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: EventTail, on_event: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(EventTail, "follow", interrupted)
    assert shell.deploy(pipeline, "--stack", stack, "--yes") == 130
    assert "CloudFormation continues; the same command shows the state of the stack" in shell.err


def test_progress_tells_ends_failures_and_what_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    progress = StackProgress(["A", "B"])
    for event in (
        StackEvent("A", "AWS::SQS::Queue", "DELETE_IN_PROGRESS", ""),
        StackEvent("A", "AWS::SQS::Queue", "DELETE_COMPLETE", ""),
        StackEvent("B", "AWS::DynamoDB::Table", "DELETE_SKIPPED", ""),
        StackEvent("C", "AWS::DynamoDB::Table", "UPDATE_COMPLETE", ""),
        StackEvent("C", "AWS::DynamoDB::Table", "CREATE_FAILED", "Resource creation cancelled"),
        StackEvent("C", "AWS::DynamoDB::Table", "CREATE_FAILED", "no\x1b[31m reason"),
        StackEvent("s", "AWS::CloudFormation::Stack", "CREATE_IN_PROGRESS", ""),
    ):
        progress(event)
    assert capsys.readouterr().err.splitlines() == [
        "oncefold:   1 of 2  A deleted",
        "oncefold:   2 of 2  B kept",
        r"oncefold: C: FAILED: no\x1b[31m reason",
    ]


# the whole, as processes


@full_only("two processes, 3 s; the other tests run the same commands in this one")
def test_a_stack_lives_and_dies_by_real_commands(pipeline: Path, stack: str, tmp_path: Path) -> None:
    def run(*arguments: object) -> tuple[int, str]:
        with Command(tmp_path, "aws", *arguments, "--stack", stack) as command:
            return command.wait(), command.words

    status, words = run("deploy", pipeline, "--yes", "-p", "MappingsEnabled=false")
    assert (status, "Traceback" in words) == (0, False), words
    assert f"stack {stack} is ready" in words
    status, words = run("destroy", "--yes", "--delete-data")
    assert status == 0, words
    assert words.endswith("removed, with its tables\n")
