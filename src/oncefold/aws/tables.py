"""A stack's tables, read whole and in parallel, and their items as values of the core.

Raises OncefoldError for items that Oncefold cannot have written.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from oncefold.aws.connect import client
from oncefold.aws.functions import layout
from oncefold.aws.functions.epochs import epochs_of, kept_under
from oncefold.aws.functions.guard import ECONOMY, STANDARD, mode_of
from oncefold.aws.functions.layout import Delta
from oncefold.aws.functions.unread import ChangeStream, seconds_of
from oncefold.aws.names import Names
from oncefold.core.decimals import parse_decimal
from oncefold.core.definition import Pipeline
from oncefold.core.definition_changes import changes_of_meaning
from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import OncefoldError
from oncefold.core.fold import Node, Stored, Total, net, nodes_of
from oncefold.core.timestamps import format_timestamp
from oncefold.core.view import View, view_of
from oncefold.dynamodb.items import Item
from oncefold.queries.event_model import RejectedEvent
from oncefold.queries.protocol import Progress

SEGMENTS = 8
"""Segments of a scan, each read by a thread of its own; clients keep ten connections."""

POSITION_TRIES = 20
"""How often the outbox is read until nothing is netted meanwhile, in economy mode."""

Page = dict[str, Any]

Row = TypeVar("Row")

Held = Total | str
"""A node's totals, or what is wrong with them."""

_NANOS_PLACES = 9
_UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, IndexError)


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack, and what its tables mean."""

    names: Names
    pipeline: Pipeline
    fingerprints: frozenset[str]
    """Of all definitions that its functions may run with."""
    dynamodb: Any
    epoch: int = 0
    """Of the totals that are read (`epochs`)."""
    segments: int = SEGMENTS
    """In how many segments tables are read at once."""
    mode: str = STANDARD
    """How the totals are kept (`oncefold.aws.functions.guard`)."""
    streams: Any = None
    """A client of DynamoDB's streams, where economy mode needs one."""
    first: Pipeline | None = None
    """The definition that keys are kept under, where a rebuild has replaced it."""

    @property
    def kept(self) -> Pipeline:
        """The definition that keys are kept under: the labels and numbers of their states."""
        return self.first or self.pipeline

    @property
    def view(self) -> View:
        """How the definition has what is kept."""
        return View(self.pipeline) if self.first is None else view_of(self.first, self.pipeline)


def open_tables(names: Names, dynamodb: Any) -> Stack:
    """Read the definition that the tables were made under. Raises OncefoldError if there is none."""
    return stack_of(names, dynamodb, read_definition(names, dynamodb))


def stack_of(names: Names, dynamodb: Any, item: Item, streams: Any = None) -> Stack:
    """The stack whose tables mean what an item says. Raises OncefoldError if it does not say it.

    Without `streams` economy mode takes the standard client of DynamoDB's streams.
    """
    origin = f"the definition in {names.aggregate_table}"
    try:
        pipeline = parse_toml(item["toml"]["S"], origin)
        first = parse_toml(kept_under(item), origin) if "kept" in item else None
        accepted = frozenset(item["fingerprints"]["SS"])
        mode = mode_of(item)
        if mode == ECONOMY and streams is None:
            streams = client("dynamodbstreams")
        live = epochs_of(item).live
        return Stack(names, pipeline, accepted, dynamodb, live, mode=mode, streams=streams, first=first)
    except KeyError as error:
        raise OncefoldError(f"{origin} lacks its {error}; deploy again: oncefold aws deploy") from None


def live_epoch(stack: Stack) -> int:
    """The epoch that is read now, which a rebuild may have changed since the stack was opened.

    Raises OncefoldError if it has another definition, too.
    """
    item = read_definition(stack.names, stack.dynamodb)
    text = item["toml"]["S"]
    if text != to_toml(stack.pipeline) and changes_of_meaning(stack.pipeline, parse_toml(text, stack.names.stack)):
        raise OncefoldError(f"stack {stack.names.stack}: its definition was replaced since it was opened; query again")
    return epochs_of(item).live


