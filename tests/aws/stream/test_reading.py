"""A stream as a source: every record once, in its shard's order, on from any position, whatever befalls the stream."""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from oncefold.aws.stream import open_stream
from oncefold.aws.stream.reading import SHARDS_SECONDS, KinesisStream
from oncefold.aws.stream.shards import BYTES_PER_SECOND, CALL_SECONDS, FULL, MOST_FAILURES, NOTE_SECONDS
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import OncefoldError, SourceError
from oncefold.engine.decoding import BlockDecoder
from oncefold.sources.blocks import Block, Finding, TextBlock
from oncefold.sources.inputs import ReadOptions
from oncefold.sources.sources import Sources
from tests.aws.aggregating import aggregated
from tests.aws.stream.scripted import HOUR, Kinesis, refusal
from tests.sources.tools import ScriptedWaiting, nothing, positions_of

ORDERS = "kinesis://orders"
EPOCH = 1_700_000_000.0


class Reader:
    """A stream of the test's own time, and runs that read it one after another, each on from where the last ended."""

    def __init__(self, shards: int = 1, **options: Any) -> None:
        self.waiting = ScriptedWaiting()
        self.kinesis = Kinesis.of(self.wall, shards, **options)
        self.positions: dict[str, str] = {}
        self.findings: list[Finding] = []
        self.blocks: list[TextBlock] = []

    def wall(self) -> float:
        return EPOCH + self.waiting.seconds

    def iterate(
        self, steps: int = 1_000, *more: Callable[[], object], follow: bool = False
    ) -> Iterator[Block | Finding]:
        """A run that may pause so many times, then does these steps in further pauses, and is stopped in the next."""
        self.waiting.steps, self.waiting.stop = [nothing] * steps + list(more), False
        stream = KinesisStream(
            self.kinesis, "orders", self.positions, follow=follow, wall_clock=self.wall, chance=lambda: 0.5
        )
        yield from stream.blocks(self.waiting)

    def run(self, *steps: Callable[[], object], follow: bool = False) -> list[bytes]:
        """What one run hands on, all of it committed."""
        self.findings, self.blocks = [], []
        for item in self.iterate(0 if follow else 1_000, *steps, follow=follow):
            if isinstance(item, Finding):
                self.findings.append(item)
            else:
                assert isinstance(item, TextBlock)
                self.blocks.append(item)
                self.positions[item.position.source] = item.position.state
        return lines_of(self.blocks)

    def follow(self, *steps: Callable[[], object]) -> list[bytes]:
        return self.run(*steps, follow=True)

    def kinds(self) -> list[str]:
        return [finding.kind for finding in self.findings]

    def later(self, seconds: float) -> Callable[[], None]:
        def step() -> None:
            self.waiting.seconds += seconds

        return step

    def put(self, shard: int | str, *data: bytes) -> Callable[[], None]:
        name = f"shardId-{shard:03d}" if isinstance(shard, int) else shard
        return lambda: self.kinesis.put(name, *data)


def lines_of(blocks: list[TextBlock]) -> list[bytes]:
    return [line for block in blocks for line in bytes(block.data).splitlines() if line]


def numbered(shard: int, count: int, start: int = 0) -> list[bytes]:
    return [b"%d-%d" % (shard, number) for number in range(start, start + count)]


def by_shard(lines: list[bytes]) -> Mapping[bytes, list[bytes]]:
    found = defaultdict(list)
    for line in lines:
        found[line.split(b"-")[0]].append(line)
    return found


# Reading


def test_all_shards_are_read_each_in_order() -> None:
    reader = Reader(5, page_records=3)
    for shard in range(5):
        reader.put(shard, *numbered(shard, shard * 4))()
    lines = reader.run()
    assert by_shard(lines) == {b"%d" % shard: numbered(shard, shard * 4) for shard in range(1, 5)}
    assert sorted(reader.positions) == [f"{ORDERS}/shardId-{shard:03d}" for shard in range(5)]
    assert reader.findings == []


