"""`load`: a stack begins with the keys and totals of a store, before its first event.

Items are put by BatchWriteItem, which knows no conditions, so nobody else may write meanwhile: the stack's tables are
empty, its mappings are off, and the item `definition` accepts no function until all is there. What was put may be put
again; how far it is, is kept in that item, so that whatever ends a load, the next run goes on. A process that was held
up, and may have been replaced meanwhile, looks at that item before it puts anything more.

In economy mode the states that are put go through StateTable's stream. They say that they were loaded, and a state that
comes into the table so changes nothing (`layout.parse_change`): its totals are put beside it. Put again, it changes
nothing either, as then there is an old image with the same.
"""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from oncefold.aws.connect import aws_errors_explained, client
from oncefold.aws.functions.guard import ECONOMY, knows
from oncefold.aws.functions.layout import DEFINITION_KEY
from oncefold.aws.functions.state import Spread
from oncefold.aws.functions.unread import WATCH_KEY
from oncefold.aws.operations.load_items import LoadedStore
from oncefold.aws.tables import Stack, read_definition
from oncefold.core.definition import Pipeline
from oncefold.core.definition_changes import changes_of_meaning
from oncefold.core.errors import DefinitionError, OncefoldError
from oncefold.dynamodb.calls import PUT_ITEMS, Backoff, Dynamo, Meter, slices
from oncefold.dynamodb.items import Item
from oncefold.queries.protocol import Progress

MAPPINGS_ENABLED = "MappingsEnabled"
LOADING = "a load is under way"
"""In the place of the fingerprints: no function's definition has this one."""
_THREADS = 8
_TOGETHER = 2_000
"""Items that are put between two notes of how far it is."""
_LEASE_SECONDS = 20.0
"""How long a process takes the load for its own after it looked."""


def check_definition(stack: Stack, pipeline: Pipeline) -> None:
    """Raises DefinitionError if a stack's tables mean something else than a store does."""
    changes = changes_of_meaning(pipeline, stack.pipeline) or changes_of_meaning(stack.pipeline, pipeline)
    if not changes and stack.first is not None:
        changes = ["its keys are kept as the definition before says"]
    if changes:
        raise DefinitionError(
            f"stack {stack.names.stack}: its definition is not that of the store: {'; '.join(changes)}. Deploy the "
            "store's own definition, or run the events into a store under the stack's"
        )


@dataclass(frozen=True, slots=True)
class LoadDone:
    """What a run of a load did."""

    keys: int
    nodes: int
    resumed: bool
    """Whether an earlier run had begun it."""


