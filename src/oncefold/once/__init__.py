"""Counters in DynamoDB that a Lambda function of your own adds to, each record once, however often it is delivered.

    from decimal import Decimal
    from oncefold.once import Counters

    counters = Counters("AggregateTable", ledger="AggregateLedger")

    def handler(event, context):
        with counters.batch(context) as batch:
            for record in event["Records"]:
                batch.add(record["messageId"], {("DE", "web"): {"amount": Decimal("19.90"), "orders": 1}})
        return batch.response

docs/ONCE.md says which of the three ways to be once is right when, what each costs, and what none of them can do.
"""

from oncefold.once.batch import Batch
from oncefold.once.counters import Counters, Runtime
from oncefold.once.errors import CountsError, NotCounted
from oncefold.once.verification import Difference, Verification

__all__ = ["Batch", "Counters", "CountsError", "Difference", "NotCounted", "Runtime", "Verification"]
