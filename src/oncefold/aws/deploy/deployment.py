"""Bringing a pipeline to its stack: what would change, and changing it.

Nothing is changed by a plan but the change set in CloudFormation, which `discard` deletes. Applying it goes in an
order that leaves whole tables at every step: the zip is there before a function refers to it, and the tables accept
the new definition before a function has it.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oncefold.aws.connect import client
from oncefold.aws.deploy.cloudformation import ChangeSet, CloudFormationStack, OnEvent, Polling, StackState
from oncefold.aws.deploy.package import Bucket, Package, build, key_of
from oncefold.aws.deploy.parameters import (
    CODE_BUCKET,
    CODE_KEY,
    ECONOMY_PARAMETERS,
    EVERY,
    PARAMETERS,
    SHARD_COUNT,
    STREAM_ARN,
    STREAM_MODE,
)
from oncefold.aws.deploy.template import template
from oncefold.aws.deploy.template_text import for_request
from oncefold.aws.functions.guard import ECONOMY, PROTOCOL, STANDARD, definition_item, mode_of
from oncefold.aws.functions.layout import DEFINITION_KEY
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline
from oncefold.core.definition_changes import changes_of_meaning
from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError, OncefoldError
from oncefold.core.view import view_of


@dataclass(frozen=True, slots=True)
class DeployedDefinition:
    """The definition that a stack's tables were made under, as AggregateTable holds it."""

    table: bool = False
    """Whether there is such a table."""
    toml: str | None = None
    """The definition's text; None if the tables mean nothing yet."""
    fingerprints: frozenset[str] = frozenset()
    """Of the definitions that may go on with the tables."""
    protocol: str = ""
    """What the functions that it was written for know of rebuilds (`guard.PROTOCOL`)."""
    kept: str | None = None
    """The text of the definition that keys are kept under, where a rebuild has replaced it."""
    loading: bool = False
    """Whether a load is under way."""
    replacing: bool = False
    """Whether a rebuild under a new definition is under way."""
    mode: str = STANDARD
    """How the totals are kept."""

    def accepts(self, pipeline: Pipeline) -> bool:
        """Whether this very definition is the deployed one."""
        same = self.toml == to_toml(pipeline) and pipeline.fingerprint in self.fingerprints
        return same and self.protocol == PROTOCOL

    def difference(self, pipeline: Pipeline) -> Sequence[str]:
        """The lines in which a definition differs: with `-` the old ones, with `+` the new ones."""
        if self.toml is None:
            return ()
        lines = difflib.ndiff(self.toml.splitlines(), to_toml(pipeline).splitlines())
        return [line for line in lines if line.startswith(("- ", "+ "))]


def read_definition(names: Names, dynamodb: Any) -> DeployedDefinition:
    """The definition that is deployed now."""
    try:
        answer = dynamodb.get_item(TableName=names.aggregate_table, Key=DEFINITION_KEY, ConsistentRead=True)
    except dynamodb.exceptions.ResourceNotFoundException:
        return DeployedDefinition()
    item = answer.get("Item")
    if item is None:
        return DeployedDefinition(table=True)
    return DeployedDefinition(
        table=True,
        toml=item["toml"]["S"],
        fingerprints=frozenset(item["fingerprints"]["SS"]),
        protocol=item["protocol"]["N"] if "protocol" in item else "",
        kept=item["kept"]["S"] if "kept" in item else None,
        loading="load" in item,
        replacing="toml" in item.get("rebuild", {}).get("M", {}),
        mode=mode_of(item),
    )


def check_definition_change(deployed: DeployedDefinition, pipeline: Pipeline, names: Names) -> None:
    """Raises DefinitionError for a pipeline under which the tables would mean something else."""
    if deployed.toml is None:
        return
    if deployed.loading:
        raise OncefoldError(
            f"stack {names.stack}: a load is under way, and no function may write until it is done; "
            "run `oncefold aws load` again, which goes on where it was"
        )
    if deployed.replacing and deployed.toml != to_toml(pipeline):
        raise DefinitionError(
            f"stack {names.stack}: a rebuild under a new definition is under way; when it has switched, deploy that "
            "one, or give it up first: oncefold aws rebuild --abandon"
        )
    changes = changes_of_meaning(parse_toml(deployed.toml, f"stack {names.stack}"), pipeline)
    if changes:
        raise DefinitionError(
            f"stack {names.stack}: this definition would change what its totals mean: {'; '.join(changes)}. "
            f"{_way_on(deployed, pipeline, names)}"
        )
    if deployed.kept is not None and pipeline.fingerprint not in deployed.fingerprints:
        raise DefinitionError(
            f"stack {names.stack}: its definition was replaced by a rebuild, and events are read as the one before it "
            "says; so which of them are rejected cannot change any more. Deploy this definition as a stack of its own "
            "with --stack NAME"
        )


def _way_on(deployed: DeployedDefinition, pipeline: Pipeline, names: Names) -> str:
    """How to come to the totals of a definition that means something else."""
    kept = parse_toml(deployed.kept or deployed.toml or "", f"stack {names.stack}")
    try:
        view_of(kept, pipeline)
    except DefinitionError:
        return "Deploy it as a stack of its own with --stack NAME, send the events there, then destroy this one"
    return (
        "What each key keeps suffices for it, so make the totals anew under it, then deploy it: "
        f"oncefold aws rebuild --definition FILE --stack {names.stack}"
    )


