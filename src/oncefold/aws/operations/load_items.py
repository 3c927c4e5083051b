"""What a load writes: the items of StateTable and AggregateTable that a store's keys are. Two passes over the keys.

The first one counts, adds up every node by the code of the functions, and finds what DynamoDB cannot hold, before
anything is written.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from oncefold.aws.functions import layout
from oncefold.aws.functions.guard import ECONOMY, STANDARD, definition_item
from oncefold.aws.functions.plan import may_be_refused, refusal
from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.core.event import DELETED, Content
from oncefold.core.fold import Node, Stored, Total, net
from oncefold.dynamodb.items import Item, digest, number
from oncefold.queries.protocol import Progress
from oncefold.store.reader import StoreFile

_TOGETHER = 1_000
"""Keys that are added up together."""
_UNIT_BYTES = 1_024


@dataclass(frozen=True, slots=True)
class LoadSizes:
    """How much a load writes."""

    keys: int
    nodes: int
    units: int
    """Write units where items are put one by one, at most."""
    line_bytes: int
    """Of all items as lines of files for an import, uncompressed."""
    contents: str
    """A hash of all keys with their states."""


@dataclass(frozen=True)
class LoadedStore:
    """A store's keys, and the totals that they make."""

    store: StoreFile
    totals: dict[Node, Total]
    sizes: LoadSizes
    mode: str = STANDARD
    """Of the stack."""

    @classmethod
    def read(cls, store: StoreFile, progress: Progress, mode: str = STANDARD) -> "LoadedStore":
        """Go through all keys. Raises OncefoldError for one that DynamoDB cannot hold."""
        pipeline = store.pipeline
        totals: dict[Node, Total] = {}
        keys = units = line_bytes = 0
        contents = sha256()
        some: list[tuple[None, Stored]] = []
        for key, stored in states(store):
            size = len(line(state_item(pipeline, key, stored, mode=mode)))
            if may_be_refused(pipeline, size) and (reason := refusal(pipeline, key, stored)) is not None:
                raise OncefoldError(f"{store.path}: the key {key!r} cannot be held: {reason}")
            contents.update(_identity(key, stored))
            keys, line_bytes, units = keys + 1, line_bytes + size, units - (-size // _UNIT_BYTES)
            some.append((None, stored))
            if len(some) == _TOGETHER:
                _add(pipeline, totals, some)
                progress("keys read", keys)
        _add(pipeline, totals, some)
        sizes = [len(line(node_item(pipeline, node, total))) for node, total in totals.items()]
        units += sum(-(-size // _UNIT_BYTES) for size in sizes)
        found = LoadSizes(keys, len(totals), units, line_bytes + sum(sizes), contents.hexdigest())
        return cls(store, totals, found, mode)

    def state_items(self, mark: int = 0) -> Iterator[Item]:
        """The items of StateTable, always in the same order; `mark` is the epoch that they are brought into.

        Raises OncefoldError at the end if the store changed since the totals were added up.
        """
        pipeline = self.store.pipeline
        contents = sha256()
        for key, stored in states(self.store):
            contents.update(_identity(key, stored))
            yield state_item(pipeline, key, stored, mark, self.mode)
        if contents.hexdigest() != self.sizes.contents:
            raise OncefoldError(f"{self.store.path}: it was written while it was read; load it when nobody writes it")

    def node_items(self, epoch: int = 0) -> Iterator[Item]:
        """The nodes of AggregateTable, those of one partition far from each other."""
        pipeline = self.store.pipeline
        scattered = sorted(self.totals, key=lambda node: digest([node.rollup, node.labels]))
        return (node_item(pipeline, node, self.totals[node], epoch) for node in scattered)

    def aggregate_items(self) -> Iterator[Item]:
        """All items of an AggregateTable that is made of them."""
        yield definition_item(self.store.pipeline, mode=self.mode)
        yield from self.node_items()


def _identity(key: str, stored: Stored) -> bytes:
    return repr((key, stored.version, stored.content.labels, stored.content.measures)).encode()


def _add(pipeline: Pipeline, totals: dict[Node, Total], some: list[tuple[None, Stored]]) -> None:
    for node, total in net(pipeline, some).items():
        totals[node] = totals[node] + total if node in totals else total
    some.clear()


def states(store: StoreFile) -> Iterator[tuple[str, Stored]]:
    """Every key of a store, of deleted ones too, as the functions hold it."""
    for state in store.key_states():
        content = DELETED if state.labels is None else Content(state.labels, state.measures)
        yield state.key, Stored(state.version, content)


def state_item(pipeline: Pipeline, key: str, stored: Stored, mark: int = 0, mode: str = STANDARD) -> Item:
    """The item of a key; in economy mode it says that it was loaded, so that NetLambda does not count it once more."""
    loaded: Item = {layout.LOADED: {"BOOL": True}} if mode == ECONOMY else {}
    return {**layout.state_key(key), **layout.state_content(pipeline, stored, mark), **loaded}


def node_item(pipeline: Pipeline, node: Node, total: Total, epoch: int = 0) -> Item:
    """The item of a node."""
    sums = zip(pipeline.amounts, total.sums, strict=True)
    numbers = {amount.name: number(value, amount.scale) for amount, value in sums}
    return {**layout.node_key(pipeline, node, epoch), "count": {"N": str(total.count)}, **numbers}


def line(item: Item) -> bytes:
    """An item as a line of a file in DynamoDB JSON: one object `Item`, and no line break in it."""
    document: dict[str, Any] = {"Item": item}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
