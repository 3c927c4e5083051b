"""From classes of bad records to their reasons: the scalar decoder judges the first record of each class."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from oncefold.columnar.arrays import Int64s, UInt8s
from oncefold.columnar.conflicts import gathered
from oncefold.columnar.faults import ODD_TIME, UNKNOWN, UNREAD, has_value
from oncefold.core.decimals import shown
from oncefold.core.definition import Level, Pipeline, Time, Version
from oncefold.core.errors import IgnoredRecord, InvalidEvent
from oncefold.core.event import Event

Judge = Callable[[int, int], Event | None]
"""Decodes row i, whose fault is the second, by the scalar core; None if it is blank. Raises InvalidEvent."""


TimeFault = Callable[[int, str], str | None]
"""Why the scalar core refuses a text as the time of the field of this number; None if it is a time."""


@dataclass(slots=True)
class Verdicts:
    """What became of rows that the kernels left."""

    events: list[tuple[int, Event]] = field(default_factory=list)
    blank: list[int] = field(default_factory=list)
    ignored: list[int] = field(default_factory=list)
    """The rows that say nothing, as their envelope means them."""
    refused: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))
    """The rows that are refused, in order."""
    reason: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))
    """The reason of each, an index into `reasons`."""
    reasons: list[str] = field(default_factory=list)


def sources_of(pipeline: Pipeline) -> list[str]:
    """The fields by the numbers that faults have; empty where the pipeline has none."""
    single = [item and str(item.field) for item in (pipeline.version, pipeline.time, pipeline.delete)]
    listed = [*pipeline.key], [level.field for level in pipeline.levels], [one.field or "" for one in pipeline.columns]
    keys, levels, columns = ([str(source) for source in sources] for sources in listed)
    return [*keys, *(name or "" for name in single), *levels, *columns]


def timed_of(pipeline: Pipeline) -> dict[int, Version | Time | Level]:
    """What may be a time or a version, by the numbers that faults have."""
    keys = len(pipeline.key)
    numbered = [*enumerate((pipeline.version, pipeline.time), keys), *enumerate(pipeline.levels, keys + 3)]
    return {number: item for number, item in numbered if item is not None}


def judged(
    rows: Int64s, faults: Int64s, data: UInt8s, judge: Judge, sources: Sequence[str], time_fault: TimeFault
) -> Verdicts:
    """Judge rows, whose faults are faults[row]: (fault, number, start and end of a value in `data`)."""
    found = faults[rows]
    found[np.isin(found[:, 0], (UNKNOWN, UNREAD)), 1] = 0
    reason = np.full(len(rows), -1, np.int64)
    verdicts, alone = Verdicts(), [np.zeros(0, np.int64)]
    for fault, number, members in _classes(found):
        words = _words(fault, rows[members[0]], judge) if fault not in {UNKNOWN, UNREAD} and len(members) > 1 else None
        if words is None:
            alone.append(members)
            continue
        codes = np.zeros(len(members), np.int64)
        reasons: list[str | None] = [words]
        if fault == ODD_TIME or has_value(fault):
            starts, stops = found[members, 2], found[members, 3]
            texts = gathered(data, starts, stops - starts).view(pa.large_string()).dictionary_encode()
            codes, values = texts.indices.to_numpy(zero_copy_only=False), texts.dictionary.to_pylist()
            if fault == ODD_TIME:
                reasons = _of_times(words, values, number, time_fault)
            else:
                reasons = _of_values(words, values, sources[number])
        refused = np.array([text is not None for text in reasons], np.bool_)[codes]
        alone.append(members[~refused])
        reason[members[refused]] = codes[refused] + len(verdicts.reasons)
        verdicts.reasons += [text or "" for text in reasons]
    for member in np.sort(np.concatenate(alone)).tolist():
        reason[member] = _judge_alone(int(rows[member]), int(found[member, 0]), judge, verdicts)
    verdicts.refused, verdicts.reason = rows[reason >= 0], reason[reason >= 0]
    return verdicts


def _classes(found: Int64s) -> Iterator[tuple[int, int, Int64s]]:
    """(fault, number, its members in order) of each class."""
    if not len(found):
        return
    order = np.lexsort((found[:, 1], found[:, 0]))
    ordered = found[order, :2]
    begins = np.flatnonzero(np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)])
    for begin, members in zip(begins.tolist(), np.split(order, begins[1:]), strict=True):
        yield int(ordered[begin, 0]), int(ordered[begin, 1]), members


def _words(fault: int, row: int, judge: Judge) -> str | None:
    """The scalar decoder's reason for a row; None if it takes it."""
    try:
        judge(int(row), fault)
    except IgnoredRecord:
        return None
    except InvalidEvent as error:
        return str(error)
    return None


def _of_values(words: str, values: list[str], source: str) -> list[str | None]:
    """The reason of each value, from that of the first; None if its text is not where it is in reasons."""
    before = f"field {source}: "
    first = f"{before}{shown(values[0])}"
    if not words.startswith(first):
        return [None] * len(values)
    after = words[len(first) :]
    return [f"{before}{shown(value)}{after}" for value in values]


def _of_times(words: str, values: list[str], number: int, time_fault: TimeFault) -> list[str | None]:
    """The reason of each time, None of a good one, and of all if the record of the first has another reason."""
    reasons = [time_fault(number, value) for value in values]
    return reasons if reasons[0] == words else [None] * len(values)


def _judge_alone(row: int, fault: int, judge: Judge, verdicts: Verdicts) -> int:
    """Judge one row; the number of its reason, -1 if it is not refused."""
    try:
        event = judge(row, fault)
    except IgnoredRecord:
        verdicts.ignored.append(row)
        return -1
    except InvalidEvent as error:
        verdicts.reasons.append(str(error))
        return len(verdicts.reasons) - 1
    if event is None:
        verdicts.blank.append(row)
    else:
        verdicts.events.append((row, event))
    return -1
