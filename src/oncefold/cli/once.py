"""The group `oncefold once`: counters in DynamoDB for functions of the user's own, each record once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oncefold.core.errors import OncefoldError

if TYPE_CHECKING:
    from collections.abc import Callable

    from oncefold.once import Counters, Verification

_EPILOG = """\b
Examples:
  oncefold once package --layer                       # the library for your functions, under 50 kB
  oncefold once template --table AggregateTable --ledger AggregateLedger > ledger.json
  oncefold once check ReduceLambda --ledger AggregateLedger      # would a mapping lose or double records?
  oncefold once verify --table AggregateTable --ledger AggregateLedger
\b
docs/ONCE.md has the ten lines of a function, and which way to be once is right when.
Credentials and region are those of the AWS command line."""


_PACKAGE_EPILOG = """\b
Examples:
  oncefold once package                               # to unpack beside your handler
  oncefold once package --layer --output layer.zip
  aws lambda publish-layer-version --layer-name oncefold-once --zip-file fileb://layer.zip"""

_TEMPLATE_EPILOG = """\b
Examples:
  oncefold once template --table AggregateTable --ledger AggregateLedger > ledger.json
  aws cloudformation deploy --template-file ledger.json --stack-name ledger --capabilities CAPABILITY_IAM"""

_VERIFY_EPILOG = """\b
Examples:
  oncefold once verify --table AggregateTable --ledger AggregateLedger
  oncefold once verify --table AggregateTable --ledger AggregateLedger --json
\b
Exit status: 0 all that can be known is right, 1 a total is wrong, 2 it cannot be looked at."""

_CHECK_EPILOG = """\b
Examples:
  oncefold once check ReduceLambda --ledger AggregateLedger
\b
  # a function whose counters have partial=False
  oncefold once check ReduceLambda --ledger AggregateLedger --whole
\b
Exit status: 0 every mapping is as it has to be, 1 one is not, 2 it cannot be looked at."""

_ADOPT_EPILOG = """\b
Examples:
  oncefold once adopt-totals --table AggregateTable --ledger AggregateLedger
\b
Stop the function that counts meanwhile: what it adds while this looks would be taken for the base, too."""


@click.group(epilog=_EPILOG, context_settings={"max_content_width": 110})
def once() -> None:
    """Counters of your own Lambda functions, each record counted exactly once."""


