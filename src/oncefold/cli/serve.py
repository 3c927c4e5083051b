"""`oncefold serve`: ingest over HTTP, questions, the dashboard and metrics, until it is told to end."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from oncefold.cli.options import HeadedCommand
from oncefold.core.errors import OncefoldError
from oncefold.pipeline_file import load_pipeline

if TYPE_CHECKING:
    from oncefold.serve.settings import Settings

    _SizeType = click.ParamType[int]
else:
    _SizeType = click.ParamType  # generic in new versions of click alone

_EPILOG = """\b
Examples:
  # for programs of this machine; the dashboard is at http://127.0.0.1:8321/
  oncefold serve pipeline.toml --store risk.db
  curl -X POST -T events.jsonl http://127.0.0.1:8321/events
\b
  # for others: with tokens, by scope
  (umask 077; for scope in ingest read admin; do
     echo "$scope $(openssl rand -hex 32)"; done > tokens)
  oncefold serve pipeline.toml --host 0.0.0.0 --token-file tokens
\b
  # behind a proxy that ends TLS on this machine
  oncefold serve pipeline.toml --token-file tokens --host-name totals.example.com
\b
  # read files and streams beside what is sent
  oncefold serve pipeline.toml --source events/ --source kinesis://risk --follow

A token file has lines SCOPE TOKEN or SCOPE sha256:HEX, where SCOPE is ingest (send events), read (ask) or admin (all,
also redrive and verify); it must not be readable by other users. A token may also come in ONCEFOLD_INGEST_TOKEN,
ONCEFOLD_READ_TOKEN and ONCEFOLD_ADMIN_TOKEN. As soon as there is one token, every scope needs one. TLS is a proxy's
task. Ctrl-C and SIGTERM end the server after what was accepted is committed; a second one ends it at once, and loses
nothing that was acknowledged.

\b
Exit status: 0 ended by Ctrl-C or SIGTERM; 2 it cannot begin, or cannot go on."""

_HEADINGS = {
    "Store and address": ("store_path", "retention", "host", "port"),
    "Who may use it": ("token_file", "host_names", "cors_origins"),
    "Sources read beside it": ("sources", "follow", "form", "delimiter", "reread"),
    "Limits": ("max_body", "max_line", "max_connections", "max_keys", "max_nodes", "max_store_bytes"),
}
_UNITS = {"": 1, "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9, "kib": 2**10,
          "mib": 2**20, "gib": 2**30}  # fmt: skip
_PARTS = frozenset({"granian", "prometheus_client"})
"""Packages of the extra `serve`."""


class _Size(_SizeType):
    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes, of a number with or without a unit."""
        if isinstance(value, int):
            return value
        text = str(value).strip().lower()
        digits = text.rstrip("kmgib ")
        unit = text[len(digits) :].strip()
        if not digits.isascii() or not digits.isdigit() or unit not in _UNITS or not int(digits):
            self.fail(f"{value!r} is no size; write 500kB, 16MiB or 2GB.", param, ctx)
        return int(digits) * _UNITS[unit]


@click.command(cls=HeadedCommand, headings=_HEADINGS, epilog=_EPILOG, short_help="Serve a pipeline over HTTP.")
@click.argument("pipeline", type=click.Path(dir_okay=False))
@click.option("--store", "-s", "store_path", envvar="ONCEFOLD_STORE", type=click.Path(dir_okay=False), metavar="FILE",
              help="The store file; made if there is none. [default: NAME.db by the pipeline's name]")  # fmt: skip
@click.option("--retention", metavar="TIME",
              help="How long history and as-of reach back: 12h, 30d, forever. [default: 30d]")  # fmt: skip
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", show_default=True,
              help="The address to listen on; others than this machine's own need tokens.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65_535), metavar="N", default=8321, show_default=True,
              help="The port to listen on; 0 takes a free one.")  # fmt: skip
@click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE", help="Bearer tokens and their scopes.")
@click.option("--host-name", "host_names", multiple=True, metavar="NAME",
              help="A name by which clients or a proxy ask for it, besides localhost. May be repeated.")  # fmt: skip
@click.option("--cors-origin", "cors_origins", multiple=True, metavar="ORIGIN",
              help="Let web pages of this origin use it from a browser. May be repeated.")  # fmt: skip
