"""TransactWriteItems and TransactGetItems: all or nothing, serializable, once per token.

Source: "Amazon DynamoDB Transactions: How it works" (idempotency). A cancelled transaction leaves nothing remembered.

Sources: their API reference; "Amazon DynamoDB Transactions: How it works".
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from oncefold_lab.simulator.database import Database, Target
from oncefold_lab.simulator.errors import CONDITION_FAILED, CONFLICT, THROTTLED, THROUGHPUT, ServiceError
from oncefold_lab.simulator.expressions import bind, projected
from oncefold_lab.simulator.faults import Fault
from oncefold_lab.simulator.items import (
    TRANSACTION,
    ItemWrite,
    check_action,
    consumed_by_transaction,
    delete_action,
    put_action,
    read_units,
    update_action,
    write_units,
)
from oncefold_lab.simulator.tables import KeyMismatchError
from oncefold_lab.simulator.values import Row, give_item

TOKEN_SECONDS = 600.0
TOKEN_CHARS = 36


@dataclass(slots=True)
class _Remembered:
    actions: Sequence[ItemWrite]
    done: float | None
    """When it was done; None while it is under way."""


@dataclass
class TransactionTokens:
    """Transactions by their token, in the order they were done."""

    _remembered: dict[str, _Remembered] = field(default_factory=dict)

    def replayed(self, token: str, actions: Sequence[ItemWrite], now: float) -> bool:
        """Whether the very same transaction was done under the token. Raises Refusal for another one, or one under way.

        After 10 minutes it is forgotten.
        """
        known = self._remembered.get(token)
        if known is None:
            return False
        if known.done is not None and now >= known.done + TOKEN_SECONDS:
            del self._remembered[token]
            return False
        if known.actions != actions:
            raise ServiceError(
                "IdempotentParameterMismatchException",
                "The client request token was used before with other parameters",
            )
        if known.done is None:
            raise ServiceError(
                "TransactionInProgressException", "Transaction from previous request is still in progress"
            )
        return True

    def forget(self) -> None:
        """Forget all that are done."""
        self._remembered = {token: known for token, known in self._remembered.items() if known.done is None}

    def begin(self, token: str, actions: Sequence[ItemWrite]) -> None:
        """Remember a transaction as under way."""
        self._remembered[token] = _Remembered(actions, None)

    def done(self, token: str, actions: Sequence[ItemWrite], now: float) -> None:
        """Remember a transaction as done, and forget those that were done too long ago."""
        self._remembered.pop(token, None)
        self._remembered[token] = _Remembered(actions, now)
        for known, remembered in list(islice(self._remembered.items(), 2)):
            if remembered.done is not None and now >= remembered.done + TOKEN_SECONDS:
                del self._remembered[known]

    def cancelled(self, token: str) -> None:
        """Forget a transaction that came to nothing."""
        self._remembered.pop(token, None)


Request = Mapping[str, Any]
Reply = dict[str, Any]
Reason = dict[str, Any]

ACTIONS = 100
BYTES = 4 << 20
_MAKERS: Mapping[str, Callable[[Database, Request], ItemWrite]] = {
    "Put": put_action,
    "Update": update_action,
    "Delete": delete_action,
    "ConditionCheck": check_action,
}
_NONE: Reason = {"Code": "None"}
_CONFLICT: Reason = {"Code": "TransactionConflict", "Message": CONFLICT}
_ITEM_FAULTS: Mapping[Fault | None, tuple[Reason, ...]] = {
    Fault.CONFLICT: (_CONFLICT,),
    Fault.ITEM_THROTTLED: (
        {"Code": "ThrottlingError", "Message": THROTTLED},
        {"Code": "ProvisionedThroughputExceeded", "Message": THROUGHPUT},
    ),
}
_TWICE = "Transaction request cannot include multiple operations on one item"


def transact_write_items(database: Database, tokens: TransactionTokens, request: Request, fault: Fault | None) -> Reply:
    """TransactWriteItems."""
    actions = _actions(database, request["TransactItems"])
    token = _token(request)
    if token is not None and tokens.replayed(token, actions, database.caller.now()):
        database.caller.count("replayed transactions")
        return _replay(actions, request)
    if fault is Fault.LATE:
        raise database.caller.later(fault, lambda: _arrive(database, tokens, token, actions))
    if fault is Fault.UNFINISHED:
        _begin(database, tokens, token, actions)
        raise database.caller.later(fault, lambda: _end(database, tokens, token, actions))
    if fault in _ITEM_FAULTS:
        raise _item_fault(database, fault, len(actions))
    sizes = _apply(database, actions)
    if token is not None:
        tokens.done(token, actions, database.caller.now())
    return consumed_by_transaction(request, "Write", _units(actions, [write_units(size) for size in sizes]))


def _token(request: Request) -> str | None:
    token: str | None = request.get("ClientRequestToken")
    if token is not None and not 1 <= len(token) <= TOKEN_CHARS:
        raise ServiceError.invalid(
            f"1 validation error detected: Value '{token}' at 'clientRequestToken' failed to satisfy constraint: "
            f"Member must have length less than or equal to {TOKEN_CHARS}"
        )
    return token


def _actions(database: Database, given: Sequence[Mapping[str, Any]]) -> list[ItemWrite]:
    """The actions of a transaction, each on an item of its own."""
    _check_count(given)
    actions: list[ItemWrite] = []
    reasons: list[Reason] = []
    for entry in given:
        if len(entry) != 1:
            raise ServiceError.invalid("TransactItems can only contain one of Check, Put, Update or Delete")
        ((kind, request),) = entry.items()
        try:
            actions.append(_MAKERS[kind](database, request))
            reasons.append(_NONE)
        except KeyMismatchError as mismatch:
            reasons.append({"Code": "ValidationError", "Message": mismatch.message})
    if len(actions) < len(given):
        raise cancelled(reasons)
    if len({(action.table.name, action.key) for action in actions}) < len(actions):
        raise ServiceError.invalid(_TWICE)
    _check_bytes(action.size for action in actions)
    return actions


def _check_count(given: Sequence[Any]) -> None:
    if not 1 <= len(given) <= ACTIONS:
        shown, bound = f"{len(given)} items", f"less than or equal to {ACTIONS}"
        if not given:
            shown, bound = "", "greater than or equal to 1"
        raise ServiceError.invalid(
            f"1 validation error detected: Value '[{shown}]' at 'transactItems' failed to satisfy constraint: "
            f"Member must have length {bound}"
        )


def _check_bytes(sizes: Any) -> None:
    if sum(sizes) > BYTES:
        raise ServiceError.invalid("Transaction request is too large: its items exceed 4 MB together")


def cancelled(reasons: Sequence[Reason]) -> ServiceError:
    """What a transaction ends with that was not done, the reasons in the order of its actions."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    return ServiceError(
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        CancellationReasons=[dict(reason) for reason in reasons],
    )


