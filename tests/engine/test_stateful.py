"""The engine as a whole against the reference model: everything that can befall a store, in any order.

Events arrive in every form; they are corrected, moved, deleted, late, duplicated, contradicted, replayed in another
order and cut, or cannot be read; the definition is widened and rejects are redriven; the process crashes before or
after a commit, in the middle of a run, or leaves no more than its files; the store is merged, paged and forgets. After
every step every total equals the plain definition, and nothing is lost from the counts.
"""

import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from oncefold.commit import Conflict
from oncefold.core.decimals import format_decimal
from oncefold.core.errors import QueryError, StoreError
from oncefold.core.event import Content, Event
from oncefold.core.fold import Node, Outcome, Stored, Total, fold
from oncefold.core.measures import NO_VALUE
from oncefold.sources.blocks import Finding
from oncefold.sources.inputs import ReadOptions
from oncefold.sources.sources import Sources
from oncefold.store import rows
from oncefold.store.check import check_store
from oncefold.store.reader import StoreFile
from tests.engine.records import (
    BATCHES,
    HEADER,
    NARROW,
    NARROW_SETS,
    RECORDS,
    WIDE,
    WIDE_SETS,
    Record,
    contents_in_csv,
    csv_lines,
    json_lines,
    mappings,
    table,
)
from tests.engine.small import BLOCK_BYTES, on_commit, open_small, small_limits, tick
from tests.store.model import SECOND, ManualClock
from tests.tools import reference
from tests.tools.sizes import examples

GARBAGE = [
    b"not an event",
    b'{"id": "a", "v": 1}}',
    b'{"id": "a", "v": 1, "v": 2}',
    b"7",
    b"\xff",
    b'{"id": 1.5, "v": 1}',
]

_SHM = Path("/dev/shm")

Totals = dict[Node, Total]


@dataclass
class GrowingFile:
    """A file that grows, and what of it was not read yet: where each record ends, and the record."""

    path: Path
    write: Callable[[Iterable[Record]], bytes]
    size: int = 0
    unread: list[tuple[int, Record]] = field(default_factory=list)

    def append(self, records: Sequence[Record]) -> None:
        with self.path.open("ab") as file:
            for record in records:
                self.size += file.write(self.write([record]))
                self.unread.append((self.size, record))

    def read_to(self, offset: int) -> list[Record]:
        """Take what stands before this offset."""
        read = [record for end, record in self.unread if end <= offset]
        del self.unread[: len(read)]
        return read


@dataclass
class Model:
    """What the engine must say. It folds only to know the outcomes; the totals are the reference's."""

    accepted: list[Event] = field(default_factory=list)
    states: dict[str, Stored] = field(default_factory=dict)
    counts: Counter[Outcome] = field(default_factory=Counter)
    conflicts: set[Conflict] = field(default_factory=set)
    rejected: list[tuple[str, Record | None]] = field(default_factory=list)
    """The reject list: how each is read again, and what it is."""

    def arrive(self, events: Iterable[Event | None]) -> Counter[Outcome]:
        """Fold events; None is a reject. What becomes of them."""
        outcomes: Counter[Outcome] = Counter()
        for event in events:
            if event is None:
                outcomes[Outcome.REJECTED] += 1
                continue
            was = self.states.get(event.key)
            outcome, self.states[event.key] = fold(was, event)
            outcomes[outcome] += 1
            self.accepted.append(event)
            if was is not None and outcome in (Outcome.CONFLICT_WON, Outcome.CONFLICT_LOST):
                contents = (was.content, event.content)
                kept, dropped = contents if outcome is Outcome.CONFLICT_LOST else reversed(contents)
                self.conflicts.add(Conflict(event.key, event.version, _as_json(kept), _as_json(dropped)))
        self.counts += outcomes
        return outcomes


