"""Mistakes of a rebuild under a new definition: who knows which definition an epoch has, and since when."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from oncefold.aws.functions.epochs import EpochCache, Epochs
from oncefold.aws.functions.layout import DEFINITION_KEY, StateChange
from oncefold.aws.functions.net import NetFunction
from oncefold.aws.functions.reduce import ReduceFunction
from oncefold.aws.operations.rebuild import Rebuild
from oncefold.aws.operations.rebuild_item import RebuildItem, UnderWay
from oncefold.dynamodb.calls import Dynamo
from oncefold.dynamodb.items import Item
from oncefold_lab.search.redefining import EconomyRedefining, Redefining
from oncefold_lab.search.scenario import NAMES
from oncefold_lab.world.functions import Context


class _LiveDefinition(EpochCache):
    """Takes the definition of the live epoch for that of the one that is made, too."""

    def read(self, dynamo: Dynamo) -> Epochs:
        found = super().read(dynamo)
        kept = tuple((epoch, text) for epoch, text in found.definitions if epoch == found.live)
        wrong = replace(found, definitions=kept)
        if self._known is not None:
            self._known = (*self._known[:2], wrong)
        return wrong


class _OneDefinition(ReduceFunction):
    def _learn(self, items: object) -> list[Mapping[str, Any]]:  # noqa: ARG002
        return []


class _DefinitionFirst(RebuildItem):
    def switch(self, definition: Item, before: UnderWay, after: UnderWay) -> bool:
        if before.toml:
            self._dynamo.update(
                TableName=self._names.aggregate_table,
                Key=DEFINITION_KEY,
                UpdateExpression="SET #toml = :toml, #kept = if_not_exists(#kept, :kept)",
                ExpressionAttributeNames={"#toml": "toml", "#kept": "kept"},
                ExpressionAttributeValues={":toml": {"S": before.toml}, ":kept": definition["toml"]},
            )
        return super().switch(definition, before, after)


class _EpochAlone(RebuildItem):
    def switch(self, definition: Item, before: UnderWay, after: UnderWay) -> bool:
        return super().switch(definition, replace(before, toml=""), replace(after, toml=""))


class _DefinitionFirstRebuild(Rebuild):
    item = _DefinitionFirst


class _EpochAloneRebuild(Rebuild):
    item = _EpochAlone


class _KeptDefinition(NetFunction):
    def _learn(self, changes: Sequence[StateChange]) -> None:
        super()._learn(changes)
        self._epochs = replace(self._epochs, definitions=())


class LiveDefinition(Redefining):
    """A function makes the new totals under the definition of the live ones."""

    def known_epochs(self, context: Context) -> EpochCache:  # noqa: ARG002
        """See Oncefold."""
        clock = self._world.scheduler.clock
        return _LiveDefinition(NAMES, clock, clock)


class OneDefinition(Redefining):
    """The reducer takes every delta for one of the definition that keys are kept under."""

    reduce_function = _OneDefinition


class DefinitionFirst(Redefining):
    """The definition is replaced in one write, and the new totals are made live in the next."""

    rebuild = _DefinitionFirstRebuild


class EpochAlone(Redefining):
    """The new totals are made live, and the definition stays."""

    rebuild = _EpochAloneRebuild


class NettedAsKept(EconomyRedefining):
    """In economy mode NetLambda nets every epoch under the definition that keys are kept under."""

    net_function = _KeptDefinition
