"""`oncefold redefine`: replace a store's definition by another, from the whole events that the store keeps."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oncefold.cli.backend import backend_options
from oncefold.core.errors import OncefoldError
from oncefold.queries.render import formatting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oncefold.cli.backend import Backend

_SHOWN_REASONS = 10
_SERVER_SECONDS = 24 * 3_600.0
"""How long a server may take, which answers when it is done."""

_EPILOG = """\b
Examples:
  oncefold redefine new.toml --store risk.db --dry-run
  oncefold redefine new.toml --store risk.db
\b
  # a server that goes on taking events meanwhile; the token is that of an administrator
  oncefold redefine new.toml --server http://localhost:8080 --token-file admin.token

The store has to keep whole events: keep_events = true in its definition, from its first event on.

Exit status: 0 done, 2 it cannot be done, and nothing has changed; 130 interrupted, and nothing has changed."""


@click.command(epilog=_EPILOG, short_help="Replace a store's definition, without reading the sources again.")
@click.argument("pipeline", type=click.Path(dir_okay=False))
@backend_options
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def redefine(pipeline: str, backend: Backend, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001
    """Make the totals anew under PIPELINE from the events that the store keeps, and switch to them in one step.

    The new totals are recomputed and compared before the switch. Positions stay; readers see the old totals, then
    the new ones. Kept events that PIPELINE rejects go to the reject list. Totals as of earlier commits are those of the
    definition of that time.
    """
    if backend.kind == "stack":
        raise OncefoldError("a stack keeps no whole events; deploy the new definition as a new stack, and read it anew")
    if backend.kind == "server":
        found = _of_server(pipeline, backend, dry_run)
    else:
        found = _of_store(pipeline, Path(backend.where), dry_run)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        _show(found, backend.where)


def _of_store(pipeline: str, path: Path, dry_run: bool) -> dict[str, Any]:  # noqa: FBT001
    from oncefold.cli.progress import ProgressLine
    from oncefold.engine.redefinition import RedefinitionProgress, redefine_store
    from oncefold.engine.warmup import warm_up
    from oncefold.pipeline_file import load_pipeline

    definition = load_pipeline(pipeline)
    warm_up(lambda words: click.echo(f"oncefold: {words}", err=True))
    with ProgressLine() as line:

        def progress(done: RedefinitionProgress) -> None:
            line(f"of {done.of:,} kept events read", done.events)

        made = redefine_store(path, definition, dry_run=dry_run, on_progress=progress)
    return made.document()


def _of_server(pipeline: str, backend: Backend, dry_run: bool) -> dict[str, Any]:  # noqa: FBT001
    from oncefold.pipeline_file import load_pipeline
    from oncefold.queries.http_client import Client, address_of
    from oncefold.serve.security.tokens import administering_token

    load_pipeline(pipeline)  # what is wrong with the file is said by its name
    named = backend.token_file
    token = os.environ.get("ONCEFOLD_ADMIN_TOKEN") if named is None else administering_token(named)
    client = Client(address_of(backend.where), token, _SERVER_SECONDS)
    target = f"/redefine?dry_run={'true' if dry_run else 'false'}"
    found = client.post(target, Path(pipeline).read_bytes(), "application/toml")
    assert isinstance(found, dict)
    return found


def _show(found: Mapping[str, Any], where: str) -> None:
    for change in found["changes"]:
        click.echo(change)
    counts = found["counts"]
    kinds = (("live", "inserted"), ("deleted", "deleted"), ("filtered", "filtered"), ("rejected", "rejected"))
    listed = ", ".join(f"{counts[name]:,} {kind}" for kind, name in kinds if counts.get(name))
    click.echo(f"\n{formatting.many(found['events'], 'kept event')}: {listed or 'none'}")
    for title in ("before", "after"):
        click.echo(f"\n{title}")
        for rollup, node in found[title].items():
            amounts = "".join(f"  {name} {formatting.amount(value)}" for name, value in node["measures"].items())
            click.echo(f"  {rollup}  count {node['count']:,}{amounts}")
    if found["rejected"]:
        click.echo("\nrejected")
        most = sorted(found["rejected"], key=lambda kind: -kind["events"])
        for kind in most[:_SHOWN_REASONS]:
            click.echo(f"  {kind['events']:,} x {formatting.printable(kind['reason'])}")
        if len(most) > _SHOWN_REASONS:
            click.echo(f"  and {formatting.many(len(most) - _SHOWN_REASONS, 'more reason')}")
    if found["commit"]:
        click.echo(f"\n{where} has the new definition since commit {found['commit']} ({found['seconds']:.1f} s)")
        if where.startswith("http"):
            click.echo("put it where the server's pipeline file is before the server is started again")
        if found["rejected"]:
            click.echo("to see the rejects: oncefold rejects list")
    else:
        click.echo("\na dry run: nothing has changed")
