"""Values, states and schedules of a model as text."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from oncefold.core.fold import Node, Stored
from oncefold_lab.model.encoding import Encoding
from oncefold_lab.model.scenario import ModelScenario
from oncefold_lab.model.state import BEGINNINGS, UNREAD, Folding, ModelStep, Netting, Op, Run, State

ROOT = "root"


def shards(scenario: ModelScenario) -> Iterator[str]:
    """What lies in the shards, a line each; a record's events are in brackets."""
    for number, shard in enumerate(scenario.shards):
        lines = (", ".join(f"{event.key} {_state(Stored(event.version, event.content))}" for event in r) for r in shard)
        yield f"shard {number}: {' '.join(f'[{line}]' for line in lines)}"


class Naming:
    """Names of one schedule; deltas are numbered as they are named, and written in full the first time."""

    def __init__(self, world: Encoding) -> None:
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

    def change(self, number: int) -> str:
        """A change in StateTable's stream."""
        key, before, after = self.world.changes[number]
        return f"{self.state(key, before)} -> {_state(self.world.ladders[key][after])}"

    def records(self, changes: tuple[int, ...]) -> str:
        """Changes in their order, numbered."""
        return ", ".join(f"{place}: {self.change(change)}" for place, change in enumerate(changes, 1)) or "none"

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


class ScheduleText:
    """One schedule as text, from its first step on; invocations are numbered as they begin."""

    def __init__(self, world: Encoding) -> None:
        self._naming = Naming(world)
        self._running: list[tuple[str, Run]] = []
        self._begun: Counter[str] = Counter()

    def step(self, step: ModelStep) -> str:
        """The next step, in a line."""
        text = _WORDS[step.op](self._naming, step)
        if step.before is None:
            return text
        name = self._name(step, step.before)
        return f"{name} {text}{self._ending(step)}"

    def tables(self, state: State) -> Iterator[str]:
        """What the tables hold and what they should, a line each."""
        naming, world, tables = self._naming, self._naming.world, state.tables
        contributed = sum(own[stored] for own, stored in zip(world.contributions, tables.stored, strict=True))
        yield f"states: {naming.states(tables.stored)}; they contribute: {naming.totals(contributed)}"
        for shard, records in enumerate(tables.log.records):
            position = tables.log.positions[shard]
            yield f"changes, shard {shard}: {naming.records(records)}; netted up to {position}"
        yield f"outbox: {naming.deltas(tables.outbox) or 'empty'}"
        yield f"totals: {naming.totals(tables.totals)}"
        yield f"all events: {naming.totals(world.reference)}"

    def _name(self, step: ModelStep, run: Run) -> str:
        """The invocation's name; a new one, if it begins here."""
        if step.op in BEGINNINGS or run == 0:
            function = _function(run)
            self._begun[function] += 1
            name = f"{function} {self._begun[function]}"
        else:
            place = next(place for place, (_, running) in enumerate(self._running) if running == run)
            name, _ = self._running.pop(place)
        if step.after is not None:
            self._running.append((name, step.after))
        return name

    def _ending(self, step: ModelStep) -> str:
        """StateLambda's answer, where it is joined to another step."""
        run = step.before
        if step.after is not None or not isinstance(run, Folding) or step.op in {Op.CRASHED, Op.HALVED, Op.CUT_SHORT}:
            return ""
        if not run.answers:
            return "; it ends"
        batch = self._naming.world.batches.known[run.batch]
        return f"; it answers: shard {batch.shard} is finished up to record {batch.places[-1]}"


def _function(run: Run) -> str:
    if isinstance(run, int):
        return "Sweep"
    if isinstance(run, Netting):
        return "NetLambda"
    return "StateLambda" if isinstance(run, Folding) else "ReduceLambda"


