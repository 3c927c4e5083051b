"""Loops over typed columns that pyarrow has no function for, or takes several passes for."""

from typing import Any

from oncefold.columnar.assemble import window_second
from oncefold.columnar.native import hash_bytes, kernel
from oncefold.columnar.text_kernels import parse_scaled, parse_time


@kernel
def measure_spans(data: Any, offsets: Any, starts: Any, lengths: Any, hashes: Any) -> None:
    """Start, length and hash of every span."""
    for i in range(len(hashes)):
        length = offsets[i + 1] - offsets[i]
        starts[i] = offsets[i]
        lengths[i] = length
        hashes[i] = hash_bytes(data, offsets[i], length)


@kernel
def multiply(values: Any, factor: int, most: int, products: Any, good: Any) -> None:
    """The product of each value by `factor`; 0, and not good, for values beyond `most`."""
    for i in range(len(values)):
        good[i] = -most <= values[i] <= most
        products[i] = values[i] * factor if good[i] else 0


@kernel
def multiply_halves(halves: Any, factor: int, most: int, products: Any, good: Any) -> None:
    """The same for numbers of 128 bits, each as its low and its high half."""
    for i in range(len(products)):
        low = halves[2 * i]
        good[i] = halves[2 * i + 1] == low >> 63 and -most <= low <= most
        products[i] = low * factor if good[i] else 0


@kernel
def keep_below(values: Any, limit: int, kept: Any, good: Any) -> None:
    """Copy what is good; it stays good only within the limit. The others are 0."""
    for i in range(len(values)):
        kept[i] = values[i] if good[i] else 0
        good[i] = good[i] and -limit < values[i] < limit


@kernel
def combine(codes: Any, size: int, combined: Any) -> None:
    """Append one more digit, below `size`, to every number."""
    for i in range(len(combined)):
        combined[i] = combined[i] * size + codes[i]


@kernel
def number_by_appearance(values: Any, good: Any, numbers: Any, distinct: Any, place: Any) -> int:
    """Number the values of good rows as they come up; how many there are.

    `numbers` holds -1 for each value that may come up, `place` 0 for each row.
    """
    count = 0
    for i in range(len(values)):
        if good[i]:
            if numbers[values[i]] < 0:
                numbers[values[i]] = count
                distinct[count] = values[i]
                count += 1
            place[i] = numbers[values[i]]
    return count


@kernel
def newest(time: Any, place: Any, least: int) -> int:
    """The greatest time of the rows that have a place, or `least`."""
    found = least
    for i in range(len(time)):
        if place[i] >= -1 and time[i] > found:
            found = time[i]
    return found


@kernel
def parse_spans(data: Any, offsets: Any, places: int, rounds: int, timed: bool, values: Any, good: Any) -> None:
    """Numbers or times out of text spans; good[i] is cleared where the common forms do not fit."""
    for i in range(len(values)):
        if good[i]:
            if timed:
                good[i], values[i] = parse_time(data, offsets[i], offsets[i + 1], places)
            else:
                good[i], values[i] = parse_scaled(data, offsets[i], offsets[i + 1], places, rounds)


@kernel
def window_seconds(times: Any, levels: Any, v: int) -> None:
    """Replace times in nanoseconds by the starts of their windows at level v of a plan, in seconds."""
    for i in range(len(times)):
        times[i] = window_second(times[i], levels, v)
