"""`oncefold once`: the zip, the ledger's template, verifying and adopting from the command line."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from oncefold.aws.connect import client
from oncefold.aws.deploy.once import MOST_BYTES, build
from oncefold.aws.deploy.once import template as of_ledger
from oncefold.aws.deploy.once_mappings import wrong_settings
from oncefold.cli.main import main
from oncefold.once import Counters
from oncefold_lab.local.emulator import Emulator
from tests.once.test_verify import add_by_hand
from tests.once.tools import Tables, simulated
from tests.tools.sizes import full_only


@pytest.mark.parametrize(("arguments", "prefix"), [([], ""), (["--layer"], "python/")])
def test_the_zip_is_small_and_holds_what_a_function_needs(
    arguments: list[str], prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "once.zip"
    assert main(["once", "package", "--output", str(path), *arguments]) == 0
    size = path.stat().st_size
    assert f"{path}: {size:,} bytes, SHA-256 " in capsys.readouterr().out
    assert size < MOST_BYTES == 50_000
    assert path.read_bytes() == build(layer=bool(arguments)).data
    with zipfile.ZipFile(path) as archive:
        rooms = {Path(name).parent.as_posix() for name in archive.namelist()}
        assert rooms == {f"{prefix}oncefold{room}" for room in ("", "/core", "/dynamodb", "/once")}
        assert b"import" not in archive.read(f"{prefix}oncefold/__init__.py").split(b"functions import")[0]


@full_only("cfn-lint, 1 s")
def test_cfn_lint_accepts_the_ledgers_template(capsys: pytest.CaptureFixture[str]) -> None:
    from cfnlint import api  # noqa: PLC0415 - slow to import, and the short form has no use for it

    assert main(["once", "template", "--table", "AggregateTable", "--ledger", "AggregateLedger"]) == 0
    text = capsys.readouterr().out
    assert not api.lint(text, config={"regions": ["eu-central-1", "us-east-1"]})
    policy = json.loads(text)["Resources"]["CountersPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    actions = {action for statement in policy for action in statement["Action"]}
    assert actions == {f"dynamodb:{name}" for name in ("UpdateItem", "DescribeTable", "PutItem", "BatchGetItem")}


def test_the_policy_is_what_the_counters_call_and_nothing_else() -> None:
    called: set[tuple[str, str]] = set()
    for way in ("id", "version", "position"):
        tables = simulated()
        with tables.counters(way).batch() as batch:  # type: ignore[arg-type]
            pass
        client = Recording(tables.client, called)
        for version in (1, 2):
            with Counters(tables.table, tables.ledger, way, client=client).batch() as batch:  # type: ignore[arg-type]
                batch.add("s:1", {"x": {"n": 1}}, **({"version": version} if way == "version" else {}))
    statements = of_ledger("Aggregate", "Ledger")["Resources"]["CountersPolicy"]["Properties"]["PolicyDocument"]
    allowed = {
        (action.removeprefix("dynamodb:"), table)
        for statement, table in zip(statements["Statement"], ("Aggregate", "Ledger"), strict=True)
        for action in statement["Action"]
    }
    assert called == allowed


class Recording:
    """A client that notes which action of IAM each call is, and on which table."""

    def __init__(self, client: Any, called: set[tuple[str, str]]) -> None:
        self._client = client
        self._called = called

    def describe_table(self, **request: Any) -> Any:
        self._called.add(("DescribeTable", request["TableName"]))
        return self._client.describe_table(**request)

    def batch_get_item(self, **request: Any) -> Any:
        self._called.update(("BatchGetItem", table) for table in request["RequestItems"])
        return self._client.batch_get_item(**request)

    def transact_write_items(self, **request: Any) -> Any:
        for item in request["TransactItems"]:
            self._called.update((f"{kind}Item", write["TableName"]) for kind, write in item.items())
        return self._client.transact_write_items(**request)


GOOD = {
    "EventSourceArn": "arn:aws:kinesis:eu-central-1:1:stream/orders",
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "ParallelizationFactor": 1,
    "MaximumRetryAttempts": -1,
    "MaximumRecordAgeInSeconds": -1,
}
SQS = {"EventSourceArn": "arn:aws:sqs:eu-central-1:1:orders", "FunctionResponseTypes": ["ReportBatchItemFailures"]}
CHANGES = "arn:aws:dynamodb:eu-central-1:1:table/StateTable/stream/2026"
NAMED = {"OnFailure": {"Destination": "arn:aws:sqs:eu-central-1:1:failures"}}


@pytest.mark.parametrize(
    ("mapping", "way", "partial", "said"),
    [
        (GOOD, "id", True, []),
        (GOOD, "position", True, []),
        (SQS, "id", True, []),
        ({**GOOD, "FunctionResponseTypes": []}, "id", True, ["takes any answer for success"]),
        ({**GOOD, "FunctionResponseTypes": []}, "id", False, []),
        ({**GOOD, "ParallelizationFactor": 10}, "id", True, []),
        ({**GOOD, "ParallelizationFactor": 10}, "position", True, ["several batches of a shard"]),
        ({**GOOD, "EventSourceArn": CHANGES}, "position", True, ["do not say their shard"]),
        ({**GOOD, "MaximumRetryAttempts": 3}, "version", True, ["says nobody which"]),
        ({**GOOD, "MaximumRetryAttempts": 3, "DestinationConfig": NAMED}, "version", True, []),
        ({**GOOD, "MaximumRecordAgeInSeconds": 60, "DestinationConfig": NAMED}, "position", True, ["past them"]),
    ],
)
def test_a_mapping_that_would_lose_or_double_records_is_found(
    mapping: dict[str, Any], way: str, partial: bool, said: list[str]
) -> None:
    found = wrong_settings(mapping, way, partial=partial)
    assert len(found) == len(said)
    assert all(part in text for part, text in zip(said, found, strict=True))


def test_check_looks_at_every_mapping(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    tables = simulated()
    with tables.counters("position").batch() as batch:
        batch.add("s:1", {"x": {"n": 1}})
    mappings = [GOOD, {**GOOD, "ParallelizationFactor": 2}]
    clients = {"dynamodb": tables.client, "lambda": Lambda(mappings)}
    monkeypatch.setattr("oncefold.aws.connect.client", clients.__getitem__)
    assert main(["once", "check", "ReduceLambda", "--ledger", tables.ledger]) == 1
    assert capsys.readouterr().out.startswith("WRONG arn:aws:kinesis:eu-central-1:1:stream/orders: several batches")
    mappings.pop()
    assert main(["once", "check", "ReduceLambda", "--ledger", tables.ledger]) == 0
    assert "1 mappings of ReduceLambda are as counting by position needs them" in capsys.readouterr().out
    mappings.clear()
    assert main(["once", "check", "ReduceLambda", "--ledger", tables.ledger]) == 2


class Lambda:
    """A client that lists event source mappings."""

    def __init__(self, mappings: list[Any]) -> None:
        self._mappings = mappings

    def get_paginator(self, operation: str) -> "Lambda":
        assert operation == "list_event_source_mappings"
        return self

    def paginate(self, FunctionName: str) -> list[dict[str, Any]]:  # noqa: N803 - boto3's name
        assert FunctionName == "ReduceLambda"
        return [{"EventSourceMappings": self._mappings}]


def test_verify_and_adopt(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    tables = Tables.made(client("dynamodb"), "command", "command-ledger", {"Identifier": "S"})
    named = ["--table", tables.table, "--ledger", tables.ledger]
    assert main(["once", "verify", *named]) == 2
    assert "no function has counted with it yet" in capsys.readouterr().err
    with tables.counters().batch() as batch:
        batch.add("1", {"all": {"n": 1}})
    assert main(["once", "verify", *named]) == 0
    assert "1 counters compared with 1 records of the ledger: every total is right" in capsys.readouterr().out
    add_by_hand(tables, "all", n="2")
    add_by_hand(tables, "other", n="7")
    assert main(["once", "verify", *named]) == 1
    out = capsys.readouterr().out
    assert "WRONG Identifier=all: n is 3, and should be 1" in out
    assert "not known: 1 items of command" in out
    assert main(["once", "adopt-totals", *named, "--json"]) == 2
    assert main(["once", "adopt-totals", *named, "--json", "--yes"]) == 0
    capsys.readouterr()
    assert main(["once", "verify", *named, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "exact": True, "records": 1, "counters": 2, "wrong": [], "moving": 0, "unknown": []
    }  # fmt: skip
    assert main(["once", "verify", "--table", tables.table, "--ledger", "nowhere"]) == 2