def read_definition(names: Names, dynamodb: Any) -> Item:
    """The item that says what the tables mean. Raises OncefoldError if there is none."""
    answer = dynamodb.get_item(TableName=names.aggregate_table, Key=layout.DEFINITION_KEY, ConsistentRead=True)
    if "Item" not in answer:
        raise OncefoldError(
            f"stack {names.stack}: its tables are there, but hold no definition yet; "
            "`oncefold aws deploy` writes it, and so does the first event"
        )
    item: Item = answer["Item"]
    return item


def scan(stack: Stack, table: str, progress: Progress, what: str, **request: Any) -> Iterator[Item]:
    """Every item of a table, in no order. Each page is read consistently, so what was there all along is there once."""
    seen = 0
    for page in scan_pages(stack, table, **request):
        seen += page["ScannedCount"]
        progress(what, seen)
        yield from page["Items"]


def count_items(stack: Stack, table: str, progress: Progress, what: str, **request: Any) -> int:
    """How many items a table has, or how many of them a filter lets through."""
    counted = seen = 0
    for page in scan_pages(stack, table, Select="COUNT", **request):
        counted += page["Count"]
        seen += page["ScannedCount"]
        progress(what, seen)
    return counted


def scan_pages(stack: Stack, table: str, **request: Any) -> Iterator[Page]:
    """The pages of a whole scan, as they come."""
    segments = stack.segments

    def read(segment: int, start: Page) -> tuple[int, Page]:
        part = {"Segment": segment, "TotalSegments": segments} if segments > 1 else {}
        return segment, stack.dynamodb.scan(TableName=table, ConsistentRead=True, **part, **start, **request)

    with workers_of(stack) as workers:
        waiting: set[Future[tuple[int, Page]]] = {workers.submit(read, segment, {}) for segment in range(segments)}
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    segment, page = future.result()
                    if "LastEvaluatedKey" in page:
                        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
                        waiting.add(workers.submit(read, segment, start))
                    yield page
        finally:
            workers.shutdown(wait=False, cancel_futures=True)


def workers_of(stack: Stack) -> Executor:
    """Threads for the calls of a query; where a table is read in one segment, the caller's own thread."""
    return ThreadPoolExecutor(stack.segments) if stack.segments > 1 else _Here()


