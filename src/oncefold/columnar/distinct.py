"""How many different texts the keys below each node have: a reference count for each pair of a node and a text.

The pairs are in one table with open addressing, which the counts of all nodes and measures share. A pair whose count
came back to zero stays until the table grows.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from oncefold.columnar.arrays import Int64s, read_only
from oncefold.kernels.declare import inlined, kernel
from oncefold.kernels.intrinsics import multiply_fold, prefetch

Pairs = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.uint32]

_LEAST = 1 << 10
_FULL_NUMERATOR, _FULL_DENOMINATOR = 3, 4
_MIX = np.uint64(0x9E3779B97F4A7C15)
_32 = np.uint64(32)
_ONE = np.uint64(1)
_AHEAD = 4


class TextCounts:
    """The different texts of `measures` measures at every node."""

    def __init__(self, measures: int) -> None:
        self._measures = measures
        self._pairs: Pairs = np.zeros(_LEAST, np.uint64)
        self._counts: Counts = np.zeros(_LEAST, np.uint32)
        self._used = 0
        """Slots that are taken, those of pairs that are gone among them."""

    @property
    def nbytes(self) -> int:
        """Bytes of the table."""
        return int(self._pairs.nbytes + self._counts.nbytes)

    def apply(self, moves: Int64s, nodes: tuple[Int64s, npt.NDArray[np.int32]], different: Int64s) -> None:
        """Count keys in and out.

        Args:
            moves: Of each a row: its leaf, 1 or -1, and its text by measure, negative for NULL.
            nodes: The nodes of each leaf: nodes[1][nodes[0][leaf] : nodes[0][leaf + 1]].
            different: How many different texts each node has, shape (nodes, measures); changed in place.

        """
        begin = 0
        while begin < len(moves):
            most = len(self._pairs) * _FULL_NUMERATOR // _FULL_DENOMINATOR
            begin, self._used = count_texts(
                moves, begin, (nodes[0], nodes[1]), (self._pairs, self._counts), self._used, most, different
            )
            if begin < len(moves):
                self._grow()

    def _grow(self) -> None:
        """Make room for half as many pairs more, without those that are gone."""
        live = int(np.count_nonzero(self._counts))
        size = max(_LEAST, (live + live // 2) * _FULL_DENOMINATOR // _FULL_NUMERATOR + _LEAST)
        pairs, counts = np.zeros(size, np.uint64), np.zeros(size, np.uint32)
        move_counts(read_only(self._pairs), read_only(self._counts), pairs, counts)
        self._pairs, self._counts, self._used = pairs, counts, live


@inlined
def _home(pair: Any, size: Any) -> int:
    """Where a pair's search begins in a table of any size."""
    hashed = multiply_fold(pair ^ _MIX, _MIX)
    return np.int64(((hashed & np.uint64(0xFFFFFFFF)) * size) >> _32)


@kernel(
    "const i64[,], i64, (const i64[], const i32[]), (u64[], u32[]), i64, i64, i64[,]",
    returns="(i64, i64)",
)
def count_texts(moves: Any, begin: int, nodes: Any, table: Any, used: int, most: int, different: Any) -> Any:
    """Count moves from `begin` on until the table would be too full; gives (the next move, slots used)."""
    ends, nodes_of = nodes
    pairs, counts = table
    size = np.uint64(len(pairs))
    measures = different.shape[1]
    for i in range(begin, len(moves)):
        leaf, sign = moves[i, 0], moves[i, 1]
        if used + (ends[leaf + 1] - ends[leaf]) * measures > most:
            return i, used
        ahead = i + _AHEAD
        if ahead < len(moves):
            for m in range(measures):
                for n in range(ends[moves[ahead, 0]], ends[moves[ahead, 0] + 1]):
                    at = _home(_pair(nodes_of[n], m, measures, moves[ahead, 2 + m]), size)
                    prefetch(pairs, at)
                    prefetch(counts, at)
        for m in range(measures):
            code = moves[i, 2 + m]
            if code < 0:
                continue
            for n in range(ends[leaf], ends[leaf + 1]):
                pair = _pair(nodes_of[n], m, measures, code)
                at = _home(pair, size)
                while pairs[at] != 0 and pairs[at] != pair:
                    at = at + 1 if at + 1 < len(pairs) else 0
                if pairs[at] == 0:
                    pairs[at] = pair
                    used += 1
                before = np.int64(counts[at])
                counts[at] = before + sign
                if before == 0:
                    different[nodes_of[n], m] += 1
                elif before + sign == 0:
                    different[nodes_of[n], m] -= 1
    return len(moves), used


@inlined
def _pair(node: int, measure: int, measures: int, code: int) -> Any:
    """A node, a measure and a text as one number that is not 0."""
    return (np.uint64(np.int64(node) * measures + measure) << _32 | np.uint64(code)) + _ONE


@kernel("const u64[], const u32[], u64[], u32[]")
def move_counts(pairs: Any, counts: Any, into_pairs: Any, into_counts: Any) -> None:
    """Enter the pairs that are counted into an empty table."""
    size = np.uint64(len(into_pairs))
    for i in range(len(pairs)):
        if counts[i] != 0:
            at = _home(pairs[i], size)
            while into_pairs[at] != 0:
                at = at + 1 if at + 1 < len(into_pairs) else 0
            into_pairs[at] = pairs[i]
            into_counts[at] = counts[i]
