"""The workshop's three functions put together, in either form, and the entry points that Lambda calls with a batch.

Settings come from the environment (`settings.Settings`). An invocation ends well or raises, and then Lambda delivers
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

from oncefold_workshop.pipelines import after, before
from oncefold_workshop.pipelines.settings import InducedFault, PipelineSettings

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
    """StateLambda, MapLambda and ReduceLambda."""

    state: Handle
    map: Handle
    reduce: Handle


def before_fixes(settings: PipelineSettings, world: FunctionEnvironment) -> PipelineFunctions:
    """The functions as the workshop hands them out."""
    tables, rates = settings.tables, settings.rates
    return PipelineFunctions(
        before.StateLambda(world.dynamodb, tables.state, world.clock, InducedFault(rates.state, world.random)).handle,
        before.MapLambda(
            world.dynamodb, tables.reduce, world.clock, world.random, InducedFault(rates.map, world.random)
        ).handle,
        before.ReduceLambda(world.dynamodb, tables.aggregate, InducedFault(rates.reduce, world.random)).handle,
    )


def after_fixes(settings: PipelineSettings, world: FunctionEnvironment) -> PipelineFunctions:
    """The functions as the workshop leaves them."""
    tables, rates = settings.tables, settings.rates
    return PipelineFunctions(
        after.StateLambda(world.dynamodb, tables.state, world.clock, InducedFault(rates.state, world.random)).handle,
        after.MapLambda(world.dynamodb, tables.reduce, InducedFault(rates.map, world.random)).handle,
        after.ReduceLambda(world.dynamodb, tables.aggregate, InducedFault(rates.reduce, world.random)).handle,
    )


@cache
def _functions(form: Callable[[PipelineSettings, FunctionEnvironment], PipelineFunctions]) -> PipelineFunctions:
    """The functions of a form, once for all invocations of an environment."""
    return form(
        PipelineSettings.of(os.environ), FunctionEnvironment(boto3.client("dynamodb"), time.time, random.random)
    )


def state_before(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001 - nothing of it is needed
    """StateLambda before its fix: a batch of a Kinesis shard."""
    _functions(before_fixes).state(event)


def map_before(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001
    """MapLambda before its fix: a batch of StateTable's stream."""
    _functions(before_fixes).map(event)


def reduce_before(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001
    """ReduceLambda before its fix: a batch of ReduceTable's stream."""
    _functions(before_fixes).reduce(event)


def state_after(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001
    """StateLambda after its fix: a batch of a Kinesis shard."""
    _functions(after_fixes).state(event)


def map_after(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001
    """MapLambda after its fix: a batch of StateTable's stream."""
    _functions(after_fixes).map(event)


def reduce_after(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001
    """ReduceLambda after its fix: a batch of ReduceTable's stream."""
    _functions(after_fixes).reduce(event)
