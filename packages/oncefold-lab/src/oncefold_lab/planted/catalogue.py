"""All planted mistakes, and within how many seeds, from 0 on, the search has to find each."""

from dataclasses import dataclass

from oncefold_lab.planted import answers, reduces, states
from oncefold_lab.search.oncefold import Oncefold
from oncefold_lab.search.scenario import draw
from oncefold_lab.search.trial import run


@dataclass(frozen=True, slots=True)
class Planted:
    """A variant, and the number of seeds that are enough."""

    system: type[Oncefold]
    within: int

    @property
    def words(self) -> str:
        """What it does wrong."""
        return (self.system.__doc__ or "").strip()

    def first_seed(self) -> int | None:
        """The first seed that finds it; None if none of those does."""
        return next((seed for seed in range(self.within) if run(draw(seed), self.system).failure), None)


PLANTED = (
    Planted(states.OldLeafStays, 20),
    Planted(states.OldParentsStay, 50),
    Planted(states.ValueStays, 20),
    Planted(states.TailDropped, 200),
    Planted(states.DeltasFirst, 5),
    Planted(states.StatesFirst, 5),
    Planted(states.DeleteForgets, 20),
    Planted(states.NoCondition, 50),
    Planted(states.VersionAlone, 200),
    Planted(states.FirstUnconditioned, 100),
    Planted(states.StaleAccepted, 5),
    Planted(states.LastOfVersion, 10),
    Planted(states.DeletedIsNew, 20),
    Planted(states.NamedByBatch, 400),
    Planted(states.RejectsForgotten, 100),
    Planted(reduces.TokenOnly, 100),
    Planted(reduces.OutboxUnconditioned, 50),
    Planted(reduces.AddedThenDeleted, 5),
    Planted(reduces.InFloats, 100),
    Planted(reduces.SetNotAdded, 50),
    Planted(reduces.MismatchIsDone, 100),
    Planted(reduces.FailedIsDone, 100),
    Planted(reduces.WithoutConditions, 50),
    Planted(reduces.SweeperRaces, 300),
    Planted(reduces.NoSweeper, 200),
    Planted(answers.AllFinished, 100),
    Planted(answers.LastInstead, 200),
    Planted(answers.ErrorsSwallowed, 200),
    Planted(answers.WatermarkFirst, 50),
    Planted(answers.WatermarkOfShard, 100),
)
