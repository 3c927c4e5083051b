"""A rebuild under a new definition, from the real template and zip, while events come and functions are killed."""

import threading
from pathlib import Path
from random import Random

import pytest

from oncefold.aws.connect import client
from oncefold.aws.functions import layout
from oncefold.aws.functions.guard import ECONOMY, MODES
from oncefold.aws.names import Names
from oncefold.core.definition_text import to_toml
from oncefold.generate import Workload, write
from oncefold_lab.local.emulator import Emulator
from tests.aws.functions.stacks import WORKSHOP
from tests.aws.whole.deployed import SECONDS, at_work, command, deploy
from tests.aws.whole.test_end_to_end import check_totals
from tests.tools.sizes import full_only

NEW = (
    to_toml(WORKSHOP).replace("[measures]\n", 'desks = ["Hierarchy.TradeDesk"]\n[measures]\n')
    + 'mean = { avg = "Value", scale = 2 }\n'
)


def lose_totals(names: Names) -> None:
    """What a restore of AggregateTable to its beginning leaves: a definition, and hardly a node."""
    items = client("dynamodb").scan(TableName=names.aggregate_table)["Items"]
    nodes = [item for item in items if layout.node_epoch(item) is not None]
    for node in nodes[: len(nodes) * 3 // 4]:
        key = {name: node[name] for name in ("path", "label")}
        client("dynamodb").delete_item(TableName=names.aggregate_table, Key=key)


@full_only("it waits for functions two or three times, 50 s each")
@pytest.mark.parametrize("mode", MODES)
def test_totals_of_a_new_definition_are_made_while_events_come(mode: str, aws: Emulator, tmp_path: Path) -> None:
    names = Names(f"rebuilt-{mode}")
    whole = Workload(count=2_000, duplicates=0.1, modifications=0.2, deletes=0.02, leaves=30, seed=5)
    write(whole, tmp_path / "events.jsonl")
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines(keepends=True)
    parts = [lines[:1_000], lines[1_000:1_500], lines[1_500:]]
    for number, part in enumerate(parts):
        (tmp_path / f"{number}.jsonl").write_bytes(b"".join(part))
    quick = {"NetTimeoutSeconds": 10, "NetWindowSeconds": 0} if mode == ECONOMY else {}
    deploy(WORKSHOP, tmp_path, names, mode, ShardCount=2, StateTimeoutSeconds=10, StateBatchSize=50, **quick)
    kills = {"KILL_SHARE": "0.1", "KILL_SALT": ""}
    with at_work(names, aws, tmp_path, chance=Random(1), kills=kills) as running:
        command("aws", "send", tmp_path / "0.jsonl", "--stack", names.stack)
        running.wait_until_idle(SECONDS)
        lose_totals(names)
        command("aws", "verify", "--stack", names.stack, status=1)
        new = tmp_path / "new.toml"
        new.write_text(NEW)
        output: list[str] = []
        rebuild = threading.Thread(
            target=lambda: output.append(command("aws", "rebuild", "--definition", new, "--stack", names.stack).output)
        )
        rebuild.start()
        for number in (1, 2):
            command("aws", "send", tmp_path / f"{number}.jsonl", "--stack", names.stack)
            running.wait_until_idle(SECONDS)
        rebuild.join(SECONDS)
        assert "the totals are made anew from" in output[0]
        running.wait_until_idle(SECONDS)
        command("aws", "verify", "--stack", names.stack)
    command("aws", "deploy", new, "--stack", names.stack, "--yes")
    with at_work(names, aws, tmp_path, chance=Random(2)) as running:
        command("aws", "send", tmp_path / "0.jsonl", "--stack", names.stack)
        running.wait_until_idle(SECONDS)
    check_totals(names, whole)
    command("aws", "verify", "--stack", names.stack)
    assert "mean" in command("aws", "query", "--rollup", "desks", "--stack", names.stack).output
