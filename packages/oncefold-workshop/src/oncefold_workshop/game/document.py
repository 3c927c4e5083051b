"""Results as JSON: the same game gives the same bytes, on every machine."""

import hashlib
import json
from decimal import Decimal
from typing import Any

from oncefold_workshop.game.accounts import Account, Cause
from oncefold_workshop.game.match import Result, Scored
from oncefold_workshop.game.truth import Wrong


def round_document(result: Result) -> dict[str, Any]:
    """One round."""
    played = result.round
    return {
        "round": played.number,
        "mode": played.mode.value,
        "trouble": None if played.trouble is None else played.trouble.value,
        "cut": None if played.cut is None else played.cut.value,
        "messages": played.messages,
        "began": round(played.start, 3),
        "players": [_player(scored) for scored in result.scored],
    }


def _player(scored: Scored) -> dict[str, Any]:
    played = scored.played
    return {
        "name": scored.name,
        "points": scored.points,
        "total": scored.total,
        "right_after_seconds": None if played.right_after is None else round(played.right_after, 3),
        "totals": played.totals,
        "hurt": played.hurt,
        "wrong": None if played.wrong is None else _wrong(played.wrong),
        "account": None if played.account is None else _account(played.account),
    }


def _wrong(wrong: Wrong) -> dict[str, Any]:
    amounts = {"expected": wrong.expected, "found": wrong.found, "by": wrong.by}
    return {"node": wrong.path, "column": wrong.column, **{name: _text(value) for name, value in amounts.items()}}


def _account(account: Account) -> dict[str, Any]:
    told = {"causes": [_cause(cause) for cause in account.causes], "unexplained": _text(account.left)}
    return {**told, "hints": list(account.hints)} if account.hints else told


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "round": cause.round,
        "what": cause.what.value,
        "why": cause.why,
        "events": cause.events,
        "amount": _text(cause.amount),
        "sample": [{"key": one.key, "amount": _text(one.amount)} for one in cause.sample],
    }


def _text(number: Decimal) -> str:
    """Every digit, without an exponent."""
    return f"{number:f}"


class Record:
    """The lines of a game and their digest."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def line(self, document: dict[str, Any]) -> str:
        """A document as a line, which is in the digest from now on."""
        text = json.dumps(document)
        self._hash.update(text.encode() + b"\n")
        return text

    @property
    def digest(self) -> str:
        """Of all lines so far: another machine that plays the same has the same."""
        return self._hash.hexdigest()
