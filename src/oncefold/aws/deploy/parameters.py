"""The template's parameters: what can be set of a stack without another template."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from oncefold.core.errors import OncefoldError, similar_names

CODE_BUCKET, CODE_KEY = "CodeBucket", "CodeKey"
"""Where the functions' zip is; `deploy` sets them."""
MAPPINGS_ENABLED = "MappingsEnabled"
STREAM_ARN, STREAM_MODE, SHARD_COUNT = "StreamArn", "StreamMode", "ShardCount"
YES_NO = ("true", "false")
NEW = "NEW"
"""Stands for something that the stack makes, where an existing one may be named."""

_LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653)
_RELEASES = ("", "AllAtOnce", "Canary10Percent5Minutes", "Canary10Percent15Minutes", "Linear10PercentEvery1Minute")
"""CodeDeploy's configurations for Lambda, without what all their names begin with."""
_MEMORY_MB = (128, 10_240)
_TIMEOUT_SECONDS = (10, 900)
_TAG_NAME_CHARS, _TAG_VALUE_CHARS = 128, 256


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter of the template: its default, what it means, and what it may be."""

    description: str
    default: str | int | None = None
    bounds: tuple[int, int] | None = None
    choices: tuple[str | int, ...] = ()
    also: int | None = None
    """A value outside the bounds that is allowed, too."""
    several: bool = False
    """Whether it is a list, with commas between."""
    pattern: str = ""
    """A regular expression that a text matches as a whole."""

    @property
    def declaration(self) -> dict[str, Any]:
        """As the template has it."""
        numeric = self.bounds is not None and self.also is None
        declared: dict[str, Any] = {"Type": self._type(numeric=numeric), "Description": self.description}
        if self.default is not None:
            declared["Default"] = self.default
        if self.bounds is not None:
            least, most = self.bounds
            if self.also is None:
                declared["MinValue"], declared["MaxValue"] = least, most
            else:
                # CloudFormation knows no gap between numbers.
                declared["AllowedPattern"] = rf"^({self.also}|{'|'.join(whole_numbers(least, most))})$"
                declared["ConstraintDescription"] = f"{self.also}, or a whole number from {least:,} to {most:,}"
        if self.choices:
            declared["AllowedValues"] = list(self.choices)
        if self.pattern:
            declared["AllowedPattern"] = self.pattern
        return declared

    def _type(self, *, numeric: bool) -> str:
        return "Number" if numeric else "CommaDelimitedList" if self.several else "String"


def whole_numbers(least: int, most: int) -> list[str]:
    """Regular expressions that match exactly the whole numbers in a range, 0 or more, each as its digits."""
    patterns: list[tuple[str, int, int]] = []
    start = least
    while start <= most:
        # The largest block that begins here and has free digits at its end.
        free = 0
        while start % 10 ** (free + 1) == 0 and start + 10 ** (free + 1) - 1 <= most and start:
            free += 1
        step = 10**free
        digit = start // step % 10
        last = digit
        while last < 9 and start + (last - digit + 2) * step - 1 <= most:
            last += 1
        head = str(start // step)[:-1]
        shown = str(digit) if last == digit else f"[{digit}-{last}]"
        if patterns and patterns[-1][::2] == (head + shown, free - 1):
            patterns[-1] = (head + shown, patterns[-1][1], free)
        else:
            patterns.append((head + shown, free, free))
        start += (last - digit + 1) * step
    return [head + ("[0-9]" if most else "") + _times(least, most) for head, least, most in patterns]


def _times(least: int, most: int) -> str:
    if least < most:
        return f"{{{least},{most}}}"
    return f"{{{most}}}" if most > 1 else ""


def _function(name: str, what: str, memory: int, timeout: int, longest: int) -> dict[str, Setting]:
    return {
        f"{name}MemoryMB": Setting(f"Memory of {what}", memory, _MEMORY_MB),
        f"{name}TimeoutSeconds": Setting(f"Longest invocation of {what}", timeout, (_TIMEOUT_SECONDS[0], longest)),
        f"{name}Concurrency": Setting(f"Concurrency reserved for {what}, 0 for none", 0, (0, 10_000)),
    }


def _mapping(name: str, what: str, batch: int, retries: int, age: int) -> dict[str, Setting]:
    return {
        f"{name}BatchSize": Setting(f"{what} of one invocation, at most", batch, (1, 10_000)),
        f"{name}WindowSeconds": Setting("Longest wait for a batch to fill", 1, (0, 300)),
        f"{name}Parallelization": Setting("Batches of one shard under way at a time", 1, (1, 10)),
        f"{name}Retries": Setting(
            "Retries of a batch until it goes to the failure queue, -1 for no end", retries, (-1, 10_000)
        ),
        f"{name}MaxAgeSeconds": Setting(
            "Age of a record that goes to the failure queue, -1 for none, else 60 up", age, (60, 604_800), also=-1
        ),
    }


def _warm(what: str, default: int) -> Setting:
    more = ", 0 for a new table's" if not default else ""
    return Setting(f"{what} at once{more}", default, (min(default, 1), 40_000_000))


PARAMETERS: Mapping[str, Setting] = {
    CODE_BUCKET: Setting("S3 bucket of the functions' zip"),
    CODE_KEY: Setting("S3 key of the functions' zip"),
    STREAM_ARN: Setting(
        "ARN of a stream that is there, empty for one of the stack's own",
        "",
        pattern=r"(arn:[a-z-]+:kinesis:[a-z0-9-]+:[0-9]{12}:stream/[^/]+)?",
    ),
    STREAM_MODE: Setting(
        "Kinesis capacity: by shards, or on demand", "PROVISIONED", choices=("PROVISIONED", "ON_DEMAND")
    ),
    SHARD_COUNT: Setting("Shards of the stream, unless it is on demand", 1, (1, 10_000)),
    "RetentionHours": Setting("How long the stream keeps events", 48, (24, 8_760)),
    "TableClass": Setting("DynamoDB's table class", "STANDARD", choices=("STANDARD", "STANDARD_INFREQUENT_ACCESS")),
    "StateWarmWriteUnits": _warm("Writes a second that StateTable takes", 0),
    "StateWarmReadUnits": _warm("Reads a second that StateTable takes, where its writes are set,", 12_000),
    "ReduceWarmWriteUnits": _warm("Writes a second that ReduceTable takes", 0),
    "AggregateWarmWriteUnits": _warm("Writes a second that AggregateTable takes", 0),
    "KmsKeyArn": Setting(
        "ARN of the KMS key that encrypts all that the stack keeps, empty for AWS's own",
        "",
        pattern=r"(arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+)?",
    ),
    "DeletionProtection": Setting("Whether DynamoDB refuses to delete the tables", "true", choices=YES_NO),
    **_function("State", "StateLambda", 1_024, 60, _TIMEOUT_SECONDS[1]),
    **_function("Reduce", "ReduceLambda", 1_024, 60, _TIMEOUT_SECONDS[1]),
    # One sweep ends before the next begins.
    **_function("Sweep", "the sweeper", 512, 240, 300),
    "StatePolicyArn": Setting("Managed policy for StateLambda's role, to read another source, empty for none", ""),
    "PermissionsBoundaryArn": Setting("IAM policy that bounds the functions' roles, empty for none", ""),
    "SubnetIds": Setting("Subnets that the functions run in, with commas between, empty for no VPC", "", several=True),
    "SecurityGroupIds": Setting(
        "Security groups of the functions in these subnets, with commas between", "", several=True
    ),
    "Tracing": Setting("Whether X-Ray traces invocations", "false", choices=YES_NO),
    "LogFormat": Setting(
        "How log lines are written; as JSON they have the keys of Powertools, too", "Text", choices=("Text", "JSON")
    ),
    "RejectRetentionDays": Setting("How long rejects and conflicts are kept, 0 for ever", 0, (0, 3_650)),
    "LogRetentionDays": Setting("How long logs are kept", 30, choices=_LOG_DAYS),
    "Release": Setting(
        "How events are shifted to new code, by versions and an alias; empty for at once", "", choices=_RELEASES
    ),
    MAPPINGS_ENABLED: Setting("Whether events and the schedule start the functions", "true", choices=YES_NO),
    # A failure that is no record's own passes or is repaired, and until then the stream stands still. Records that fail
    # by themselves are rejected by the function.
    **_mapping("State", "Records", 500, -1, -1),
    # What ReduceLambda gives up, the sweeper does.
    **_mapping("Reduce", "Deltas", 300, 20, 3_600),
    "FailureBucket": Setting(
        f"S3 bucket that keeps failed batches whole: its name, {NEW} for one of the stack's own, empty for the queue",
        "",
    ),
    "FailureRetentionDays": Setting(f"How long a {NEW} bucket keeps failed batches", 90, (1, 3_650)),
    "Dashboard": Setting("Whether there is a dashboard in CloudWatch, of the stack's name", "true", choices=YES_NO),
    "AlarmEmail": Setting("Address that alarms are sent to, empty for none", ""),
    "AlarmTopicArn": Setting("SNS topic that alarms are sent to, if AlarmEmail is empty", ""),
    "AlarmIteratorAgeMs": Setting("Alarm when a function is this far behind its stream", 300_000, (1_000, 604_800_000)),
    "AlarmOutboxItems": Setting("Alarm when so many deltas are not in the totals", 10_000, (1, 1_000_000_000)),
    "AlarmRejects": Setting("Alarm when so many events are rejected within five minutes", 1, (1, 1_000_000_000)),
    "AlarmConflicts": Setting(
        "Alarm when so many transactions conflict within five minutes, three times in a row", 1_000, (1, 1_000_000_000)
    ),
    "AlarmFailureAgeSeconds": Setting(
        "Alarm when a failed batch is in the queue for so long; keep it below RetentionHours", 86_400, (60, 1_209_600)
    ),
    "AlarmOutboxAgeSeconds": Setting("Alarm when a delta is this old and not in the totals", 900, (300, 604_800)),
}

ECONOMY_PARAMETERS: Mapping[str, Setting] = {
    **_function("Net", "NetLambda", 1_024, 60, _TIMEOUT_SECONDS[1]),
    "NetBatchSize": Setting("Changes of states netted together, at most; 6 MB are some 4,000", 5_000, (1, 10_000)),
    "NetWindowSeconds": Setting("Longest wait for a batch to fill: the longer, the less totals cost", 5, (0, 300)),
}
"""Those that a template of economy mode has beside the others."""
EVERY: Mapping[str, Setting] = {**PARAMETERS, **ECONOMY_PARAMETERS}

OWN = frozenset({CODE_BUCKET, CODE_KEY})
"""Those that only `deploy` sets."""


def parse(settings: Iterable[str]) -> dict[str, str]:
    """`Name=Value` texts as a mapping. Raises OncefoldError for names and values that no parameter has."""
    parsed: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise OncefoldError(f"--parameter {setting}: write it as Name=Value, such as ShardCount=4")
        _check(name, value)
        parsed[name] = value
    return parsed


def parse_tags(tags: Iterable[str]) -> dict[str, str]:
    """`Name=Value` texts as tags. Raises OncefoldError for what AWS takes for none."""
    parsed: dict[str, str] = {}
    for tag in tags:
        name, equals, value = tag.partition("=")
        if not equals or not name:
            raise OncefoldError(f"--tag {tag}: write it as Name=Value, such as team=risk")
        if len(name) > _TAG_NAME_CHARS or len(value) > _TAG_VALUE_CHARS or name.lower().startswith("aws:"):
            raise OncefoldError(
                f"--tag {name}: a name has up to {_TAG_NAME_CHARS} characters and does not begin with aws:, a value "
                f"has up to {_TAG_VALUE_CHARS}"
            )
        parsed[name] = value
    return parsed


def _check(name: str, value: str) -> None:
    parameter = EVERY.get(name)
    if parameter is None or name in OWN:
        near = similar_names(name, EVERY.keys() - OWN, likeness=0.5)
        known = ", ".join(sorted(EVERY.keys() - OWN))
        advice = f"did you mean {near[0]}?" if near else f"known are {known}"
        raise OncefoldError(f"--parameter {name}: no such parameter; {advice}")
    if parameter.choices and value not in map(str, parameter.choices):
        raise OncefoldError(f"--parameter {name}: {value!r} is not one of {', '.join(map(str, parameter.choices))}")
    if parameter.pattern and not re.fullmatch(parameter.pattern, value):
        raise OncefoldError(f"--parameter {name}: {value!r} is none: {parameter.description}")
    if parameter.bounds is not None:
        least, most = parameter.bounds
        number = int(value) if value.isascii() and value.removeprefix("-").isdecimal() else None
        if number is None or (number != parameter.also and not least <= number <= most):
            also = "" if parameter.also is None else f", nor {parameter.also}"
            raise OncefoldError(f"--parameter {name}: {value!r} is no whole number from {least:,} to {most:,}{also}")
