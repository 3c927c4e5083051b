"""How a pipeline is deployed in a world: what a template's parameters say."""

from dataclasses import dataclass

from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline
from oncefold_lab.local.mapping_settings import FOR_EVER

NAMES = Names("lab")
DRAIN_FUNCTION = f"{NAMES.stack}-drain"
"""Stands for what a person does with `oncefold aws drain`."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A function and its event source mapping."""

    batch_size: int = 10
    window_seconds: float = 0.0
    parallelization: int = 1
    max_retries: int = FOR_EVER
    max_age_seconds: float = FOR_EVER
    bisect: bool = True
    timeout_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """A pipeline and all that is set of its stack."""

    pipeline: Pipeline
    shards: int = 1
    """Of the Kinesis stream, in the beginning."""
    state: Shape = Shape()
    reduce: Shape = Shape()
    sweep_seconds: float = 300.0
