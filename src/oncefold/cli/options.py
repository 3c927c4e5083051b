"""Options that the commands share, the store that they are about, and a command whose help has headings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from oncefold.core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Function = TypeVar("Function", bound=Callable[..., Any])


STORE_VARIABLE = "ONCEFOLD_STORE"
FORMATS = ("table", "json", "jsonl", "csv", "parquet")
_LISTED_STORES = 8

STATUS_TEXT = "Exit status: 0 answered, 2 the query, or what is read, is wrong."
STATUS_WORDS = STATUS_TEXT


def number_or_all(context: click.Context, parameter: click.Parameter, value: str) -> int | None:
    """Read a number from 0, or the word `all`, which is None."""
    if value == "all":
        return None
    if not value.isascii() or not value.isdigit():
        raise click.BadParameter(f"{value!r} is neither a number from 0 nor the word all.", context, parameter)
    return int(value)


def find_store(named: Path | None) -> Path:
    """The store that was named, or else the only *.db in this folder. Raises StoreError."""
    if named is not None:
        return named
    found = sorted(Path().glob("*.db"))
    if len(found) == 1:
        return found[0]
    way_on = f"name one with --store FILE, or in the environment variable {STORE_VARIABLE}"
    if not found:
        raise StoreError(f"which store? There is no *.db file in this folder; {way_on}")
    more = ", ..." if len(found) > _LISTED_STORES else ""
    listed = ", ".join(map(str, found[:_LISTED_STORES]))
    raise StoreError(f"which store? There are several *.db files in this folder: {listed}{more}; {way_on}")


def _found(context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    return None if context.resilient_parsing else find_store(value)


def store_option(function: Function) -> Function:
    """`--store`: an existing store."""
    return click.option(
        "--store",
        "-s",
        type=click.Path(path_type=Path),
        envvar=STORE_VARIABLE,
        show_envvar=True,
        callback=_found,
        help="The store file.  [default: the only *.db in this folder]",
    )(function)


def reading_options(function: Function) -> Function:
    """`--format`, `--delimiter` and `--encoding`: how sources are read."""
    form = click.option("--format", "form", help="jsonl, csv, tsv, parquet or arrow, for names that do not say it.")
    delimiter = click.option("--delimiter", help="The character between the cells of CSV. [default: by the header]")
    encoding = click.option("--encoding", help="Of text that is not UTF-8, such as cp1252; UTF-16 is detected.")
    return form(delimiter(encoding(function)))


def _keep(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's
    """Keep a flag for who asks for it by its name, so that no command has to pass it on."""
    context.meta[f"{_KEPT}{parameter.name}"] = value


_KEPT = "oncefold."


def _or_json(context: click.Context, _: click.Parameter, form: str | None) -> str | None:
    if not context.meta.get(f"{_KEPT}json"):
        return form
    if form not in {None, "json"}:
        raise click.UsageError(f"--json and --format {form} ask for two forms; give one of them.")
    return "json"


def format_options(*forms: str) -> Callable[[Function], Function]:
    """`--format`, `--json` and `--output`."""

    def add(function: Function) -> Function:
        choice = click.option(
            "--format",
            "-f",
            "form",
            type=click.Choice(forms),
            callback=_or_json,
            help="Form of the answer.  [default: by the name of --output, else table]",
        )
        json = click.option(
            "--json",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_keep,
            help="Same as --format json.",
        )
        output = click.option(
            "--output",
            "-o",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Write to this file, whole or not at all, instead of standard output.",
        )
        function = choice(json(output(function)))
        return _CSV_SAFE_OPTION(function) if "csv" in forms else function

    return add


_CSV_SAFE_OPTION = click.option(
    "--csv-safe",
    is_flag=True,
    expose_value=False,
    callback=_keep,
    help="In CSV an apostrophe before texts that a spreadsheet would compute (=, +, -, @).",
)


def csv_safe() -> bool:
    """Whether `--csv-safe` was given to the command that runs."""
    return bool(click.get_current_context().meta.get(f"{_KEPT}csv_safe"))


def depth_option(function: Function) -> Function:
    """`--depth`: a number of levels, or all."""
    return click.option(
        "--depth",
        "-d",
        callback=number_or_all,
        metavar="N|all",
        default="1",
        show_default=True,
        help="How many levels below NODE to show.",
    )(function)


def limit_option(default: int | None, what: str) -> Callable[[Function], Function]:
    """`--limit`: a number, or all, which a default of None is."""
    return click.option(
        "--limit",
        "-n",
        callback=number_or_all,
        metavar="N|all",
        default="all" if default is None else str(default),
        show_default=True,
        help=f"How many {what} to show.",
    )


class HeadedCommand(click.Command):
    """A command whose help lists its options under headings; those that no heading names stand last."""

    def __init__(self, *args: Any, headings: Mapping[str, Sequence[str]], **extra: Any) -> None:
        """`headings` has the names of each heading's options, in order."""
        super().__init__(*args, **extra)
        self._headings = headings

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, heading by heading."""
        records = {
            item.name: item.get_help_record(ctx) for item in self.get_params(ctx) if isinstance(item, click.Option)
        }
        shown = {name: record for name, record in records.items() if record is not None}
        named = {name for names in self._headings.values() for name in names}
        headings = {**self._headings, "Other": [name for name in shown if name not in named]}
        for heading, names in headings.items():
            with formatter.section(heading):
                formatter.write_dl([shown[name] for name in names])
