"""Nodes and keys found by a part of their name."""

from dataclasses import dataclass

from oncefold.queries.answers import Commit
from oncefold.queries.snapshot import Snapshot
from oncefold.store.nodes import rollup_index
from oncefold.store.search import FoundKey, FoundNode, find_keys, find_nodes

MOST_NODES = 500_000
"""Nodes that are looked through, the first that were met."""
NEWEST_KEYS = 300_000
"""Keys whose beginning is looked at, about so many of the newest."""


@dataclass(frozen=True)
class Found:
    """What a text finds."""

    commit: Commit
    nodes: tuple[FoundNode, ...]
    """Those first whose label begins with the text, then by depth and path."""
    keys: tuple[FoundKey, ...]
    """The key that is the text, then newer ones first."""


def found_by(snapshot: Snapshot, text: str, rollup: str | None, limit: int) -> Found:
    """See `Questions.search`. Raises QuestionError for an unknown rollup."""
    pipeline = snapshot.pipeline
    name = None if rollup is None else pipeline.rollups[rollup_index(pipeline, rollup)].name
    with snapshot.at_one_commit() as connection:
        nodes = find_nodes(connection, text, name, limit, MOST_NODES) if text else []
        keys = find_keys(connection, len(pipeline.measures), text, limit, NEWEST_KEYS)
    return Found(snapshot.last(), tuple(nodes), tuple(keys))
