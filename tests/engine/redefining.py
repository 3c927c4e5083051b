"""Definitions of one family, events that they read, and the plain model of a store that is redefined."""

import random
from collections.abc import Iterable
from typing import Any

from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import InvalidEvent
from oncefold.core.event import Event
from oncefold.core.fold import Node, Total
from oncefold.core.nodepath import split
from oncefold.engine.session import Session
from oncefold.expression_sql import parse_sql
from oncefold.queries.store_reader import StoreReader
from tests.tools import reference

Record = dict[str, Any]

_ROLLUPS = {
    "by_place": '["place", "kind"]',
    "by_kind": '["kind"]',
    "by_more": '["more", { field = "place", missing = "?" }]',
    "by_day": '[{ field = "at", window = "1d" }, "kind"]',
    "by_note": '["UPPER(kind)"]',
}
_MEASURES = {
    "amount": '{ sum = "amount", scale = 2 }',
    "fine": '{ sum = "amount", scale = 3 }',
    "more": '{ sum = "more", scale = 0, missing = "zero" }',
    "twice": '{ sum = "amount * 2 + more", scale = 2 }',
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
    }
    if not clean and rng.random() < 0.2:
        name, wrong = rng.choice([("amount", "much"), ("at", "noon"), ("more", 1.5), ("kind", ["x"])])
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

    def redefine(self, pipeline: Pipeline) -> None:
        """The new totals are the definition's meaning over the kept events; what it rejects is kept no more."""
        self._take(pipeline)
        self.rejects += [record for record in self.kept.values() if self._event(record) is None]
        self.kept = {key: record for key, record in self.kept.items() if self._event(record) is not None}

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
