"""A stack that begins with history: by the command line, the real template and the real zip; then all events come."""

import gzip
import json
from pathlib import Path

import pytest

from oncefold.aws.functions.guard import MODES
from oncefold.aws.names import Names
from oncefold.core.definition_text import to_toml
from oncefold.generate import Workload, write
from oncefold_lab.local.emulator import Emulator
from tests.aws.functions.stacks import WORKSHOP
from tests.aws.reader.stacks import put
from tests.aws.whole.deployed import SECONDS, at_work, command, deploy
from tests.aws.whole.test_end_to_end import check_totals
from tests.tools.sizes import full_only, sized

LOAD = Workload(count=150, duplicates=0.1, modifications=0.3, deletes=0.05, leaves=20, seed=11)


def import_tables(names: Names, folder: Path) -> None:
    """What DynamoDB makes of the files: an item for each line. The emulator's CloudFormation adopts no tables."""
    for table in (names.state_table, names.aggregate_table):
        for path in sorted((folder / table).iterdir()):
            put(table, [json.loads(line)["Item"] for line in gzip.decompress(path.read_bytes()).splitlines()])


@full_only("a whole pipeline, 8 s")
@pytest.mark.parametrize("files", sized([False], [False, True]))
@pytest.mark.parametrize("mode", MODES)
def test_events_that_come_again_count_nothing_and_new_ones_do(
    mode: str, aws: Emulator, tmp_path: Path, *, files: bool
) -> None:
    names = Names(f"history-{'files' if files else 'put'}-{mode}")
    write(LOAD, tmp_path / "events.jsonl")
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "history.jsonl").write_bytes(b"".join(lines[: len(lines) * 3 // 4]))
    definition, store = tmp_path / "pipeline.toml", tmp_path / "history.db"
    definition.write_text(to_toml(WORKSHOP))
    command("run", definition, tmp_path / "history.jsonl", "--store", store)
    if files:
        folder = tmp_path / "import"
        command("aws", "load", store, "--files", folder, "--bucket", "bucket", "--mode", mode, "--stack", names.stack)
        deploy(WORKSHOP, tmp_path, names, mode)
        import_tables(names, folder)
    else:
        deploy(WORKSHOP, tmp_path, names, mode)
        output = command("aws", "load", store, "--stack", names.stack).output
        assert f"stack {names.stack} has them" in output
    command("aws", "verify", "--stack", names.stack)
    with at_work(names, aws, tmp_path) as running:
        command("aws", "send", tmp_path / "events.jsonl", "--stack", names.stack)
        running.wait_until_idle(SECONDS)
    check_totals(names, LOAD)
