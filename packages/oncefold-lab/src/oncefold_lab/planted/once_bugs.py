"""Mistakes of counters that are once: what is written together, and what is taken for known."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from oncefold.dynamodb.items import Item
from oncefold.once import Counters
from oncefold.once.by_id import ById
from oncefold.once.by_position import ByPosition
from oncefold.once.by_version import ByVersion, Change
from oncefold.once.counts import Counts, add
from oncefold.once.ledger import Way
from oncefold.once.writing import Entry, Outcomes, Tried, Writer
from oncefold_lab.once import systems
from oncefold_lab.search.scenario import Scenario
from oncefold_lab.world.functions import Context

Ways = Mapping[Way, type[ById | ByVersion | ByPosition]]


class _LedgerFirst(Writer):
    def write(self, keeps: Sequence[Item], counts: Counts) -> Tried:
        tried = super().write(keeps, {})
        return super().write([], counts) if tried.done and _any(counts) else tried


class _CountersFirst(Writer):
    def write(self, keeps: Sequence[Item], counts: Counts) -> Tried:
        tried = super().write([], counts) if _any(counts) else Tried(done=True)
        return super().write(keeps, {}) if tried.done else tried


class _Unconditioned(Writer):
    def write(self, keeps: Sequence[Item], counts: Counts) -> Tried:
        names = {"TableName", "Item"}
        plain = [{"Put": {name: keep["Put"][name] for name in names}} for keep in keeps]
        return super().write(plain, counts)


class _TailDropped(Writer):
    def write(self, keeps: Sequence[Item], counts: Counts) -> Tried:
        return super().write(keeps, dict(list(counts.items())[:8]))


class _VersionStays(ByVersion):
    def _net(self, chunk: Sequence[Change]) -> Counts:
        counts: Counts = {}
        for change in chunk:
            add(counts, change.counts)
        return counts


class _VersionAlone(ByVersion):
    def _keep(self, change: Change) -> dict[str, object]:
        write: Item = super()._keep(change)
        if change.before is not None:
            put = write["Put"]
            put["ConditionExpression"] = "#version = :version"
            put["ExpressionAttributeNames"] = {"#version": "version"}
            put["ExpressionAttributeValues"] = {":version": {"N": change.before.version}}
        return write


class _ShortIds(ById):
    def count(self, entries: Iterable[Entry]) -> Outcomes:
        return super().count([replace(entry, record=f"{zlib.crc32(entry.record.encode()):08x}") for entry in entries])


def _any(counts: Counts) -> bool:
    return any(any(amounts.values()) for amounts in counts.values())


class _LedgerFirstCounters(Counters):
    writer = _LedgerFirst


class _CountersFirstCounters(Counters):
    writer = _CountersFirst


class _UnconditionedCounters(Counters):
    writer = _Unconditioned


class _TailDroppedCounters(Counters):
    writer = _TailDropped


class _VersionStaysCounters(Counters):
    ways: ClassVar[Ways] = {**Counters.ways, "version": _VersionStays}


class _VersionAloneCounters(Counters):
    ways: ClassVar[Ways] = {**Counters.ways, "version": _VersionAlone}


class _ShortIdsCounters(Counters):
    ways: ClassVar[Ways] = {**Counters.ways, "id": _ShortIds}


class LedgerFirst(systems.ById):
    """Ids are kept in a transaction of their own, before the counters get what they add."""

    counters = _LedgerFirstCounters


class CountersFirst(systems.ByVersion):
    """Counters change in a transaction of their own, before the ledger keeps the versions."""

    counters = _CountersFirstCounters


class PositionFirst(systems.ByPosition):
    """A shard's position moves in a transaction of its own, before what lies before it is added."""

    counters = _LedgerFirstCounters


class PositionUnconditioned(systems.ByPosition):
    """A shard's position is put without the condition that nobody moved it."""

    counters = _UnconditionedCounters


class VersionStays(systems.ByVersion):
    """A newer version is added, and the one before it is not taken back."""

    counters = _VersionStaysCounters


class RecordVersionAlone(systems.ByVersion):
    """The condition of a record compares the version and not what it had added."""

    counters = _VersionAloneCounters


class CountersDropped(systems.ById):
    """Of a chunk with more than eight counters the rest is left out."""

    counters = _TailDroppedCounters


class IdInThirtyTwoBits(systems.ById):
    """An id is kept as its CRC-32, which others have as well."""

    counters = _ShortIdsCounters


class IdUnconditioned(systems.ById):
    """An id is put without the condition that it is not there."""

    counters = _UnconditionedCounters


class FailureSwallowed(systems.ById):
    """Whatever is raised, the batch is answered as finished."""

    def handler(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """What Lambda calls."""
        try:
            return super().handler(event, context)
        except Exception:
            return {"batchItemFailures": []}


class SeveralLanes(systems.ByPosition):
    """Batches of one shard are counted by position while others of it are under way: what the way forbids."""

    @classmethod
    def draw(cls, seed: int) -> Scenario:
        """Five lanes a shard."""
        drawn = super().draw(seed)
        state = replace(drawn.deployment.state, parallelization=5)
        return replace(drawn, deployment=replace(drawn.deployment, state=state))
