"""What to generate: the settings, checked, the counts of each kind of event that follow, and the tree of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

COUNT_LIMIT = 2_000_000_000
LEAVES_LIMIT = 1_000_000
SEED_LIMIT = 1 << 64
DEFAULT_COUNT = 10_000
TICKS_PER_SECOND = 10_000
NANOS_PER_SECOND = 1_000_000_000
DEFAULT_START = 16_164_132_588_997
DEFAULT_SPACING = 6_000_000
# Seconds from 1973 on have nine digits or more, and the texts rely on that; the end is the year 9999.
START_LIMITS = (100_000_000 * TICKS_PER_SECOND, 253_402_300_800 * TICKS_PER_SECOND)
SPAN_LIMIT_SECONDS = 3_155_760_000
SPACING_LIMIT = 1_000 * NANOS_PER_SECOND

# The sum of (2 * count) steps of a version has to fit 32 bits signed, and a span in nanoseconds 64.
assert COUNT_LIMIT < 2**31
assert SPAN_LIMIT_SECONDS * NANOS_PER_SECOND < 2**62


class WorkloadError(ValueError):
    """The knobs contradict each other or are out of range; the message is one line and says what to change."""


class Counts(NamedTuple):
    """How many events of each kind a workload holds, in the order of `events.Kind`."""

    keys: int
    modifications: int
    deletes: int
    out_of_order: int
    duplicates: int

    @property
    def events(self) -> int:
        """All events together."""
        return sum(self)

    @property
    def newest(self) -> int:
        """Events that carry the greatest version of their key when they arrive."""
        return self.keys + self.modifications + self.deletes


@dataclass(frozen=True, slots=True)
class Workload:
    """A stream of events, fixed to the last byte by these knobs.

    Two of `count`, `keys` and `modifications` fix the third: without `keys`, what the shares leave are new
    keys; with `keys` and no `modifications`, what is left are modifications; without `count`, it follows from
    the keys and the shares.
    """

    count: int | None = None
    """Events in all; 10,000 unless `keys` says otherwise."""
    keys: int | None = None
    """Distinct keys."""
    duplicates: float = 0.0
    """Share of events that send an earlier event again, byte for byte."""
    modifications: float | None = None
    """Share of events that carry a newer version of an earlier key, with a new value."""
    moves: float = 0.2
    """Share of the modifications that also go to another leaf."""
    out_of_order: float = 0.0
    """Share of events that arrive for the first time after a newer version of their key."""
    deletes: float = 0.0
    """Share of events that delete an earlier key."""
    leaves: int = 12
    """Distinct leaves; 12 are the workshop's, more invent trade desks."""
    seed: int = 0
    """The same seed and knobs give the same bytes."""
    start: int = DEFAULT_START
    """Time of the first event, in ten-thousandths of a second since 1970."""
    spacing: int = DEFAULT_SPACING
    """Event time from one event to the next, in nanoseconds; the default is 10,000 events in a minute."""

    def __post_init__(self) -> None:
        """Refuse what cannot be generated."""
        self._check_numbers()
        self._check_shares()
        if self.counts.events * self.spacing > SPAN_LIMIT_SECONDS * NANOS_PER_SECOND:
            raise WorkloadError("the events would span more than 100 years: lower the count or raise the rate")

    def _check_numbers(self) -> None:
        _check_range("count", self.count, 1, COUNT_LIMIT)
        _check_range("keys", self.keys, 1, COUNT_LIMIT)
        _check_range("leaves", self.leaves, 1, LEAVES_LIMIT)
        _check_range("seed", self.seed, 0, SEED_LIMIT - 1)
        _check_range("spacing", self.spacing, 1, SPACING_LIMIT)
        if not START_LIMITS[0] <= self.start <= START_LIMITS[1]:
            raise WorkloadError("the start is out of range: give a time from 1973-03-04 to the year 9999")

    def _check_shares(self) -> None:
        shares = {
            "duplicates": self.duplicates,
            "modifications": self.modifications or 0.0,
            "out-of-order": self.out_of_order,
            "deletes": self.deletes,
        }
        for name, share in (*shares.items(), ("moves", self.moves)):
            if not 0.0 <= share <= 1.0:
                raise WorkloadError(f"{name} is {share:g}: give a share from 0 to 1, such as 0.1 for 10 %")
        total = sum(shares.values())
        if total >= 1.0:
            listed = " + ".join(f"{name} {share:g}" for name, share in shares.items() if share)
            raise WorkloadError(
                f"the shares add up to {total:g} ({listed}): lower them below 1 in all, the rest are new keys"
            )

    @property
    def counts(self) -> Counts:
        """How many events of each kind there are: exactly these, in every stream of this workload."""
        return _counts(self)


