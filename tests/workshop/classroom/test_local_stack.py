"""The workshop's stack on this machine, from folders, with the real boto3."""

from pathlib import Path

from oncefold_lab.local.emulator import Emulator
from oncefold_workshop.classroom.local_stack import packed_code, running_stack
from oncefold_workshop.classroom.teams import parse_team
from oncefold_workshop.course.functions import parse
from tests.tools.sizes import full_only
from tests.workshop.course.packages import write


@full_only("half a minute passes before a round is scored")
def test_a_stack_on_this_machine(tmp_path: Path) -> None:
    write(tmp_path / "team", fixed=True)
    code = packed_code(parse("team", tmp_path))
    with Emulator() as emulator, running_stack(emulator, code, batches=2) as generator:
        assert generator.round() == 100
        assert parse_team(f"red={emulator.endpoint}").source.read().rounds == (100,)
