"""Counters of one table with their ledger: what a handler makes at import, and what verifies and adopts."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any, ClassVar

from oncefold.dynamodb.calls import Backoff, Dynamo, Meter, OutOfTime
from oncefold.dynamodb.invocation import backoff_until_answer
from oncefold.dynamodb.items import NUMBER_DIGITS
from oncefold.once.batch import Batch
from oncefold.once.by_id import ById
from oncefold.once.by_position import ByPosition
from oncefold.once.by_version import ByVersion
from oncefold.once.clients import client_of
from oncefold.once.counts import Counts, CustomKey, Given, KeyFunction, KeyLayout, read_counts
from oncefold.once.errors import CountsError, NotCounted
from oncefold.once.ledger import SETTINGS_KEY, WAYS, Way, settings_item
from oncefold.once.verification import Verification, Verifier
from oncefold.once.writing import Entry, Outcomes, Writer

PLACES = 18
"""Decimal places of an amount where nothing is said; then 20 digits are left before the point."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """The clock that deadlines are kept by, in seconds; a pause; random numbers from 0 to 1."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random


class Counters:
    """Counters in the items of a table: each record is added once, in one transaction with the ledger's note of it."""

    writer: ClassVar[type[Writer]] = Writer
    ways: ClassVar[Mapping[Way, type[ById | ByVersion | ByPosition]]] = {
        "id": ById,
        "version": ByVersion,
        "position": ByPosition,
    }
    """What counts; the lab's known-wrong variants put their own here."""

    def __init__(  # noqa: PLR0913 - each has a default but two
        self,
        table: str,
        ledger: str,
        way: Way = "id",
        *,
        key: str | Sequence[str] | KeyFunction | None = None,
        separator: str = ":",
        places: int = PLACES,
        partial: bool = True,
        client: Any = None,
        runtime: Runtime | None = None,
    ) -> None:
        """No call is made before the first batch.

        Args:
            table: the table of the counters, whose items and key are yours.
            ledger: the table that remembers, made for these counters alone: see `oncefold once template`.
            way: what makes a record known: its `id`, its `version`, or its `position` in a shard.
            key: the attributes of the table's key, all texts; or a function from a path to the key. By default the
                table is asked, which needs dynamodb:DescribeTable.
            separator: joins the labels that the last attribute of the key takes.
            places: decimal places of amounts; each total lies below 10**(38 - places).
            partial: whether the answer names what is not counted, for a mapping with ReportBatchItemFailures. Without
                it the batch raises, and Lambda delivers all of it again.
            client: a client or resource of boto3 or botocore; by default one with the credentials of the environment.
            runtime: clock, pause and randomness, for tests.

        Raises:
            CountsError: for settings that cannot be.
        """
        if way not in WAYS:
            raise CountsError(f"way {way!r}: there are {', '.join(WAYS)}")
        if not 0 <= places < NUMBER_DIGITS:
            raise CountsError(f"places {places}: give 0 to {NUMBER_DIGITS - 1}")
        if table == ledger:
            raise CountsError("the ledger is a table of its own: see `oncefold once template`")
        self.table, self.ledger, self.way, self.places = table, ledger, way, places
        self._key, self._separator = key, separator
        self._partial = partial
        self._given_client = client
        self._runtime = runtime or Runtime()
        self._layout: KeyLayout | CustomKey | None = None
        self._checked = False

    def batch(self, context: Any = None) -> Batch:
        """A batch that is counted when its `with` block ends; `context` is Lambda's, None for all the time there is."""
        return self._batch(context, counting=True)

    def adopting(self, context: Any = None) -> Batch:
        """A batch of what the totals hold already: the ledger is written, the counters are not.

        By version only records that the ledger has not are adopted.
        """
        return self._batch(context, counting=False)

    def adopt_totals(self, context: Any = None) -> Verification:
        """Take what the ledger does not explain of the totals for their base, so that `verify` goes by it.

        No function may count meanwhile. Raises CountsError by position, where the ledger explains nothing.
        """
        return self._verifier(context).adopt()

    def verify(self, context: Any = None) -> Verification:
        """Compare the totals with what the ledger and the base add up to; it also says what cannot be known."""
        return self._verifier(context).verify()

    def _batch(self, context: Any, *, counting: bool) -> Batch:
        backoff = self._backoff(context)

        def read(given: Given) -> Counts:
            try:
                layout = self._key_layout(backoff)
            except OutOfTime:
                raise NotCounted(f"the time was up before {self.table} had said what its key is") from None
            return read_counts(given, layout, self.places)

        # Tokens of a batch's own: they spare a call that is repeated, and never vouch for another invocation's.
        salt = str(self._runtime.random())

        def count(entries: list[Entry], meter: Meter) -> Outcomes:
            dynamo = Dynamo(self._client, backoff, meter, salt)
            try:
                self._check(dynamo)
            except OutOfTime:
                outcomes = Outcomes()
                outcomes.out_of_time(entries)
                return outcomes
            writer = self.writer(dynamo, self.table, self.ledger, self.places, counting=counting)
            return self.ways[self.way](writer).count(entries)

        return Batch(self.way, read, self.places, count, partial=self._partial)

    @cached_property
    def _client(self) -> Any:
        return client_of(self._given_client)

    def _backoff(self, context: Any) -> Backoff:
        runtime = self._runtime
        if context is None:
            return Backoff(runtime.clock, runtime.sleep, runtime.random, inf)
        return backoff_until_answer(context, runtime.clock, runtime.sleep, runtime.random)

    def _key_layout(self, backoff: Backoff) -> KeyLayout | CustomKey:
        if self._layout is None:
            if callable(self._key):
                self._layout = CustomKey(self._key)
            elif self._key is not None:
                names = [self._key] if isinstance(self._key, str) else list(self._key)
                self._layout = KeyLayout(tuple((name, "S") for name in names), self._separator)
            else:
                self._layout = self._described(Dynamo(self._client, backoff, Meter()))
        return self._layout

    def _described(self, dynamo: Dynamo) -> KeyLayout:
        described = dynamo.describe(self.table)
        kinds = {part["AttributeName"]: part["AttributeType"] for part in described["AttributeDefinitions"]}
        names = [part["AttributeName"] for part in sorted(described["KeySchema"], key=lambda part: part["KeyType"])]
        attributes = tuple((name, kinds[name]) for name in names)
        if any(kind == "B" for _, kind in attributes):
            raise CountsError(f"table {self.table}: a key of bytes cannot name a counter")
        return KeyLayout(attributes, self._separator)

    def _check(self, dynamo: Dynamo) -> None:
        """Make sure that the ledger is these counters' own, once; one without settings gets them."""
        if self._checked:
            return
        wanted = settings_item(self.way, self.table, self.places)
        found = dynamo.read(self.ledger, [SETTINGS_KEY])
        while not found:
            put = {"TableName": self.ledger, "Item": wanted, "ConditionExpression": "attribute_not_exists(#id)"}
            if dynamo.transact([{"Put": {**put, "ExpressionAttributeNames": {"#id": "id"}}}]).done:
                found = [wanted]
            else:
                found = dynamo.read(self.ledger, [SETTINGS_KEY])
        if {name: found[0].get(name) for name in wanted} != wanted:
            raise CountsError(
                f"ledger {self.ledger}: it was made for counters of {found[0]['counters']['S']} once by "
                f"{found[0]['way']['S']} with {found[0]['places']['N']} places; give these a ledger of their own"
            )
        self._checked = True

    def _verifier(self, context: Any) -> Verifier:
        dynamo = Dynamo(self._client, self._backoff(context), Meter())
        self._check(dynamo)
        return Verifier(dynamo, self.table, self.ledger, self.way, self.places)