def _delivered(naming: Naming, step: ModelStep) -> str:
    assert isinstance(step.before, Folding)
    batch = naming.world.batches.known[step.before.batch]
    records = f"record {batch.places[0]}" if len(batch.places) == 1 else f"records {', '.join(map(str, batch.places))}"
    waited = "" if step.before.answers else " (its answer will not be waited for)"
    reading = "" if naming.world.scenario.economy else f", and {_read(naming, step)}"
    return f"is given shard {batch.shard}, {records}{waited}{reading}"


def _read(naming: Naming, step: ModelStep) -> str:
    return f"reads {naming.state(step.about, step.state.tables.stored[step.about])}"


def _noted(naming: Naming, step: ModelStep) -> str:
    return f"notes the conflict {naming.conflicts(step.about)}"


def _written(naming: Naming, step: ModelStep) -> str:
    return f"writes {naming.changes(step.about)} with {naming.deltas_of(step.about)}"


def _unheard(naming: Naming, step: ModelStep) -> str:
    return f"{_written(naming, step)}; the answer is lost"


def _remembered(naming: Naming, step: ModelStep) -> str:
    return f"sends {naming.changes(step.about)}: the token is remembered; success, nothing happens"


def _mismatched(naming: Naming, step: ModelStep) -> str:
    return f"sends {naming.changes(step.about)}: the token is known from another transaction; it takes that for success"


def _refused(naming: Naming, step: ModelStep) -> str:
    return f"is refused {naming.changes(step.about)}: a condition failed"


def _halved(naming: Naming, step: ModelStep) -> str:
    parts = [naming.changes(step.about), naming.deltas_of(step.about)]
    if naming.world.rules.transactions == "delta first":
        parts.reverse()
    ending = "crashes before" if step.after is None else "is refused"
    return f"writes {parts[0]}, and {ending} {parts[1]}"


def _answered(_: Naming, __: ModelStep) -> str:
    return "has nothing to write"


def _cut_short(naming: Naming, step: ModelStep) -> str:
    assert isinstance(step.before, Folding)
    batch = naming.world.batches.known[step.before.batch]
    return f"has no time left; it answers: shard {batch.shard} is finished before record {batch.places[0] + step.about}"


def _crashed(_: Naming, __: ModelStep) -> str:
    return "crashes"


def _taken(naming: Naming, step: ModelStep) -> str:
    return f"is given {naming.deltas(step.about)}"


def _taken_again(naming: Naming, step: ModelStep) -> str:
    return f"is given {naming.deltas(step.about)} beside (its answer will not be waited for)"


def _applied(naming: Naming, step: ModelStep) -> str:
    again = step.about & step.state.tables.twice
    once_more = f", {naming.deltas(again)} FOR THE SECOND TIME" if again else ""
    return f"adds {naming.deltas(step.about)} to the totals{once_more}"


def _applied_unheard(naming: Naming, step: ModelStep) -> str:
    return f"{_applied(naming, step)}; the answer is lost"


def _gone(naming: Naming, step: ModelStep) -> str:
    return f"is refused: {naming.deltas(step.about)} is no longer in the outbox"


def _left(naming: Naming, step: ModelStep) -> str:
    return f"has no time left; it answers: {naming.deltas(step.about)} is not done"


def _seen(naming: Naming, step: ModelStep) -> str:
    return f"sees {naming.deltas(step.about)} in the outbox"


def _rewound(_: Naming, step: ModelStep) -> str:
    return f"Lambda goes back in shard {step.about}, to record {step.state.checkpoints[step.about]}"


def _aged_out(naming: Naming, step: ModelStep) -> str:
    return f"The stream record of {naming.deltas(step.about)} ages out unread"


def _put(naming: Naming, step: ModelStep) -> str:
    return f"writes {naming.change(step.about)}"


def _put_unheard(naming: Naming, step: ModelStep) -> str:
    return f"{_put(naming, step)}; the answer is lost"


def _refused_state(naming: Naming, step: ModelStep) -> str:
    return f"is refused: {naming.state(step.about, step.state.tables.stored[step.about])} stands there"


