"""`oncefold check-store`: a store file examined for damage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import click

from oncefold.cli.options import format_options, store_option
from oncefold.cli.output import write_report
from oncefold.core.errors import StoreError
from oncefold.queries.render import formatting

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from oncefold.queries.render.screen import Screen
    from oncefold.queries.status_model import CheckedStore

_EPILOG = """\b
Examples:
  oncefold check-store --store risk.db
  oncefold check-store --store risk.db --format json

It examines the database's own structure, the checksum of every blob, that ids refer to something, that the snapshots
are those of the changes, and that the totals are those of the keys. The store may be written meanwhile.

\b
Exit status: 0 nothing is wrong, 1 something is, 2 there is no such file."""

_VARYING: Final = re.compile(r"'(?:[^'\\]|\\.)*'|-?[0-9][0-9,.]*")


@click.command("check-store", epilog=_EPILOG)
@store_option
@format_options("table", "json")
@click.pass_context
def check_store(context: click.Context, store: Path, form: str | None, output: Path | None) -> None:
    """Examine a store file for damage, down to every checksum."""
    from oncefold.queries.store_reader import check

    if not store.exists():
        raise StoreError(f"{store}: no such store; `oncefold run` creates one")
    found = check(store)
    write_report(lambda screen: show_check(store, found, screen), lambda: check_document(store, found), form, output)
    if not found.sound:
        context.exit(1)


def show_check(store: Path, found: CheckedStore, screen: Screen) -> None:
    """Print what an examination found, findings of one kind as one."""
    for first, others in grouped(found):
        more = f" (and {formatting.many(others, 'more finding')} of this kind)" if others else ""
        screen.line(f"{formatting.printable(first)}{more}", "red")
    at = "" if found.commit is None else f", {formatting.commit(found.commit)}"
    verdict = "sound" if found.sound else f"{formatting.many(len(found), 'finding')}"
    screen.line(f"{store}: {verdict}{at}", "green" if found.sound else "bold red")


def grouped(findings: Iterable[str]) -> list[tuple[str, int]]:
    """The first finding of each kind, and how many more there are that differ in numbers and quoted names alone."""
    kinds: dict[str, tuple[str, int]] = {}
    for finding in findings:
        kind = _VARYING.sub("...", finding)
        first, others = kinds.get(kind, (finding, -1))
        kinds[kind] = first, others + 1
    return list(kinds.values())


def check_document(store: Path, found: CheckedStore) -> dict[str, Any]:
    """What an examination found as JSON, every finding."""
    return {
        "store": str(store),
        "commit": None if found.commit is None else found.commit.number,
        "commit_time": None if found.commit is None else found.commit.time_text,
        "sound": found.sound,
        "findings": list(found.findings),
    }