def test_a_run_goes_on_exactly_after_any_block_that_was_committed() -> None:
    def filled() -> Reader:
        reader = Reader(3, page_records=2)
        for shard in range(3):
            reader.put(shard, *numbered(shard, 7))()
        return reader

    whole = sorted(filled().run())
    for committed in range(15):
        reader = filled()
        items = reader.iterate()
        seen = [item for item, _ in zip(items, range(committed), strict=False)]
        items.close()  # type: ignore[attr-defined]
        reader.positions = positions_of(seen)
        before = lines_of([block for block in seen if isinstance(block, TextBlock)])
        assert sorted(before + reader.run()) == whole, committed
        assert reader.run() == []


def test_lines_of_records_and_where_they_came_from() -> None:
    reader = Reader()
    reader.put(0, b"one", b"", b"two\n", b"three\nfour", b"\n", b"five\r\n")()
    assert reader.run() == [b"one", b"two", b"three", b"four", b"five"]
    (block,) = reader.blocks
    data, pieces = bytes(block.data), block.pieces
    assert data.endswith(b"\n")
    assert pieces is not None
    shard = f"{ORDERS}/shardId-000"
    assert pieces.locate(data.index(b"one")) == (f"{shard}@4907", 0)
    assert pieces.locate(data.index(b"two")) == (f"{shard}@4921", 0)
    assert pieces.locate(data.index(b"four")) == (f"{shard}@4928", 6)
    assert pieces.locate(data.index(b"five")) == (f"{shard}@4942", 0)
    assert block.consumed_bytes == sum(map(len, (b"one", b"two\n", b"three\nfour", b"\n", b"five\r\n")))


@pytest.fixture
def pipeline() -> Pipeline:
    return parse_toml('name = "p"\n[event]\nkey = "id"\n[rollups]\nall = []\n', "p.toml")


def test_a_reject_names_the_shard_and_the_record(pipeline: Pipeline) -> None:
    reader = Reader()
    reader.put(0, b'{"id": 1}\nnonsense', b'{"id": 2}', b"more nonsense\n")()
    reader.run()
    batch, oversize = BlockDecoder(pipeline).decode(reader.blocks[0])
    assert oversize == []
    shard = f"{ORDERS}/shardId-000"
    assert [(r.source, r.position, r.raw) for r in batch.rejects] == [
        (f"{shard}@4907", 10, b"nonsense"),
        (f"{shard}@4921", 0, b"more nonsense"),
    ]


def test_the_user_records_of_an_aggregated_record_are_lines_with_places_of_their_own(pipeline: Pipeline) -> None:
    reader = Reader()
    reader.put(0, b'{"id": 1}', aggregated(b'{"id": 2}', b"", b'bad\n{"id": 3}\n', b'{"id": 4}'), b'{"id": 5}')()
    assert reader.run() == [b'{"id": 1}', b'{"id": 2}', b"bad", b'{"id": 3}', b'{"id": 4}', b'{"id": 5}']
    batch, refused = BlockDecoder(pipeline).decode(reader.blocks[0])
    assert refused == []
    assert [(r.source, r.position, r.raw) for r in batch.rejects] == [(f"{ORDERS}/shardId-000@4914#2", 0, b"bad")]
    assert reader.run() == []


def test_an_aggregated_record_that_was_changed_is_refused_in_words_and_the_rest_goes_on(pipeline: Pipeline) -> None:
    reader = Reader()
    changed = aggregated(b'{"id": 7}').replace(b"7", b"8")
    reader.put(0, b'{"id": 1}', changed, b'{"id": 2}')()
    reader.run()
    batch, refused = BlockDecoder(pipeline).decode(reader.blocks[0])
    assert not batch.rejects
    assert [(r.source, r.position, r.raw, r.size) for r in refused] == [
        (f"{ORDERS}/shardId-000@4914", 0, changed, len(changed))
    ]
    assert "checksum is wrong" in refused[0].reason
    assert reader.run() == []


# Splits and merges


