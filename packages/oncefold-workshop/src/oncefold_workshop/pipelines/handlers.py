"""The workshop's functions put together in each of their forms, and the entry points that Lambda calls with a batch.

Settings come from the environment (`PipelineSettings`). An invocation ends well or raises, and then Lambda delivers
the batch again.
"""

import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3

from oncefold_workshop.pipelines.functions import (
    MapLambda,
    ReduceLambda,
    StateLambda,
    sums_of_changes,
    sums_of_messages,
)
from oncefold_workshop.pipelines.settings import (
    MAP_FAILS,
    REDUCE_FAILS,
    STATE_FAILS,
    InducedFault,
    ParameterTable,
    PipelineSettings,
)

Handle = Callable[[Mapping[str, Any]], None]
"""Takes the event of one invocation, and raises where the invocation fails."""


@dataclass(frozen=True, slots=True)
class FunctionEnvironment:
    """What the functions get from outside: a DynamoDB client, seconds since 1970, a number from 0 up to 1."""

    dynamodb: Any
    clock: Callable[[], float]
    random: Callable[[], float]


@dataclass(frozen=True, slots=True)
class PipelineFunctions:
    """StateLambda, MapLambda and ReduceLambda; in the stateless pipeline MapLambda gets the messages."""

    state: Handle | None
    map: Handle
    reduce: Handle


Form = Callable[[PipelineSettings, FunctionEnvironment], PipelineFunctions]


def _made(
    settings: PipelineSettings, world: FunctionEnvironment, *, fixed: bool, mismatch_is_done: bool = False,
    stateless: bool = False,
) -> PipelineFunctions:  # fmt: skip
    tables = settings.tables
    parameters = ParameterTable(world.dynamodb, tables.parameter)

    def fault(name: str) -> InducedFault:
        return InducedFault(parameters, name, world.random)

    state = StateLambda(world.dynamodb, tables.state, world.clock, fault(STATE_FAILS), conditional=fixed)
    summed = sums_of_messages if stateless else sums_of_changes
    reduce = ReduceLambda(world.dynamodb, tables.aggregate, fault(REDUCE_FAILS), fixed, mismatch_is_done)
    return PipelineFunctions(
        None if stateless else state.handle,
        MapLambda(world.dynamodb, tables.reduce, fault(MAP_FAILS), summed).handle,
        reduce.handle,
    )


def before_fixes(settings: PipelineSettings, world: FunctionEnvironment) -> PipelineFunctions:
    """The functions as the workshop hands them out."""
    return _made(settings, world, fixed=False)


def after_fixes(settings: PipelineSettings, world: FunctionEnvironment) -> PipelineFunctions:
    """The functions as the workshop leaves them: with a condition in StateLambda, and a token in ReduceLambda."""
    return _made(settings, world, fixed=True)


def of_the_blog(settings: PipelineSettings, world: FunctionEnvironment) -> PipelineFunctions:
    """The functions of the blog posts: a token's mismatch is taken for a batch that was added already."""
    return _made(settings, world, fixed=True, mismatch_is_done=True)


def stateless(settings: PipelineSettings, world: FunctionEnvironment) -> PipelineFunctions:
    """The blog posts' pipeline without a state: messages are summed as they come."""
    return _made(settings, world, fixed=True, mismatch_is_done=True, stateless=True)


@cache
def _functions(form: Form) -> PipelineFunctions:
    """The functions of a form, once for all invocations of an environment."""
    return form(
        PipelineSettings.of(os.environ), FunctionEnvironment(boto3.client("dynamodb"), time.time, random.random)
    )


def _state(form: Form) -> Handle:
    state = _functions(form).state
    assert state is not None
    return state


def state_before(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001 - nothing of it is needed
    """StateLambda before its fix: a batch of a Kinesis shard."""
    _state(before_fixes)(event)


def map_before(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001
    """MapLambda: a batch of StateTable's stream."""
    _functions(before_fixes).map(event)


def reduce_before(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001
    """ReduceLambda before its fix: a batch of ReduceTable's stream."""
    _functions(before_fixes).reduce(event)


def state_after(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001
    """StateLambda after its fix: a batch of a Kinesis shard."""
    _state(after_fixes)(event)


map_after = map_before
"""MapLambda has no fix: its put is conditional as it is handed out."""


def reduce_after(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001
    """ReduceLambda after its fix: a batch of ReduceTable's stream."""
    _functions(after_fixes).reduce(event)


def map_stateless(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001
    """MapLambda of the stateless pipeline: a batch of a Kinesis shard."""
    _functions(stateless).map(event)


def reduce_stateless(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001
    """ReduceLambda of the stateless pipeline: a batch of ReduceTable's stream."""
    _functions(stateless).reduce(event)
