"""Definitions of one family, events that they read, and the plain model of a store that is redefined."""

import json
import random
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import InvalidEvent
from oncefold.core.event import Event
from oncefold.core.fold import Node, Outcome, Total
from oncefold.core.nodepath import split
from oncefold.engine.redefinition import Redefinition
from oncefold.engine.session import Session
from oncefold.expression_sql import parse_sql
from oncefold.queries.store_reader import StoreReader
from oncefold.store.check import check_store
from tests.tools import reference

Record = dict[str, Any]

_ROLLUPS = {
    "by_place": '["place", "kind"]',
    "by_kind": '["kind"]',
    "by_more": '["more", { field = "place", missing = "?" }]',
    "by_day": '[{ field = "at", window = "1d" }, "kind"]',
    "by_note": '["UPPER(kind)"]',
    "by_tag": '["place", { each = "tags", missing = "-" }]',
    "by_part": '[{ each = "parts", field = "kind", missing = "-" }, { each = "tags", missing = "?" }]',
}
_MEASURES = {
    "amount": '{ sum = "amount", scale = 2 }',
    "fine": '{ sum = "amount", scale = 3 }',
    "more": '{ sum = "more", scale = 0, missing = "zero" }',
    "twice": '{ sum = "amount * 2 + more", scale = 2 }',
    "few": '{ count = "more < 5" }',
    "mean": '{ avg = "amount", scale = 2 }',
}
_WHERES = ("", "where = \"kind <> 'x'\"", 'where = "more > 4"', "where = \"amount >= 0 OR place = 'a'\"")


def definition(rng: random.Random) -> Pipeline:
    """One of the family; all have the same key and version."""
    rollups = rng.sample(sorted(_ROLLUPS), rng.randint(1, 3))
    measures = rng.sample(sorted(_MEASURES), rng.randint(0, 3))
    lines = ['name = "family"', "keep_events = true", "[event]", 'key = "id"', 'version = "v"', rng.choice(_WHERES)]
    lines += [rng.choice(['delete = "gone"', ""]), "[rollups]", *(f"{name} = {_ROLLUPS[name]}" for name in rollups)]
    lines += ["[measures]", *(f"{name} = {_MEASURES[name]}" for name in measures)]
    return parse_toml("\n".join(lines), sql=parse_sql)


def event(rng: random.Random, number: int, *, clean: bool) -> Record:
    """An event; clean ones are read by every definition of the family, and no two of them conflict."""
    found: Record = {
        "id": f"k{rng.randint(1, 20)}",
        "v": number if clean else rng.randint(1, 5),
        "gone": rng.random() < 0.15,
        "place": rng.choice(["a", "b/c", 'd"e']),
        "kind": rng.choice("xyz"),
        "amount": f"{rng.randint(-500, 500) / 100:.2f}",
        "more": rng.randint(0, 9),
        "at": f"2026-03-0{rng.randint(1, 9)}T12:00:00Z",
        "note": rng.choice(["one", "two, three\n", "vier"]),
        "tags": rng.choices(["red", "big", "\0"], k=rng.randint(0, 3)),
        "parts": [{"kind": rng.choice("xy")} for _ in range(rng.randint(0, 2))],
    }
    if not clean and rng.random() < 0.2:
        name, wrong = rng.choice(
            [("amount", "much"), ("at", "noon"), ("more", 1.5), ("kind", ["x"]), ("tags", [None]), ("parts", "x")]
        )
        found[name] = wrong
    return found


