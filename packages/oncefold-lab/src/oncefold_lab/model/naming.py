"""The values of a model in words: `a v1 L 5` is key a at version 1, in leaf L, with the amount 5."""

from collections.abc import Iterator

from oncefold.core.fold import Node, Stored
from oncefold_lab.model.scenario import Scenario
from oncefold_lab.model.world import World

ROOT = "root"


def shards(scenario: Scenario) -> Iterator[str]:
    """What lies in the shards, a line each; a record's events are in brackets."""
    for number, shard in enumerate(scenario.shards):
        lines = (", ".join(f"{event.key} {_state(Stored(event.version, event.content))}" for event in r) for r in shard)
        yield f"shard {number}: {' '.join(f'[{line}]' for line in lines)}"


class Naming:
    """Names of one schedule; deltas are numbered as they are named, and the first time told whole."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._deltas: list[int] = []

    def state(self, key: int, number: int) -> str:
        """A state of a key by its number."""
        return f"{self.world.keys[key]} {_state(self.world.ladders[key][number])}"

    def states(self, stored: tuple[int, ...]) -> str:
        """StateTable."""
        return ", ".join(self.state(key, number) for key, number in enumerate(stored))

    def before(self, chunk: int) -> str:
        """The states that a chunk replaces, by its bit."""
        return ", ".join(self.state(key, before) for key, before, _ in self._changes(chunk))

    def changes(self, chunk: int) -> str:
        """What a chunk changes."""
        return ", ".join(
            f"{self.state(key, before)} -> {_state(self.world.ladders[key][after])}"
            for key, before, after in self._changes(chunk)
        )

    def deltas_of(self, chunk: int) -> str:
        """The deltas of a chunk."""
        return self.deltas(self.world.write(self._changes(chunk)).deltas) or "no delta"

    def deltas(self, bits: int) -> str:
        """Some deltas."""
        places = [place for place in range(bits.bit_length()) if bits >> place & 1]
        known = {place: number for number, place in enumerate(self._deltas)}
        return ", ".join(self._delta(place) for place in sorted(places, key=lambda p: known.get(p, len(known))))

    def totals(self, packed: int) -> str:
        """Totals, packed: the live keys and the sum of every node that is not empty."""
        totals = self.world.packing.unpack(packed)
        shown = (f"{_node(node)} {_keys(total.count, '')} {total.sums[0]}" for node, total in totals.items())
        return ", ".join(shown) or "nothing"

    def conflicts(self, bits: int) -> str:
        """Some conflicts."""
        return ", ".join(
            f"{key} {' / '.join(sorted(map(_state, pair)))}"
            for place, (key, pair) in enumerate(self.world.conflicts)
            if bits >> place & 1
        )

    def _changes(self, chunk: int) -> tuple[tuple[int, int, int], ...]:
        return self.world.chunks[chunk.bit_length() - 1]

    def _delta(self, place: int) -> str:
        if place in self._deltas:
            return f"d{self._deltas.index(place) + 1}"
        self._deltas.append(place)
        delta = self.world.deltas[place]
        nodes = (f"{_node(node)} {_keys(total.count, '+')} {total.sums[0]:+}" for node, total in delta.nodes)
        return f"d{len(self._deltas)} ({', '.join(nodes)})"


def _state(stored: Stored | None) -> str:
    if stored is None:
        return "none"
    if stored.content.labels is None:
        return f"v{stored.version} deleted"
    return f"v{stored.version} {stored.content.labels[0]} {stored.content.measures[0]}"


def _node(node: Node) -> str:
    return node.labels[0] if node.labels else ROOT


def _keys(count: int, sign: str) -> str:
    return f"{count:{sign}} key{'' if abs(count) == 1 else 's'}"
