"""A pipeline deployed by the command line on the emulator, and its functions at work with whatever befalls them."""

import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

from click.testing import CliRunner, Result

from oncefold.aws.connect import client
from oncefold.aws.names import Names
from oncefold.cli.main import oncefold
from oncefold.core.definition import Pipeline
from oncefold.core.definition_text import to_toml
from oncefold_lab.local.emulator import Emulator
from oncefold_lab.local.settings import Disturbance, PollTiming, Undisturbed
from oncefold_lab.local.stack import LocalStack, describe
from tests.aws.local.disturbing import Disturbing

KILLER = Path(__file__).with_name("killer.py")
_FAILING = """
def state(event, context):
    raise RuntimeError("it cannot go on")

net = reduce = sweep = state
"""
SECONDS = 600.0
"""To wait for the pipeline to be idle, at most."""
QUICK = PollTiming(poll=0.05, listing=0.5, first_retry=0.01, longest_retry=0.2)


def command(*arguments: object, status: int = 0) -> Result:
    """Run the command line in this process."""
    result = CliRunner().invoke(oncefold, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result


def deploy(pipeline: Pipeline, folder: Path, names: Names, mode: str | None = None, **parameters: object) -> None:
    """Deploy the real template; its mappings stay off, for the driver here to do their work."""
    definition = folder / f"{names.stack}.toml"
    definition.write_text(to_toml(pipeline))
    settings = {"MappingsEnabled": "false", "DeletionProtection": "false", **parameters}
    options = [word for name, value in settings.items() for word in ("--parameter", f"{name}={value}")]
    options += [] if mode is None else ["--mode", mode]
    command("aws", "deploy", definition, "--stack", names.stack, "--yes", *options)


def at_work(
    names: Names,
    emulator: Emulator,
    folder: Path,
    *,
    chance: Random | None = None,
    repeated: float = 0.2,
    concurrency: int = 3,
    kills: Mapping[str, str] | None = None,
    failing: bool = False,
    reducing: bool = True,
) -> LocalStack:
    """The stack's functions from its real zip, delivered as Lambda may deliver at its worst if there is a `chance`:
    a share of the batches is `repeated`.

    With `kills` (settings of killer.py) their processes end in the middle of their work; `failing`, every invocation
    fails. Without `reducing` no record of ReduceTable's stream is delivered.
    """
    code = folder / f"code-{len(list(folder.iterdir()))}"
    code.mkdir()
    environment = emulator.environment
    described = describe(names, client, code, environment, concurrency=concurrency)
    if not reducing:
        state = tuple(one for one in described.mappings if one.function_arn.endswith(names.state_function))
        described = replace(described, mappings=state)
    if kills is not None or failing:
        added = _FAILING if failing else KILLER.read_text(encoding="utf-8")
        functions = []
        for settings in described.functions:
            archive = shutil.copy(settings.code, code / f"{settings.name}-added.zip")
            with zipfile.ZipFile(archive, "a") as file:
                file.writestr("added.py", added)
            handler = f"added.{settings.handler.rpartition('.')[2]}"
            variables = {**settings.environment, **(kills or {})}
            functions.append(replace(settings, code=Path(archive), handler=handler, environment=variables))
        described = replace(described, functions=tuple(functions))

    def disturb(_: object) -> Disturbance:
        return Undisturbed() if chance is None else Disturbing(chance, repeated)

    return LocalStack(described, client, QUICK, disturb)
