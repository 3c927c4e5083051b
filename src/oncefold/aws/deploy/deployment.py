"""Bringing a pipeline to its stack: what would change, and changing it.

Nothing is changed by a plan but the change set in CloudFormation, which `discard` forgets. Carrying it out goes in an
order that leaves whole tables at every step: the zip is there before a function refers to it, and the tables accept
the new definition before a function has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oncefold.aws.connect import client
from oncefold.aws.deploy import definition
from oncefold.aws.deploy.bucket import Bucket, key_of
from oncefold.aws.deploy.definition import InForce
from oncefold.aws.deploy.events import Pace
from oncefold.aws.deploy.package import Package, build
from oncefold.aws.deploy.parameters import CODE_BUCKET, CODE_KEY, PARAMETERS
from oncefold.aws.deploy.stack import ChangeSet, Say, Stack, Standing
from oncefold.aws.deploy.template import template, text
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline


@dataclass(frozen=True, slots=True)
class Clients:
    """Those of AWS's services that a deployment calls."""

    cloudformation: Any
    dynamodb: Any
    s3: Any
    sts: Any

    @classmethod
    def connect(cls) -> "Clients":
        """By the standard chain. Raises OncefoldError."""
        return cls(client("cloudformation"), client("dynamodb"), client("s3"), client("sts"))

    @property
    def region(self) -> str:
        """Where all of it happens."""
        region: str = self.cloudformation.meta.region_name
        return region

    def account(self) -> str:
        """Whose it is."""
        account: str = self.sts.get_caller_identity()["Account"]
        return account


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """A parameter before and after; before is None for a stack that is new."""

    name: str
    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What deploying would do."""

    account: str
    region: str
    package: Package
    bucket: Bucket
    bucket_is_new: bool
    code_key: str
    standing: Standing | None
    in_force: InForce
    definition: Sequence[str]
    """Lines of the definition that differ."""
    parameters: Sequence[ParameterChange]
    change_set: ChangeSet | None
    """None if the stack stays as it is."""


class Deployment:
    """One pipeline and the stack it is deployed as."""

    def __init__(self, pipeline: Pipeline, names: Names, clients: Clients, pace: Pace) -> None:
        self._pipeline = pipeline
        self._names = names
        self._clients = clients
        self._stack = Stack(names.stack, clients.cloudformation, pace)

    def plan(self, settings: Mapping[str, str], bucket: str | None, ticket: str) -> Plan:
        """What would change. `settings` are parameters by name; those left out stay as they are.

        `ticket` names the change set, once for ever. Raises DefinitionError for a definition that does not fit the
        tables or DynamoDB, OncefoldError for a stack that cannot be changed as it stands.
        """
        names = self._names
        document = text(template(self._pipeline, names))
        standing = self._stack.standing()
        self._stack.check_ready(standing)
        in_force = definition.read(names, self._clients.dynamodb)
        definition.check(in_force, self._pipeline, names)
        account = self._clients.account()
        package = build(self._pipeline)
        place = self._bucket(bucket, account, standing)
        wanted = {**settings, CODE_BUCKET: place.name, CODE_KEY: key_of(package, names)}
        before = standing.parameters if standing is not None and standing.exists else None
        bucket_is_new = not place.exists(self._clients.s3)
        return Plan(
            account=account,
            region=self._clients.region,
            package=package,
            bucket=place,
            bucket_is_new=bucket_is_new,
            code_key=wanted[CODE_KEY],
            standing=standing,
            in_force=in_force,
            definition=in_force.difference(self._pipeline),
            parameters=_changes(before, wanted),
            change_set=self._stack.prepare(standing, document, _given(before, wanted), ticket),
        )

    def _bucket(self, named: str | None, account: str, standing: Standing | None) -> Bucket:
        region = self._clients.region
        own = Bucket.of_account(account, region)
        before = None if standing is None else standing.parameters.get(CODE_BUCKET)
        name = named or before or own.name
        return own if name == own.name else Bucket(name, region)

    def discard(self, plan: Plan) -> None:
        """Forget a plan."""
        if plan.change_set is not None:
            self._stack.discard(plan.change_set)

    def carry_out(self, plan: Plan, say: Say) -> Standing:
        """Do what a plan says, and tell CloudFormation's events; the stack as it is then. Raises OncefoldError."""
        try:
            self._make_ready(plan)
        except BaseException:
            self.discard(plan)
            raise
        if plan.change_set is None:
            assert plan.standing is not None, "a stack that is new has changes"
            return plan.standing
        standing = self._stack.execute(plan.change_set, say)
        if not plan.in_force.table:
            # A function may have been quicker; then it says the same.
            self._put_in_force(definition.read(self._names, self._clients.dynamodb))
        return standing

    def _make_ready(self, plan: Plan) -> None:
        """All that has to be there before a function changes."""
        if plan.change_set is not None:
            if plan.bucket_is_new:
                plan.bucket.make(self._clients.s3)
            plan.bucket.put(plan.code_key, plan.package, self._clients.s3)
        if plan.in_force.table:
            self._put_in_force(plan.in_force)

    def _put_in_force(self, standing: InForce) -> None:
        if not standing.accepts(self._pipeline):
            definition.write(standing, self._pipeline, self._names, self._clients.dynamodb)


def _given(before: Mapping[str, str] | None, wanted: Mapping[str, str]) -> dict[str, str | None]:
    """Every parameter that is not left to its default; None for one that stays as it is."""
    stays = PARAMETERS.keys() & (before or {}).keys()
    return {**dict.fromkeys(sorted(stays)), **wanted}


def _changes(before: Mapping[str, str] | None, wanted: Mapping[str, str]) -> list[ParameterChange]:
    if before is None:
        return [ParameterChange(name, None, value) for name, value in wanted.items()]
    return [
        ParameterChange(name, before.get(name, str(PARAMETERS[name].default)), value)
        for name, value in wanted.items()
        if before.get(name) != value
    ]