class _Here(Executor):
    """Runs what it is given at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def no_total(pipeline: Pipeline) -> Total:
    """The totals of a node that no key counts in."""
    return Total(0, (0,) * len(pipeline.amounts))


@dataclass(frozen=True, slots=True)
class WaitingDelta:
    """A delta of the outbox, and when it was put there, in seconds since 1970."""

    delta: Delta
    created: int


def read_states(stack: Stack, progress: Progress, below: Node | None = None) -> Iterator[tuple[str, Stored]]:
    """Every key with its state, deleted ones too; or only the live keys that count in a node."""
    request = {} if below is None else _counting_in(stack, below)
    of_elements = below is not None and bool(stack.pipeline.arrays)
    view = stack.view
    for item in scan(stack, stack.names.state_table, progress, "keys", **request):
        try:
            key, kept = layout.parse_state(stack.kept, item)
            stored = view.stored(kept)
        except _UNREADABLE as error:
            raise _unreadable(stack.names.state_table, item.get("key"), error) from None
        # Labels of different elements may have passed the filter.
        if not of_elements or below in nodes_of(stack.pipeline, stored.content.labels or ()):
            yield key, stored


def _counting_in(stack: Stack, node: Node) -> dict[str, Any]:
    """What keeps other keys from being sent here; they are read, and paid for, all the same."""
    levels = stack.pipeline.rollup_levels[node.rollup]
    clauses = ["attribute_exists(#labels)"]
    values: Item = {}
    for depth, label in enumerate(node.labels):
        at = f"#labels[{levels[depth]}]"
        is_list = stack.pipeline.levels[levels[depth]].each
        clauses.append(f"contains({at}, :{depth})" if is_list else f"{at} = :{depth}")
        values[f":{depth}"] = {"S": label}
    request: dict[str, Any] = {
        "FilterExpression": " AND ".join(clauses),
        "ExpressionAttributeNames": {"#labels": "labels"},
    }
    return {**request, "ExpressionAttributeValues": values} if values else request


def read_totals(stack: Stack, progress: Progress, **request: Any) -> Iterator[tuple[Node, Held]]:
    """Every node of the live epoch with its totals."""
    for item in scan(stack, stack.names.aggregate_table, progress, "nodes", **(request or only_live_nodes(stack))):
        if layout.node_epoch(item) == stack.epoch:
            yield parse_total(stack, item)


def only_live_nodes(stack: Stack) -> dict[str, Any]:
    """The filter of a scan of AggregateTable that lets only nodes of the live epoch through."""
    return {
        "FilterExpression": "begins_with(#path, :epoch)",
        "ExpressionAttributeNames": {"#path": "path"},
        "ExpressionAttributeValues": {":epoch": {"S": layout.epoch_path(stack.epoch)}},
    }


def parse_total(stack: Stack, item: Mapping[str, Any]) -> tuple[Node, Held]:
    """The node of an item, with its totals or what is wrong with them."""
    key = {name: item[name] for name in ("path", "label")}
    try:
        node, _ = layout.parse_node(stack.pipeline, {**key, "count": {"N": "0"}})
    except _UNREADABLE as error:
        raise _unreadable(stack.names.aggregate_table, key, error) from None
    try:
        return layout.parse_node(stack.pipeline, item)
    except KeyError as error:
        return node, f"a part of it is missing or no number: {error}"
    except (ValueError, TypeError) as error:
        return node, str(error)


def read_live_deltas(stack: Stack, progress: Progress) -> Iterator[WaitingDelta]:
    """Every delta of the outbox that is for the totals that are read, and in economy mode each change that has none."""
    return _live_deltas(stack, progress) if stack.mode == STANDARD else _with_unread(stack, progress)


def _live_deltas(stack: Stack, progress: Progress) -> Iterator[WaitingDelta]:
    items = scan(stack, stack.names.reduce_table, progress, "pending deltas")
    return (_waiting(stack, item) for item in items if layout.epoch_of(item) == stack.epoch)


def _with_unread(stack: Stack, progress: Progress) -> Iterator[WaitingDelta]:
    """The outbox, and as deltas what was in the stream of states and is not in it, both of one moment.

    A change goes from the stream into the outbox as the position of its shard passes it; while the outbox is read
    the positions must not move. Raises OncefoldError if they always do.
    """
    stream = state_stream(stack)
    known = read_positions(stack)
    unread = [
        (shard, record)
        for shard in stream.shards()
        for record in stream.after(shard, known.get(shard))
    ]  # fmt: skip
    for _ in range(POSITION_TRIES):
        positions = read_positions(stack)
        outbox = list(_live_deltas(stack, progress))
        if read_positions(stack) == positions:
            yield from outbox
            for shard, record in unread:
                if int(record["SequenceNumber"]) > positions.get(shard, -1):
                    yield from _as_delta(stack, shard, record)
            return
    raise OncefoldError(
        f"stack {stack.names.stack}: changes of states were netted each time the outbox was read; try again"
    )


def _as_delta(stack: Stack, shard: str, record: Mapping[str, Any]) -> Iterator[WaitingDelta]:
    try:
        change = layout.parse_change(stack.kept, record)
    except _UNREADABLE as error:
        raise _unreadable(stack.names.state_table, record.get("Keys"), error) from None
    before, after = map(stack.view.seen, change.within(stack.epoch))
    nodes = tuple(net(stack.pipeline, [(before, after)]).items())
    if nodes:
        delta = Delta(f"unread/{shard}/{change.sequence}", nodes, stack.epoch)
        yield WaitingDelta(delta, int(seconds_of(record["ApproximateCreationDateTime"])))


def state_stream(stack: Stack) -> ChangeStream:
    """The stream of a stack's states, in economy mode."""
    described = stack.dynamodb.describe_table(TableName=stack.names.state_table)["Table"]
    return ChangeStream(stack.streams, described["LatestStreamArn"])


