"""What no emulator shows: shards with parents that are not read to their end, and calls that fail for a while."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from botocore.exceptions import ClientError, EndpointConnectionError

from oncefold_lab.local.environment import FunctionError, InvocationResult
from oncefold_lab.local.mappings import EventSourceMapping
from oncefold_lab.local.settings import Disturbance, MappingSettings
from oncefold_lab.local.streams import Fetched, PolledRecord, ShardDescription
from tests.aws.local.services import QUICK
from tests.tools.waiting import until

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
SECONDS = 30.0


@dataclass
class Growing:
    """A stream in memory that can be split."""

    arn: str = ARN
    records: dict[str, list[str]] = field(default_factory=lambda: {"a": []})
    parents: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"a": ()})
    closed: set[str] = field(default_factory=set)
    failing: int = 0
    """How many of the next calls fail."""

    def shards(self) -> list[ShardDescription]:
        return [ShardDescription(shard, parents) for shard, parents in list(self.parents.items())]

    def iterator(self, shard: str, after: str | None, *, latest: bool) -> str:
        return "0"

    def fetch(self, shard: str, iterator: str, limit: int) -> Fetched:
        if self.failing:
            self.failing -= 1
            raise EndpointConnectionError(endpoint_url="http://nowhere")
        first = int(iterator)
        texts = self.records[shard][first : first + limit]
        found = [(PolledRecord(text, text[:1].encode(), 0.0, json.dumps(text).encode()), True) for text in texts]
        last = first + len(texts)
        following = None if shard in self.closed and last == len(self.records[shard]) else str(last)
        return Fetched(found, following, behind=last < len(self.records[shard]))

    def split(self, shard: str, *children: str) -> None:
        self.closed.add(shard)
        for child in children:
            self.records[child] = []
            self.parents[child] = (shard,)


@dataclass
class Recorder:
    """A function in this process that writes down what it gets and answers as told."""

    answer: Callable[[list[str]], bytes | None] = lambda texts: b""
    got: list[list[str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, payload: bytes) -> InvocationResult:
        texts = json.loads(payload)["Records"]
        with self.lock:
            self.got.append(texts)
        answer = self.answer(texts)
        error = FunctionError("ValueError", "no") if answer is None else None
        return InvocationResult("request", answer or b"", error, 0.0, 0.0, "stream", ())

    @property
    def texts(self) -> list[str]:
        return [text for texts in self.got for text in texts]


def mapping(
    stream: Growing, recorder: Recorder, disturbance: Disturbance | None = None, **settings: object
) -> EventSourceMapping:
    made = MappingSettings(ARN, "function", **settings)  # type: ignore[arg-type]
    return EventSourceMapping(made, stream, recorder, timing=QUICK, disturbance=disturbance)


def test_children_wait_until_their_parent_is_finished() -> None:
    """A retry of the parent's last batch comes before anything of its children."""
    stream = Growing()
    stream.records["a"] = [f"k{number}" for number in range(50)]
    stream.split("a", "b", "c")
    stream.records["b"] = [f"k{number}" for number in range(50, 80)]
    stream.records["c"] = [f"m{number}" for number in range(20)]
    stream.split("b", "d")
    stream.records["d"] = [f"k{number}" for number in range(80, 90)]
    failed: list[str] = []

    def once_failing(texts: list[str]) -> bytes | None:
        if texts[0] in failed:
            return b""
        failed.append(texts[0])
        return None

    recorder = Recorder(once_failing)
    with mapping(stream, recorder, batch_size=7) as running:
        running.wait_until_idle(SECONDS)
        assert running.counts.records == 110
    finished = list(dict.fromkeys(recorder.texts))
    assert [text for text in finished if text.startswith("k")] == [f"k{number}" for number in range(90)]
    assert [text for text in finished if text.startswith("m")] == [f"m{number}" for number in range(20)]
    assert finished.index("k49") < finished.index("m0")


def test_a_split_while_running_is_found_before_it_is_idle() -> None:
    stream, recorder = Growing(), Recorder()
    with mapping(stream, recorder) as running:
        for generation in range(5):
            parent, child = chr(ord("a") + generation), chr(ord("b") + generation)
            stream.records[parent].append(f"k{generation}")
            stream.split(parent, child)
            running.wait_until_idle(SECONDS)
            assert recorder.texts == [f"k{number}" for number in range(generation + 1)]


def test_calls_that_fail_for_a_while_lose_nothing() -> None:
    stream, recorder = Growing(), Recorder()
    stream.records["a"] = [f"k{number}" for number in range(30)]
    stream.failing = 3
    with mapping(stream, recorder, batch_size=10) as running:
        running.wait_until_idle(SECONDS)
    assert recorder.texts == stream.records["a"]


def test_a_failure_destination_that_fails_for_a_while_is_told_in_the_end() -> None:
    stream, recorder = Growing(), Recorder(lambda texts: None)
    stream.records["a"] = ["k0"]
    reported: list[str] = []
    failures = [ClientError({"Error": {"Code": "ServiceUnavailable", "Message": ""}}, "SendMessage")] * 2

    def discard(body: str) -> None:
        if failures:
            raise failures.pop()
        reported.append(body)

    made = MappingSettings(ARN, "function", max_retries=0)
    with EventSourceMapping(made, stream, recorder, discard, QUICK) as running:
        running.wait_until_idle(SECONDS)
    assert len(reported) == 1


def test_finished_batches_can_come_again_out_of_order() -> None:
    class TheFirstLater:
        """Repeats the first batch after two others."""

        asked = 0

        def retry_size(self, failed: int, most: int) -> int:
            return failed

        def repeat_after(self) -> int | None:
            self.asked += 1
            return 2 if self.asked == 1 else None

    stream, recorder = Growing(), Recorder()
    stream.records["a"] = [f"k{number}" for number in range(10)]
    with mapping(stream, recorder, TheFirstLater(), batch_size=1) as running:
        running.wait_until_idle(SECONDS)
        assert running.counts.repeated == 1
    again = recorder.texts.index("k0", 1)
    assert again >= 3
    assert recorder.texts.count("k0") == 2
    assert list(dict.fromkeys(recorder.texts)) == stream.records["a"]


def test_stopping_finishes_the_batch_under_way_and_begins_no_other() -> None:
    release = threading.Event()

    def wait(texts: list[str]) -> bytes:
        release.wait(SECONDS)
        return b""

    stream, recorder = Growing(), Recorder(wait)
    stream.records["a"] = ["k0", "k1"]
    running = mapping(stream, recorder, batch_size=1)
    running.start()
    until(lambda: recorder.got, "the first batch is under way")
    stopper = threading.Thread(target=running.stop)
    stopper.start()
    release.set()
    stopper.join(SECONDS)
    assert running.counts.records == len(recorder.got)
    assert recorder.got[0] == ["k0"]
