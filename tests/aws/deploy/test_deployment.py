"""Deploying and removing for real, on the emulator: what comes to be, in which order, and what is refused."""

import base64
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from itertools import count
from typing import Any

import pytest

from oncefold.aws.connect import client
from oncefold.aws.deploy import deployment
from oncefold.aws.deploy.cloudformation import CloudFormationStack, Polling, StackEvent, StackState
from oncefold.aws.deploy.deployment import (
    DeployClients,
    DeployedDefinition,
    Deployment,
    DeploymentPlan,
    ParameterChange,
)
from oncefold.aws.deploy.package import Bucket, build
from oncefold.aws.deploy.removal import Removal
from oncefold.aws.functions.guard import PROTOCOL, definition_item
from oncefold.aws.functions.layout import DEFINITION_KEY
from oncefold.aws.names import Names
from oncefold.aws.operations.rebuild_item import UnderWay
from oncefold.core.definition import Pipeline
from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError, OncefoldError
from oncefold_lab.local.emulator import Emulator
from tests.aws.deploy.pipelines import RISK
from tests.aws.tables import make_tables
from tests.tools.sizes import full_only
from tests.tools.waiting import LOOK_SECONDS

WIDER = parse_toml(to_toml(RISK).replace('missing = "reject"', 'missing = "zero"'))
OTHER = parse_toml(to_toml(RISK).replace("scale = 2", "scale = 3"))
UNMAPPED = {"MappingsEnabled": "false"}
"""The emulator's own mappings lose records."""

_NUMBERS = count(1)
_TICKETS = count(1)


@cache
def clients_of(endpoint: str) -> DeployClients:
    return DeployClients.connect()


def clients() -> DeployClients:
    """Made once for all tests of this process: that takes longer than most of them."""
    return clients_of(os.environ["AWS_ENDPOINT_URL"])


def polling() -> Polling:
    return Polling(lambda seconds: time.sleep(min(seconds, LOOK_SECONDS)))


@pytest.fixture
def names(aws: Emulator) -> Names:
    return Names(f"deployed-{next(_NUMBERS)}")


def plan(names: Names, pipeline: Pipeline = RISK, bucket: str | None = None, **settings: str) -> DeploymentPlan:
    one = Deployment(pipeline, names, clients(), polling())
    return one.plan({**UNMAPPED, **settings}, bucket, f"t{next(_TICKETS)}")


def deploy(
    names: Names,
    pipeline: Pipeline = RISK,
    on_event: Callable[[StackEvent], None] = lambda _: None,
    bucket: str | None = None,
    **settings: str,
) -> StackState:
    found = plan(names, pipeline, bucket, **settings)
    return Deployment(pipeline, names, clients(), polling()).apply(found, on_event)


def discard(names: Names, found: DeploymentPlan) -> None:
    Deployment(RISK, names, clients(), polling()).discard(found)


def deployed(names: Names) -> DeployedDefinition:
    return deployment.read_definition(names, clients().dynamodb)


def current(names: Names) -> StackState | None:
    return CloudFormationStack(names.stack, clients().cloudformation, polling()).state()


def remove(names: Names) -> None:
    removal = Removal(names, clients(), polling())
    removal.delete_stack(removal.inventory(), lambda _: None)
    removal.delete_tables()


# making a stack


def test_a_stack_comes_to_be_with_all_its_parts(names: Names) -> None:
    events: list[StackEvent] = []
    made = deploy(names, on_event=events.append, ShardCount="3", StateBatchSize="123", RetentionHours="72")
    assert made.status == "CREATE_COMPLETE"
    assert {event.resource for event in events} >= {
        "Stream",
        "StateTable",
        "StateFunction",
        "StateMapping",
        names.stack,
    }
    summary = client("kinesis").describe_stream_summary(StreamName=names.stream)["StreamDescriptionSummary"]
    assert (summary["OpenShardCount"], summary["RetentionPeriodHours"]) == (3, 72)
    reduce_table = clients().dynamodb.describe_table(TableName=names.reduce_table)["Table"]
    assert reduce_table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert reduce_table["DeletionProtectionEnabled"]
    mappings = {
        mapping["FunctionArn"].rpartition(":")[2]: mapping
        for mapping in client("lambda").list_event_source_mappings()["EventSourceMappings"]
    }
    assert mappings[names.state_function]["BatchSize"] == 123
    assert mappings[names.state_function]["EventSourceArn"] == made.outputs["StreamArn"]
    assert mappings[names.reduce_function]["EventSourceArn"] == reduce_table["LatestStreamArn"]
    assert deployed(names).accepts(RISK)