class Engine(RuleBasedStateMachine):
    """The machine: rules are what may happen, the invariant is checked after each."""

    narrow, wide = NARROW, WIDE

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=_SHM if _SHM.is_dir() else None))
        self.limits = ExitStack()
        self.limits.enter_context(small_limits())
        self.number = 0
        self.path = self.folder / "store0.db"
        self.pipeline = self.narrow
        self.clock = ManualClock(1_000 * SECOND)
        self.model = Model()
        self.remembered: dict[int, Totals] = {}
        self.lines = GrowingFile(self.folder / "growing.jsonl", json_lines)
        self.cells = GrowingFile(self.folder / "growing.csv", csv_lines)

    @initialize()
    def begin(self) -> None:
        self.lines.path.touch()
        self.cells.path.write_text(HEADER)
        self.cells.size = len(HEADER)
        self.session = self._open()

    def _open(self) -> Any:
        return open_small(self.path, self.pipeline, self.clock)

    def _events(self, records: Iterable[Record], form: str) -> list[Event | None]:
        """What records mean now; those that mean nothing go on the model's reject list."""
        events = [record.event(self.pipeline) for record in records]
        self.model.rejected += [(form, r) for r, event in zip(records, events, strict=True) if event is None]
        return events

    # Arriving, as calls

    @rule(records=BATCHES, form=st.sampled_from(["json", "mappings", "table"]))
    def ingest(self, records: list[Record], form: str) -> None:
        self._ingest(records, form)

    def _ingest(self, records: Sequence[Record], form: str) -> None:
        forms: dict[str, Callable[[Sequence[Record]], Any]] = {"json": json_lines, "mappings": mappings, "table": table}
        done = self.session.ingest(forms[form](records), source=form, position=str(self.clock.now))
        expected = self.model.arrive(self._events(records, form))
        assert done.counts == expected
        assert done.events == len(records)
        assert self.session.positions[form] == str(self.clock.now)

    @rule(garbage=st.lists(st.sampled_from(GARBAGE), min_size=1, max_size=3), records=st.lists(RECORDS, max_size=3))
    def ingest_with_garbage(self, garbage: list[bytes], records: list[Record]) -> None:
        done = self.session.ingest(b"\n".join(garbage) + b"\n\n" + json_lines(records))
        self.model.rejected += [("json", None)] * len(garbage)
        expected = self.model.arrive([None] * len(garbage) + self._events(records, "json"))
        assert done.counts == expected

    @rule(seed=st.integers(0, 99), form=st.sampled_from(["json", "mappings", "table"]), size=st.integers(1, 40))
    @precondition(lambda self: self.model.accepted)
    def replay(self, seed: int, form: str, size: int) -> None:
        """Everything that ever counted, once more, in another order, cut otherwise: nothing changes."""
        again = [_record(event) for event in self.model.accepted]
        random.Random(seed).shuffle(again)
        before = reference.totals(self.pipeline, self.model.accepted)
        for start in range(0, len(again[:200]), size):
            part = again[start : start + size]
            self.session.ingest({"json": json_lines, "mappings": mappings, "table": table}[form](part))
            self.model.arrive(record.event(self.wide) for record in part)
        assert reference.totals(self.pipeline, self.model.accepted) == before

    # Arriving, as files

    @rule(records=BATCHES, more=st.lists(RECORDS, max_size=12))
    def run_files(self, records: list[Record], more: list[Record]) -> None:
        self.lines.append(records)
        self.cells.append(contents_in_csv(more))
        commits = self._run()
        assert commits > 0

    @rule()
    def run_again(self) -> None:
        self._run()

    def _run(self) -> int:
        """Read what is new; the commits it took."""
        done = self.session.run(self._sources().blocks())
        assert done.findings == []
        lines, cells = self.lines.read_to(self.lines.size), self.cells.read_to(self.cells.size)
        expected = self.model.arrive(self._events(lines, "json") + self._events(cells, "csv"))
        assert done.counts == expected
        return done.commits

    def _sources(self) -> Sources:
        options = ReadOptions(fields=self.pipeline.fields, block_bytes=BLOCK_BYTES)
        return Sources([str(self.lines.path), str(self.cells.path)], options, self.session.positions)

    # Mending

    @rule()
    @precondition(lambda self: self.pipeline is self.narrow)
    def widen(self) -> None:
        self.session.close()
        self.pipeline = self.wide
        self.session = self._open()

    @rule()
    @precondition(lambda self: self.model.rejected)
    def redrive(self) -> None:
        # JSON is read again first, then the rest, each in the order of its rejection
        ordered = sorted(self.model.rejected, key=lambda item: item[0] != "json")
        read = [(item, item[1].event(self.pipeline) if item[1] else None) for item in ordered]
        done = self.session.redrive()
        before = self.model.counts[Outcome.REJECTED]
        outcomes = self.model.arrive(event for _, event in read)
        self.model.counts[Outcome.REJECTED] = before
        assert done.counts == outcomes
        mended = Counter(id(item) for item, event in read if event is not None)
        self.model.rejected = [item for item in self.model.rejected if id(item) not in mended]

    # Ending

    @rule()
    def reopen(self) -> None:
        self.session.close()
        self.session = self._open()

    @rule()
    def lose_everything_but_the_files(self) -> None:
        """The process is gone: what it wrote is there, in the database and its log; nothing was closed."""
        was, self.number = self.path, self.number + 1
        self.path = self.folder / f"store{self.number}.db"
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{was}{suffix}", f"{self.path}{suffix}")
        self.session.close()
        self.session = self._open()
        assert check_store(self.path) == []

    @rule(records=BATCHES, lasting=st.booleans(), form=st.sampled_from(["json", "mappings", "table"]))
    def crash_in_a_commit(self, records: list[Record], lasting: bool, form: str) -> None:
        """The commit fails before it is durable, or nobody hears that it is: then all of it counts, or nothing."""

        def crash(commit: Callable[[Any], int], content: Any) -> int:
            if lasting:
                commit(content)
            raise StoreError("crashed")

        on_commit(self.session, crash)
        with pytest.raises(StoreError, match="crashed"):
            self.session.ingest({"json": json_lines, "mappings": mappings, "table": table}[form](records))
        with pytest.raises(StoreError, match="open the store again"):
            self.session.ingest(json_lines(records))
        if lasting:
            self.model.arrive(self._events(records, form))
        self.reopen()

    @rule(records=BATCHES, more=BATCHES, survivors=st.integers(0, 5), lasting=st.booleans())
    def crash_in_a_run(self, records: list[Record], more: list[Record], survivors: int, lasting: bool) -> None:
        """A run crashes at one of its commits; it continues later, exactly after the last durable one."""
        left = survivors

        def crash(commit: Callable[[Any], int], content: Any) -> int:
            nonlocal left
            left -= 1
            if left >= 0:
                return commit(content)
            if lasting:
                commit(content)
            raise StoreError("crashed")

        self.lines.append(records)
        self.cells.append(contents_in_csv(more))
        on_commit(self.session, crash)
        with pytest.raises(StoreError, match="crashed") if survivors < self._blocks() else nullcontext():
            self._run()
        self.reopen()
        read = [
            self._events(file.read_to(self._offset(file)), form)
            for file, form in ((self.lines, "json"), (self.cells, "csv"))
        ]
        self.model.arrive(read[0] + read[1])

    def _blocks(self) -> int:
        """How many blocks, and so commits, the next run takes."""
        return sum(not isinstance(block, Finding) for block in self._sources().blocks())

    def _offset(self, file: GrowingFile) -> int:
        state = self.session.positions.get(str(file.path))
        return int(json.loads(state)["at"]) if state else 0

    # Time

    @rule(seconds=st.sampled_from([1, 5, 31]))
    def let_time_pass(self, seconds: int) -> None:
        tick(self.clock, seconds)

    # What must hold

    @invariant()
    def everything_is_exact(self) -> None:
        expected = reference.totals(self.pipeline, self.model.accepted)
        with StoreFile.open(self.path) as reader:
            reference.assert_equal(expected, _totals(reader), self.pipeline)
            verified = reader.verify()
            assert verified.differences == []
            assert verified.keys == len(self.model.states)
            status = reader.status()
            assert {outcome: n for outcome, n in status.counts.items() if n} == self.model.counts
            assert status.rejects == len(self.model.rejected)
            assert {listed.conflict for listed in reader.conflicts()} == self.model.conflicts
            assert status.conflicts == len(self.model.conflicts)
            assert status.live == expected.get(Node(2), Total(0, ())).count
            self.remembered[status.last.seq] = expected
            past = sorted(seq for seq in self.remembered if seq >= status.oldest.seq)
            for seq in {past[0], past[len(past) // 2], past[-1]}:
                reference.assert_equal(self.remembered[seq], _totals(reader, seq), self.pipeline)
        asked = self.session.totals(rollup="places", depth=None)
        assert {row.labels: row.count for row in asked if row.count} == {
            node.labels: total.count for node, total in expected.items() if node.rollup == 0
        }
        assert asked.node.sums["value"] * 100 == expected.get(Node(0), Total(0, (0,))).sums[0]

    def teardown(self) -> None:
        try:
            if hasattr(self, "session"):
                self._check_all_that_is_remembered()
                self.session.close()
                assert check_store(self.path) == []
        finally:
            self.limits.close()
            shutil.rmtree(self.folder)

    def _check_all_that_is_remembered(self) -> None:
        with StoreFile.open(self.path) as reader:
            oldest = reader.status().oldest.seq
            for seq, expected in self.remembered.items():
                if seq >= oldest:
                    reference.assert_equal(expected, _totals(reader, seq), self.pipeline)
                else:
                    with pytest.raises(QueryError, match="beyond the retention"):
                        reader.totals("all", commit=seq)


def _totals(reader: StoreFile, commit: int | None = None) -> Totals:
    return {
        Node(index, rows.labels_of(row.path)): Total(row.count, row.sums)
        for index, rollup in enumerate(reader.pipeline.rollups)
        for row in reader.totals(rollup.name, commit=commit).rows
    }


def _as_json(content: Content) -> str:
    """As conflicts are listed."""
    if content.labels is None:
        return "null"
    pairs = zip(content.measures, NARROW.columns, strict=False)
    amounts = [None if m == NO_VALUE else format_decimal(m, column.scale) for m, column in pairs]
    document = {"labels": content.labels, "measures": amounts, "texts": content.texts}
    return json.dumps(document, ensure_ascii=False)


def _record(event: Event) -> Record:
    """A record that means this event, under the wide definition."""
    if event.content.labels is None:
        return Record(event.key, event.version, None, "fx", 0, None, gone=True)
    region, desk, _, *packed = event.content.labels
    tags = [tuple(tag.replace("\0\2", "\0") for tag in text.split("\0\1")[:-1]) for text in packed]
    cents, fee, *_, tip, _ = event.content.measures
    seconds = None if event.time is None else event.time // 10**9
    (who,) = event.content.texts
    amounts = (cents, fee, False, seconds, None if tip == NO_VALUE else tip)
    return Record(event.key, event.version, region, desk, *amounts, who, tags[0] if tags else None)


class EngineOfSets(Engine):
    """The same where a key has several leaves in one of the trees."""

    narrow, wide = NARROW_SETS, WIDE_SETS


_SETTINGS = settings(max_examples=examples(12, short=2), stateful_step_count=25, deadline=None)
TestEngine, TestEngineOfSets = Engine.TestCase, EngineOfSets.TestCase
TestEngine.settings = TestEngineOfSets.settings = _SETTINGS
