"""A pipeline's whole stack on this machine: the emulator, the real template deployed into it, its functions at work."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from oncefold.aws.connect import client
from oncefold.aws.deploy.cloudformation import OnEvent, Polling
from oncefold.aws.deploy.deployment import DeployClients, Deployment
from oncefold.aws.deploy.parameters import MAPPINGS_ENABLED
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline
from oncefold_lab.local.emulator import Emulator
from oncefold_lab.local.stack import LocalStack

_TICKET = "oncefold-local"


class LocalPipeline:
    """The stack of a pipeline, deployed into an emulator that runs, and its functions.

    `with LocalPipeline(...) as local:` deploys, starts and stops; boto3 must be led to the emulator before.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        names: Names,
        emulator: Emulator,
        settings: Mapping[str, str],
        on_event: OnEvent,
    ) -> None:
        """`settings` are parameters of the template; `on_event` gets the events of its deployment."""
        self._pipeline = pipeline
        self._names = names
        self._emulator = emulator
        # The emulator's own mappings lose records (docs/AWS.md), and the driver here does their work.
        self._settings = {**settings, MAPPINGS_ENABLED: "false"}
        self._say = on_event
        self._opened = ExitStack()
        self.functions: LocalStack
        """The functions at work."""

    def __enter__(self) -> Self:
        deployment = Deployment(self._pipeline, self._names, DeployClients.connect(), Polling(time.sleep))
        deployment.apply(deployment.plan(self._settings, None, _TICKET), self._say)
        stack = LocalStack.deployed(self._names, client, self._emulator.environment)
        self.functions = self._opened.enter_context(stack)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()
