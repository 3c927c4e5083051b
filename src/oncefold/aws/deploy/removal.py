"""Removing a stack: what goes and what stays, and doing it.

The tables outlive the stack, unless they are to go too: then they are deleted after it, one by one, so that what was
interrupted can be finished by doing it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from oncefold.aws.deploy.deployment import Clients
from oncefold.aws.deploy.events import Pace
from oncefold.aws.deploy.parameters import CODE_BUCKET, CODE_KEY
from oncefold.aws.deploy.stack import Resource, Say, Stack, Standing
from oncefold.aws.names import Names
from oncefold.core.errors import OncefoldError


@dataclass(frozen=True, slots=True)
class Remains:
    """What there is of a stack."""

    account: str
    region: str
    standing: Standing | None
    """None if there is no stack (any more)."""
    parts: Sequence[Resource]
    """The stack's resources."""
    tables: Sequence[str]
    """The tables that exist."""
    code: str | None
    """Where the functions' zip is."""


class Removal:
    """The removal of one stack."""

    def __init__(self, names: Names, clients: Clients, pace: Pace) -> None:
        self._names = names
        self._clients = clients
        self._pace = pace
        self._stack = Stack(names.stack, clients.cloudformation, pace)

    def remains(self) -> Remains:
        """What there is. Raises OncefoldError if there is nothing, or somebody is at work on it."""
        account, region = self._clients.account(), self._clients.region
        standing = self._stack.standing()
        tables = self.tables()
        if standing is None and not tables:
            raise OncefoldError(
                f"stack {self._names.stack}: there is none in account {account}, region {region}; "
                "is its name right, and the region (AWS_REGION)?"
            )
        if standing is not None and standing.exists and standing.status.endswith("_IN_PROGRESS"):
            self._stack.check_ready(standing)
        parts = [] if standing is None else self._stack.resources()
        return Remains(account, region, standing, parts, tables, _code(standing))

    def tables(self) -> list[str]:
        """Those of the stack's tables that exist now."""
        names = self._names
        return [
            table
            for table in (names.state_table, names.reduce_table, names.aggregate_table, names.reject_table)
            if self._is_there(table)
        ]

    def _is_there(self, table: str) -> bool:
        try:
            self._clients.dynamodb.describe_table(TableName=table)
        except self._clients.dynamodb.exceptions.ResourceNotFoundException:
            return False
        return True

    def delete_stack(self, remains: Remains, say: Say) -> None:
        """Delete the stack; the tables stay. Raises OncefoldError."""
        if remains.standing is not None:
            self._stack.delete(remains.standing, say)

    def delete_tables(self) -> None:
        """Delete every table of the stack, protected or not."""
        dynamodb = self._clients.dynamodb
        for table in self.tables():
            described = dynamodb.describe_table(TableName=table)["Table"]
            if described.get("DeletionProtectionEnabled"):
                dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
                self._wait_until_active(table)
            dynamodb.delete_table(TableName=table)
        for _ in self._pace.turns():
            if not self.tables():
                return

    def _wait_until_active(self, table: str) -> None:
        for _ in self._pace.turns():
            described = self._clients.dynamodb.describe_table(TableName=table)["Table"]
            if described["TableStatus"] == "ACTIVE":
                return


def _code(standing: Standing | None) -> str | None:
    """A zip's place, by the stack's parameters."""
    if standing is None or CODE_KEY not in standing.parameters:
        return None
    return f"s3://{standing.parameters[CODE_BUCKET]}/{standing.parameters[CODE_KEY]}"