def _item_fault(database: Database, fault: Fault | None, count: int) -> ServiceError:
    """A fault of one item: a conflict with a transaction outside of the simulation, or throttling."""
    assert fault is not None
    faults = database.caller.faults
    faults.happened(fault)
    reasons = [_NONE] * count
    reasons[faults.random.randrange(count)] = faults.random.choice(_ITEM_FAULTS[fault])
    return cancelled(reasons)


def _apply(database: Database, actions: Sequence[ItemWrite]) -> list[int]:
    """Do all of it, or raise Refusal and do nothing; the larger size of each item, before and after."""
    results: list[tuple[Row | None, Row | None]] = []
    reasons: list[Reason] = []
    for action in actions:
        row = action.table.rows.get(action.key)
        reason, result = _judged(database, action, row)
        reasons.append(reason)
        results.append((row, result))
    if any(reason is not _NONE for reason in reasons):
        raise cancelled(reasons)
    sizes = [max(0 if row is None else row[1] for row in pair) for pair in results]
    _check_bytes(0 if after is None else after[1] for _, after in results)
    database.commit(
        [
            action.change(after)
            for action, (_, after) in zip(actions, results, strict=True)
            if action.kind != "ConditionCheck"
        ]
    )
    return sizes


def _judged(database: Database, action: ItemWrite, row: Row | None) -> tuple[Reason, Row | None]:
    """Why an action cancels its transaction, or the row after it."""
    if database.locks and (action.table.name, action.key) in database.locks:
        return _CONFLICT, None
    if not action.holds(row):
        shown = {"Item": give_item(row[0])} if action.shows_old and row is not None else {}
        return {"Code": "ConditionalCheckFailed", "Message": CONDITION_FAILED, **shown}, None
    try:
        return _NONE, action.result(row)
    except ServiceError as refusal:
        return {"Code": "ValidationError", "Message": refusal.message}, None


