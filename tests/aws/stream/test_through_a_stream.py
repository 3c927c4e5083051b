"""From files into a stream of the emulator and out of it again: the same totals, through kills and splits."""

import json
import random
import re
import signal
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest

from oncefold.aws.connect import client
from oncefold.aws.stream.records import Line, pack
from oncefold.aws.stream.send import send
from oncefold.cli.definition import EXAMPLE
from oncefold.cli.main import main
from oncefold.core.fold import Outcome
from oncefold.generate import Workload, generate, truth, write
from oncefold.store.reader import StoreFile
from oncefold_lab.local.emulator import Emulator
from tests.aws.aggregating import aggregated
from tests.tools.processes import Command
from tests.tools.sizes import full_only, sized
from tests.tools.waiting import until

WORKLOAD = Workload(count=6_000, duplicates=0.1, modifications=0.3, out_of_order=0.05, deletes=0.05, seed=3)
SHARDS, FEW = 4, 500
_NUMBERS = count(1)
PLACE = '{"RiskType": "PV", "TradeDesk": "x", "Region": "y"}'


def event(key: object) -> str:
    return f'{{"TradeID": "{key}", "Version": 1, "Value": 1.25, "Hierarchy": {PLACE}}}'


class User:
    """Types commands in a folder with a pipeline file, about one stream of four shards."""

    def __init__(self, capsys: pytest.CaptureFixture[str], stream: str) -> None:
        self._capsys = capsys
        self.stream = stream
        self.source = f"kinesis://{stream}"
        self.kinesis = client("kinesis")

    def types(self, *arguments: object, status: int = 0) -> list[str]:
        """Run `oncefold`; what it says on stderr, line by line, without `oncefold: `."""
        self._capsys.readouterr()
        try:
            found = main(list(map(str, arguments)))
        except SystemExit as end:
            found = int(end.code or 0)
        self.stdout, stderr = self._capsys.readouterr()
        assert found == status, stderr
        assert "Traceback" not in stderr
        return [line.removeprefix("oncefold: ") for line in stderr.splitlines()]

    def sends(self, *arguments: object, status: int = 0) -> list[str]:
        return self.types("aws", "send", *arguments, "--stream", self.stream, status=status)

    def runs(self, *arguments: object, status: int = 0) -> list[str]:
        return self.types("run", "pipeline.toml", *(arguments or (self.source, "--store", "s.db")), status=status)

    def reads(self, *arguments: object, status: int = 0) -> str:
        """What a run says that it read."""
        (facts,) = [line for line in self.runs(*arguments, status=status) if re.match(r"[0-9,]+ events?: ", line)]
        return facts

    def totals(self, store: str) -> str:
        """What `query` gives as JSON, byte for byte but for the commit's number and time, and the lag since."""
        self.types("query", "--store", store, "--depth", "all", "--format", "json")
        return re.sub(r'"(commit(_time)?|lag_seconds)": .*\n', "", self.stdout)

    def records(self) -> list[bytes]:
        """All that is in the stream."""
        found: list[bytes] = []
        for shard in self.kinesis.list_shards(StreamName=self.stream)["Shards"]:
            start = {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = self.kinesis.get_shard_iterator(StreamName=self.stream, **start)["ShardIterator"]
            while (answer := self.kinesis.get_records(ShardIterator=iterator))["Records"]:
                found += [record["Data"] for record in answer["Records"]]
                iterator = answer["NextShardIterator"]
        return found

    def first_records(self) -> list[bytes]:
        """A few of what is in the stream's first shard."""
        start = {"ShardId": f"shardId-{0:012d}", "ShardIteratorType": "TRIM_HORIZON"}
        iterator = self.kinesis.get_shard_iterator(StreamName=self.stream, **start)["ShardIterator"]
        answer = self.kinesis.get_records(ShardIterator=iterator, Limit=FEW)
        return [record["Data"] for record in answer["Records"]]

    def put(self, *keys: object) -> None:
        lines = [Line(event(key).encode()) for key in keys]
        send(self.kinesis, self.stream, pack(lines, record_bytes=2**20))


@pytest.fixture
def user(aws: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> User:
    monkeypatch.chdir(tmp_path)
    Path("pipeline.toml").write_text(EXAMPLE)
    stream = f"through-{next(_NUMBERS)}"
    client("kinesis").create_stream(StreamName=stream, ShardCount=SHARDS)
    return User(capsys, stream)


def counted(store: str | Path = "s.db") -> Counter[Outcome]:
    """What the store counted, once it is found exact."""
    with StoreFile.open(store) as reader:
        assert reader.verify().differences == []
        return +Counter(reader.status().counts)


# The same totals


def test_the_totals_through_a_stream_are_those_of_the_file(user: User) -> None:
    write(WORKLOAD, "events.jsonl.gz")
    said = user.sends("events.jsonl.gz")
    assert said[-1].startswith(f"6,000 lines sent to {user.stream} in 6,000 records")
    assert user.reads().startswith("6,000 events: ")
    user.runs("events.jsonl.gz", "--store", "f.db")
    assert user.totals("s.db") == user.totals("f.db")
    assert json.loads(user.stdout)["rows"][0]["count"] == truth(WORKLOAD)["nodes"][""]["count"]
    shards = {position["source"] for position in status(user)["sources"]}
    assert shards == {f"{user.source}/shardId-{shard:012d}" for shard in range(SHARDS)}

    assert user.reads().startswith("0 events")
    user.sends("events.jsonl.gz", "--lines-per-record", 40, "--pipeline", "pipeline.toml")
    before = user.totals("s.db")
    assert user.reads().startswith("6,000 events: 0 accepted")
    assert user.totals("s.db") == before
    assert user.reads(user.source, "--store", "s.db", "--reread").startswith("12,000 events: 0 accepted")
    assert user.totals("s.db") == before


def status(user: User) -> dict[str, Any]:
    user.types("status", "--store", "s.db", "--format", "json")
    found: dict[str, Any] = json.loads(user.stdout)
    return found


def test_a_keys_events_stay_in_one_shard_in_order_if_asked_for(user: User) -> None:
    write(WORKLOAD, "events.jsonl")
    user.sends("events.jsonl", "--partition-by", "TradeID", "--lines-per-record", 30)
    user.runs()
    user.runs("events.jsonl", "--store", "f.db")
    assert counted() == counted("f.db")


@full_only("2 s")
def test_some_records_fail_and_exactly_they_are_sent_again(user: User) -> None:
    rng = random.Random(8)

    class Faulty:
        meta = user.kinesis.meta

        def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
            lost = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}
            taken = [rng.random() > 0.3 for _ in Records]
            chosen = [record for record, is_taken in zip(Records, taken, strict=True) if is_taken]
            entries = iter(user.kinesis.put_records(StreamName=StreamName, Records=chosen)["Records"] if chosen else [])
            return {"Records": [next(entries) if is_taken else lost for is_taken in taken]}

    lines = b"".join(generate(WORKLOAD)).splitlines()
    sent = send(Faulty(), user.stream, pack(map(Line, lines), record_bytes=2**20))
    assert sent.throttled > 1_000
    assert Counter(user.records()) == Counter(lines)
    user.runs()
    Path("events.jsonl").write_bytes(b"\n".join(lines))
    user.runs("events.jsonl", "--store", "f.db")
    assert user.totals("s.db") == user.totals("f.db")


# Kills and splits


def events_in(path: Path) -> int:
    """Events committed, as seen while the store is written."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            return int(connection.execute("SELECT sum(events) FROM counters").fetchone()[0])
    except sqlite3.OperationalError:  # the file or its tables are not made yet
        return 0


def test_kills_lose_nothing_and_read_nothing_twice(user: User, tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"{seed=}")
    rng, store = random.Random(seed), Path("s.db")
    keys = iter(range(10**6))
    sent = 0
    for _ in range(sized(1, 3)):
        arguments = ("run", "pipeline.toml", user.source, "--follow", "--store", store, "--quiet")
        with Command(tmp_path, *arguments) as process:
            aim = sent
            for _ in range(rng.randrange(2, 5)):
                batch = [next(keys) for _ in range(700)]
                user.put(*batch)
                sent += len(batch)
                aim = sent - rng.randrange(1, 1_400)
            until(lambda: events_in(store) >= aim, "some of it is committed")  # noqa: B023
            process.send(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL, process.words
    user.put("last")
    user.runs()
    assert counted() == {Outcome.INSERTED: sent + 1}


def test_a_split_after_everything_was_read(user: User) -> None:
    user.put(*range(100))
    user.runs()
    shard = user.kinesis.list_shards(StreamName=user.stream)["Shards"][0]
    middle = int(shard["HashKeyRange"]["EndingHashKey"]) // 2
    user.kinesis.split_shard(StreamName=user.stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(middle))
    user.put(*range(100, 400))
    said = user.runs(status=1)  # the emulator forgets a shard that was split, which AWS does when its records are old
    assert f"{user.source}/{shard['ShardId']} is no longer in the stream" in " ".join(said)
    assert counted() == {Outcome.INSERTED: 400}
    assert user.reads().startswith("0 events")
    assert [source["closed"] for source in status(user)["sources"]].count(True) == 1
    user.types("status", "--store", "s.db")
    assert re.search(rf"{shard['ShardId']} +after …\d{{12}} +none, closed", user.stdout)


def test_following_commits_what_comes_soon(user: User, tmp_path: Path) -> None:
    store = Path("s.db")
    user.put("warm")
    with Command(tmp_path, "run", "pipeline.toml", user.source, "--follow", "--store", store) as process:
        until(lambda: events_in(store) == 1, "it follows")
        for number in range(2, 6):
            user.put(number)
            # A look each 0.25 s, and as long for the commit; the rest is for a machine with other things to do.
            until(lambda: events_in(store) == number, "it is committed", seconds=20)  # noqa: B023
        process.send(signal.SIGINT)
        assert process.wait() == 0, process.words
    assert process.lines[-1].startswith("oncefold: stopped; nothing is lost. To go on: oncefold run")
    assert user.reads().startswith("0 events")


# In words


def test_what_cannot_be_reached_is_one_line(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (["run", "pipeline.toml", "kinesis://nowhere"], ["aws", "send", __file__, "--stream", "nowhere"]):
        extra = ["--format", "jsonl"] if "send" in command else []
        (line,) = user.types(*command, *extra, status=2)
        assert line.startswith("kinesis://nowhere: there is no such stream in us-east-1")
    assert not list(Path().glob("*.db"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers credentials
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
    monkeypatch.setenv("AWS_CONFIG_FILE", "none")
    (line,) = user.runs(user.source, status=2)
    assert "Unable to locate credentials" in line


def test_lines_too_long_for_the_stream_are_named_and_the_rest_is_sent(user: User) -> None:
    Path("a.jsonl").write_text(f"{event(1)}\n\n{'x' * 2**20}\n{event(2)}\n")
    said = user.sends("a.jsonl", "--lines-per-record", 5, status=1)
    assert re.search(r"a.jsonl, line 3: not sent: 1,048,\d+ bytes", said[0])
    assert said[-1].startswith(f"2 lines sent to {user.stream} in 2 records")
    assert "1 too large" in said[-1]
    assert sorted(user.records()) == [event(1).encode(), event(2).encode()]


@full_only("2 s")
def test_standard_input_is_sent_as_it_comes(user: User, tmp_path: Path) -> None:
    with Command(tmp_path, "aws", "send", "-", "--stream", user.stream, stdin=subprocess.PIPE) as process:
        pipe = process.process.stdin
        assert pipe is not None
        pipe.write(event(1).encode() + b"\n")
        pipe.flush()
        until(lambda: user.records() == [event(1).encode()], "the first line is sent while the pipe is open")
        pipe.write(event(2).encode())
        pipe.close()
        assert process.wait() == 0, process.words
    assert sorted(user.records()) == [event(1).encode(), event(2).encode()]


@full_only("2 s")
def test_ctrl_c_says_how_much_is_in_the_stream(user: User, tmp_path: Path) -> None:
    write(Workload(count=300_000, seed=1), "many.jsonl")
    with Command(tmp_path, "aws", "send", "many.jsonl", "--stream", user.stream) as process:
        until(lambda: len(user.first_records()) == FEW, "some of it is sent")
        process.send(signal.SIGINT)
        assert process.wait() == 130, process.words
    reported = re.search(r"stopped: ([0-9,]+) lines are surely in", process.words)
    assert reported is not None
    assert int(reported[1].replace(",", "")) == len(user.records()) < 300_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["aws", "send", "a.jsonl"], "which stream? Name a stack with --stack"),
        (["aws", "send", "a.jsonl", "--stack", "s", "--stream", "t"], "not both"),
        (["aws", "send", "a.jsonl", "--stream", "t", "--pipeline", "p", "--partition-by", "k"], "Say one of"),
        (["aws", "send", "a.jsonl", "--stack", "none"], "or send --evenly"),
        (["aws", "send", "a.jsonl", "--stream", "t", "--partition-by", "k..l"], "is not a field path"),
        (["aws", "send", "nothing.jsonl", "--stream", "t"], "there is no such file"),
        (["aws", "send", "kinesis://other", "--stream", "t"], "a stream is not sent on"),
    ],
)
def test_what_makes_no_sense_is_refused(user: User, arguments: list[str], message: str) -> None:
    Path("a.jsonl").write_text(event(1))
    assert message in " ".join(user.types(*arguments, status=2))


# Aggregated records


def test_aggregated_records_give_the_same_totals_also_where_a_part_of_one_was_counted(user: User) -> None:
    events = [event(key).encode() for key in range(40)]
    user.put(*range(10, 15))  # a part of what the records hold, by another way
    user.runs()
    for first in range(0, 40, 8):
        data = aggregated(*events[first : first + 8])
        user.kinesis.put_record(StreamName=user.stream, Data=data, PartitionKey=f"a-{first}")
    user.runs()
    assert counted() == {Outcome.INSERTED: 40, Outcome.DUPLICATE: 5}
    user.runs(user.source, "--store", "s.db", "--reread")
    assert counted() == {Outcome.INSERTED: 40, Outcome.DUPLICATE: 50}
