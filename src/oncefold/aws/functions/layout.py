"""How keys, states, deltas and totals are laid out as DynamoDB items. Pure; docs/AWS.md shows the same as tables.

Items are in the form of the low-level API: `{"version": {"N": "3"}}`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oncefold.core import leafset, nodepath
from oncefold.core.decimals import parse_decimal
from oncefold.core.definition import Pipeline
from oncefold.core.event import DELETED, Content
from oncefold.core.fold import Node, Stored, Total
from oncefold.core.versions import from_sortable, sortable
from oncefold.dynamodb.items import NUMBER_LIMIT, Item, digest, mantissa, number

DEFINITION_KEY: Item = {"path": {"S": "definition"}, "label": {"S": "definition"}}
"""The item of AggregateTable that holds the pipeline's definition; paths of nodes have a slash."""

POSITIONS = "stream"
"""The partition of AggregateTable with the positions in StateTable's stream, one item a shard (economy mode)."""


LOADED = "loaded"
"""The attribute of a state that `oncefold aws load` put into a stack in economy mode, for good."""


def key_text(text: str) -> str:
    """A text as part of a primary key, which must not be empty: a text of n NULs, none included, gets one more.

    Different texts stay different, and their order stays.
    """
    return text if text.strip("\0") else text + "\0"


def plain_text(stored: str) -> str:
    """The inverse of `key_text`."""
    return stored if stored.strip("\0") else stored[1:]


def state_key(key: str) -> Item:
    """The primary key of a key's state item."""
    return {"key": {"S": key_text(key)}}


def state_content(pipeline: Pipeline, stored: Stored, mark: int = 0) -> Item:
    """The attributes of a key's state beside its primary key; a deleted key has neither labels nor measures.

    `mark` is the greatest epoch that the key was brought into (see `epochs`); 0 has no attribute.
    """
    item: Item = {"version": version_value(pipeline, stored.version), "content": {"S": content_hash(stored.content)}}
    if mark:
        item["epoch"] = {"N": str(mark)}
    if stored.content.labels is not None:
        scales = [column.scale for column in pipeline.columns]
        by_level = leafset.by_level(pipeline.arrays, stored.content.labels)
        item["labels"] = {"L": [_labels_value(labels) for labels in by_level]}
        item["measures"] = {"L": [number(m, s) for m, s in zip(stored.content.measures, scales, strict=True)]}
    return item


def version_value(pipeline: Pipeline, version: int) -> dict[str, str]:
    """A version as an attribute that compares as it does: a number, or text of 32 digits for what no number holds."""
    return {"S": sortable(version)} if pipeline.has_wide_versions else {"N": str(version)}


def parse_version(value: Mapping[str, str]) -> int:
    """The inverse of `version_value`."""
    return from_sortable(value["S"]) if "S" in value else int(value["N"])


def content_hash(content: Content) -> str:
    """What identifies a content in conditions: 32 hexadecimal digits of a hash."""
    return digest([content.labels, content.measures])[:32]


def _labels_value(labels: str | tuple[str, ...]) -> dict[str, Any]:
    """The label of a level, or the list of all."""
    return {"S": labels} if isinstance(labels, str) else {"L": [{"S": label} for label in labels]}


def _parse_labels(value: Mapping[str, Any]) -> str:
    """The inverse: all labels packed."""
    return value["S"] if "S" in value else leafset.pack(label["S"] for label in value["L"])


def parse_state(pipeline: Pipeline, item: Mapping[str, Any]) -> tuple[str, Stored]:
    """The key and state that an item of StateTable holds."""
    content = DELETED
    if "labels" in item:
        scales = [column.scale for column in pipeline.columns]
        labels = tuple(map(_parse_labels, item["labels"]["L"]))
        content = Content(labels, tuple(mantissa(m, s) for m, s in zip(item["measures"]["L"], scales, strict=True)))
    return plain_text(item["key"]["S"]), Stored(parse_version(item["version"]), content)


def epoch_of(item: Mapping[str, Any]) -> int:
    """The mark of a state's item, or the epoch that a delta's item is for."""
    return int(item["epoch"]["N"]) if "epoch" in item else 0


@dataclass(frozen=True, slots=True)
class Marked:
    """A state as it is stored, with its mark."""

    stored: Stored
    mark: int = 0


def parse_marked(pipeline: Pipeline, item: Mapping[str, Any]) -> tuple[str, Marked]:
    """The key, with its state and mark, that an item of StateTable holds."""
    key, stored = parse_state(pipeline, item)
    return key, Marked(stored, epoch_of(item))


@dataclass(frozen=True, slots=True)
class StateChange:
    """A record of StateTable's stream: a key's state before and after."""

    sequence: int
    """Grows from record to record of a shard."""
    before: Marked | None
    after: Marked | None

    def within(self, epoch: int) -> tuple[Stored | None, Stored | None]:
        """What it changes in an epoch, in which a key counts once it has its mark or a later one."""
        return _counted(self.before, epoch), _counted(self.after, epoch)


