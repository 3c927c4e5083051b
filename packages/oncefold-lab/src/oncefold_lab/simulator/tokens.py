"""The tokens of transactions: what was done under each, remembered for 10 minutes after it was done.

Source: "Amazon DynamoDB Transactions: How it works" (idempotency). A cancelled transaction leaves nothing remembered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from oncefold_lab.simulator.actions import Action
from oncefold_lab.simulator.errors import Refusal

TOKEN_SECONDS = 600.0
TOKEN_CHARS = 36


@dataclass(slots=True)
class _Remembered:
    actions: Sequence[Action]
    done: float | None
    """When it was done; None while it is under way."""


@dataclass
class Tokens:
    """Transactions by their token, in the order they were done."""

    _remembered: dict[str, _Remembered] = field(default_factory=dict)

    def replayed(self, token: str, actions: Sequence[Action], now: float) -> bool:
        """Whether the very same transaction was done under the token. Raises Refusal for another one, or one under way.

        After 10 minutes nobody knows.
        """
        known = self._remembered.get(token)
        if known is None:
            return False
        if known.done is not None and now >= known.done + TOKEN_SECONDS:
            del self._remembered[token]
            return False
        if known.actions != actions:
            raise Refusal(
                "IdempotentParameterMismatchException",
                "The client request token was used before with other parameters",
            )
        if known.done is None:
            raise Refusal("TransactionInProgressException", "Transaction from previous request is still in progress")
        return True

    def begin(self, token: str, actions: Sequence[Action]) -> None:
        """Remember a transaction as under way."""
        self._remembered[token] = _Remembered(actions, None)

    def done(self, token: str, actions: Sequence[Action], now: float) -> None:
        """Remember a transaction as done, and forget those that were done too long ago."""
        self._remembered.pop(token, None)
        self._remembered[token] = _Remembered(actions, now)
        for known, remembered in list(islice(self._remembered.items(), 2)):
            if remembered.done is not None and now >= remembered.done + TOKEN_SECONDS:
                del self._remembered[known]

    def cancelled(self, token: str) -> None:
        """Forget a transaction that came to nothing."""
        self._remembered.pop(token, None)
