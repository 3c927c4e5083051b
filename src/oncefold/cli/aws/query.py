"""`oncefold aws query`: the totals of a node and of what lies below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from oncefold.cli.aws.asking import STACK_STATUS_WORDS, ask, outbox_words
from oncefold.cli.aws.options import stack_option
from oncefold.cli.options import FORMATS, depth_option, format_options
from oncefold.cli.output import Reply
from oncefold.cli.query import show_tree

if TYPE_CHECKING:
    from pathlib import Path

    from oncefold.aws.names import Names
    from oncefold.aws.reader.answers import StackTree

_EPILOG = f"""\b
Examples:
  # the root and its children
  oncefold aws query --stack oncefold-risk
\b
  # a node and everything below it, as CSV
  oncefold aws query Delta/FXSpot --depth all --format csv --stack oncefold-risk
\b
  # with what is folded but not in the totals yet
  oncefold aws query --exact --stack oncefold-risk

NODE is labels joined by /, the root if left out. Inside a label \\/ is a slash, \\\\ a backslash, \\e an empty label.
Totals lag behind the keys by the deltas in the outbox, of which the last line tells how many there are and how old;
--exact adds them. The rows are those of `oncefold query` on a store of the same events.

{STACK_STATUS_WORDS}"""


@click.command(epilog=_EPILOG)
@click.argument("node", default="")
@stack_option
@click.option("--rollup", "-r", metavar="NAME", help="The tree; needed where there are several.")
@depth_option
@click.option("--exact", is_flag=True, help="Add the deltas in the outbox to the totals.")
@format_options(*FORMATS)
def query(
    node: str,
    names: Names,
    rollup: str | None,
    depth: int | None,
    exact: bool,  # noqa: FBT001
    form: str | None,
    output: Path | None,
) -> None:
    """Show the exact totals of NODE and of what lies below it."""
    tree = ask(names).query(node, rollup=rollup, depth=depth, exact=exact)
    Reply(lambda screen: show_tree(tree, _footer(tree), screen), lambda: _document(tree), tree).write(form, output)


def _footer(tree: StackTree) -> str:
    footer = f"stack {tree.read.stack} at {tree.read.time_text}; {outbox_words(tree.outbox)}"
    if not tree.outbox.deltas:
        return footer
    return f"{footer}, added" if tree.exact else f"{footer}, not in these totals yet"


def _document(tree: StackTree) -> dict[str, Any]:
    from oncefold.queries.forms import plain_rows

    oldest = tree.outbox.oldest
    return {
        "stack": tree.read.stack,
        "time": tree.read.time_text,
        "pending": {
            "deltas": tree.outbox.deltas,
            "complete": tree.outbox.complete,
            "oldest_seconds": None if oldest is None else oldest.total_seconds(),
            "added": tree.exact,
        },
        "rollup": tree.rollup,
        "rows": list(plain_rows(tree, "rollup")),
    }