def _counted(state: Marked | None, epoch: int) -> Stored | None:
    return None if state is None or state.mark < epoch else state.stored


def parse_change(pipeline: Pipeline, change: Mapping[str, Any]) -> StateChange:
    """The change that a stream's record has under `dynamodb`, with both images.

    A state that comes into the table as loaded changes nothing: its load adds to the totals what it counts for.
    """
    if "OldImage" not in change and LOADED in change.get("NewImage", ()):
        return StateChange(int(change["SequenceNumber"]), None, None)
    before, after = (
        parse_marked(pipeline, change[image])[1] if image in change else None for image in ("OldImage", "NewImage")
    )
    return StateChange(int(change["SequenceNumber"]), before, after)


def position_key(shard: str) -> Item:
    """The primary key of the item that says up to which record a shard of StateTable's stream is netted."""
    return {"path": {"S": POSITIONS}, "label": {"S": shard}}


@dataclass(frozen=True, slots=True)
class Delta:
    """Net changes of some nodes' totals in one epoch, to be added to them once."""

    id: str
    nodes: tuple[tuple[Node, Total], ...]
    epoch: int = 0


def delta_key(delta_id: str) -> Item:
    """The primary key of a delta item."""
    return {"id": {"S": delta_id}}


def delta_item(pipeline: Pipeline, delta: Delta, *, keys: int, created: int) -> Item:
    """The item of ReduceTable: `nodes` is JSON, one `[rollup, [labels], count, [sums]]` a node, sums as decimals.

    `keys` is the number of keys behind it, `created` in seconds since 1970; both are for people and alarms.
    """
    scales = [amount.scale for amount in pipeline.amounts]
    rows = [
        [
            pipeline.rollups[node.rollup].name,
            list(node.labels),
            total.count,
            [number(value, scale)["N"] for value, scale in zip(total.sums, scales, strict=True)],
        ]
        for node, total in delta.nodes
    ]
    return {
        **delta_key(delta.id),
        **({"epoch": {"N": str(delta.epoch)}} if delta.epoch else {}),
        "created": {"N": str(created)},
        "keys": {"N": str(keys)},
        "nodes": {"S": json.dumps(rows, ensure_ascii=False, separators=(",", ":"))},
    }


def parse_delta(pipeline: Pipeline, item: Mapping[str, Any]) -> Delta:
    """The delta that an item of ReduceTable holds."""
    scales = [amount.scale for amount in pipeline.amounts]
    nodes = tuple(
        (
            Node(pipeline.rollup_index(rollup), tuple(labels)),
            Total(count, tuple(parse_decimal(s, scale, NUMBER_LIMIT) for s, scale in zip(sums, scales, strict=True))),
        )
        for rollup, labels, count, sums in json.loads(item["nodes"]["S"])
    )
    return Delta(item["id"]["S"], nodes, epoch_of(item))


def epoch_path(epoch: int) -> str:
    """What the paths of an epoch's nodes begin with; also the partition of its rollups' roots."""
    return f"{epoch or ''}/"


def children_path(rollup: str, labels: Sequence[str], epoch: int = 0) -> str:
    """The partition of AggregateTable with a node's children; the rollups' roots are the children of `epoch_path`."""
    path = f"{epoch_path(epoch)}{rollup}"
    return f"{path}/{nodepath.join(labels)}" if labels else path


def node_key(pipeline: Pipeline, node: Node, epoch: int = 0) -> Item:
    """The primary key of a node: its epoch, rollup and parent's path, and its own label."""
    name = pipeline.rollups[node.rollup].name
    if not node.labels:
        return {"path": {"S": epoch_path(epoch)}, "label": {"S": name}}
    return {"path": {"S": children_path(name, node.labels[:-1], epoch)}, "label": {"S": key_text(node.labels[-1])}}


def node_epoch(item: Mapping[str, Any]) -> int | None:
    """The epoch of a node's item; None for an item of AggregateTable that is no node."""
    epoch, slash, _ = item["path"]["S"].partition("/")
    return int(epoch or 0) if slash else None


def parse_node(pipeline: Pipeline, item: Mapping[str, Any]) -> tuple[Node, Total]:
    """The node and totals that an item of AggregateTable holds."""
    _, _, path = item["path"]["S"].partition("/")
    label = item["label"]["S"]
    if not path:
        node = Node(pipeline.rollup_index(label))
    else:
        rollup, *parent = path.split("/", 1)
        labels = nodepath.split(parent[0]) if parent else ()
        node = Node(pipeline.rollup_index(rollup), (*labels, plain_text(label)))
    sums = tuple(mantissa(item.get(amount.name, {"N": "0"}), amount.scale) for amount in pipeline.amounts)
    return node, Total(int(item["count"]["N"]), sums)