def test_children_come_after_their_parents() -> None:
    reader = Reader(2, page_records=2)
    for shard in range(2):
        reader.put(shard, *numbered(0, 5, 10 * shard))()
    split = [reader.kinesis.add_shard("shardId-000") for _ in range(2)]
    merged = reader.kinesis.add_shard(split[1], "shardId-001")
    for shard in (*split, merged):
        reader.put(shard, *numbered(0, 3, 100 * int(shard[-1])))()
    lines = reader.run()
    at = {line: index for index, line in enumerate(lines)}
    assert len(at) == len(lines) == 19
    parents = numbered(0, 5)
    for child in numbered(0, 3, 200) + numbered(0, 3, 300):
        assert all(at[parent] < at[child] for parent in parents)
    for child in numbered(0, 3, 400):
        assert all(at[parent] < at[child] for parent in numbered(0, 5, 10) + numbered(0, 3, 300))
    assert reader.run() == []
    reader.put(merged, b"late")()
    assert reader.run() == [b"late"]


def test_a_split_while_the_stream_is_followed() -> None:
    reader = Reader()

    def split() -> None:
        for _ in range(2):
            reader.kinesis.add_shard("shardId-000")
        reader.put("shardId-000", b"last of the parent")()
        reader.put("shardId-001", b"left")()
        reader.put("shardId-002", b"right")()

    reader.put(0, b"first")()
    lines = reader.follow(nothing, split, *[nothing] * 4, reader.put("shardId-001", b"more"), nothing, nothing)
    assert lines[:2] == [b"first", b"last of the parent"]
    assert sorted(lines[2:4]) == [b"left", b"right"]
    assert lines[4:] == [b"more"]
    assert '"done":true' in reader.positions[f"{ORDERS}/shardId-000"]
    assert reader.findings == []


def test_a_parent_that_left_the_stream_does_not_hold_up_its_children() -> None:
    reader = Reader()
    reader.put(0, b"old")()
    assert reader.run() == [b"old"]
    reader.kinesis.add_shard("shardId-000")
    reader.put("shardId-001", b"new")()
    assert reader.run() == [b"new"]
    del reader.kinesis.shards["shardId-000"]
    reader.put("shardId-001", b"newer")()
    assert reader.run() == [b"newer"]
    assert reader.findings == []


# Its end


def test_a_run_ends_at_what_was_there_when_it_began_though_a_producer_goes_on() -> None:
    reader = Reader(page_records=2)
    reader.put(0, *numbered(0, 6))()
    numbers = iter(range(100))

    def produce() -> None:
        reader.put(0, b"1-%d" % next(numbers), b"1-%d" % next(numbers))()

    reader.later(1)()
    reader.kinesis.on_records = produce
    lines = reader.run()
    assert by_shard(lines)[b"0"] == numbered(0, 6)
    assert len(lines) < 30


def test_following_hands_on_what_comes_at_the_next_look_and_notes_no_silence() -> None:
    reader = Reader()
    looks = [reader.later(NOTE_SECONDS / 20)] * 9
    assert reader.follow(*looks, reader.put(0, b"one"), *looks) == [b"one"]
    assert len(reader.blocks) == 2
    reader.follow(*looks * 3)
    assert len(reader.blocks) == 1


def test_following_finds_new_shards() -> None:
    reader = Reader()

    def appear() -> None:
        reader.put(reader.kinesis.add_shard(), b"out of nowhere")()

    assert reader.follow(appear, *[nothing] * round(SHARDS_SECONDS / CALL_SECONDS + 2)) == [b"out of nowhere"]


# Limits


def test_a_shard_is_asked_four_times_a_second_and_for_two_megabytes() -> None:
    reader = Reader(2, page_records=1)
    reader.put(0, *numbered(0, 5))()
    reader.put(1, bytes(2 * BYTES_PER_SECOND), b"1-1")()
    reader.run()
    times = {
        name: [at - EPOCH for shard, at in reader.kinesis.asked if shard == name] for name in reader.kinesis.shards
    }
    assert times["shardId-000"] == [number * CALL_SECONDS for number in range(5)]
    assert times["shardId-001"] == [0.0, 2.0]