def _handed(naming: Naming, step: ModelStep) -> str:
    run = _netting(step)
    records = f"change {run.end}" if run.first + 1 == run.end else f"changes {run.first + 1} to {run.end}"
    waited = " (its answer will not be waited for)" if run.begin == UNREAD else ""
    position = step.state.tables.log.positions[run.shard if naming.world.rules.position_of == "shard" else 0]
    ending = "; all is netted" if step.after is None else ""
    return f"is given {records} of shard {run.shard}{waited}, and reads the position {position}{ending}"


def _netting(step: ModelStep) -> Netting:
    assert isinstance(step.before, Netting)
    return step.before


def _netted(naming: Naming, step: ModelStep) -> str:
    run, log = _netting(step), step.state.tables.log
    place = run.shard if naming.world.rules.position_of == "shard" else 0
    again = ", CHANGES FOR THE SECOND TIME" if log.twice else ""
    deltas = naming.deltas(step.about) or "no delta"
    return f"writes {deltas}{again}, and moves the position of shard {run.shard} to {log.positions[place]}"


def _netted_unheard(naming: Naming, step: ModelStep) -> str:
    return f"{_netted(naming, step)}; the answer is lost"


def _netted_before(naming: Naming, step: ModelStep) -> str:
    return f"sends {naming.deltas(step.about) or 'no delta'}: the token is remembered; success, nothing happens"


def _netted_by_half(naming: Naming, step: ModelStep) -> str:
    deltas = naming.deltas(step.about) or "no delta"
    if naming.world.rules.netting == "deltas first":
        return f"writes {deltas}, and crashes before it moves the position"
    return f"moves the position, and crashes before it writes {deltas}"


def _overtaken(_: Naming, step: ModelStep) -> str:
    return f"is refused: the position of shard {_netting(step).shard} has moved; it reads it again"


def _net_left(_: Naming, step: ModelStep) -> str:
    return f"has no time left; it answers: shard {_netting(step).shard} is finished up to change {step.about}"


def _returned(_: Naming, step: ModelStep) -> str:
    return f"Lambda goes back in shard {step.about} of the changes, to what is behind {step.state.read[step.about]}"


def _given_up(_: Naming, step: ModelStep) -> str:
    return f"Lambda gives up change {step.state.read[step.about]} of shard {step.about}"


_WORDS: Mapping[Op, Callable[[Naming, ModelStep], str]] = {
    Op.DELIVERED: _delivered,
    Op.REPEATED: _delivered,
    Op.REWOUND: _rewound,
    Op.READ: _read,
    Op.NOTED: _noted,
    Op.WRITTEN: _written,
    Op.UNHEARD: _unheard,
    Op.REMEMBERED: _remembered,
    Op.REFUSED: _refused,
    Op.HALVED: _halved,
    Op.MISMATCHED: _mismatched,
    Op.ANSWERED: _answered,
    Op.CUT_SHORT: _cut_short,
    Op.CRASHED: _crashed,
    Op.TAKEN: _taken,
    Op.TAKEN_AGAIN: _taken_again,
    Op.AGED_OUT: _aged_out,
    Op.APPLIED: _applied,
    Op.APPLIED_UNHEARD: _applied_unheard,
    Op.GONE: _gone,
    Op.LEFT: _left,
    Op.SEEN: _seen,
    Op.PUT: _put,
    Op.PUT_UNHEARD: _put_unheard,
    Op.REFUSED_STATE: _refused_state,
    Op.HANDED: _handed,
    Op.HANDED_AGAIN: _handed,
    Op.RETURNED: _returned,
    Op.NETTED: _netted,
    Op.NETTED_UNHEARD: _netted_unheard,
    Op.NETTED_BEFORE: _netted_before,
    Op.NETTED_BY_HALF: _netted_by_half,
    Op.OVERTAKEN: _overtaken,
    Op.NET_LEFT: _net_left,
    Op.GIVEN_UP: _given_up,
}