def _tables(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option("--ledger", required=True, metavar="NAME", help="The ledger's table.")(function)
    return click.option("--table", required=True, metavar="NAME", help="The table of the counters.")(function)


@once.command(epilog=_PACKAGE_EPILOG)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("oncefold-once.zip"),
    show_default=True,
    help="The file to write.",
)
@click.option("--layer", is_flag=True, help="Put it where Lambda looks within a layer (python/).")
def package(output: Path, layer: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Write the library for your functions as a zip; print its size and SHA-256.

    Unpack it beside your handler, or publish it as a layer. It needs botocore alone, which Lambda's runtime has.
    """
    from oncefold.aws.deploy.once import build
    from oncefold.cli.output import write_package

    built = build(layer=layer)
    write_package(built, output)


@once.command(epilog=_TEMPLATE_EPILOG)
@_tables
def template(table: str, ledger: str) -> None:
    """Print the CloudFormation of a ledger, and of a policy for the function that counts."""
    from oncefold.aws.deploy.once import template as of_ledger

    click.echo(json.dumps(of_ledger(table, ledger), indent=2))


@once.command(epilog=_CHECK_EPILOG)
@click.argument("function")
@click.option("--ledger", required=True, metavar="NAME", help="The ledger's table.")
@click.option("--whole", is_flag=True, help="The function's counters have partial=False.")
def check(function: str, ledger: str, whole: bool) -> None:  # noqa: FBT001
    """Say which event source mappings of FUNCTION would lose or double records."""
    from oncefold.aws.connect import aws_errors_explained, client
    from oncefold.aws.deploy.once_mappings import wrong_settings

    with aws_errors_explained(f"of the function {function}"):
        way = _settings(ledger, client("dynamodb"))["way"]["S"]
        pages = client("lambda").get_paginator("list_event_source_mappings").paginate(FunctionName=function)
        mappings = [mapping for page in pages for mapping in page["EventSourceMappings"]]
    if not mappings:
        raise OncefoldError(f"function {function}: no event source mapping leads to it")
    wrong = 0
    for mapping in mappings:
        said = wrong_settings(mapping, way, partial=not whole)
        wrong += len(said)
        for text in said:
            click.echo(f"WRONG {mapping['EventSourceArn']}: {text}")
    if wrong:
        click.get_current_context().exit(1)
    click.echo(f"{len(mappings)} mappings of {function} are as counting by {way} needs them")


@once.command(epilog=_VERIFY_EPILOG)
@_tables
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")
def verify(table: str, ledger: str, as_json: bool) -> None:  # noqa: FBT001
    """Compare every total with what the ledger adds up to; say what cannot be known."""
    _show(_explained(table, lambda: _counters(table, ledger).verify()), as_json=as_json)


@once.command("adopt-totals", epilog=_ADOPT_EPILOG)
@_tables
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document; needs --yes.")
def adopt_totals(table: str, ledger: str, yes: bool, as_json: bool) -> None:  # noqa: FBT001
    """Take what the ledger does not explain of the totals for their base, as they are now."""
    if as_json and not yes:
        raise OncefoldError("--json cannot ask; give --yes as well")
    if not yes:
        click.confirm(f"Take all that {ledger} does not explain of {table} for the base?", abort=True)
    _show(_explained(table, lambda: _counters(table, ledger).adopt_totals()), as_json=as_json)


def _counters(table: str, ledger: str) -> Counters:
    """The counters as the ledger's settings have them."""
    from oncefold.aws.connect import client
    from oncefold.once import Counters

    dynamodb = client("dynamodb")
    found = _settings(ledger, dynamodb)
    return Counters(table, ledger, found["way"]["S"], places=int(found["places"]["N"]), client=dynamodb)


def _settings(ledger: str, dynamodb: Any) -> dict[str, Any]:
    """What the ledger says of its counters."""
    from oncefold.once.ledger import SETTINGS_KEY

    found: dict[str, Any] | None
    found = dynamodb.get_item(TableName=ledger, Key=SETTINGS_KEY, ConsistentRead=True).get("Item")
    if found is None:
        raise OncefoldError(f"ledger {ledger}: no function has counted with it yet; its first batch says what it is")
    return found


def _explained(table: str, compare: Callable[[], Verification]) -> Verification:
    from oncefold.aws.connect import aws_errors_explained

    with aws_errors_explained(f"of the counters in {table}"):
        return compare()


def _show(found: Verification, *, as_json: bool) -> None:
    if as_json:
        document = {
            "exact": found.exact,
            "records": found.records,
            "counters": found.counters,
            "wrong": [
                {
                    "counter": wrong.counter,
                    "attribute": wrong.attribute,
                    "stored": str(wrong.stored),
                    "expected": str(wrong.expected),
                }
                for wrong in found.wrong
            ],
            "moving": found.moving,
            "unknown": list(found.unknown),
        }
        click.echo(json.dumps(document))
    else:
        for wrong in found.wrong:
            click.echo(f"WRONG {wrong.text}")
        click.echo(
            f"{found.counters:,} counters compared with {found.records:,} records of the ledger: "
            + (f"{len(found.wrong):,} totals are wrong" if found.wrong else "every total is right")
        )
        if found.moving:
            click.echo(f"{found.moving:,} counters changed meanwhile: nothing is said of them; look again")
        for unknown in found.unknown:
            click.echo(f"not known: {unknown}")
    if not found.exact:
        click.get_current_context().exit(1)
