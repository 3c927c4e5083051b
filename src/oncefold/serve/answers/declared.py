"""A route as one declaration: what it takes, how it is answered, and what the OpenAPI text says of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from oncefold.queries.model import Answer, SearchResult
from oncefold.queries.store_reader import StoreReader
from oncefold.serve.answers.formats import ONLY_JSON, Form
from oncefold.serve.answers.parameters import Parameter

Values = Mapping[str, Any]
"""The values of a request's parameters, those of its path included."""

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question that a route asks."""

    answer: Callable[[StoreReader, Values], Answer[Any] | SearchResult]
    """Called in a thread of a lane, at one commit."""
    forms: Sequence[Form] = ONLY_JSON
    lane: Literal["quick", "slow"] = "slow"
    kept: bool = True
    """Whether its answer is kept until the next commit, and has an entity tag."""


@dataclass(frozen=True, slots=True)
class Described:
    """What the OpenAPI text says of a route."""

    summary: str
    description: str = ""
    answer: Schema = field(default_factory=dict)
    """Of its JSON document."""
    errors: Sequence[int] = (422, 503)
    tag: str = "questions"
    operation_id: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """A route of questions; the last parameter of its path may hold slashes."""

    path: str
    """With its parameters in braces."""
    inquiry: Inquiry
    described: Described
    in_path: Sequence[Parameter] = ()
    in_query: Sequence[Parameter] = ()
    methods: Sequence[str] = ("GET",)