def test_throttling_is_told_once_and_waited_out() -> None:
    reader = Reader()
    reader.put(0, b"one")()
    throttled = refusal("ProvisionedThroughputExceededException", message="Rate exceeded")
    reader.kinesis.failures = [("get_records", throttled)] * 6
    assert reader.run() == [b"one"]
    assert reader.kinds() == ["delayed"]
    assert "Rate exceeded" in reader.findings[0].message
    waits = [round(later - earlier, 3) for (_, earlier), (_, later) in pairwise(reader.kinesis.asked)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0]


def unreachable() -> EndpointConnectionError:
    return EndpointConnectionError(endpoint_url="https://kinesis")


def test_a_network_that_stays_away_ends_a_run_with_words() -> None:
    reader = Reader(2)
    reader.put(0, b"one")()
    reader.kinesis.failures = [("get_records", unreachable())] * 100
    with pytest.raises(SourceError, match=r"cannot be reached.*the same command goes on from there"):
        reader.run()
    assert reader.kinds() == ["delayed"]
    assert MOST_FAILURES <= reader.kinesis.calls["get_records"] <= 2 * MOST_FAILURES


def test_following_outlasts_any_outage() -> None:
    reader = Reader()
    reader.put(0, b"one")()
    reader.kinesis.failures = [("get_records", unreachable())] * 3 * MOST_FAILURES + [("list_shards", unreachable())]
    reader.kinesis.failures.insert(0, ("get_records", refusal("InternalFailure")))
    with pytest.raises(SourceError):  # it must be there when a run begins
        reader.follow()
    assert reader.follow(*[nothing] * 10 * MOST_FAILURES) == [b"one"]
    assert reader.kinds() == ["delayed"]


def test_an_expired_iterator_is_renewed() -> None:
    reader = Reader()
    reader.put(0, b"one")()
    steps = [reader.kinesis.expire_iterators, reader.put(0, b"two"), nothing, nothing, nothing]
    assert reader.follow(*steps) == [b"one", b"two"]
    assert reader.kinesis.calls["get_shard_iterator"] == 2
    assert reader.findings == []


# What is lost is reported


def test_a_position_that_aged_out_is_told_and_reading_goes_on_with_the_oldest() -> None:
    reader = Reader(retention_hours=48)
    reader.put(0, *numbered(0, 4))()
    assert len(reader.run()) == 4
    reader.put(0, *numbered(0, 3, 4))()
    reader.later(49 * HOUR)()
    reader.kinesis.trim("shardId-000", 6)
    reader.put(0, b"new")()
    assert reader.run() == [b"0-6", b"new"]
    assert reader.kinds() == ["trimmed"]
    message = reader.findings[0].message
    assert "2023-11-14 22:13:20 UTC" in message
    assert "2023-11-14 23:13:20 UTC" in message
    assert "48 hours" in message
    assert "send those events again" in message
    assert reader.run() == []
    assert reader.findings == []


def test_a_shard_without_events_for_days_is_no_loss_while_it_is_looked_at() -> None:
    reader = Reader()
    reader.put(0, b"one")()
    reader.run()
    for _ in range(4):
        reader.later(20 * HOUR)()
        assert reader.run() == []
        assert reader.findings == []


def test_falling_behind_the_stream_is_told() -> None:
    reader = Reader(page_records=1)
    reader.put(0, b"one", b"two", b"three")()

    def fall_behind() -> None:
        reader.later(25 * HOUR)()
        reader.kinesis.trim("shardId-000", 3)
        reader.put(0, b"four")()

    assert reader.run(fall_behind) == [b"one", b"two", b"three"]
    assert reader.follow(fall_behind, nothing, nothing) == [b"four"]
    assert reader.kinds() == ["trimmed"]


