"""Removing a stack: what is deleted and what is kept, and doing it.

The tables outlive the stack, unless they are to be deleted too: then they are deleted after it, one by one, so that a
removal that was interrupted can be finished by repeating it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from oncefold.aws.deploy.cloudformation import CloudFormationStack, OnEvent, Polling, StackResource, StackState
from oncefold.aws.deploy.deployment import DeployClients
from oncefold.aws.deploy.parameters import CODE_BUCKET, CODE_KEY
from oncefold.aws.names import Names
from oncefold.core.errors import OncefoldError


@dataclass(frozen=True, slots=True)
class Inventory:
    """What there is of a stack."""

    account: str
    region: str
    current: StackState | None
    """None if there is no stack (any more)."""
    parts: Sequence[StackResource]
    """The stack's resources."""
    tables: Sequence[str]
    """The tables that exist."""
    code: str | None
    """Where the functions' zip is."""


class Removal:
    """The removal of one stack."""

    def __init__(self, names: Names, clients: DeployClients, polling: Polling) -> None:
        self._names = names
        self._clients = clients
        self._polling = polling
        self._stack = CloudFormationStack(names.stack, clients.cloudformation, polling)

    def inventory(self) -> Inventory:
        """What there is. Raises OncefoldError if there is nothing, or somebody is at work on it."""
        account, region = self._clients.account(), self._clients.region
        current = self._stack.state()
        tables = self.tables()
        if current is None and not tables:
            raise OncefoldError(
                f"stack {self._names.stack}: there is none in account {account}, region {region}; "
                "is its name right, and the region (AWS_REGION)?"
            )
        if current is not None and current.exists and current.status.endswith("_IN_PROGRESS"):
            self._stack.check_ready(current)
        parts = [] if current is None else self._stack.resources()
        return Inventory(account, region, current, parts, tables, _code(current))

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

    def delete_stack(self, inventory: Inventory, on_event: OnEvent) -> None:
        """Delete the stack; the tables stay. Raises OncefoldError."""
        if inventory.current is not None:
            self._stack.delete(inventory.current, on_event)

    def delete_tables(self) -> None:
        """Delete every table of the stack, protected or not."""
        dynamodb = self._clients.dynamodb
        for table in self.tables():
            described = dynamodb.describe_table(TableName=table)["Table"]
            if described.get("DeletionProtectionEnabled"):
                dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
                self._wait_until_active(table)
            dynamodb.delete_table(TableName=table)
        for _ in self._polling.attempts():
            if not self.tables():
                return

    def _wait_until_active(self, table: str) -> None:
        for _ in self._polling.attempts():
            described = self._clients.dynamodb.describe_table(TableName=table)["Table"]
            if described["TableStatus"] == "ACTIVE":
                return


def _code(current: StackState | None) -> str | None:
    """A zip's place, by the stack's parameters."""
    if current is None or CODE_KEY not in current.parameters:
        return None
    return f"s3://{current.parameters[CODE_BUCKET]}/{current.parameters[CODE_KEY]}"
