"""How large the cases are."""

from dataclasses import dataclass
from typing import Any, Final

from oncefold.generate import Workload

_KIND: Final[dict[str, Any]] = {"modifications": 0.3, "duplicates": 0.1, "out_of_order": 0.01, "seed": 7}
"""The workshop's kind of events; what is left, 59 %, are new keys."""

_KEYS_SHARE: Final = 0.59


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of all cases, in events unless they say otherwise."""

    events: int
    """Of the cases that measure a rate."""
    many_leaves: int
    few_keys: int
    """Keys in the store when the rate is measured first ..."""
    many_keys: int
    """... and then."""
    portion: int
    """Measured at these numbers of keys."""
    stored_keys: int
    """Of the cases about memory, reopening and redefining."""
    file: int
    """In the smaller of two files of few keys; the greater one has four times as many."""
    file_keys: int
    slow: int
    """Sent at `slow_rate`."""
    slow_rate: int
    shapes: int
    """Of the case that compares shapes of events."""
    commands: int
    """Of the case that times whole commands, without the one per cent that it adds."""
    times: int
    """Runs of each of these commands; the fastest counts."""
    targets: bool
    """Whether the targets are for these sizes."""

    @property
    def stream(self) -> Workload:
        """The events of the cases that measure a rate."""
        return Workload(count=self.events, **_KIND)

    @property
    def bushy(self) -> Workload:
        """The same over many leaves."""
        return Workload(count=self.events, leaves=self.many_leaves, **_KIND)

    def grown(self, keys: int) -> Workload:
        """A stream whose last `portion` events begin when there are so many keys."""
        return Workload(count=round(keys / _KEYS_SHARE) + self.portion, **_KIND)

    @property
    def stored(self) -> Workload:
        """A stream of `stored_keys` keys."""
        return Workload(count=round(self.stored_keys / _KEYS_SHARE), **_KIND)

    @property
    def half_stored(self) -> Workload:
        """A stream of half as many."""
        return Workload(count=round(self.stored_keys / 2 / _KEYS_SHARE), **_KIND)

    def long(self, times: int) -> Workload:
        """A long stream of few keys."""
        return Workload(count=self.file * times, keys=self.file_keys, seed=_KIND["seed"])

    @property
    def shaped(self) -> Workload:
        """What is written in several shapes."""
        return Workload(count=self.shapes, **_KIND)

    @property
    def commanded(self) -> Workload:
        """What whole commands read, and one per cent more."""
        return Workload(count=self.commands + self.commands // 100, **_KIND)

    @property
    def slow_stream(self) -> Workload:
        """What is sent slowly."""
        return Workload(count=self.slow, **_KIND)


LARGE: Final = Sizes(
    events=2_200_000,
    many_leaves=100_000,
    few_keys=1_000_000,
    many_keys=20_000_000,
    portion=1_100_000,
    stored_keys=10_000_000,
    file=13_500_000,
    file_keys=100_000,
    slow=20_000,
    slow_rate=1_000,
    shapes=300_000,
    commands=1_100_000,
    times=3,
    targets=True,
)

SMALL: Final = Sizes(
    events=20_000,
    many_leaves=1_000,
    few_keys=5_000,
    many_keys=20_000,
    portion=10_000,
    stored_keys=20_000,
    file=10_000,
    file_keys=1_000,
    slow=500,
    slow_rate=1_000,
    shapes=2_000,
    commands=5_000,
    times=1,
    targets=False,
)
