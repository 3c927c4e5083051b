"""`oncefold aws status`: a stack as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from oncefold.cli import words
from oncefold.cli.aws.asking import STACK_STATUS_WORDS, ask, outbox_words
from oncefold.cli.aws.counting import Counting
from oncefold.cli.aws.options import stack_option
from oncefold.cli.options import format_options
from oncefold.cli.output import Reply

if TYPE_CHECKING:
    from pathlib import Path

    from oncefold.aws.names import Names
    from oncefold.aws.reader.overview import Count, FunctionState, StackOverview, StreamState
    from oncefold.cli.screen import Screen

_FINGERPRINT_CHARS = 8

_EPILOG = f"""\b
Examples:
  oncefold aws status --stack oncefold-risk
\b
  # count keys and nodes now, by reading their tables
  oncefold aws status --count --stack oncefold-risk
\b
  # for a monitor
  oncefold aws status --stack oncefold-risk --format json | jq '.pending.oldest_seconds, .failures'

How far behind the stream a function is, only CloudWatch knows: the iterator age is the greatest of the last quarter
of an hour, and comes some minutes late. What may not be asked is left out and said.

{STACK_STATUS_WORDS}"""


@click.command(epilog=_EPILOG)
@stack_option
@click.option("--count", is_flag=True, help="Count keys and nodes now: reads their tables, a read unit for each 4 KB.")
@format_options("table", "json")
def status(names: Names, count: bool, form: str | None, output: Path | None) -> None:  # noqa: FBT001
    """Show a stack as a whole: stream, functions, keys and nodes, what is pending, rejected or failed."""
    with Counting() as counting:
        found = ask(names).status(count=count, progress=counting)
    Reply(lambda screen: _show(found, screen), lambda: _document(found)).write(form, output)


def _show(found: StackOverview, screen: Screen) -> None:
    lines = [
        ("stack", f"{found.read.stack} in {found.region} at {found.read.time_text}"),
        ("pipeline", _pipeline(found)),
        ("stream", "unknown" if found.stream is None else _stream(found.stream)),
        *((function.name.removeprefix(f"{found.read.stack}-"), _function(function)) for function in found.functions),
        ("keys", _keys(found)),
        ("nodes", _count(found.nodes)),
        ("outbox", outbox_words(found.outbox)),
        ("rejects", _listed(found.rejects, "oncefold aws rejects")),
        ("conflicts", _listed(found.conflicts, "oncefold aws conflicts")),
        ("failures", _failures(found)),
    ]
    for name, text in lines:
        screen.line(f"{name:<11}{text}")
    if not found.keys.exact:
        screen.line("about: as DynamoDB counted within the last six hours; --count counts now", "dim")
    for what, why in found.unknown.items():
        screen.line(f"unknown: {what}: {words.printable(why)}", "yellow")


def _pipeline(found: StackOverview) -> str:
    text = f"{found.pipeline}, definition {found.fingerprint[:_FINGERPRINT_CHARS]}"
    return text if found.accepted == 1 else f"{text}, widened from {words.many(found.accepted - 1, 'other')}"


def _stream(stream: StreamState) -> str:
    mode = stream.mode.lower().replace("_", " ")
    shards = words.many(stream.open_shards, "open shard")
    closed = f", {stream.closed_shards:,} closed" if stream.closed_shards else ""
    return f"{stream.status.lower()}, {mode}, {shards}{closed}, keeps {words.span(stream.retention)}"


def _function(function: FunctionState) -> str:
    parts = []
    if function.mappings:
        parts += [f"mapping {mapping.state.lower()} ({mapping.result})" for mapping in function.mappings]
    elif function.mappings is not None and not function.name.endswith("-sweep"):
        parts.append("NO mapping feeds it")
    if function.age is not None:
        parts.append(f"iterator age {words.span(function.age)}")
    if function.errors is not None:
        parts.append(words.many(function.errors, "error"))
    return ", ".join(parts) or "unknown"


def _keys(found: StackOverview) -> str:
    if found.live is None:
        return _count(found.keys)
    return f"{found.live.number:,} counted, {found.keys.number:,} ever met"


def _count(count: Count) -> str:
    about = "" if count.exact else "about "
    return f"{about}{count.number:,}"


def _listed(count: Count, command: str) -> str:
    if not count.number:
        return "0"
    more = "" if count.complete else "more than "
    return f"{more}{count.number:,}; see: {command}"


def _failures(found: StackOverview) -> str:
    if found.failures is None:
        return "unknown"
    if not found.failures:
        return "0"
    return f"{words.many(found.failures, 'message')} about failed batches; see: oncefold aws redrive"


def _document(found: StackOverview) -> dict[str, Any]:
    oldest = found.outbox.oldest
    return {
        "stack": found.read.stack,
        "time": found.read.time_text,
        "region": found.region,
        "pipeline": found.pipeline,
        "fingerprint": found.fingerprint,
        "accepted_definitions": found.accepted,
        "stream": None if found.stream is None else _stream_document(found.stream),
        "functions": [_function_document(function) for function in found.functions],
        "keys": found.keys.number,
        "live": None if found.live is None else found.live.number,
        "nodes": found.nodes.number,
        "counted": found.keys.exact,
        "pending": {
            "deltas": found.outbox.deltas,
            "complete": found.outbox.complete,
            "oldest_seconds": None if oldest is None else oldest.total_seconds(),
        },
        "rejects": found.rejects.number,
        "conflicts": found.conflicts.number,
        "failures": found.failures,
        "unknown": dict(found.unknown),
    }


def _stream_document(stream: StreamState) -> dict[str, Any]:
    return {
        "name": stream.name,
        "status": stream.status,
        "mode": stream.mode,
        "open_shards": stream.open_shards,
        "closed_shards": stream.closed_shards,
        "retention_seconds": stream.retention.total_seconds(),
    }


def _function_document(function: FunctionState) -> dict[str, Any]:
    mappings = function.mappings
    return {
        "name": function.name,
        "mappings": None if mappings is None else [{"state": m.state, "last_result": m.result} for m in mappings],
        "iterator_age_seconds": None if function.age is None else function.age.total_seconds(),
        "errors": function.errors,
    }
