"""What the item `definition` says of a rebuild: one attribute, replaced on the condition that nobody changed it.

Beside it `begun` is the latest epoch that ever was begun: a process that was held up between its reading and its first
write would begin an epoch that is earlier than others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from oncefold.aws.functions.epochs import ANNOUNCED, DELETING, kept_under
from oncefold.aws.functions.layout import DEFINITION_KEY
from oncefold.aws.names import Names
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import OncefoldError
from oncefold.dynamodb.calls import Dynamo
from oncefold.dynamodb.items import Item

FIRST, FINAL, DRAIN = "first", "final", "drain"
PHASES = (ANNOUNCED, FIRST, FINAL, DRAIN, DELETING)
_NONE_BEGUN: Item = {}


class RebuildTakenError(OncefoldError):
    """Another process goes on with the rebuild, or has ended it."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A rebuild as the item `definition` has it."""

    epoch: int
    phase: str
    segments: int
    owner: str
    """The process that drives it; empty for none."""
    beat: int
    toml: str = ""
    """The new definition that its totals are under; empty for none."""

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> "UnderWay | None":
        """That of the item, if there is one."""
        if "rebuild" not in definition:
            return None
        found = definition["rebuild"]["M"]
        numbers = {name: int(found[name]["N"]) for name in ("epoch", "segments", "beat")}
        toml = found.get("toml", {}).get("S", "")
        return cls(phase=found["phase"]["S"], owner=found["owner"]["S"], toml=toml, **numbers)

    @property
    def attribute(self) -> Item:
        """As the item has it."""
        numbers = {name: {"N": str(getattr(self, name))} for name in ("epoch", "segments", "beat")}
        text = {"toml": {"S": self.toml}} if self.toml else {}
        return {"M": {**numbers, "phase": {"S": self.phase}, "owner": {"S": self.owner}, **text}}


class RebuildItem:
    """The attribute in one stack's tables."""

    def __init__(self, names: Names, dynamo: Dynamo) -> None:
        self._names = names
        self._dynamo = dynamo

    def read(self) -> UnderWay | None:
        """The rebuild that is under way now."""
        return UnderWay.of(self.definition())

    def definition(self) -> Item:
        """The whole item. Raises OncefoldError if it was written for functions that know no epochs."""
        item = self._dynamo.get(self._names.aggregate_table, DEFINITION_KEY)
        if item is None or "epoch" not in item:
            raise OncefoldError(
                f"stack {self._names.stack}: its functions were deployed by a version that knows no rebuild, or never; "
                "deploy first: oncefold aws deploy"
            )
        return item

    def begin(self, definition: Item, before: UnderWay | None, after: UnderWay) -> bool:
        """Say that a rebuild has begun; False if another one did so since the item was read, whatever became of it."""
        return self._replace(before, after, begun=definition.get("begun", _NONE_BEGUN))

    def swap(self, before: UnderWay | None, after: UnderWay | None) -> bool:
        """Replace what the item says of a rebuild, on the condition that it says what it said before.

        Whether it was done: also by a call whose answer was lost.
        """
        return self._replace(before, after)

    def switch(self, definition: Item, before: UnderWay, after: UnderWay) -> bool:
        """Make its totals those that are read, under its definition, in the same way.

        What keys are kept under stays in the item. `definition` is the item, of which nothing else changes meanwhile.
        """
        return self._replace(before, after, live=definition)

    def _replace(
        self, before: UnderWay | None, after: UnderWay | None, live: Item | None = None, begun: Item | None = None
    ) -> bool:
        names: dict[str, str] = {"#rebuild": "rebuild"}
        values: Item = {}
        condition = "attribute_not_exists(#rebuild)"
        if before is not None:
            stored = before.attribute["M"]
            condition = " AND ".join(f"#rebuild.#{name} = :{name}" for name in stored)
            names |= {f"#{name}": name for name in stored}
            values |= {f":{name}": value for name, value in stored.items()}
        if after is None:
            update = "REMOVE #rebuild"
        else:
            update, values[":after"] = "SET #rebuild = :after", after.attribute
        if live is not None and after is not None:
            names["#live"], values[":live"] = "epoch", {"N": str(after.epoch)}
            update += ", #live = :live"
            if after.toml:
                names |= {"#text": "toml", "#kept": "kept", "#prints": "fingerprints"}
                values |= {":text": {"S": after.toml}, ":kept": {"S": kept_under(live)}}
                values[":prints"] = {"SS": [parse_toml(after.toml, "the new definition").fingerprint]}
                update += ", #text = :text, #kept = :kept ADD #prints :prints"
        if begun is not None and after is not None:
            names["#begun"], values[":latest"] = "begun", {"N": str(after.epoch)}
            update += ", #begun = :latest"
            if begun is _NONE_BEGUN:
                condition += " AND attribute_not_exists(#begun)"
            else:
                condition, values[":begun"] = f"{condition} AND #begun = :begun", begun
        request: dict[str, Any] = {
            "TableName": self._names.aggregate_table,
            "Key": DEFINITION_KEY,
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
        }
        if values:
            request["ExpressionAttributeValues"] = values
        return self._dynamo.update(**request) or self.read() == after

    def refuse(self, found: UnderWay | None) -> NoReturn:
        """Raises RebuildTakenError, with what was found instead of what this process had written."""
        what = "it has just ended" if found is None else f"it is in its phase `{found.phase}`"
        raise RebuildTakenError(
            f"stack {self._names.stack}: another process is driving a rebuild ({what}); wait for it, or end that "
            "process and run this again, which goes on where it was"
        )
