"""The entry points, one for each function in each form: what Lambda calls with a batch.

Settings come from the environment (`settings.Settings`). An invocation ends well or raises, and then Lambda delivers
the batch again.
"""

import os
import random
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import boto3

from oncefold_workshop.pipelines.forms import Functions, World, after_fixes, before_fixes
from oncefold_workshop.pipelines.settings import Settings


@cache
def _functions(form: Callable[[Settings, World], Functions]) -> Functions:
    """The functions of a form, once for all invocations of an environment."""
    return form(Settings.of(os.environ), World(boto3.client("dynamodb"), time.time, random.random))


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