def _targets(actions: Sequence[ItemWrite]) -> set[Target]:
    return {(action.table.name, action.key) for action in actions}


def _arrive(database: Database, tokens: TransactionTokens, token: str | None, actions: Sequence[ItemWrite]) -> None:
    """Do what arrives late, unless it was done under its token meanwhile."""
    with suppress(ServiceError):
        if token is None or not tokens.replayed(token, actions, database.caller.now()):
            _apply(database, actions)
            if token is not None:
                tokens.done(token, actions, database.caller.now())


def _begin(database: Database, tokens: TransactionTokens, token: str | None, actions: Sequence[ItemWrite]) -> None:
    """Prepare a transaction that is going to end later: until then its items are taken. Raises Refusal."""
    reasons = [_judged(database, action, action.table.rows.get(action.key))[0] for action in actions]
    if any(reason is not _NONE for reason in reasons):
        raise cancelled(reasons)
    database.locks |= _targets(actions)
    if token is not None:
        tokens.begin(token, actions)


def _end(database: Database, tokens: TransactionTokens, token: str | None, actions: Sequence[ItemWrite]) -> None:
    """Do what was prepared; its items were locked meanwhile."""
    database.locks -= _targets(actions)
    if token is not None:
        tokens.cancelled(token)
    _arrive(database, tokens, token, actions)


def _replay(actions: Sequence[ItemWrite], request: Request) -> Reply:
    """The reply to a transaction that was done before: it costs reading its items."""
    units = []
    for action in actions:
        row = action.table.rows.get(action.key)
        units.append(read_units(0 if row is None else row[1], consistent=True))
    return consumed_by_transaction(request, "Read", _units(actions, units))


def _units(actions: Sequence[ItemWrite], units: Sequence[float]) -> dict[str, float]:
    totals: dict[str, float] = {}
    for action, amount in zip(actions, units, strict=True):
        totals[action.table.name] = totals.get(action.table.name, 0.0) + TRANSACTION * amount
    return totals


def transact_get_items(database: Database, request: Request, fault: Fault | None) -> Reply:
    """TransactGetItems."""
    _check_count(request["TransactItems"])
    gets = [_get(database, entry["Get"]) for entry in request["TransactItems"]]
    found = [get.target for get in gets if get.target is not None]
    if len(set(found)) < len(found):
        raise ServiceError.invalid(_TWICE)
    if fault in _ITEM_FAULTS:
        raise _item_fault(database, fault, len(gets))
    if any(get.reason is not _NONE for get in gets):
        raise cancelled([get.reason for get in gets])
    _check_bytes(0 if get.row is None else get.row[1] for get in gets)
    units: dict[str, float] = {}
    for get in gets:
        amount = TRANSACTION * read_units(0 if get.row is None else get.row[1], consistent=True)
        units[get.table] = units.get(get.table, 0.0) + amount
    return {"Responses": [get.response for get in gets], **consumed_by_transaction(request, "Read", units)}


@dataclass(frozen=True, slots=True)
class _Get:
    """One item that a transaction reads, or the reason why it is cancelled."""

    table: str
    reason: Reason
    target: Target | None = None
    row: Row | None = None
    response: Reply = field(default_factory=dict)


def _get(database: Database, request: Request) -> _Get:
    table = database.table(request)
    projection = database.expressions.projection(request)
    bind(request, projection)
    try:
        key, _ = table.key_of(request["Key"])
    except KeyMismatchError as mismatch:
        return _Get(table.name, {"Code": "ValidationError", "Message": mismatch.message})
    row, target = table.rows.get(key), (table.name, key)
    response: Reply = {}
    if row is not None:
        response["Item"] = give_item(row[0]) if projection is None else projected(row[0], projection)
    return _Get(table.name, _CONFLICT if target in database.locks else _NONE, target, row, response)
