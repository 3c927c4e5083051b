"""The template of economy mode: what the positions rely on, permissions for just what is called, a mode for good."""

from typing import Any

import pytest

from oncefold.aws.connect import client
from oncefold.aws.deploy.deployment import DeployedDefinition, check_parameters, mode_for
from oncefold.aws.deploy.permissions import ECONOMY_FUNCTIONS, ECONOMY_PERMISSIONS
from oncefold.aws.deploy.template import template
from oncefold.aws.deploy.template_text import MOST_BYTES, for_request
from oncefold.aws.functions.direct import DirectStateFunction
from oncefold.aws.functions.guard import ECONOMY, STANDARD, check_definition, mode_of
from oncefold.aws.functions.net import NetFunction
from oncefold.aws.functions.sweep import sweep
from oncefold.aws.functions.unread import ChangeStream, watch
from oncefold.aws.names import STACK_CHARS, Names
from oncefold.core.errors import DefinitionError, OncefoldError
from oncefold_lab.local.emulator import Emulator
from tests.aws.deploy.pipelines import COUNTS, RISK
from tests.aws.deploy.test_permissions import EVENTS, STREAMS, Recorder
from tests.aws.deploy.test_template import references
from tests.aws.functions.stacks import PIPELINE, Stack, lines
from tests.aws.functions.test_economy import economy
from tests.aws.tables import make_tables

NAMES = Names("oncefold-risk")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return template(RISK, NAMES, ECONOMY)


def test_it_fits_a_request() -> None:
    assert len(for_request(template(COUNTS, Names("n" * STACK_CHARS), ECONOMY)).encode()) < MOST_BYTES


def test_all_that_is_referred_to_is_there(document: dict[str, Any]) -> None:
    there = {*document["Resources"], *document["Parameters"]}
    assert {name for name in references(document) if not name.startswith("AWS::")} <= there


def test_one_batch_of_a_shard_at_a_time_without_end_and_with_its_name(document: dict[str, Any]) -> None:
    mapping = document["Resources"]["NetMapping"]["Properties"]
    assert mapping["ParallelizationFactor"] == 1
    assert mapping["MaximumRetryAttempts"] == mapping["MaximumRecordAgeInSeconds"] == -1
    assert mapping["TumblingWindowInSeconds"] > 0
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    states = document["Resources"]["StateTable"]["Properties"]
    assert states["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_every_function_knows_its_mode(document: dict[str, Any]) -> None:
    for name in ECONOMY_FUNCTIONS:
        variables = document["Resources"][f"{name}Function"]["Properties"]["Environment"]["Variables"]
        assert variables["ONCEFOLD_MODE"] == ECONOMY


def allowed(names: Names) -> dict[str, set[tuple[str, str]]]:
    tables = {"StateTable": names.state_table, "ReduceTable": names.reduce_table,
              "AggregateTable": names.aggregate_table, "RejectTable": names.reject_table}  # fmt: skip
    found: dict[str, set[tuple[str, str]]] = {name: set() for name in ECONOMY_FUNCTIONS}
    for permission in ECONOMY_PERMISSIONS:
        key = "" if permission.only_key is None else f"/{permission.only_key}"
        table = tables.get(permission.name.partition(",")[0], permission.name)
        dynamodb = {action for action in permission.actions if action.startswith("dynamodb:")} - STREAMS
        found[permission.function] |= {(action, table + key) for action in dynamodb}
    return found


def test_roles_allow_what_functions_call(aws: Emulator) -> None:
    assert aws.answers()
    names = Names("economy-roles")
    make_tables(names, client("dynamodb"), economy=True)
    stack = Stack(client("dynamodb"), names)
    called: dict[str, Recorder] = {name: Recorder(client("dynamodb")) for name in ECONOMY_FUNCTIONS}
    for recorder in called.values():
        check_definition(PIPELINE, names, recorder, ECONOMY)
    state = DirectStateFunction(PIPELINE, names, stack.dynamo(called["State"]), stack.time.read)
    state.handle(lines([*EVENTS, *EVENTS] * 8))
    for _ in range(2):  # what was here before is read
        state.handle(lines([f'{{"id": "{number}", "v": 1, "gone": true}}' for number in range(20)]))
    arn = client("dynamodb").describe_table(TableName=names.state_table)["Table"]["LatestStreamArn"]
    stream = ChangeStream(client("dynamodbstreams"), arn)
    (shard,) = stream.shards()
    records = list(stream.after(shard, None))
    assert NetFunction(PIPELINE, names, stack.dynamo(called["Net"]), stack.time.read).handle(shard, records).changes > 9
    sweep(PIPELINE, names, stack.dynamo(called["Sweep"]), stack.time.read, 0.0)
    watch(stack.dynamo(called["Sweep"]), names, stream, stack.time.read)
    roles = allowed(names)
    for name in ("State", "Net", "Sweep"):
        # What nobody may call beside others' keys is in a batch of its own, whose table alone is recorded.
        plain = {(action, table.partition("/")[0]) for action, table in roles[name]}
        assert {(action, table.partition("/")[0]) for action, table in called[name].calls} <= plain
    assert ("dynamodb:PutItem", names.reduce_table) not in roles["State"]


def test_a_mode_is_for_good(sim_stack: Stack) -> None:
    deployed = DeployedDefinition(table=True, toml="x", mode=ECONOMY)
    assert mode_for(deployed, None, NAMES) == mode_for(deployed, ECONOMY, NAMES) == ECONOMY
    assert mode_for(DeployedDefinition(), None, NAMES) == STANDARD
    with pytest.raises(DefinitionError, match=r"in economy mode, which cannot be changed .* --stack NAME"):
        mode_for(deployed, STANDARD, NAMES)
    check_definition(PIPELINE, sim_stack.names, sim_stack.client, ECONOMY)
    (item,) = sim_stack.scan(sim_stack.names.aggregate_table)
    assert mode_of(item) == ECONOMY
    with pytest.raises(DefinitionError, match=r"kept in economy mode and its functions run in standard mode"):
        check_definition(PIPELINE, sim_stack.names, sim_stack.client)


@pytest.fixture
def sim_stack() -> Stack:
    return economy()


def test_parameters_of_the_other_mode_are_refused() -> None:
    with pytest.raises(OncefoldError, match="a stack in standard mode does not have it"):
        check_parameters({"NetBatchSize": "5"}, STANDARD)
    check_parameters({"NetBatchSize": "5", "Dashboard": "true"}, ECONOMY)
