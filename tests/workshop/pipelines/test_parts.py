"""The parts that both forms share, and the zip that Lambda runs."""

import base64
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from oncefold_workshop.pipelines import messages
from oncefold_workshop.pipelines.deploy import package
from oncefold_workshop.pipelines.functions import StateLambda
from oncefold_workshop.pipelines.messages import Message, batch_hash, net_changes, of_kinesis, state_item
from oncefold_workshop.pipelines.settings import (
    STATE_FAILS,
    TABLES,
    InducedFailure,
    InducedFault,
    ParameterTable,
    PipelineSettings,
    TableNames,
)

LEAF = ("Delta", "FXSpot", "AMER")
OTHER = ("PV", "FXSpot", "AMER")
TEXT = (
    b'{"TradeID": "t", "Value": 34624.51, "Version": 3, "Timestamp": 1616413258.8997, '
    b'"Hierarchy": {"RiskType": "Delta", "Region": "AMER", "TradeDesk": "FXSpot"}}'
)
MESSAGE = Message("t", 34624.51, 3, 1616413258.8997, LEAF)


def change(old: Message | None, new: Message | None) -> dict[str, object]:
    images = {"OldImage": old, "NewImage": new}
    return {"dynamodb": {name: state_item(message) for name, message in images.items() if message is not None}}


def test_a_record_holds_one_message_a_line() -> None:
    data = base64.b64encode(TEXT + b"\n\n" + TEXT + b"\n").decode()
    assert list(of_kinesis({"Records": [{"kinesis": {"data": data}}]})) == [MESSAGE, MESSAGE]


def test_a_leaf_has_a_node_on_each_level_and_no_root() -> None:
    assert messages.nodes(LEAF) == ["Delta", "Delta:FXSpot", "Delta:FXSpot:AMER"]


def test_a_new_message_counts_at_each_node_and_a_corrected_one_by_the_difference() -> None:
    corrected = Message("t", 34625.51, 4, 1616413259.0, LEAF)
    assert net_changes([change(None, MESSAGE)])["Delta:FXSpot"] == 34624.51
    assert net_changes([change(MESSAGE, corrected)])["Delta:FXSpot"] == pytest.approx(1.0)


def test_a_message_that_moves_leaves_its_old_nodes() -> None:
    moved = Message("t", 34624.51, 4, 1616413259.0, OTHER)
    sums = net_changes([change(MESSAGE, moved)])
    assert (sums["Delta"], sums["PV"], sums[messages.MESSAGE_COUNT]) == (-34624.51, 34624.51, 1.0)


def test_the_same_batch_has_the_same_hash_and_any_other_has_another() -> None:
    one, two = change(None, MESSAGE), change(MESSAGE, None)
    assert batch_hash([one, two]) == batch_hash(json.loads(json.dumps([one, two])))
    assert len({batch_hash(batch) for batch in ([one], [two], [one, two], [two, one])}) == 4


class Percentage:
    """A ParameterTable with one number."""

    def get_item(self, **request: object) -> dict[str, object]:
        assert request["ConsistentRead"]
        return {"Item": {"parameter": {"S": STATE_FAILS}, "value": {"N": "5"}}}


def fault(*numbers: float) -> InducedFault:
    return InducedFault(ParameterTable(Percentage(), "ParameterTable"), STATE_FAILS, iter(numbers).__next__)


def test_a_fault_strikes_below_its_percentage() -> None:
    assert fault().percentage() == 5
    fault(0.05).strike(5)
    with pytest.raises(InducedFailure, match=STATE_FAILS):
        fault(0.0499).strike(5)


def test_state_fails_before_a_record_at_a_share_of_its_percentage_and_what_was_written_stays() -> None:
    written = []

    class Table(Percentage):
        def update_item(self, **request: object) -> None:
            written.append(request["Key"])

    state = StateLambda(Table(), "StateTable", lambda: MESSAGE.timestamp, fault(0.02, 0.02, 0.0099), conditional=True)
    data = base64.b64encode(TEXT).decode()
    with pytest.raises(InducedFailure):
        state.handle({"Records": [{"kinesis": {"data": data}}] * 5})
    assert len(written) == 2, "5 % of five records are 1 % each"


def test_settings_survive_the_environment() -> None:
    settings = PipelineSettings(TableNames("state", "reduce", "aggregate", "parameter"))
    assert PipelineSettings.of(settings.environment()) == settings
    assert PipelineSettings.of({}).tables == TABLES


def test_tables_have_the_workshops_names_and_keys_and_items_its_attributes() -> None:
    assert TABLES.keys == {
        "StateTable": "id",
        "ReduceTable": "MessageId",
        "AggregateTable": "Identifier",
        "ParameterTable": "parameter",
    }
    state = state_item(MESSAGE)
    assert set(state) == {"id", "Value", "Version", "Timestamp", "Hierarchy"}
    assert json.loads(state["Hierarchy"]["S"]) == {"RiskType": "Delta", "Region": "AMER", "TradeDesk": "FXSpot"}
    item = messages.reduce_item("hash", net_changes([change(None, MESSAGE)]))
    assert set(item) == {"MessageId", "Message"}
    assert json.loads(item["Message"]["S"])["Delta:FXSpot:AMER"] == 34624.51
    assert messages.addition("AggregateTable", "Delta", 1.5)["Key"] == {"Identifier": {"S": "Delta"}}
    total = messages.total_changes([{"dynamodb": {"NewImage": item}}] * 2)
    assert total == {"Delta": 69249.02, "Delta:FXSpot": 69249.02, "Delta:FXSpot:AMER": 69249.02, "message_count": 2.0}


def test_without_a_state_messages_are_summed_as_they_come() -> None:
    data = base64.b64encode(TEXT).decode()
    sums = messages.net_messages({"Records": [{"kinesis": {"data": data}}] * 2})
    assert (sums["Delta"], sums["message_count"]) == (2 * 34624.51, 2.0)


def test_the_zip_is_small_reproducible_and_needs_nothing_of_the_product(tmp_path: Path) -> None:
    data = package()
    assert data == package()
    assert len(data) < 50_000
    zipfile.ZipFile(io.BytesIO(data)).extractall(tmp_path)
    seen = subprocess.run(
        [sys.executable, "-c", _IMPORTS], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert {name.partition(".")[0] for name in seen.stdout.split()} <= {
        "oncefold_workshop",
        "boto3",
    } | sys.stdlib_module_names
    assert not [name for name in seen.stdout.split() if name.partition(".")[0] == "oncefold"]


_IMPORTS = """
import sys
sys.path.insert(0, "")
before = set(sys.modules)
import boto3, botocore.exceptions
libraries = set(sys.modules) - before
import oncefold_workshop.pipelines.handlers as handlers
assert handlers.__file__.startswith(sys.path[0] or __import__("os").getcwd()), handlers.__file__
print(*(set(sys.modules) - before - libraries))
"""
