"""From the store's whole numbers to what a person reads: exact decimals, times in UTC, versions as they were meant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache

from oncefold.core.decimals import format_decimal
from oncefold.core.definition import Pipeline
from oncefold.core.nodepath import join
from oncefold.core.timestamps import format_timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_decimal(mantissa: int, scale: int) -> Decimal:
    """The number mantissa / 10**scale with exactly `scale` places, whatever the decimal context says."""
    return Decimal(format_decimal(mantissa, scale))


def to_datetime(nanos: int) -> datetime:
    """The microsecond in UTC that this time in nanoseconds since the epoch lies in."""
    return _EPOCH + timedelta(microseconds=nanos // 1_000)


def to_nanos(moment: datetime) -> int:
    """The first nanosecond of a moment's microsecond; the moment must have a time zone."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


@lru_cache(maxsize=2**16)
def path_of(labels: tuple[str, ...]) -> str:
    """The labels joined as a path; many keys share a leaf."""
    return join(labels)


@dataclass(frozen=True)
class Reading:
    """How one pipeline's numbers and labels are read."""

    pipeline: Pipeline

    @cached_property
    def scales(self) -> dict[str, int]:
        """Decimal places by measure."""
        return {measure.name: measure.scale for measure in self.pipeline.measures}

    @property
    def version_is_time(self) -> bool:
        """Whether versions are timestamps."""
        return self.pipeline.version is not None and self.pipeline.version.type == "timestamp"

    def amounts(self, mantissas: Sequence[int]) -> Mapping[str, Decimal]:
        """Sums or values by measure."""
        pairs = zip(self.scales.items(), mantissas, strict=True)
        return {name: to_decimal(mantissa, scale) for (name, scale), mantissa in pairs}

    def version(self, version: int | None) -> int | None:
        """The version; None for a pipeline without versions."""
        return None if self.pipeline.version is None else version

    def version_text(self, version: int | None) -> str:
        """The version as a person writes it: a number, an RFC 3339 time, or nothing."""
        if version is None or self.pipeline.version is None:
            return ""
        return format_timestamp(version) if self.version_is_time else str(version)

    def leaf(self, labels: tuple[str, ...] | None) -> str | None:
        """The labels of all levels, joined as a path; None for a delete."""
        return None if labels is None else path_of(labels)