def test_the_functions_code_is_the_package(names: Names) -> None:
    made = deploy(names)
    stored = clients().s3.get_object(Bucket=made.outputs["CodeBucket"], Key=made.outputs["CodeKey"])
    data = stored["Body"].read()
    assert data == build(RISK).data
    assert hashlib.sha256(data).hexdigest() in made.outputs["CodeKey"]
    function = client("lambda").get_function(FunctionName=names.state_function)["Configuration"]
    assert base64.b64decode(function["CodeSha256"]) == hashlib.sha256(data).digest()


@full_only("a stack of its own, 1 to 3 s")
def test_the_bucket_is_made_private_encrypted_and_for_tls_alone(names: Names) -> None:
    made = deploy(names)
    bucket = made.outputs["CodeBucket"]
    assert bucket == "oncefold-000000000000-us-east-1"
    closed = clients().s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(closed.values()) == {True}
    (denied,) = json.loads(clients().s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "s3:*")
    assert denied["Resource"] == [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    rules = clients().s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_whatever_is_done_to_the_bucket_of_the_account_names_its_owner() -> None:
    calls: list[tuple[str, dict[str, Any]]] = []

    class Recording:
        def __getattr__(self, name: str) -> Any:
            return lambda **request: calls.append((name, request))

    bucket = Bucket.of_account("123456789012", "cn-north-1")
    assert bucket.exists(Recording())
    bucket.make(Recording())
    bucket.put("key", build(RISK), Recording())
    names = [name for name, _ in calls]
    assert names.index("put_public_access_block") < names.index("put_object")
    assert all(request["ExpectedBucketOwner"] == "123456789012" for name, request in calls if name != "create_bucket")
    assert "arn:aws-cn:s3:::" in dict(calls)["put_bucket_policy"]["Policy"]


@full_only("a stack of its own, 1 to 3 s")
def test_a_bucket_of_ones_own_is_used_and_kept(names: Names) -> None:
    with pytest.raises(OncefoldError, match="there is no bucket chosen-bucket; make it, or leave --bucket out"):
        plan(names, bucket="chosen-bucket")
    clients().s3.create_bucket(Bucket="chosen-bucket")
    assert deploy(names, bucket="chosen-bucket").outputs["CodeBucket"] == "chosen-bucket"
    assert deploy(names, WIDER).outputs["CodeBucket"] == "chosen-bucket"


def test_a_plan_that_is_discarded_leaves_nothing(names: Names) -> None:
    found = plan(names)
    assert found.change_set is not None
    assert found.change_set.new
    assert {change.action for change in found.change_set.changes} == {"Add"}
    discard(names, found)
    assert current(names) is None
    assert not deployed(names).table
    assert names.stream not in client("kinesis").list_streams()["StreamNames"]


def test_a_plan_that_cannot_be_carried_out_leaves_nothing(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OncefoldError("no room")

    monkeypatch.setattr(Bucket, "put", full)
    with pytest.raises(OncefoldError, match="no room"):
        deploy(names)
    assert current(names) is None


# changing a stack


def test_nothing_to_change_is_said_and_done(names: Names) -> None:
    first = deploy(names)
    again = plan(names)
    assert again.change_set is None
    assert again.parameters == []
    assert Deployment(RISK, names, clients(), polling()).apply(again, lambda _: None) == first


@full_only("a stack of its own, 1 to 3 s")
def test_parameters_that_are_not_named_stay(names: Names) -> None:
    deploy(names, StateBatchSize="77", LogRetentionDays="7")
    found = plan(names, LogRetentionDays="14")
    assert found.parameters == [ParameterChange("LogRetentionDays", "7", "14")]
    assert found.change_set is not None
    assert {change.name for change in found.change_set.changes} == {"StateLog", "ReduceLog", "SweepLog"}
    discard(names, found)
    assert parameters(names)["LogRetentionDays"] == "7"
    deploy(names, LogRetentionDays="14")
    assert parameters(names)["LogRetentionDays"] == "14"
    assert parameters(names)["StateBatchSize"] == "77"


def parameters(names: Names) -> Mapping[str, str]:
    found = current(names)
    assert found is not None
    return found.parameters


# the definition in force


def test_a_wider_definition_goes_on_with_the_tables(names: Names) -> None:
    deploy(names)
    found = plan(names, WIDER)
    assert len(found.definition) == 2
    assert found.definition[1].startswith("+ value = ")
    assert found.definition[1].endswith('missing = "zero" }')
    deploy(names, WIDER)
    now = deployed(names)
    assert now.accepts(WIDER)
    assert now.fingerprints == {RISK.fingerprint, WIDER.fingerprint}


def test_the_tables_accept_a_definition_before_any_function_has_it(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(names)

    def look(*_: Any) -> StackState:
        assert deployed(names).accepts(WIDER)
        assert RISK.fingerprint in deployed(names).fingerprints
        raise OncefoldError("as far as it goes")

    monkeypatch.setattr(CloudFormationStack, "execute", look)
    with pytest.raises(OncefoldError, match="as far as it goes"):
        deploy(names, WIDER)


def test_a_definition_that_means_something_else_is_refused_before_anything_happens(names: Names) -> None:
    deploy(names)
    before = current(names)
    with pytest.raises(
        DefinitionError, match=r"would change what its totals mean: .*value: scale was 2 and is now 3\. D"
    ):
        plan(names, OTHER)
    assert current(names) == before
    assert deployed(names) == DeployedDefinition(True, to_toml(RISK), frozenset({RISK.fingerprint}), protocol=PROTOCOL)


@full_only("a stack of its own, 1 to 3 s")
def test_what_a_rebuild_keeps_with_the_definition_stays(names: Names) -> None:
    deploy(names)
    kept = {"epoch": {"N": "7"}, "rebuild": UnderWay(9, "first", 8, "", 1).attribute}
    item = {**definition_item(RISK), **kept}
    clients().dynamodb.put_item(TableName=names.aggregate_table, Item=item)
    deploy(names, WIDER)
    found = clients().dynamodb.get_item(TableName=names.aggregate_table, Key=DEFINITION_KEY)["Item"]
    assert deployed(names).accepts(WIDER)
    assert {name: found[name] for name in kept} == kept


@full_only("a stack of its own, 1 to 3 s")
def test_a_definition_from_before_epochs_gets_one(names: Names) -> None:
    deploy(names)
    old = {name: value for name, value in definition_item(RISK).items() if name not in {"epoch", "protocol"}}
    clients().dynamodb.put_item(TableName=names.aggregate_table, Item=old)
    assert not deployed(names).accepts(RISK)
    deploy(names)
    assert deployed(names).accepts(RISK)


def test_a_definition_that_keys_suffice_for_is_a_matter_of_a_rebuild(names: Names) -> None:
    deploy(names)
    more = parse_toml(to_toml(RISK).replace("[measures]\n", "all = []\n[measures]\n"))
    with pytest.raises(DefinitionError, match=r"What each key keeps suffices.* oncefold aws rebuild --definition FILE"):
        plan(names, more)
    item = definition_item(RISK)
    under = UnderWay(9, "first", 8, "", 1, to_toml(more))
    clients().dynamodb.put_item(TableName=names.aggregate_table, Item={**item, "rebuild": under.attribute})
    for pipeline in (more, WIDER):
        with pytest.raises(DefinitionError, match=r"a rebuild under a new definition is under way"):
            plan(names, pipeline)
    deploy(names)
    switched = {**definition_item(more, frozenset(item["fingerprints"]["SS"])), "kept": item["toml"]}
    clients().dynamodb.put_item(TableName=names.aggregate_table, Item=switched)
    deploy(names, more)
    assert deployed(names).accepts(more)
    with pytest.raises(DefinitionError, match=r"\[rollups\] were .*What each key keeps suffices"):
        plan(names, RISK)
    wider = parse_toml(to_toml(more).replace('missing = "reject"', 'missing = "zero"'))
    with pytest.raises(DefinitionError, match="which of them are rejected cannot change any more"):
        plan(names, wider)


def test_a_deployment_that_was_planned_before_a_rebuild_changes_no_definition(names: Names) -> None:
    deploy(names)
    mine = plan(names, WIDER)
    under = UnderWay(9, "first", 8, "", 1, to_toml(OTHER))
    item = {**definition_item(RISK), "rebuild": under.attribute}
    clients().dynamodb.put_item(TableName=names.aggregate_table, Item=item)
    with pytest.raises(OncefoldError, match="changed by another deployment meanwhile"):
        Deployment(WIDER, names, clients(), polling()).apply(mine, lambda _: None)
    assert deployed(names).toml == to_toml(RISK)


def test_what_was_widened_is_not_narrowed_again(names: Names) -> None:
    deploy(names, WIDER)
    with pytest.raises(DefinitionError, match="missing was zero and is now reject"):
        plan(names, RISK)


@full_only("a stack of its own, 1 to 3 s")
def test_two_deployments_at_once_do_not_both_change_the_definition(names: Names) -> None:
    deploy(names)
    mine = plan(names, WIDER)
    theirs = parse_toml(to_toml(WIDER).replace("scale = 2", 'scale = 2, round = "half-even"'))
    deploy(names, theirs)
    with pytest.raises(OncefoldError, match="changed by another deployment meanwhile; deploy again"):
        Deployment(WIDER, names, clients(), polling()).apply(mine, lambda _: None)
    assert deployed(names).accepts(theirs)


@full_only("a stack of its own, 1 to 3 s")
def test_tables_without_a_definition_get_it_before_the_functions_change(names: Names) -> None:
    deploy(names)
    clients().dynamodb.delete_item(TableName=names.aggregate_table, Key=DEFINITION_KEY)
    assert plan(names).change_set is None
    deploy(names)
    assert deployed(names).accepts(RISK)


def test_tables_that_an_earlier_stack_left_keep_their_meaning(names: Names) -> None:
    make_tables(names, clients().dynamodb)
    clients().dynamodb.put_item(TableName=names.aggregate_table, Item=definition_item(RISK))
    with pytest.raises(DefinitionError, match="would change what its totals mean"):
        plan(names, OTHER)
    found = plan(names, WIDER)
    assert found.deployed.table
    discard(names, found)


# failures


@full_only("a stack of its own, 1 to 3 s")
def test_what_failed_first_is_named_and_the_stack_can_be_made_after_all(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = deployment.template

    def broken(pipeline: Pipeline, of: Names, mode: str) -> dict[str, Any]:
        document = real(pipeline, of, mode)
        document["Resources"]["Broken"] = {"Type": "AWS::Nothing::Such", "DependsOn": ["StateMapping"]}
        return document

    with monkeypatch.context() as patch:
        patch.setattr(deployment, "template", broken)
        with pytest.raises(
            OncefoldError, match=r"Broken \(AWS::Nothing::Such\) failed: Unsupported .* ROLLBACK_COMPLETE"
        ):
            deploy(names)
    with pytest.raises(OncefoldError, match="is in ROLLBACK_COMPLETE: its creation failed and was undone"):
        deploy(names)
    remove(names)
    assert deploy(names).status == "CREATE_COMPLETE"


# removing a stack


def test_a_stack_and_its_protected_tables_are_removed(names: Names) -> None:
    deploy(names)
    removal = Removal(names, clients(), polling())
    inventory = removal.inventory()
    assert len(inventory.tables) == 4
    assert {part.physical_name for part in inventory.parts} >= {names.stream, names.state_function, *inventory.tables}
    assert inventory.code is not None
    assert build(RISK).sha256 in inventory.code
    remove(names)
    assert current(names) is None
    assert removal.tables() == []
    with pytest.raises(OncefoldError, match="there is none in account 000000000000, region us-east-1"):
        removal.inventory()


def test_tables_without_a_stack_can_be_removed(names: Names) -> None:
    make_tables(names, clients().dynamodb)
    clients().dynamodb.update_table(TableName=names.state_table, DeletionProtectionEnabled=True)
    removal = Removal(names, clients(), polling())
    inventory = removal.inventory()
    assert inventory.current is None
    assert inventory.parts == []
    remove(names)
    assert removal.tables() == []


def test_the_account_is_reached_by_the_standard_chain(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(OncefoldError, match="You must specify a region"):
        DeployClients.connect()


@pytest.mark.parametrize(
    ("before", "wanted", "advice"),
    [
        ({"ShardCount": "4"}, {"ShardCount": "9"}, "to 2 to 8 in one step, not to 9; .*ShardCount=8"),
        ({"ShardCount": "5"}, {"ShardCount": "2"}, "to 3 to 10 in one step, not to 2; .*ShardCount=3"),
        ({}, {"ShardCount": "3"}, "from 1 shards"),
        ({"ShardCount": "4"}, {"ShardCount": "8"}, None),
        ({"ShardCount": "5"}, {"ShardCount": "3"}, None),
        ({"ShardCount": "4"}, {}, None),
        ({"ShardCount": "4", "StreamMode": "ON_DEMAND"}, {"ShardCount": "90"}, None),
        ({"ShardCount": "4"}, {"ShardCount": "90", "StreamMode": "ON_DEMAND"}, None),
        (None, {"ShardCount": "900"}, None),
    ],
)
def test_shards_change_as_far_as_kinesis_goes_in_one_step(
    before: dict[str, str] | None, wanted: dict[str, str], advice: str | None
) -> None:
    if advice is None:
        deployment._check_shards(before, wanted, Names("s"))
    else:
        with pytest.raises(OncefoldError, match=advice):
            deployment._check_shards(before, wanted, Names("s"))
