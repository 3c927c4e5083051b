"""Filter patterns of event source mappings: which records reach the function.

Syntax: "Filter rule syntax" of the Lambda Developer Guide. Here: lists of exact values, `prefix` and `exists`; any
other rule is refused, so that a mapping never lets through what Lambda would not.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from oncefold.core.errors import OncefoldError

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Filter:
    """A record passes if it matches any of the patterns."""

    patterns: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Filter | None":
        """The filter of `FilterCriteria`, each pattern a JSON text; None if there are none. Raises OncefoldError."""
        patterns = tuple(_pattern(text) for text in texts)
        return cls(patterns) if patterns else None

    def passes(self, record: Any) -> bool:
        """Whether the function gets to see a record."""
        return any(_matches(pattern, record) for pattern in self.patterns)


def _pattern(text: str) -> Mapping[str, Any]:
    try:
        pattern = json.loads(text)
    except ValueError as error:
        raise OncefoldError(f"filter pattern {text}: {error}; write a JSON object") from None
    if not isinstance(pattern, dict):
        raise OncefoldError(f"filter pattern {text}: write a JSON object")
    _check(pattern, text)
    return pattern


def _check(pattern: Mapping[str, Any], text: str) -> None:
    for name, rule in pattern.items():
        if isinstance(rule, dict):
            _check(rule, text)
        elif name.startswith("$") or not isinstance(rule, list) or not all(_known(one) for one in rule):
            raise OncefoldError(
                f"filter pattern {text}: the rule for {name!r} cannot be run on this machine; "
                f'use a list of values, {{"prefix": "..."}} or {{"exists": true}}'
            )


def _known(rule: Any) -> bool:
    if isinstance(rule, dict):
        return [*rule] == ["prefix"] or [*rule] == ["exists"]
    return not isinstance(rule, list)


def _matches(pattern: Mapping[str, Any], record: Any) -> bool:
    if not isinstance(record, Mapping):
        return False
    for name, rule in pattern.items():
        value = record.get(name, _ABSENT)
        if isinstance(rule, Mapping):
            if not _matches(rule, value):
                return False
        elif not any(_fits(one, value) for one in rule):
            return False
    return True


def _fits(rule: Any, value: Any) -> bool:
    if isinstance(rule, Mapping):
        if "exists" in rule:
            return (value is not _ABSENT) is bool(rule["exists"])
        return isinstance(value, str) and value.startswith(rule["prefix"])
    return bool(type(rule) is type(value) and rule == value)
