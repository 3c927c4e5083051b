"""The protocol as a transition system: a first state, and the steps that are possible in any."""

from oncefold_lab.model.folding import FoldingSteps
from oncefold_lab.model.reducing import ReducingSteps
from oncefold_lab.model.rules import PROTOCOL, Rules
from oncefold_lab.model.scenario import Scenario
from oncefold_lab.model.state import State, Tables
from oncefold_lab.model.steps import Step
from oncefold_lab.model.world import World


class Protocol:
    """One scenario under some rules."""

    def __init__(self, scenario: Scenario, rules: Rules = PROTOCOL) -> None:
        self.world = World(scenario, rules)
        self._folding = FoldingSteps(self.world)
        self._reducing = ReducingSteps(self.world)
        self._ends = tuple(map(len, scenario.shards))

    def first(self) -> State:
        """Nothing is stored, delivered or under way."""
        tables = Tables((0,) * len(self.world.keys), 0, 0, 0, 0, 0, 0, 0, ())
        return State(tables, (0,) * len(self._ends), (), (), ())

    def steps(self, state: State) -> list[Step]:
        """Every step that is possible."""
        out: list[Step] = []
        self._folding.add(state, out)
        self._reducing.add(state, out)
        return out

    def quiet(self, state: State) -> bool:
        """Whether all is done: nothing is under way, both streams are read to their ends, the outbox is empty."""
        return (
            not (state.folding or state.reducing or state.sweeping or state.tables.outbox or state.tables.unread)
            and state.checkpoints == self._ends
        )