def _check_range(name: str, value: int | None, low: int, high: int) -> None:
    if value is not None and not low <= value <= high:
        raise WorkloadError(f"{name} is {value:,}: give a number from {low:,} to {high:,}")


def _part(share: float, count: int) -> int:
    """Return the whole number of events nearest to a share of `count`."""
    return int(share * count + 0.5)


def _counts(workload: Workload) -> Counts:
    """Solve for the one of count, keys and modifications that is not given."""
    w = workload
    share = w.modifications or 0.0
    total = w.count or DEFAULT_COUNT
    if w.count is None and w.keys is not None:
        total = _part(1 / (1 - w.duplicates - share - w.out_of_order - w.deletes), w.keys)
        if total > COUNT_LIMIT:
            raise WorkloadError(f"{w.keys:,} keys with these shares need over {COUNT_LIMIT:,} events: lower either")
    rest = [_part(share, total) for share in (w.deletes, w.out_of_order, w.duplicates)]
    changes = _part(share, total)
    if w.keys is None:
        return _with_keys(total, total - changes - sum(rest), changes, rest)
    if w.count is None:
        return Counts(w.keys, changes, *rest)
    if w.modifications is None:
        return _with_changes(total, w.keys, rest)
    left = total - changes - sum(rest)
    if left != w.keys:
        raise WorkloadError(
            f"{total:,} events with these shares leave {left:,} new keys, not {w.keys:,}: "
            "drop one of count, keys and modifications, it follows from the others"
        )
    return Counts(w.keys, changes, *rest)


def _with_keys(total: int, keys: int, changes: int, rest: list[int]) -> Counts:
    if keys < 1:
        raise WorkloadError(f"these shares leave none of {total:,} events for a new key: lower a share")
    return Counts(keys, changes, *rest)


def _with_changes(total: int, keys: int, rest: list[int]) -> Counts:
    changes = total - keys - sum(rest)
    if changes < 0:
        raise WorkloadError(
            f"{keys:,} keys and {sum(rest):,} other events are more than the count of {total:,}: "
            "raise the count, or lower the keys or a share"
        )
    return Counts(keys, changes, *rest)


LEVELS = ("RiskType", "TradeDesk", "Region")
"""The levels of rollup `risk`, from the root down."""

_RISK_TYPES = ("PV", "Delta")
_REGIONS = ("EMEA", "APAC", "AMER")
_DESKS = ("FXSpot", "FXOptions")


class Leaf(NamedTuple):
    """One leaf of the tree, in the order in which the messages name it."""

    risk_type: str
    region: str
    trade_desk: str

    @property
    def nodes(self) -> tuple[str, str, str, str]:
        """The paths of the nodes above and at this leaf in rollup `risk`, root first."""
        desk = f"{self.risk_type}/{self.trade_desk}"
        return ("", self.risk_type, desk, f"{desk}/{self.region}")


def leaf(index: int) -> Leaf:
    """Return leaf number `index`; every index is another leaf, and the first 12 are the workshop's."""
    rest, risk = divmod(index, len(_RISK_TYPES))
    desk, region = divmod(rest, len(_REGIONS))
    name = _DESKS[desk] if desk < len(_DESKS) else f"Desk{desk + 1:05d}"
    return Leaf(_RISK_TYPES[risk], _REGIONS[region], name)


def leaves(count: int) -> list[Leaf]:
    """Return the first `count` leaves."""
    return [leaf(i) for i in range(count)]