def test_a_sequence_number_that_aws_does_not_know_is_told() -> None:
    reader = Reader()
    reader.put(0, b"one")()
    reader.run()
    reader.kinesis.sequence = 0
    reader.kinesis.shards["shardId-000"].records.clear()
    reader.put(0, b"two")()
    assert reader.run() == [b"two"]
    assert reader.kinds() == ["trimmed"]
    assert "it did not come from this stream" in reader.findings[0].message
    assert reader.run() == []
    assert reader.findings == []


def test_a_shard_that_vanished_unread_is_told_once() -> None:
    reader = Reader(2)
    reader.put(0, b"one")()
    reader.run()
    del reader.kinesis.shards["shardId-000"]
    reader.put(1, b"two")()
    assert reader.run() == [b"two"]
    assert reader.kinds() == ["trimmed"]
    assert "shardId-000 is no longer in the stream" in reader.findings[0].message
    assert reader.run() == []
    assert reader.findings == []


def test_a_shard_that_vanishes_while_it_is_followed_does_not_end_the_run() -> None:
    reader = Reader(2)
    steps = [lambda: reader.kinesis.shards.pop("shardId-000"), reader.put(1, b"one"), nothing, nothing]
    assert reader.follow(*steps) == [b"one"]
    assert reader.kinds() == ["trimmed"]


def test_a_stream_that_vanishes_ends_the_run() -> None:
    reader = Reader()

    def vanish() -> None:
        reader.kinesis.exists = False

    with pytest.raises(SourceError, match=r"kinesis://orders: there is no such stream in eu-west-1"):
        reader.follow(vanish, nothing, nothing)


def test_a_stream_that_was_made_anew_is_told_and_not_read_but_on_demand() -> None:
    reader = Reader()
    reader.put(0, b"one")()
    reader.run()
    reader.kinesis.created += 1
    reader.put(0, b"two")()
    assert reader.run() == []
    assert reader.kinds() == ["replaced"]
    assert "--reread" in reader.findings[0].message
    reader.positions = {}
    assert reader.run() == [b"one", b"two"]


# What is refused


def test_what_the_credentials_do_not_allow_is_told_in_one_line() -> None:
    reader = Reader()
    reader.kinesis.failures = [("get_records", refusal("AccessDeniedException", message="not authorized. "))]
    with pytest.raises(SourceError, match=r"^kinesis://orders: AWS refused GetRecords: not authorized.*AccessDenied"):
        reader.run()


def test_a_position_of_another_version_is_refused() -> None:
    reader = Reader()
    reader.positions = {f"{ORDERS}/shardId-000": '{"kind":"kinesis","after":"1"}'}
    with pytest.raises(SourceError, match=r"shardId-000: its position .* --reread"):
        reader.run()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (["kinesis://"], {}, "name a stream as kinesis://NAME"),
        (["kinesis://a/b"], {}, "name a stream as kinesis://NAME"),
        (["kinesis://orders"], {"format": "csv"}, "the records of a stream are JSON Lines"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        Sources(arguments, ReadOptions(**options))


def test_without_a_way_to_open_streams_they_are_refused() -> None:
    with pytest.raises(SourceError, match="kinesis://orders: streams are not read here"):
        Sources(["kinesis://orders"])


def test_without_boto3_the_way_on_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(OncefoldError, match=r"pip install 'oncefold\[aws\]'"):
        Sources(["kinesis://orders"], open_stream=open_stream)


def test_nothing_of_aws_is_imported_before_a_stream_is_named() -> None:
    program = (
        "import sys\nfrom oncefold.aws.stream import open_stream\nfrom oncefold.sources.inputs import ReadOptions\n"
        "from oncefold.sources.sources import Sources\n"
        f"Sources([{__file__!r}], ReadOptions(format='jsonl'), open_stream=open_stream)\n"
        "print([name for name in ('boto3', 'botocore') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_pauses_and_sizes_stay_within_the_limits_of_kinesis() -> None:
    assert 1 / CALL_SECONDS < 5
    assert FULL <= 10_000
    assert BYTES_PER_SECOND <= 2 * 2**20
