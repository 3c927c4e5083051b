"""The group `oncefold aws`: the pipeline on Kinesis, Lambda and DynamoDB."""

from __future__ import annotations

import click

from oncefold.cli.lazy import Lazy, LazyGroup, Section


def _command(name: str, summary: str, module: str = "") -> Lazy:
    return Lazy(name, f"oncefold.cli.aws.{module or name}:{name}", summary)


SECTIONS = (
    Section(
        "Deploy",
        (
            _command("package", "Write the functions' code as a zip, the same bytes every time.", "build"),
            _command("template", "Print the CloudFormation template of a pipeline.", "build"),
            _command("deploy", "Make or change a stack, after showing what would change."),
            _command("destroy", "Remove a stack, after showing what is kept.", "deploy"),
        ),
    ),
    Section(
        "Run",
        (
            _command("send", "Send events into a stack's stream."),
            _command("drain", "Apply the deltas that wait in the outbox, now.", "operate"),
            _command("redrive", "Send rejected events and failed batches again.", "operate"),
        ),
    ),
    Section(
        "Query",
        (
            Lazy("query", "oncefold.cli.queries:aws_query", "Totals of a node and what lies below it."),
            Lazy("explain", "oncefold.cli.queries:aws_explain", "The keys behind a total."),
            Lazy("status", "oncefold.cli.queries:aws_status", "Lag, outbox, failures and counts of a stack."),
            Lazy("rejects", "oncefold.cli.queries:aws_rejects", "Events that could not be read."),
            Lazy("conflicts", "oncefold.cli.queries:aws_conflicts", "Events of one key and version that contradict."),
            Lazy("verify", "oncefold.cli.queries:aws_verify", "Recompute every total from the keys and compare."),
            _command("cost", "What a run consumed, and what a million events cost."),
        ),
    ),
)

_EPILOG = """\b
Examples:
  oncefold aws local pipeline.toml --demo        # all of it on this machine, no account needed
  oncefold aws deploy pipeline.toml              # shows what it would make, and asks
  oncefold aws send events.jsonl --stack oncefold-risk
  oncefold aws query --stack oncefold-risk
  oncefold aws verify --stack oncefold-risk
\b
Credentials and region are those of the AWS command line (aws configure, AWS_PROFILE, AWS_REGION);
AWS_ENDPOINT_URL directs them to an emulator. The environment variable ONCEFOLD_STACK names a stack for all commands."""


@click.group(
    cls=LazyGroup,
    sections=SECTIONS,
    plugins="aws",
    distributions={"local": "oncefold-lab"},
    epilog=_EPILOG,
    context_settings={"max_content_width": 110},
)
def aws() -> None:
    """The same pipeline on AWS: Kinesis, Lambda and DynamoDB, each event counted exactly once."""
