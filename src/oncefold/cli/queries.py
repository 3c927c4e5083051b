"""The commands that query: each reads one answer from a store, a server or a stack, and writes it in any form."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oncefold.cli.backend import Backend, backend_options, stack_alias
from oncefold.cli.lazy import Lazy, LazyGroup, Section
from oncefold.cli.options import FORMATS, STATUS_TEXT, depth_option, format_options, limit_option
from oncefold.cli.output import write_answer, write_report
from oncefold.core.errors import OncefoldError

if TYPE_CHECKING:
    from oncefold.queries.model import Verification
    from oncefold.queries.render.screen import Screen

_ROLLUP = click.option("--rollup", "-r", metavar="NAME", help="The tree; needed where there are several.")

_QUERY_EPILOG = f"""\b
Examples:
  # the root and its children
  oncefold query --store risk.db
\b
  # a node and everything below it, as CSV
  oncefold query Delta/FXSpot --depth all --format csv --store risk.db
\b
  # another tree; and a node whose label holds a slash
  oncefold query --rollup by_region --store risk.db
  oncefold query 'US\\/Texas' --store risk.db
\b
  # a thousand children at a time
  oncefold query --limit 1000 --after EMEA --store risk.db
\b
  # the twenty greatest; those with a text in their label
  oncefold query --sort value --limit 20 --store risk.db
  oncefold query Delta --filter spot --store risk.db
\b
  # as it was at commit 12, or at a time
  oncefold query --as-of 12 --store risk.db
  oncefold query --as-of 2026-01-31T09:30:00Z --output morning.parquet --store risk.db
\b
  # of a server; of a stack on AWS, with what is folded but not in the totals yet
  oncefold query --server http://127.0.0.1:8321
  oncefold query --exact --stack oncefold-risk

NODE is labels joined by /, the root if left out. Inside a label \\/ is a slash, \\\\ a backslash, \\e an empty label.
Sums have every digit; in JSON they are text, so that no reader makes floats of them. The totals of a stack lag behind
its keys by the deltas in the outbox, of which the last line says how many there are and how old; --exact adds them.

{STATUS_TEXT}"""


@click.command(epilog=_QUERY_EPILOG)
@click.argument("node", default="")
@backend_options
@_ROLLUP
@depth_option
@limit_option(None, "children")
@click.option("--after", metavar="LABEL", help="Only the children beyond this label; then --depth is 1.")
@click.option("--sort", metavar="VALUE", help="The children by count or a measure, the greatest first, or by label.")
@click.option("--ascending/--descending", default=None, help="The direction of --sort.")
@click.option("--filter", "matching", metavar="TEXT", default="", help="Only children whose label holds this text.")
@click.option("--as-of", metavar="COMMIT|TIME", help="As it was at this commit, or at this time (RFC 3339).")
@click.option("--exact", is_flag=True, help="Of a stack: add the deltas in the outbox to the totals.")
@format_options(*FORMATS)
def query(
    node: str,
    backend: Backend,
    rollup: str | None,
    form: str | None,
    output: Path | None,
    *,
    exact: bool,
    **extent: Any,
) -> None:
    """Show the exact totals of NODE and of what lies below it, now or at an earlier commit."""
    with backend.open(exact=exact) as reader:
        totals = reader.query(node, rollup=rollup, **extent)
    write_answer(totals, form, output)


_EXPLAIN_EPILOG = """\b
Examples:
  oncefold explain Delta/FXSpot/AMER --store risk.db
\b
  # every key, to a file
  oncefold explain Delta/FXSpot/AMER --limit all --output keys.csv --store risk.db
\b
  # the root of a store with several trees
  oncefold explain '' --rollup by_region --store risk.db
\b
  # which keys have the least price, and which have one of the different customers
  oncefold explain shop --measure cheapest --store orders.db
  oncefold explain shop --measure buyers --value ann --store orders.db

Keys of a store come in the order in which they first arrived, those of a stack in the order of their texts. All keys of
the node are added up, also where not all are listed, and compared with the node's total. Of a stack the whole table is
read, and that is paid for: a read unit for each 4 KB. What happened to one of the keys: oncefold history KEY.

\b
Exit status: 0 answered, 1 the keys do not add up to the total, 2 the query or what is read is wrong."""


@click.command(epilog=_EXPLAIN_EPILOG)
@click.argument("node")
@backend_options
@_ROLLUP
@limit_option(20, "keys")
@click.option("--measure", metavar="NAME", help="Only the keys that make this measure what it is.")
@click.option("--value", metavar="TEXT", help="Of a measure that counts different values: only the keys with this one.")
@format_options(*FORMATS)
@click.pass_context
def explain(
    context: click.Context,
    /,
    node: str,
    backend: Backend,
    form: str | None,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Show the keys that count in NODE: how many, what they make, and each with its version, leaf and values."""
    with backend.open() as reader:
        found = reader.explain(node, **chosen)
    write_answer(found, form, output)
    if not found.adds_up and not found.moved:
        context.exit(1)


