"""The workshop's three functions put together, in either form."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from oncefold_workshop.pipelines import after, before
from oncefold_workshop.pipelines.faults import Fault
from oncefold_workshop.pipelines.settings import Settings

Handle = Callable[[Mapping[str, Any]], None]
"""Takes the event of one invocation, and raises where the invocation fails."""


@dataclass(frozen=True, slots=True)
class World:
    """What the functions get from outside: a DynamoDB client, seconds since 1970, a number from 0 up to 1."""

    dynamodb: Any
    clock: Callable[[], float]
    random: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Functions:
    """StateLambda, MapLambda and ReduceLambda."""

    state: Handle
    map: Handle
    reduce: Handle


def before_fixes(settings: Settings, world: World) -> Functions:
    """The functions as the workshop hands them out."""
    tables, rates = settings.tables, settings.rates
    return Functions(
        before.StateLambda(world.dynamodb, tables.state, world.clock, Fault(rates.state, world.random)).handle,
        before.MapLambda(
            world.dynamodb, tables.reduce, world.clock, world.random, Fault(rates.map, world.random)
        ).handle,
        before.ReduceLambda(world.dynamodb, tables.aggregate, Fault(rates.reduce, world.random)).handle,
    )


def after_fixes(settings: Settings, world: World) -> Functions:
    """The functions as the workshop leaves them."""
    tables, rates = settings.tables, settings.rates
    return Functions(
        after.StateLambda(world.dynamodb, tables.state, world.clock, Fault(rates.state, world.random)).handle,
        after.MapLambda(world.dynamodb, tables.reduce, Fault(rates.map, world.random)).handle,
        after.ReduceLambda(world.dynamodb, tables.aggregate, Fault(rates.reduce, world.random)).handle,
    )