@dataclass(frozen=True)
class StackLoad:
    """Loads one stack."""

    stack: Stack
    mappings: Callable[[], str]
    """The stack's parameter MappingsEnabled."""
    clock: Callable[[], float] = time.time
    """Of a machine that may be suspended: the one that goes on meanwhile."""
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def of(cls, stack: Stack) -> "StackLoad":
        """With the standard clients. Raises OncefoldError."""
        cloudformation = client("cloudformation")

        def mappings() -> str:
            found = cloudformation.describe_stacks(StackName=stack.names.stack)["Stacks"][0]
            values = {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", ())}
            return str(values.get(MAPPINGS_ENABLED, "true"))

        return cls(stack, mappings)

    def under_way(self) -> bool:
        """Whether a load was begun and has not come to its end."""
        with aws_errors_explained(self.stack.names.stack):
            return "load" in read_definition(self.stack.names, self.stack.dynamodb)

    def run(self, loaded: LoadedStore, progress: Progress, spread: Spread | None = None) -> LoadDone:
        """Put everything, or what is left of it. Raises OncefoldError if the stack is not as a load needs it."""
        with aws_errors_explained(self.stack.names.stack), ThreadPoolExecutor(_THREADS) as workers:
            dynamo = Dynamo(
                self.stack.dynamodb, Backoff(self.clock, self.sleep, random.random, float("inf")), Meter()
            )  # fmt: skip
            return _Load(self, loaded, dynamo, spread or workers.map, progress).run()


class _Load:
    """One run."""

    def __init__(
        self, load: StackLoad, loaded: LoadedStore, dynamo: Dynamo, spread: Spread, progress: Progress
    ) -> None:
        self._stack = load.stack
        self._mappings = load.mappings
        self._loaded = loaded
        self._dynamo = dynamo
        self._spread = spread
        self._progress = progress
        self._clock = load.clock
        self._done = 0
        self._confirmed = load.clock()
        """When the load surely was this process's."""

    def run(self) -> LoadDone:
        names = self._stack.names
        self._check_mappings()
        definition = read_definition(names, self._stack.dynamodb)
        resumed = "load" in definition
        done = self._claim(definition)
        if not resumed:
            try:
                self._check_empty()
                self._forget_watch()
            except BaseException:
                self._release()
                raise
        self._done = done
        states = islice(self._loaded.state_items(self._stack.epoch), done, None)
        while some := list(islice(states, _TOGETHER)):
            self._put(names.state_table, some)
            self._done += len(some)
            self._note()
            self._progress("keys loaded", self._done)
        nodes = self._loaded.node_items(self._stack.epoch)
        put = 0
        while some := list(islice(nodes, _TOGETHER)):
            self._put(names.aggregate_table, some)
            put += len(some)
            self._progress("nodes loaded", put)
        self._release()
        return LoadDone(self._loaded.sizes.keys, self._loaded.sizes.nodes, resumed)

    def _put(self, table: str, items: list[Item]) -> None:
        for _ in self._spread(lambda some: self._put_some(table, some), slices(items, PUT_ITEMS)):
            pass

    def _put_some(self, table: str, some: Sequence[Item]) -> None:
        self._confirm()
        self._dynamo.put(table, some)

    def _confirm(self) -> None:
        """Before a write that knows no conditions: make sure that the load is this process's."""
        if not 0 <= self._clock() - self._confirmed < _LEASE_SECONDS:
            self._note()

    def _check_mappings(self) -> None:
        if self._mappings() != "false":
            raise OncefoldError(
                f"stack {self._stack.names.stack}: its functions are at work, and could write what the load replaces; "
                f"stop them first: oncefold aws deploy PIPELINE.toml --parameter {MAPPINGS_ENABLED}=false"
            )
        if self._stack.mode == ECONOMY:
            return
        state_table = self._dynamo.describe(self._stack.names.state_table)
        if state_table.get("StreamSpecification", {}).get("StreamEnabled"):
            raise OncefoldError(
                f"stack {self._stack.names.stack}: it counts what its StateTable's stream says, and would count a load "
                "again; send the store's events instead: oncefold aws send"
            )

    def _check_empty(self) -> None:
        names = self._stack.names
        for table in (names.state_table, names.reduce_table, names.aggregate_table):
            if any(item.get("path") != DEFINITION_KEY["path"] for item in self._dynamo.scan(table)):
                raise OncefoldError(
                    f"stack {names.stack}: the table {table} has items; only a stack without any event can be loaded. "
                    "Deploy another one with --stack NAME"
                )

    def _forget_watch(self) -> None:
        """In economy mode: until now nothing was in the stream that could be lost, and what is put cannot be."""
        if self._stack.mode == ECONOMY:
            self._confirm()
            self._dynamo.delete(self._stack.names.aggregate_table, [WATCH_KEY])

    def _claim(self, definition: Item) -> int:
        """Let no function write from now on; how many keys an earlier run has put. Raises OncefoldError."""
        stack, contents = self._stack.names.stack, self._loaded.sizes.contents
        if "load" in definition:
            found = definition["load"]["M"]
            if found["contents"]["S"] != contents:
                raise OncefoldError(
                    f"stack {stack}: a load of another store, or of other contents of it, is under way; go on with "
                    "that one, or remove the stack and its tables: oncefold aws destroy --delete-tables"
                )
            return int(found["keys"]["N"])
        if self._stack.mode == ECONOMY and not knows(definition):
            raise OncefoldError(
                f"stack {stack}: its functions were deployed by a version that would count what is loaded once more; "
                "deploy first: oncefold aws deploy"
            )
        if "rebuild" in definition:
            raise OncefoldError(f"stack {stack}: a rebuild is under way; see: oncefold aws rebuild --dry-run")
        load = {"contents": {"S": contents}, "keys": {"N": "0"}, "fingerprints": definition["fingerprints"]}
        claimed = self._update(
            "SET #load = :load, #prints = :loading",
            "attribute_not_exists(#load) AND attribute_not_exists(#rebuild) AND #prints = :before",
            {":load": {"M": load}, ":loading": {"SS": [LOADING]}, ":before": definition["fingerprints"]},
            {"#load": "load", "#rebuild": "rebuild", "#prints": "fingerprints"},
        )
        if not claimed:
            raise OncefoldError(f"stack {stack}: it was deployed, rebuilt or loaded meanwhile; run the load again")
        return 0

    def _note(self) -> None:
        """Say how far it is. Raises OncefoldError if another process has ended the load."""
        confirmed = self._clock()
        values = {":keys": {"N": str(self._done)}, ":contents": {"S": self._loaded.sizes.contents}}
        names = {"#load": "load", "#keys": "keys", "#contents": "contents"}
        if not self._update("SET #load.#keys = :keys", "#load.#contents = :contents", values, names):
            raise OncefoldError(f"stack {self._stack.names.stack}: the load was ended by another process")
        self._confirmed = confirmed

    def _release(self) -> None:
        """Let functions write: all is there, or nothing is."""
        prints = {"SS": sorted(self._stack.fingerprints - {LOADING} | {self._stack.pipeline.fingerprint})}
        self._update(
            "SET #prints = :prints REMOVE #load",
            "#load.#contents = :contents",
            {":prints": prints, ":contents": {"S": self._loaded.sizes.contents}},
            {"#load": "load", "#prints": "fingerprints", "#contents": "contents"},
        )

    def _update(self, update: str, condition: str, values: Item, names: dict[str, str]) -> bool:
        request: dict[str, Any] = {
            "TableName": self._stack.names.aggregate_table,
            "Key": DEFINITION_KEY,
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
        return self._dynamo.update(**request)
