"""`cost` adds up what the functions logged, and applies a price table."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from oncefold.aws.connect import client
from oncefold.aws.functions.report import Invocation, line
from oncefold.aws.names import Names
from oncefold.aws.operations.cost import LIST_PRICES, Cost, Prices, assumed_stream, measured_stream, read_prices
from oncefold.aws.operations.logs import read_lines
from oncefold.cli.main import main
from oncefold.core.errors import OncefoldError
from oncefold.dynamodb.calls import Meter
from oncefold.queries.protocol import no_progress
from tests.aws.conftest import Run

ROUND = Prices("here", "today", 1.0, 0.5, 10.0, 2.0, 0.25, 4.0, 0.125, 3.0, 1.5)
"""Round prices."""
NOON = 1_772_452_800.0


def logged(function: str, request: str, seconds: float = 0.5, ended: float = NOON, **counts: float) -> str:
    """A line as a function logs it."""
    names = ("read_units", "write_units", "refused_writes", "refused_units")
    units: dict[str, Any] = {name: counts.pop(name) for name in names if name in counts}
    return line(Invocation(function, "s", request, ended, seconds, 512), counts, Meter(**units))


def progress(request: str, billed: int) -> str:
    return (
        f"REPORT RequestId: {request}\tDuration: {billed - 0.4} ms\tBilled Duration: {billed} ms\t"
        "Memory Size: 512 MB\tMax Memory Used: 90 MB\tInit Duration: 133.05 ms\t\n"
    )


def lines_of_a_run() -> Iterator[str]:
    yield "START RequestId: a Version: $LATEST"
    yield logged("state", "a", events=300_000, write_units=2000, read_units=500)
    yield logged("state", "b", events=200_000, write_units=1000, read_units=500, ended=NOON + 3600)
    yield logged("reduce", "c", deltas=7, write_units=500, ended=NOON + 7200)
    yield logged("sweep", "d", read_units=1)
    yield "{not json"
    yield '{"function": "another", "duration_ms": 5}'


def test_lines_are_added_up() -> None:
    usage = read_lines(lines_of_a_run(), no_progress)
    functions = usage.functions()
    assert list(functions) == ["state", "reduce", "sweep"]
    state = functions["state"]
    assert (state.invocations, state.gb_seconds) == (2, 0.5)
    assert (state.counts["events"], state.counts["write_units"], state.counts["read_units"]) == (500_000, 3000, 1000)
    assert functions["reduce"].counts["deltas"] == 7
    assert (usage.first, usage.last) == (NOON, NOON + 7200)
    assert not usage.billed


def test_a_line_that_comes_twice_counts_once() -> None:
    usage = read_lines([*lines_of_a_run(), *lines_of_a_run()], no_progress)
    assert usage.functions() == read_lines(lines_of_a_run(), no_progress).functions()


def test_what_tools_write_before_a_line_is_passed_over() -> None:
    tailed = (f"2026-03-02T12:00:00 2026/03/02/[$LATEST]1a2b {text}" for text in lines_of_a_run())
    assert read_lines(tailed, no_progress).functions() == read_lines(lines_of_a_run(), no_progress).functions()


def test_durations_are_those_that_lambda_bills_where_it_says_so() -> None:
    reports = [progress("a", 1000), progress("b", 1000), progress("c", 2000), progress("d", 1)]
    killed = progress("killed", 4000)
    usage = read_lines([*lines_of_a_run(), *reports, killed], no_progress)
    functions = usage.functions()
    assert functions["state"].gb_seconds == 1.0
    assert functions["reduce"].gb_seconds == 1.0
    assert (functions["killed"].invocations, functions["killed"].gb_seconds) == (1, 2.0)
    assert usage.billed
    record = {"requestId": "a", "metrics": {"billedDurationMs": 3000, "memorySizeMB": 512}}
    as_json = json.dumps({"type": "platform.report", "record": record})
    assert read_lines([*lines_of_a_run(), as_json], no_progress).functions()["state"].gb_seconds == 1.75


def cost_of(prices: Prices = ROUND, **settings: Any) -> Cost:
    usage = read_lines(lines_of_a_run(), no_progress)
    return Cost(usage.functions(), 2.0, settings.get("stream"), billed=False, prices=prices)


def test_the_bill() -> None:
    found = cost_of()
    assert [(part.name, part.used, part.usd) for part in found.parts()] == [
        ("Lambda requests", 4, 4e-6),
        ("Lambda duration, arm64", 1.0, 0.5),
        ("DynamoDB writes", 3500, 0.035),
        ("DynamoDB reads", 1001, 0.002002),
    ]
    assert found.events == 500_000
    assert found.usd == pytest.approx(0.537006)
    assert found.per_million(found.usd) == pytest.approx(1.074012)


def test_refused_writes_are_a_part_of_the_bill() -> None:
    usage = read_lines(
        [logged("state", "a", events=10, write_units=100, refused_writes=20, refused_units=50)], no_progress
    )
    found = Cost(usage.functions(), 2.0, None, billed=False, prices=ROUND)
    assert found.refused == 20
    assert [(part.name, part.used, part.usd) for part in found.parts()[2:4]] == [
        ("DynamoDB writes", 100, 0.001),
        ("DynamoDB writes refused, at most", 50, 0.0005),
    ]


def test_the_stream() -> None:
    provisioned = assumed_stream("PROVISIONED", 3, 500_000)
    parts = cost_of(stream=provisioned).parts()[4:]
    assert [(part.name, part.used, part.usd) for part in parts] == [
        ("Kinesis shards", 6.0, 1.5),
        ("Kinesis puts", 500_000, 2.0),
    ]
    on_demand = assumed_stream("ON_DEMAND", 4, 2**20)
    parts = cost_of(stream=on_demand).parts()[4:]
    assert [(part.name, part.used, part.usd) for part in parts] == [
        ("Kinesis stream", 2.0, 0.25),
        ("Kinesis data in", 1.0, 3.0),
        ("Kinesis data out", 1.0, 1.5),
    ]


def test_a_stream_that_cloudwatch_counted(stack: Names) -> None:
    class Metrics:
        def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
            assert (end - start).total_seconds() / request["Period"] <= 1440
            return {
                "Datapoints": [{"Sum": 10.0}, {"Sum": 5.0 if request["MetricName"] == "IncomingRecords" else 10**6}]
            }

    end = datetime(2026, 3, 2, tzinfo=UTC)
    start = end - timedelta(days=3)
    found = measured_stream(client("kinesis"), Metrics(), stack.stream, start, end, 1000)
    assert (found.mode, found.shards, found.records, found.size) == ("PROVISIONED", 2, 15.0, 1_000_010.0)
    assert found.measured
    assert cost_of(stream=found).parts()[5].used == pytest.approx(1_000_010 / 25_600), "25 KB a unit"


def test_the_price_table_says_when_and_where(tmp_path: Path) -> None:
    assert LIST_PRICES.region == "us-east-1"
    assert "2025" in LIST_PRICES.date
    file = tmp_path / "prices.toml"
    file.write_text('region = "eu-west-1"\ndate = "2026-01-31"\ndynamodb_million_writes = 0.7\n')
    prices = read_prices(file)
    assert (prices.region, prices.date, prices.dynamodb_million_writes) == ("eu-west-1", "2026-01-31", 0.7)
    assert prices.lambda_gb_second == LIST_PRICES.lambda_gb_second


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "give the region and date of the prices"),
        ('region = "x"\ndate = "y"\nnonsense = 1', "nonsense is no price; there are region, date, lambda_million"),
        ('region = "x"\ndate = "y"\nlambda_gb_second = "free"', "lambda_gb_second is 'free'; give US dollars"),
        ('region = "x"\ndate = "y"\nlambda_gb_second = -1', "lambda_gb_second is -1"),
        ('region = "x"\ndate = "y"\nlambda_gb_second = nan', "lambda_gb_second is nan"),
        ("region =", "not valid TOML"),
    ],
)
def test_a_price_file_that_means_nothing(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(OncefoldError, match=message):
        read_prices(file)
    with pytest.raises(OncefoldError, match="cannot be read: No such file"):
        read_prices(tmp_path / "none.toml")


# the command


def test_the_command_reads_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "functions.log"
    file.write_text("\n".join(lines_of_a_run()))
    assert main(["aws", "cost", "--logs", str(file), "--shards", "2"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "500,000 events in 4 invocations, 2.00 hours"
    cells = {line.split("  ")[0]: line.split() for line in out.splitlines() if line}
    assert cells["state"] == ["state", "2", "0.500", "3,000.0", "1,000.0"]
    assert cells["DynamoDB writes"][2:] == ["3,500.000", "request", "units", "0.002188", "0.0044"]
    assert cells["Kinesis shards"][2:] == ["4.000", "shard", "hours", "0.060000", "0.1200"]
    assert "prices: us-east-1, as of Lambda 2024, DynamoDB 2025-07-21, Kinesis 2023-09-21; --prices gives others" in out
    assert "there were no REPORT lines" in out
    assert main(["aws", "cost", "--logs", str(file), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["events"] == 500_000
    assert document["usd_per_million_events"] == pytest.approx(2 * document["usd"])
    assert "left out: the stream; --shards estimates one" in document["remarks"]


def test_the_command_reads_the_logs_of_a_stack(stack: Names, run: Run) -> None:
    logs = client("logs")
    now = int(time.time() * 1000)
    group = f"/aws/lambda/{stack.state_function}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    old, new = logged("state", "old", events=5), logged("state", "new", events=7, write_units=3)
    messages = [{"timestamp": now - 7_200_000, "message": old}, {"timestamp": now - 60_000, "message": new}]
    logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=messages)
    status, out, err = run("cost")
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == "7 events in 1 invocation, 1.00 hours"
    assert "one record of up to 1 KB for each event" in out
    assert run("cost", "--since", "3h")[1].startswith("12 events in 2 invocations, 3.00 hours")
    assert run("cost", "--since", "10s")[2].startswith("oncefold: no events were delivered")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "soon"], "'soon' is no length of time; write 90s, 30m, 6h or 2d"),
        (["--from", "yesterday"], "Invalid value for '--from'"),
        (["--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"], "ends before it begins"),
        (["--logs", "/nowhere"], "/nowhere: cannot be read: No such file or directory"),
        (["--prices", "/nowhere"], "/nowhere: cannot be read"),
    ],
)
def test_what_cannot_be_calculated(run: Run, arguments: list[str], message: str) -> None:
    status, out, err = run("cost", *arguments)
    assert (status, out) == (2, "")
    assert message in err


def test_a_stack_or_a_file_is_needed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONCEFOLD_STACK", raising=False)
    assert main(["aws", "cost"]) == 2
    assert "which stack? Name one with --stack, or in ONCEFOLD_STACK; or give --logs FILE" in capsys.readouterr().err
