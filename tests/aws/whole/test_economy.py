"""Economy mode over HTTP: the real template, the real zip, processes killed, batches cut anew, twice and replayed."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

from oncefold.aws.names import Names
from oncefold.generate import write
from oncefold_lab.local.emulator import Emulator
from tests.aws.functions.stacks import WORKSHOP
from tests.aws.whole.deployed import SECONDS, at_work, command, deploy
from tests.aws.whole.test_end_to_end import BATCH, check_totals, workload
from tests.tools.sizes import full_only, sized


@full_only("a second whole pipeline with kills, 45 s")
def test_killed_recut_repeated_and_replayed_the_totals_are_exact(aws: Emulator, tmp_path: Path) -> None:
    names, load = Names("economy-hard"), replace(workload(seed=21), count=sized(300, 3_000))
    write(load, tmp_path / "events.jsonl")
    quick = {"NetWindowSeconds": 0, "NetBatchSize": BATCH}
    deploy(WORKSHOP, tmp_path, names, "economy", ShardCount=2, StateBatchSize=BATCH, **quick)
    kills = {"KILL_SHARE": "0.25", "KILL_SALT": ""}
    with at_work(names, aws, tmp_path, chance=Random(1), kills=kills) as running:
        command("aws", "send", tmp_path / "events.jsonl", "--stack", names.stack)
        running.wait_until_idle(SECONDS)
        net = running.counts[names.net_function]
    assert net.failed > sized(0, 0.05 * net.batches)
    assert net.discarded == 0
    check_totals(names, load)

    # All streams again from their oldest records, and DynamoDB knows no token any more.
    kills = {"KILL_SHARE": "0.1", "KILL_SALT": "ten minutes later"}
    with at_work(names, aws, tmp_path, chance=Random(2), kills=kills) as running:
        running.wait_until_idle(SECONDS)
        assert running.counts[names.net_function].records == net.records
        running.sweep()
    check_totals(names, load)
    status = json.loads(command("aws", "status", "--stack", names.stack, "--format", "json").stdout)
    assert status["lost"] is False
    assert names.net_function in [function["name"] for function in status["functions"]]
    command("aws", "deploy", tmp_path / f"{names.stack}.toml", "--stack", names.stack, "--mode", "standard", status=1)
    command("aws", "deploy", tmp_path / f"{names.stack}.toml", "--stack", names.stack, "--yes")