@click.option("--source", "sources", multiple=True, metavar="SOURCE",
              help="Read files, a directory, a glob or kinesis://STREAM, as `run` does. May be repeated.")  # fmt: skip
@click.option("--follow", "-f", is_flag=True, help="Go on reading sources as they grow.")
@click.option(
    "--format", "form", metavar="NAME", help="jsonl, csv, tsv, parquet or arrow, for names that do not say it."
)
@click.option("--delimiter", metavar="CHARACTER", help="The character between the cells of CSV in sources.")
@click.option("--reread", is_flag=True, help="Read every source from its start; each event counts once.")
@click.option("--max-body", type=_Size(), metavar="SIZE", help="Largest body of a request, as sent. [default: none]")
@click.option("--max-line", type=_Size(), metavar="SIZE", default="16MiB", show_default=True,
              help="Largest event; a larger one is rejected.")  # fmt: skip
@click.option("--max-connections", type=click.IntRange(1, 65_536), metavar="N", default=4_096, show_default=True,
              help="Connections at a time, idle ones too.")  # fmt: skip
@click.option("--max-keys", type=click.IntRange(1), metavar="N",
              help="Take no more events (507) from so many keys on. [default: none]")  # fmt: skip
@click.option("--max-nodes", type=click.IntRange(1), metavar="N",
              help="The same from so many nodes of all rollups on. [default: none]")  # fmt: skip
@click.option("--max-store-bytes", type=_Size(), metavar="SIZE",
              help="The same from this size of the store and its log on. [default: none]")  # fmt: skip
@click.option("--log", type=click.Choice(["json", "text"]),
              help="Form of log lines, on stderr. [default: text on a terminal, else json]")  # fmt: skip
def serve(*, pipeline: str, store_path: str | None, log: Literal["json", "text"] | None, **options: Any) -> None:
    """Serve the definition PIPELINE over HTTP: send events, ask for totals, watch them move.

    POST /events folds events, each exactly once, and answers when they are durable. GET / is a dashboard, /totals,
    /explain and /history are answered, /changes tells every commit, /metrics is for Prometheus, and /openapi.json
    describes it all.
    """
    definition = load_pipeline(pipeline)
    store = Path(store_path or f"{definition.name}.db")
    form = log or ("text" if sys.stderr.isatty() else "json")
    settings = _settings(Path(pipeline), store, form, **options)
    try:
        from oncefold.serve.server.service import serve as run
    except ModuleNotFoundError as error:
        if error.name not in _PARTS:
            raise
        raise OncefoldError(f"the server needs {error.name}: pip install 'oncefold[serve]'") from None
    run(settings)


def _settings(pipeline: Path, store: Path, log: Literal["json", "text"], **options: Any) -> Settings:
    """Raises OncefoldError for what is wrong, or would be open to others."""
    from oncefold.cli.run import retention_of
    from oncefold.core.limits import RECORD_BYTES
    from oncefold.serve.security.access import access_on
    from oncefold.serve.security.tokens import Tokens, from_environment, from_file
    from oncefold.serve.settings import Settings

    token_file = options["token_file"]
    tokens = from_environment(os.environ) + (Tokens() if token_file is None else from_file(token_file))
    access = access_on(options["host"], tokens, host_names=options["host_names"], cors_origins=options["cors_origins"])
    if options["max_line"] > RECORD_BYTES:
        raise OncefoldError(f"--max-line: an event may have {RECORD_BYTES:,} bytes at most")
    if not options["sources"] and (options["follow"] or options["reread"] or options["form"] or options["delimiter"]):
        raise OncefoldError("--follow, --reread, --format and --delimiter are about sources; name them with --source")
    return Settings(
        pipeline=pipeline,
        store=store,
        host=options["host"],
        port=options["port"],
        access=access,
        max_body=options["max_body"],
        max_line=options["max_line"],
        max_connections=options["max_connections"],
        max_keys=options["max_keys"],
        max_nodes=options["max_nodes"],
        max_store_bytes=options["max_store_bytes"],
        retention=retention_of(options["retention"]),
        sources=options["sources"],
        follow=options["follow"],
        format=options["form"],
        delimiter=options["delimiter"],
        reread=options["reread"],
        log=log,
    )
