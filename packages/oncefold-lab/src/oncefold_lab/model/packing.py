"""The totals of a whole tree in one integer: the packed sum of two is the sum of the packed."""

from collections.abc import Mapping, Sequence

from oncefold.core.fold import Node, Total

_DIGIT_BITS = 24
_LIMIT = 1 << 16
"""Numbers that are packed are below; a sum of as many of them as a schedule has steps does not reach the next digit."""


class Packing:
    """How the totals of some nodes, with one measure, are packed: two digits a node, each with its sign."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes

    def pack(self, totals: Mapping[Node, Total]) -> int:
        """Totals as one integer."""
        packed = 0
        for place, node in enumerate(self._nodes):
            if node in totals:
                count, (amount,) = totals[node].count, totals[node].sums
                assert max(abs(count), abs(amount)) < _LIMIT
                packed += (count + (amount << _DIGIT_BITS)) << (2 * _DIGIT_BITS * place)
        return packed

    def unpack(self, packed: int) -> dict[Node, Total]:
        """The inverse; nodes whose totals are nothing are left out."""
        digits: list[int] = []
        for _ in range(2 * len(self._nodes)):
            digit = packed & ((1 << _DIGIT_BITS) - 1)
            digit -= (digit >> (_DIGIT_BITS - 1)) << _DIGIT_BITS
            digits.append(digit)
            packed = (packed - digit) >> _DIGIT_BITS
        pairs = zip(digits[::2], digits[1::2], strict=True)
        totals = {node: Total(count, (amount,)) for node, (count, amount) in zip(self._nodes, pairs, strict=True)}
        return {node: total for node, total in totals.items() if total}