_HISTORY_EPILOG = f"""\b
Examples:
  oncefold history 161ebc4b-0828-448a-a734-41169c67910c --store risk.db
\b
  # duplicates, stale events and lost conflicts too, as JSON Lines
  oncefold history T-17 --every --format jsonl --store risk.db
\b
  # a key of several fields: its parts joined by /
  oncefold history US/Texas --store covid.db
\b
  # a key that begins with a dash
  oncefold history --store risk.db -- -17

{STATUS_TEXT}"""


@click.command(epilog=_HISTORY_EPILOG)
@click.argument("key")
@backend_options
@click.option("--every", is_flag=True, help="Also the events that changed nothing: duplicates, stale and lost ones.")
@click.option("--as-of", metavar="COMMIT|TIME", help="Of a store: up to this commit, or this time (RFC 3339).")
@format_options(*FORMATS)
def history(
    key: str,
    backend: Backend,
    every: bool,  # noqa: FBT001
    as_of: str | None,
    form: str | None,
    output: Path | None,
) -> None:
    """Show every version of KEY that was accepted, oldest first, and the current one.

    As of a commit before the definition was replaced, as the definition of that time read them.
    """
    if as_of is not None:
        from oncefold.queries.store_reader import StoreReader

        if backend.kind != "store":
            raise OncefoldError("--as-of of a history is only for a store, which is read with --store FILE")
        with StoreReader.open(backend.where) as store:
            found = store.history(key, every=every, as_of=as_of)
    else:
        with backend.open() as reader:
            found = reader.history(key, every=every)
    write_answer(found, form, output, whole=every)


_REJECTS_SECTIONS = (
    Section(
        "Commands",
        (
            Lazy("list", "oncefold.cli.queries:list_rejects", "Show the reject list (also without a command)."),
            Lazy("redrive", "oncefold.cli.reject_admin:redrive", "Read rejected events again, after a fix."),
            Lazy("discard", "oncefold.cli.reject_admin:discard", "Take rejected events off the list for good."),
        ),
    ),
)

_REJECTS_EPILOG = """\b
Examples:
  oncefold rejects --store risk.db
  oncefold rejects list --limit all --raw --store risk.db
  oncefold rejects redrive pipeline.toml --store risk.db
  oncefold rejects discard 17 18 --store risk.db"""

_LIST_EPILOG = f"""\b
Examples:
  oncefold rejects list --store risk.db
\b
  # whole events, all of them
  oncefold rejects list --limit all --raw --store risk.db
\b
  # their bytes, as they came, into a program
  oncefold rejects list --limit all --format jsonl --store risk.db | jq -r .raw

JSON and CSV hold an event's bytes as text in `raw`, or, if they are not UTF-8, in `raw_base64`.

{STATUS_TEXT}"""


@click.group(cls=LazyGroup, sections=_REJECTS_SECTIONS, default="list", epilog=_REJECTS_EPILOG)
def rejects() -> None:
    """Events that could not be read: list them, read them again after a fix, or discard them."""


@click.command("list", epilog=_LIST_EPILOG)
@backend_options
@limit_option(20, "events")
@click.option("--after", type=click.IntRange(0), default=0, metavar="ID", help="Only those that follow this id.")
@click.option("--raw", is_flag=True, help="Show each event whole. Only tables cut them.")
@format_options(*FORMATS)
def list_rejects(
    backend: Backend,
    limit: int | None,
    after: int,
    raw: bool,  # noqa: FBT001
    form: str | None,
    output: Path | None,
) -> None:
    """Show the events that could not be read: where each was, why, and what it looks like."""
    with backend.open() as reader:
        found = reader.rejects(limit, after=after)
    write_answer(found, form, output, whole=raw)


_CONFLICTS_EPILOG = f"""\b
Examples:
  oncefold conflicts --store risk.db
  oncefold conflicts --limit all --output conflicts.csv --store risk.db

Of two events with one key and version but different content, one counts, always the same, whichever came first: a
delete above a live event, then the greater labels, then the greater values.

{STATUS_TEXT}"""


@click.command(epilog=_CONFLICTS_EPILOG)
@backend_options
@limit_option(20, "conflicts")
@click.option("--after", type=click.IntRange(0), default=0, metavar="ID", help="Only those that follow this id.")
@format_options(*FORMATS)
def conflicts(backend: Backend, limit: int | None, after: int, form: str | None, output: Path | None) -> None:
    """Show events of one key and version that contradict each other: which one counts, and the other."""
    with backend.open() as reader:
        found = reader.conflicts(limit, after=after)
    write_answer(found, form, output)