class Model:
    """The newest whole event of each key by the definition that was in force when it came."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.kept: dict[str, Record] = {}
        self.rejects: list[Record] = []
        self._take(pipeline)

    def _take(self, pipeline: Pipeline) -> None:
        self.pipeline, self._decoder = pipeline, Decoder(pipeline)

    def ingest(self, records: Iterable[Record]) -> None:
        for record in records:
            found = self._event(record)
            if found is None:
                self.rejects.append(record)
            elif found.key not in self.kept or _greater(found, self._event(self.kept[found.key])):
                self.kept[found.key] = record

    def redefine(self, pipeline: Pipeline, seen: dict[str, Record] | None = None) -> None:
        """The new totals are the definition's meaning over the kept events; what it rejects is kept no more.

        `seen` are those that were kept when the redefinition began, if events came meanwhile: they count, too.
        """
        self._take(pipeline)
        before, self.kept = self.kept, {}
        for key, record in before.items():
            found = self._event(record)
            if found is None:
                self.rejects.append(record)
            older = None if seen is None else seen.get(key)
            older_event = None if older is None else self._event(older)
            if older_event is not None and (found is None or _greater(older_event, found)):
                assert older is not None
                self.kept[key] = older
            elif found is not None:
                self.kept[key] = record

    def totals(self) -> dict[Node, Total]:
        events = [self._event(record) for record in self.kept.values()]
        return reference.totals(self.pipeline, [one for one in events if one is not None])

    def _event(self, record: Record) -> Event | None:
        try:
            return self._decoder.record(record)
        except InvalidEvent:
            return None


def _greater(one: Event, other: Event | None) -> bool:
    assert other is not None
    if one.version != other.version:
        return one.version > other.version
    return reference.winners([other, one])[one.key] is one and one.content != other.content


def stored(reader: StoreReader, as_of: int | None = None) -> dict[Node, Total]:
    """All totals of a store, those of an earlier commit under the definition of that time."""
    found = {}
    file = reader.file if as_of is None else reader.file.earlier(as_of, None) or reader.file
    file.refresh()
    for index, rollup in enumerate(file.pipeline.rollups):
        for row in file.totals(rollup.name, commit=as_of).rows:
            found[Node(index, split(row.path))] = Total(row.count, row.sums)
    return found


def assert_is(session: Session, model: Model) -> None:
    """The store has the model's totals and its rejects, and they are what its states add up to."""
    reader = session.reader
    reference.assert_equal(model.totals(), stored(reader), model.pipeline)
    assert len(reader.rejects()) == len(model.rejects)
    assert not reader.verify().rows


def ingest(session: Session, model: Model, records: list[Record], rng: random.Random) -> None:
    """The same events to both, in a form drawn at random."""
    form = rng.choice(["items", "lines", "table"])
    if form == "lines":
        session.ingest(
            "".join(json.dumps(record) + "\n" for record in records), source="feed", position=str(rng.random())
        )
    elif form == "table" and not any(_is_of_another_type(one) for one in records):
        session.ingest(pa.Table.from_pylist(records))
    else:
        session.ingest(records)
    model.ingest(records)


def _is_of_another_type(record: Record) -> bool:
    """Whether a table has no column that holds this record and the others."""
    return isinstance(record["more"], float) or isinstance(record["kind"], list) or isinstance(record["parts"], str)


def play(path: Path, seed: int, redefinitions: int) -> None:
    """A store is filled, redefined, filled and reopened; it is always the model's, and so is its past."""
    rng = random.Random(seed)
    old = definition(rng)
    model, session = Model(old), Session.open(path, old)
    past: dict[int, tuple[Pipeline, dict[Node, Total]]] = {}
    numbers = count()
    try:
        for _ in range(redefinitions):
            for _ in range(rng.randint(1, 5)):
                ingest(session, model, [event(rng, next(numbers), clean=False) for _ in range(rng.randint(1, 9))], rng)
                past[session.engine.last_commit] = (model.pipeline, model.totals())
            new = definition(rng)
            if new.fingerprint == model.pipeline.fingerprint:
                continue
            positions, rejects, seen = session.positions, len(model.rejects), None
            if rng.random() < 0.5:
                made = session.redefine(new)
            else:
                with Redefinition(path, new) as redefinition:
                    session.pause_event_compaction(paused=True)
                    redefinition.gather()
                    seen = dict(model.kept)
                    ingest(session, model, [event(rng, next(numbers), clean=False) for _ in range(9)], rng)
                    positions, rejects = session.positions, len(model.rejects)
                    past[session.engine.last_commit] = (model.pipeline, model.totals())
                    made = session.switch(redefinition)
                session.close()
                session = Session.open(path, new)
            model.redefine(new, seen)
            assert made.counts.get(Outcome.REJECTED, 0) == len(model.rejects) - rejects
            assert session.positions == positions
            past[made.commit] = (new, model.totals())
            assert_is(session, model)
        for commit, (pipeline, totals) in past.items():
            reference.assert_equal(totals, stored(session.reader, commit), pipeline)
    finally:
        session.close()
    assert check_store(path) == []