def read_positions(stack: Stack) -> dict[str, int]:
    """Up to which record each shard of the stream of states is netted."""
    request: dict[str, Any] = {
        "TableName": stack.names.aggregate_table,
        "ConsistentRead": True,
        "KeyConditionExpression": "#path = :path",
        "ExpressionAttributeNames": {"#path": "path"},
        "ExpressionAttributeValues": {":path": {"S": layout.POSITIONS}},
    }
    found: dict[str, int] = {}
    while True:
        page = stack.dynamodb.query(**request)
        found |= {item["label"]["S"]: int(item["sequence"]["S"]) for item in page["Items"]}
        if "LastEvaluatedKey" not in page:
            return found
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _waiting(stack: Stack, item: Mapping[str, Any]) -> WaitingDelta:
    try:
        return WaitingDelta(layout.parse_delta(stack.pipeline, item), int(item["created"]["N"]))
    except _UNREADABLE as error:
        raise _unreadable(stack.names.reduce_table, item.get("id"), error) from None


@dataclass(frozen=True, slots=True)
class StreamReject:
    """An item of the reject list, with what orders it: when Kinesis took its record, in nanoseconds since 1970."""

    arrived: int
    event: RejectedEvent

    @property
    def order(self) -> tuple[int, str, int, str, int]:
        """The order of arrival."""
        sequence = self.event.sequence or ""
        number = int(sequence) if sequence.isdecimal() else 0
        return self.arrived, self.event.source, number, sequence, self.event.position


def read_rejects(stack: Stack, progress: Progress) -> Iterator[StreamReject]:
    """The reject list, in no order."""
    return read_listed(stack, progress, "reject", _reject_of)


def _reject_of(item: Mapping[str, Any]) -> StreamReject:
    name = item["id"]["S"]
    _, shard, sequence, line = name.split("/")
    nanos = parse_decimal(item["arrived"]["N"], _NANOS_PLACES, 10**19, rounding=True)
    raw = bytes(item["raw"]["B"])
    cut = item.get("cut", {}).get("BOOL", False)
    return StreamReject(
        nanos,
        RejectedEvent(
            id=name,
            commit=None,
            time_text=format_timestamp(nanos),
            source=shard,
            position=int(line),
            unit="line",
            reason=item["reason"]["S"],
            raw=raw,
            size=None if cut else len(raw),
            sequence=sequence,
        ),
    )


def read_listed(
    stack: Stack, progress: Progress, kind: str, parse: Callable[[Mapping[str, Any]], Row]
) -> Iterator[Row]:
    """The items of one kind in RejectTable, parsed, in no order."""
    for item in scan(stack, stack.names.reject_table, progress, f"{kind}s", **only_kind(kind)):
        try:
            yield parse(item)
        except (KeyError, ValueError, TypeError) as error:
            raise _unreadable(stack.names.reject_table, item.get("id"), error) from None


def only_kind(kind: str) -> dict[str, Any]:
    """The filter of a scan that lets only items of this kind through."""
    return {
        "FilterExpression": "#kind = :kind",
        "ExpressionAttributeNames": {"#kind": "kind"},
        "ExpressionAttributeValues": {":kind": {"S": kind}},
    }


def _unreadable(table: str, key: object, error: Exception) -> OncefoldError:
    return OncefoldError(
        f"table {table}: the item {key} cannot be read ({type(error).__name__}: {error}); Oncefold did not write it so"
    )