_VERIFY_EPILOG = """\b
Examples:
  oncefold verify --store risk.db
\b
  # the file itself, too
  oncefold verify --deep --store risk.db
\b
  # for a script or a monitor
  oncefold verify --store risk.db --format json
\b
  # of a stack: first put all pending deltas into the totals
  oncefold verify --drain --stack oncefold-risk

It reads the state of every key, adds up every node of every tree anew, and compares with the stored totals. Events may
be folded meanwhile. It does not look at checksums, the changelog, snapshots, past totals and counters: --deep does, as
oncefold check-store. A stack is not read as of one moment: there a
difference counts only where the node did not change, and while nodes differ that changed, everything is read again.
That is paid for: a read unit for each 4 KB.

\b
Exit status: 0 every total is exact, 1 some are wrong, 2 it cannot be read, or nodes of a stack changed in every
reading."""


@click.command(epilog=_VERIFY_EPILOG)
@backend_options
@click.option("--deep", is_flag=True, help="Of a store: also examine the file as check-store does.")
@click.option("--drain", is_flag=True, help="Of a stack: apply the pending deltas first.")
@click.option("--tries", type=click.IntRange(1), metavar="N",
              help="Of a stack: how often to read everything while the pipeline moves.  [default: 3]")  # fmt: skip
@format_options("table", "json")
@click.pass_context
def verify(
    context: click.Context,
    backend: Backend,
    deep: bool,  # noqa: FBT001
    drain: bool,  # noqa: FBT001
    tries: int | None,
    form: str | None,
    output: Path | None,
) -> None:
    """Recompute every total from the keys and compare; name the first wrong node."""
    if deep and backend.kind != "store":
        raise OncefoldError("--deep: only for a store, which is read with --store FILE; leave it out here")
    with backend.open(drain=drain, tries=tries) as reader:
        found = reader.verify()
    if deep:
        _verify_deep(context, Path(backend.where), found, form, output)
        return
    write_answer(found, form, output)
    if not found.exact:
        context.exit(1 if found.rows else 2)


def _verify_deep(
    context: click.Context, store: Path, found: Verification, form: str | None, output: Path | None
) -> None:
    """Report what was recomputed and what an examination of the file found, as one answer."""
    from oncefold.cli.check_store import check_document, show_check
    from oncefold.queries.render.document import document
    from oncefold.queries.render.table import show
    from oncefold.queries.store_reader import check

    examined = check(store)

    def shown(screen: Screen) -> None:
        show(found, screen, whole=True)
        show_check(store, examined, screen)

    write_report(
        shown, lambda: {**document(found, time.time_ns()), "deep": check_document(store, examined)}, form, output
    )
    if not (found.exact and examined.sound):
        context.exit(1)


_STATUS_EPILOG = f"""\b
Examples:
  oncefold status --store risk.db
\b
  # for a monitor: bytes not folded yet, and seconds behind
  oncefold status --store risk.db --format json | jq '.sources[].lag_bytes, .behind_seconds'
\b
  # of a stack: count keys and nodes now, by reading their tables
  oncefold status --count --stack oncefold-risk

How far behind its stream a stack is, only CloudWatch knows: the iterator age is the greatest of the last quarter of an
hour, and comes some minutes late. What may not be queried is left out and said.

{STATUS_TEXT}"""


@click.command(epilog=_STATUS_EPILOG)
@backend_options
@click.option("--count", is_flag=True, help="Of a stack: count keys and nodes now; a read unit for each 4 KB.")
@format_options("table", "json")
def status(backend: Backend, count: bool, form: str | None, output: Path | None) -> None:  # noqa: FBT001
    """Show everything as a whole: how far it is, what became of the events, freshness, size."""
    with backend.open(count=count) as reader:
        found = reader.status()
    write_answer(found, form, output)


aws_query = stack_alias(query, "  oncefold aws query Delta --depth all --stack oncefold-risk")
aws_explain = stack_alias(explain, "  oncefold aws explain Delta/FXSpot/AMER --stack oncefold-risk")
aws_rejects = stack_alias(list_rejects, "  oncefold aws rejects --limit all --raw --stack oncefold-risk", "rejects")
aws_conflicts = stack_alias(conflicts, "  oncefold aws conflicts --stack oncefold-risk")
aws_verify = stack_alias(verify, "  oncefold aws verify --drain --stack oncefold-risk")
aws_status = stack_alias(status, "  oncefold aws status --count --stack oncefold-risk")
