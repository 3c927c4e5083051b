"""What an invocation says of its batch.

Rules: "Success and failure conditions" in "Configuring partial batch response with Kinesis Data Streams and Lambda".
"""

from oncefold_lab.local.environment import Invocation
from oncefold_lab.local.lanes import Batch, Verdict


def judge(invocation: Invocation, batch: Batch, *, report_failures: bool) -> Verdict:
    """How much of the batch is finished."""
    if invocation.error is not None:
        return Verdict(0, unhandled=True)
    if not report_failures:
        return Verdict(len(batch.entries))
    return Verdict(_finished(invocation, batch))


def _finished(invocation: Invocation, batch: Batch) -> int:
    """Nothing said of failures means success; whatever cannot be understood means that the whole batch failed."""
    try:
        answer = invocation.answer()
    except ValueError:
        return 0
    if not answer:
        return len(batch.entries)
    failures = answer.get("batchItemFailures") if isinstance(answer, dict) else answer
    if not failures:
        return len(batch.entries)
    places = {entry.sequence: place for place, entry in enumerate(batch.entries)}
    try:
        return min(places[failure["itemIdentifier"]] for failure in failures)
    except (KeyError, TypeError):
        return 0
