"""Parts of items: projection expressions, and the attributes that an update touched.

Source: "Using projection expressions in DynamoDB".
"""

from collections.abc import Sequence
from typing import Any

from oncefold_lab.simulator.lexer import Tokens
from oncefold_lab.simulator.syntax import Path, Scope, parse_path, step
from oncefold_lab.simulator.updates import check_distinct_paths
from oncefold_lab.simulator.values import Item, Value, give

Tree = dict[Any, Any]
"""Paths by their elements; the end of a path is an empty tree."""


def parse_projection(tokens: Tokens, scope: Scope) -> tuple[Path, ...]:
    """Read a whole expression. Raises Refusal."""
    paths = [parse_path(tokens, scope)]
    while tokens.skip_sign(","):
        paths.append(parse_path(tokens, scope))
    tokens.finish()
    check_distinct_paths(tokens, tuple(paths))
    return tuple(paths)


def project(item: Item, paths: Sequence[Path]) -> Item:
    """Copies of the parts of an item at some paths, within the maps and lists that they are in; lists close up."""
    tree: Tree = {}
    for path in paths:
        branch = tree
        for element in path.elements:
            branch = branch.setdefault(element, {})
    return _entries(item, tree)


def _entries(entries: dict[str, Value], tree: Tree) -> dict[str, Value]:
    parts = {name: _part(entries[name], branch) for name, branch in tree.items() if name in entries}
    return {name: part for name, part in parts.items() if part is not None}


def _part(value: Value, tree: Tree) -> Value | None:
    if not tree:
        return give(value)
    if any(isinstance(element, int) for element in tree):
        found = [(step(value, index), branch) for index, branch in sorted(tree.items())]
        parts = [_part(element, branch) for element, branch in found if element is not None]
        elements = [part for part in parts if part is not None]
        return {"L": elements} if elements else None
    entries = _entries(value["M"], tree) if "M" in value else {}
    return {"M": entries} if entries else None