def mode_for(deployed: DeployedDefinition, wanted: str | None, names: Names) -> str:
    """The mode of a stack: the one that it has, else the one that is wanted. Raises DefinitionError if they differ."""
    if deployed.toml is None:
        return wanted or STANDARD
    if wanted not in {None, deployed.mode}:
        raise DefinitionError(
            f"stack {names.stack}: it is in {deployed.mode} mode, which cannot be changed under its totals. Deploy "
            f"another stack with --stack NAME --mode {wanted}, send the events there, then destroy this one"
        )
    return deployed.mode


def check_parameters(settings: Mapping[str, str], mode: str) -> None:
    """Raises OncefoldError for parameters that the template of a mode lacks."""
    foreign = sorted(settings.keys() & ECONOMY_PARAMETERS.keys())
    if foreign and mode != ECONOMY:
        raise OncefoldError(f"--parameter {foreign[0]}: a stack in {mode} mode does not have it")


def write_definition(
    deployed: DeployedDefinition, pipeline: Pipeline, names: Names, dynamodb: Any, mode: str = STANDARD
) -> None:
    """Store a definition beside the earlier ones, on the condition that nobody changed it since it was read.

    Functions with an earlier definition go on until they are replaced: it means the same. Raises OncefoldError.
    """
    item = definition_item(pipeline, deployed.fingerprints)
    request: dict[str, Any] = {
        "TableName": names.aggregate_table,
        "Key": DEFINITION_KEY,
        # What a rebuild keeps in the item stays as it is.
        "UpdateExpression": "SET #toml = :new, #fingerprints = :fingerprints, #protocol = :protocol, "
        "#epoch = if_not_exists(#epoch, :epoch)",
        "ExpressionAttributeNames": {
            "#toml": "toml", "#fingerprints": "fingerprints", "#epoch": "epoch", "#protocol": "protocol",
        },
        "ExpressionAttributeValues": {
            ":new": item["toml"],
            ":fingerprints": item["fingerprints"],
            ":epoch": item["epoch"],
            ":protocol": item["protocol"],
        },
    }  # fmt: skip
    if deployed.toml is None:
        request["ConditionExpression"] = "attribute_not_exists(#toml)"
        if mode != STANDARD:
            request["UpdateExpression"] += ", #mode = :mode"
            request["ExpressionAttributeNames"]["#mode"] = "mode"
            request["ExpressionAttributeValues"][":mode"] = {"S": mode}
    else:
        request["ConditionExpression"] = "#toml = :toml"
        if deployed.toml != item["toml"]["S"]:
            request["ConditionExpression"] += " AND attribute_not_exists(#rebuild.#toml)"
            request["ExpressionAttributeNames"]["#rebuild"] = "rebuild"
        request["ExpressionAttributeValues"][":toml"] = {"S": deployed.toml}
    try:
        dynamodb.update_item(**request)
    except dynamodb.exceptions.ConditionalCheckFailedException:
        raise OncefoldError(
            f"stack {names.stack}: its definition was changed by another deployment meanwhile; deploy again"
        ) from None


@dataclass(frozen=True, slots=True)
class DeployClients:
    """Clients of the AWS services that a deployment calls."""

    cloudformation: Any
    dynamodb: Any
    s3: Any
    sts: Any

    @classmethod
    def connect(cls) -> "DeployClients":
        """By the standard chain. Raises OncefoldError."""
        return cls(client("cloudformation"), client("dynamodb"), client("s3"), client("sts"))

    @property
    def region(self) -> str:
        """The region of all of them."""
        region: str = self.cloudformation.meta.region_name
        return region

    def account(self) -> str:
        """The account of the credentials."""
        account: str = self.sts.get_caller_identity()["Account"]
        return account


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """A template parameter before and after; before is None for a stack that is new."""

    name: str
    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """What deploying would do."""

    account: str
    region: str
    package: Package
    bucket: Bucket
    bucket_is_new: bool
    code_key: str
    current: StackState | None
    deployed: DeployedDefinition
    definition: Sequence[str]
    """Lines of the definition that differ."""
    parameters: Sequence[ParameterChange]
    change_set: ChangeSet | None
    """None if the stack stays as it is."""
    mode: str = STANDARD
    """How the totals are kept."""


