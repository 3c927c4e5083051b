"""After its fixes the workshop keeps its own promise: same batches, within ten minutes, no deletes, few nodes."""

from oncefold.generate import Workload
from oncefold_workshop.pipelines.settings import HARD_MODE, STATE_BATCH, FailurePercentages
from tests.tools.sizes import full_only
from tests.workshop.pipelines.rig import Rig, deliver

HARD = Workload(count=300, duplicates=0.125, modifications=0.2, out_of_order=0.03, seed=5)


def test_it_is_exact_under_duplicates_and_old_versions(after: Rig) -> None:
    after.take_in(HARD)
    after.aggregate(map_batch=100, reduce_batch=2)
    assert after.errors(HARD) == {}


def test_it_is_exact_when_failed_batches_come_again_as_they_were(after: Rig) -> None:
    often = FailurePercentages(*(4 * rate for rate in (HARD_MODE.state, HARD_MODE.map, HARD_MODE.reduce)))
    functions = after.functions(often)
    after.send_workload(HARD)
    assert functions.state is not None
    assert deliver(functions.state, after.sent(), STATE_BATCH) > 0
    assert deliver(functions.map, after.changed(), 20) > 0
    assert deliver(functions.reduce, after.mapped(), 2) > 0
    assert after.errors(HARD) == {}


@full_only("3 s")
def test_it_is_exact_when_every_batch_comes_twice_within_ten_minutes(after: Rig) -> None:
    functions = after.functions()
    after.send_workload(HARD)
    for _ in range(2):
        deliver(after.state, after.sent(), STATE_BATCH)
    changed = after.changed()
    for _ in range(2):
        deliver(functions.map, changed, 100)
    mapped = after.mapped()
    for _ in range(2):
        deliver(functions.reduce, mapped, 2)
    assert after.errors(HARD) == {}
