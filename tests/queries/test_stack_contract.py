"""A stack whose functions folded events gives the documents of a store, byte for byte, whatever the definition says.

Of filters, expressions, sums, counts of conditions, averages, keys of several leaves, versions of 128 bits, envelopes
and windows in a zone. The same events come to both, in other batches, and to the stack once more backwards.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from oncefold.aws.functions.fits import check_fits
from oncefold.aws.functions.guard import definition_item
from oncefold.aws.names import Names
from oncefold.aws.reader import open_stack
from oncefold.core.decode import Decoder
from oncefold.core.errors import IgnoredRecord, InvalidEvent
from oncefold.core.event import Event
from oncefold.core.fold import Node
from oncefold.core.nodepath import join
from oncefold.engine.session import Session
from oncefold.pipeline_file import parse_pipeline
from oncefold.queries import Reader
from oncefold.queries.model import Answer
from tests.aws.conftest import aws, emulator, stack  # noqa: F401 - fixtures
from tests.aws.functions.stacks import functions_of
from tests.aws.functions.stacks import lines as records_of
from tests.aws.reader.stacks import put
from tests.queries.test_contract import CLOCK, EVERY_WAY, OF_STACK, OF_STORE, plain, without
from tests.tools import reference
from tests.tools.sizes import in_full

EVER = {"nodes"}
"""How many nodes there ever were: that depends on what came together."""

REST = """
where = "status IN ('paid', 'refunded') AND qty > 0"
[fields]
value = "CASE WHEN status = 'refunded' THEN -amount * qty ELSE amount * qty END"
[rollups]
tags = ["region", { each = "tags", missing = "(none)" }]
items = [{ each = "items", field = "kind", missing = "-" }, { each = "items", field = "sku", missing = "-" }]
days = [{ field = "at", window = "1d", timezone = "Europe/Berlin", missing = "never" }, "UPPER(region)"]
[measures]
revenue = { sum = "value", scale = 2, missing = "zero" }
large = { count = "amount > 5" }
priced = { count = "amount" }
mean = { avg = "amount", scale = 3 }
"""
Row = dict[str, Any]


def row(random: Random, key: str) -> Row:
    """What the row of a key holds."""
    found: Row = {
        "id": key,
        "region": random.choice(["eu", "us/ca", "ü"]),
        "tags": random.sample(["red", "big", "a, b", "x/y"], random.randint(0, 3)),
        "items": [{"kind": random.choice("xy"), "sku": random.randint(1, 3)} for _ in range(random.randint(0, 3))],
        "status": random.choice(["paid", "paid", "refunded", "open"]),
        "qty": random.randint(0, 3),
        "amount": random.choice([None, "0.10", "5.00", "5.01", "99999999999.99", "-3.25"]),
        "at": random.choice([None, 1616885999, 1616886000, 1616889600, 1635631200]),
    }
    return {name: value for name, value in found.items() if value is not None}


def as_json(random: Random, version: int, key: str, *, deleted: bool) -> str:
    number = 10**37 + version
    return json.dumps({"id": key, "v": number, "gone": True} if deleted else {**row(random, key), "v": number})


def as_debezium(random: Random, version: int, key: str, *, deleted: bool) -> str:
    was = {**row(random, key), "id": random.choice("abc") if random.random() < 0.1 else key}
    images = {"before": was, "after": None if deleted else row(random, key)}
    source = {"ts_ms": 1_700_000_000_000 + version // 3, "lsn": version}
    return json.dumps({**images, "source": source, "op": "d" if deleted else "u"})


def as_dynamodb(random: Random, version: int, key: str, *, deleted: bool) -> str:
    keys, image = {"id": {"S": key}}, {name: _typed(value) for name, value in row(random, key).items()}
    change = {"Keys": keys, "SequenceNumber": str(4421584500000000017450439091 + version)}
    images = {"OldImage": image} if deleted else {"NewImage": image}
    return json.dumps({"eventName": "REMOVE" if deleted else "MODIFY", "dynamodb": {**change, **images}})


def _typed(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"M": {name: _typed(inner) for name, inner in value.items()}}
    if isinstance(value, list):
        is_set = bool(value) and all(isinstance(element, str) for element in value)
        return {"SS": value} if is_set else {"L": [_typed(element) for element in value]}
    return {"N": str(value)} if isinstance(value, int) else {"S": value}


Writer = Callable[..., str]
KINDS: dict[str, tuple[str, Writer]] = {
    "json": ('key = "id"\nversion = { field = "v", type = "decimal" }\ndelete = "gone"', as_json),
    "debezium": ('envelope = "debezium"\nkey = "id"\nversion = ["@source.ts_ms", "@source.lsn"]', as_debezium),
    "dynamodb": ('envelope = "dynamodb"\nkey = "id"', as_dynamodb),
}


def lines_of(write: Writer, seed: int) -> list[str]:
    """All keys in their order, as stores list them and stacks, and then what befalls them; every record is another."""
    random = Random(seed)
    keys = [f"k{number:02}" for number in range(15)]
    first = [write(random, version, key, deleted=False) for version, key in enumerate(["a", "b", "c", *keys])]
    rest = [
        write(random, random.randint(1, 200), random.choice(keys), deleted=random.random() < 0.15) for _ in range(70)
    ]
    return [*first, *rest, "null" if write is as_debezium else rest[0], "no event"]


def events_of(decoder: Decoder, lines: Sequence[str]) -> Iterator[Event]:
    for line in lines:
        try:
            yield from decoder.json(line.encode()).each()
        except (IgnoredRecord, InvalidEvent):
            continue


def documents(reader: Reader, nodes: Sequence[tuple[str, str]], *, of: set[str]) -> Iterator[str]:
    """Every answer as JSON text, and its rows as Python and Arrow have them."""
    found: list[Answer[Any]] = [reader.query("", rollup=name, depth=None) for name in ("tags", "items", "days")]
    found += [reader.explain(path, rollup=rollup, limit=None) for rollup, path in nodes]
    found.append(reader.verify())
    for answer in found:
        yield json.dumps(without(plain(answer), CLOCK, of, EVER), indent=2)
    for answer in found[:-1]:
        yield str([{name: value for name, value in row.items() if name != "commit"} for row in answer.to_dicts()])


@pytest.mark.parametrize("kind", ["json", *in_full("2 s each", *(kind for kind in KINDS if kind != "json"))])
@pytest.mark.parametrize(("mode", "settled"), EVERY_WAY)
def test_a_stack_gives_the_documents_of_a_store(
    kind: str,
    mode: str,
    tmp_path: Path,
    stack: Names,  # noqa: F811
    *,
    settled: bool,
) -> None:
    """If it is not settled, what came last waits in the outbox or, in economy mode, in the stream of states."""
    event, write = KINDS[kind]
    pipeline = parse_pipeline(f'name = "orders"\n[event]\n{event}\n{REST}')
    check_fits(pipeline)
    assert pipeline.has_wide_versions
    lines = lines_of(write, 5)
    put(stack.aggregate_table, [definition_item(pipeline, mode=mode)])
    functions = functions_of(stack, pipeline, mode)
    for number, some in enumerate([lines[:40], lines[30:], lines[::-1]]):
        functions.fold(records_of(some))
        if settled or not number:
            functions.settle()
    expected = reference.totals(pipeline, events_of(Decoder(pipeline), lines))
    if settled:
        functions.check_exact(events_of(Decoder(pipeline), lines))
    nodes = [(pipeline.rollups[node.rollup].name, join(node.labels)) for node in sorted(expected)]
    assert {len(node.labels) for node in expected} == {0, 1, 2}
    assert expected[Node(0)].count > 3
    with Session.open(tmp_path / "store.db", pipeline) as session, open_stack(stack.stack, exact=True) as reader:
        for start in range(0, len(lines), 7):
            session.ingest("".join(f"{line}\n" for line in lines[start : start + 7]))
        of_store = list(documents(session.reader, nodes[::3], of=OF_STORE))
        of_stack = list(documents(reader, nodes[::3], of=OF_STACK))
        assert of_stack == of_store
        pending = reader.query("", rollup="tags").as_of.pending
        assert (pending.deltas == 0) is settled
        assert session.reader.verify().exact
