"""All planted mistakes, and within how many seeds, from 0 on, the search has to find each."""

from dataclasses import dataclass

from oncefold_lab.once.systems import Counting
from oncefold_lab.planted import economy_bugs, once_bugs, rebuild_bugs, redefine_bugs, reduce_bugs, state_bugs
from oncefold_lab.search.oncefold import Oncefold
from oncefold_lab.search.trial import draw_for, run


@dataclass(frozen=True, slots=True)
class Planted:
    """A variant, and the number of seeds that are enough."""

    system: type[Oncefold] | type[Counting]
    within: int

    @property
    def description(self) -> str:
        """What it does wrong."""
        return (self.system.__doc__ or "").strip()

    def first_seed(self) -> int | None:
        """The first seed that finds it; None if none of those does."""
        return next(
            (seed for seed in range(self.within) if run(draw_for(self.system, seed), self.system).failure), None
        )


PLANTED = (
    Planted(state_bugs.OldLeafStays, 20),
    Planted(state_bugs.OldParentsStay, 50),
    Planted(state_bugs.EachLeafCounts, 100),
    Planted(state_bugs.ValueStays, 20),
    Planted(state_bugs.TailDropped, 200),
    Planted(state_bugs.DeltasFirst, 5),
    Planted(state_bugs.StatesFirst, 5),
    Planted(state_bugs.DeleteForgets, 20),
    Planted(state_bugs.NoCondition, 50),
    Planted(state_bugs.VersionAlone, 200),
    Planted(state_bugs.FirstUnconditioned, 100),
    Planted(state_bugs.StaleAccepted, 5),
    Planted(state_bugs.LastOfVersion, 10),
    Planted(state_bugs.DeletedIsNew, 20),
    Planted(state_bugs.NamedByBatch, 400),
    Planted(state_bugs.RejectsForgotten, 100),
    Planted(reduce_bugs.TokenOnly, 100),
    Planted(reduce_bugs.OutboxUnconditioned, 50),
    Planted(reduce_bugs.AddedThenDeleted, 5),
    Planted(reduce_bugs.InFloats, 100),
    Planted(reduce_bugs.SetNotAdded, 50),
    Planted(reduce_bugs.MismatchIsDone, 100),
    Planted(reduce_bugs.FailedIsDone, 100),
    Planted(reduce_bugs.WithoutConditions, 50),
    Planted(reduce_bugs.SweeperRaces, 300),
    Planted(reduce_bugs.NoSweeper, 200),
    Planted(reduce_bugs.AllFinished, 100),
    Planted(reduce_bugs.LastInstead, 200),
    Planted(reduce_bugs.ErrorsSwallowed, 200),
    Planted(reduce_bugs.WatermarkFirst, 50),
    Planted(reduce_bugs.WatermarkOfShard, 100),
    Planted(rebuild_bugs.EpochNotInName, 20),
    Planted(rebuild_bugs.MarkedApart, 5),
    Planted(rebuild_bugs.MarkUnconditioned, 100),
    Planted(rebuild_bugs.LaterMarksIgnored, 50),
    Planted(rebuild_bugs.NotDrained, 20),
    Planted(rebuild_bugs.OnePass, 50),
    Planted(rebuild_bugs.Impatient, 100),
    Planted(rebuild_bugs.CountedEpochs, 20),
    Planted(rebuild_bugs.GoesOnAfterRollback, 400),
    Planted(rebuild_bugs.OpenedOnce, 20),
    Planted(rebuild_bugs.MixedEpochs, 100),
    Planted(redefine_bugs.LiveDefinition, 20),
    Planted(redefine_bugs.OneDefinition, 20),
    Planted(redefine_bugs.DefinitionFirst, 100),
    Planted(redefine_bugs.EpochAlone, 20),
    Planted(redefine_bugs.NettedAsKept, 20),
    Planted(economy_bugs.PositionUnchecked, 20),
    Planted(economy_bugs.DeltasBeforePosition, 5),
    Planted(economy_bugs.PositionBeforeDeltas, 5),
    Planted(economy_bugs.OnePosition, 20),
    Planted(economy_bugs.BatchIsTheName, 20),
    Planted(economy_bugs.OldImageLeft, 20),
    Planted(economy_bugs.FirstDeltaOnly, 100),
    Planted(economy_bugs.PositionAtBatchEnd, 20),
    Planted(economy_bugs.Limited, 50),
    Planted(economy_bugs.LanesOfStates, 50),
    Planted(economy_bugs.NetAnswersDone, 100),
    Planted(economy_bugs.WrittenUnseen, 5),
    Planted(economy_bugs.EqualReplaced, 20),
    Planted(economy_bugs.TieByVersion, 100),
    Planted(economy_bugs.RefusedIsOld, 20),
    Planted(economy_bugs.DeleteLeavesLabels, 20),
    Planted(once_bugs.LedgerFirst, 50),
    Planted(once_bugs.CountersFirst, 50),
    Planted(once_bugs.PositionFirst, 50),
    Planted(once_bugs.PositionUnconditioned, 50),
    Planted(once_bugs.VersionStays, 20),
    Planted(once_bugs.RecordVersionAlone, 200),
    Planted(once_bugs.CountersDropped, 20),
    Planted(once_bugs.IdInThirtyTwoBits, 20),
    Planted(once_bugs.IdUnconditioned, 50),
    Planted(once_bugs.FailureSwallowed, 100),
    Planted(once_bugs.SeveralLanes, 100),
)