class Deployment:
    """One pipeline and the stack it is deployed as."""

    def __init__(
        self, pipeline: Pipeline, names: Names, clients: DeployClients, polling: Polling, mode: str | None = None
    ) -> None:
        """`mode` is how the totals of a new stack are kept, by default `standard`; a stack keeps the one it has."""
        self._mode = mode
        self._pipeline = pipeline
        self._names = names
        self._clients = clients
        self._stack = CloudFormationStack(names.stack, clients.cloudformation, polling)

    def plan(
        self,
        settings: Mapping[str, str],
        bucket: str | None,
        change_set_name: str,
        tags: Mapping[str, str] | None = None,
    ) -> DeploymentPlan:
        """What would change. `settings` are parameters by name; those left out stay as they are.

        `tags` are the stack's, all of them, and CloudFormation gives them to its parts; None leaves them as they are.
        `change_set_name` must not have been used before. Raises DefinitionError for a definition that does not fit the
        tables or DynamoDB, OncefoldError for a stack that cannot be changed in its state.
        """
        names = self._names
        current = self._stack.state()
        self._stack.check_ready(current)
        deployed = read_definition(names, self._clients.dynamodb)
        mode = mode_for(deployed, self._mode, names)
        check_parameters(settings, mode)
        document = for_request(template(self._pipeline, names, mode))
        check_definition_change(deployed, self._pipeline, names)
        account = self._clients.account()
        package = build(self._pipeline)
        code_bucket = self._bucket(bucket, account, current)
        wanted = {**settings, CODE_BUCKET: code_bucket.name, CODE_KEY: key_of(package, names)}
        before = current.parameters if current is not None and current.exists else None
        _check_shards(before, wanted, names)
        bucket_is_new = not code_bucket.exists(self._clients.s3)
        return DeploymentPlan(
            account=account,
            region=self._clients.region,
            package=package,
            bucket=code_bucket,
            bucket_is_new=bucket_is_new,
            code_key=wanted[CODE_KEY],
            current=current,
            deployed=deployed,
            definition=deployed.difference(self._pipeline),
            parameters=_changes(before, wanted),
            change_set=self._stack.prepare(current, document, _submitted(before, wanted, mode), change_set_name, tags),
            mode=mode,
        )

    def _bucket(self, named: str | None, account: str, current: StackState | None) -> Bucket:
        region = self._clients.region
        own = Bucket.of_account(account, region)
        before = None if current is None else current.parameters.get(CODE_BUCKET)
        name = named or before or own.name
        return own if name == own.name else Bucket(name, region)

    def discard(self, plan: DeploymentPlan) -> None:
        """Delete a plan's change set."""
        if plan.change_set is not None:
            self._stack.discard(plan.change_set)

    def apply(self, plan: DeploymentPlan, on_event: OnEvent) -> StackState:
        """Do what a plan says; CloudFormation's events go to `on_event`. The state after it. Raises OncefoldError."""
        try:
            self._prepare(plan)
        except BaseException:
            self.discard(plan)
            raise
        if plan.change_set is None:
            assert plan.current is not None, "a stack that is new has changes"
            return plan.current
        current = self._stack.execute(plan.change_set, on_event)
        if not plan.deployed.table:
            # A function may have stored it first; then it is the same.
            self._store_definition(read_definition(self._names, self._clients.dynamodb), plan.mode)
        return current

    def _prepare(self, plan: DeploymentPlan) -> None:
        """All that has to be there before a function changes."""
        if plan.change_set is not None:
            if plan.bucket_is_new:
                plan.bucket.make(self._clients.s3)
            plan.bucket.put(plan.code_key, plan.package, self._clients.s3)
        if plan.deployed.table:
            self._store_definition(plan.deployed, plan.mode)

    def _store_definition(self, deployed: DeployedDefinition, mode: str) -> None:
        if not deployed.accepts(self._pipeline):
            write_definition(deployed, self._pipeline, self._names, self._clients.dynamodb, mode)


def _check_shards(before: Mapping[str, str] | None, wanted: Mapping[str, str], names: Names) -> None:
    """Raises OncefoldError for a change of shards that Kinesis does not make in one step (UpdateShardCount)."""
    if before is None or "ON_DEMAND" in {before.get(STREAM_MODE), wanted.get(STREAM_MODE)}:
        return
    if before.get(STREAM_ARN) or wanted.get(STREAM_ARN):
        return  # a stream that is not the stack's, or a new one
    now = int(before.get(SHARD_COUNT) or PARAMETERS[SHARD_COUNT].default or 1)
    then = int(wanted.get(SHARD_COUNT, now))
    least, most = -(-now // 2), 2 * now
    if not least <= then <= most:
        nearest = most if then > most else least
        raise OncefoldError(
            f"stack {names.stack}: from {now:,} shards Kinesis goes to {least:,} to {most:,} in one step, not to "
            f"{then:,}; deploy with --parameter {SHARD_COUNT}={nearest} first, and again when that is done"
        )


def _submitted(before: Mapping[str, str] | None, wanted: Mapping[str, str], mode: str) -> dict[str, str | None]:
    """Every parameter that is not left to its default; None for one that stays as it is."""
    known = EVERY.keys() if mode == ECONOMY else PARAMETERS.keys()
    stays = known & (before or {}).keys()
    return {**dict.fromkeys(sorted(stays)), **wanted}


def _changes(before: Mapping[str, str] | None, wanted: Mapping[str, str]) -> list[ParameterChange]:
    if before is None:
        return [ParameterChange(name, None, value) for name, value in wanted.items()]
    return [
        ParameterChange(name, before.get(name, str(PARAMETERS[name].default)), value)
        for name, value in wanted.items()
        if before.get(name) != value
    ]
