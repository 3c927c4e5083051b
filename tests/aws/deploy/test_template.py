"""The template: valid, whole, within CloudFormation's limits, and one with the code that it deploys."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oncefold.aws.deploy.parameters import EVERY, PARAMETERS, parse, parse_tags, whole_numbers
from oncefold.aws.deploy.permissions import failure_bucket
from oncefold.aws.deploy.template import template
from oncefold.aws.deploy.template_text import MOST_BYTES, as_json, as_yaml
from oncefold.aws.functions import handlers, report
from oncefold.aws.functions.guard import ECONOMY, MODES, STANDARD
from oncefold.aws.functions.plan import EVENT_NODES
from oncefold.aws.functions.reduce import Reduced
from oncefold.aws.functions.report import Invocation
from oncefold.aws.functions.sweep import Swept
from oncefold.aws.names import STACK_CHARS, Names
from oncefold.core.errors import DefinitionError, OncefoldError
from oncefold.dynamodb.calls import Meter
from tests.aws.deploy.pipelines import ALL, COUNTS, RISK, tree
from tests.tools.sizes import full_only

NAMES = Names("oncefold-risk")
KEY = {"Fn::If": ["Keyed", {"Ref": "KmsKeyArn"}, {"Ref": "AWS::NoValue"}]}
GUIDE = Path(__file__).parents[3] / "docs" / "AWS_DEPLOY.md"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return template(RISK, NAMES)


def all_of(document: dict[str, Any], type_: str) -> dict[str, dict[str, Any]]:
    """Properties of the resources of a type, by name."""
    return {
        name: resource["Properties"] for name, resource in document["Resources"].items() if resource["Type"] == type_
    }


def references(value: Any) -> Iterator[str]:
    """Every parameter and resource that is referred to."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "Ref":
                yield item
            elif name == "Fn::GetAtt":
                yield item[0]
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


@full_only("cfn-lint, 8 s")
def test_cfn_lint_finds_nothing(tmp_path: Path) -> None:
    paths = []
    for pipeline in ALL:
        path = tmp_path / f"{pipeline.name}.json"
        path.write_text(as_json(template(pipeline, Names.of_pipeline(pipeline.name)), indent=2))
        paths.append(str(path))
    economy = tmp_path / "economy.yaml"
    economy.write_text(as_yaml(template(RISK, NAMES, ECONOMY)))
    paths.append(str(economy))
    run = "from cfnlint.runner import main; main()"
    command = [sys.executable, "-c", run, "--include-checks", "I", "--", *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_fits_a_request_and_its_names_fit_lambda() -> None:
    longest = template(COUNTS, Names("n" * STACK_CHARS))
    assert len(as_json(longest).encode()) < MOST_BYTES
    assert all(len(made["FunctionName"]) <= 64 for made in all_of(longest, "AWS::Lambda::Function").values())


def test_it_is_json_and_the_same_every_time(document: dict[str, Any]) -> None:
    assert json.loads(as_json(document)) == document
    assert as_json(template(RISK, NAMES)) == as_json(document)


def test_all_names_are_those_of_the_stack_and_stand_in_it_as_text(document: dict[str, Any]) -> None:
    tables = {made["TableName"] for made in all_of(document, "AWS::DynamoDB::Table").values()}
    assert tables == {NAMES.state_table, NAMES.reduce_table, NAMES.aggregate_table, NAMES.reject_table}
    functions = all_of(document, "AWS::Lambda::Function")
    named = {made["FunctionName"]: made["Handler"] for made in functions.values()}
    assert named.keys() == {NAMES.state_function, NAMES.reduce_function, NAMES.sweep_function}
    assert [made["Name"] for made in all_of(document, "AWS::Kinesis::Stream").values()] == [NAMES.stream]
    assert [made["QueueName"] for made in all_of(document, "AWS::SQS::Queue").values()] == [NAMES.failure_queue]
    retention = {"ONCEFOLD_REJECT_DAYS": {"Ref": "RejectRetentionDays"}}
    for name, made in functions.items():
        more = retention if name == "StateFunction" else {}
        assert made["Environment"] == {"Variables": {"ONCEFOLD_STACK": NAMES.stack, **more}}


def test_rejects_can_expire_and_nothing_else_does(document: dict[str, Any]) -> None:
    tables = all_of(document, "AWS::DynamoDB::Table")
    assert tables["RejectTable"]["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    assert not any("TimeToLiveSpecification" in made for name, made in tables.items() if name != "RejectTable")


def test_every_handler_is_there(document: dict[str, Any]) -> None:
    for made in all_of(document, "AWS::Lambda::Function").values():
        module, _, name = made["Handler"].rpartition(".")
        assert module == handlers.__name__
        assert made["FunctionName"] == f"{NAMES.stack}-{name}"
        assert callable(getattr(handlers, name))


def test_no_table_can_be_lost_with_the_stack(document: dict[str, Any]) -> None:
    tables = [made for made in document["Resources"].values() if made["Type"] == "AWS::DynamoDB::Table"]
    assert len(tables) == 4
    for made in tables:
        assert made["DeletionPolicy"] == made["UpdateReplacePolicy"] == "Retain"
        assert made["Properties"]["BillingMode"] == "PAY_PER_REQUEST"
        assert made["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert made["Properties"]["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY}


def test_a_batch_that_fails_is_cut_reported_and_kept(document: dict[str, Any]) -> None:
    mappings = all_of(document, "AWS::Lambda::EventSourceMapping")
    assert mappings.keys() == {"StateMapping", "ReduceMapping"}
    for made in mappings.values():
        assert made["BisectBatchOnFunctionError"] is True
        assert made["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert made["StartingPosition"] == "TRIM_HORIZON"
        destination = made["DestinationConfig"]["OnFailure"]["Destination"]
        assert destination == {"Fn::If": ["ToBucket", failure_bucket(), {"Fn::GetAtt": ["FailureQueue", "Arn"]}]}
    (pattern,) = mappings["ReduceMapping"]["FilterCriteria"]["Filters"]
    assert json.loads(pattern["Pattern"]) == {"eventName": ["INSERT"]}


def test_a_failure_that_is_no_records_own_stalls_the_stream_and_discards_nothing() -> None:
    assert PARAMETERS["StateRetries"].default == PARAMETERS["StateMaxAgeSeconds"].default == -1


def test_a_failure_bucket_is_closed_encrypted_for_tls_alone_and_drops_what_is_old(document: dict[str, Any]) -> None:
    made = document["Resources"]["FailedBatchesBucket"]
    assert made["Condition"] == "NewBucket"
    assert made["DeletionPolicy"] == made["UpdateReplacePolicy"] == "Retain"
    properties = made["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = properties["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == {"Ref": "FailureRetentionDays"}
    (statement,) = document["Resources"]["FailedBatchesPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_the_queue_is_told_of_objects_of_the_stacks_own_mappings(document: dict[str, Any]) -> None:
    resources = document["Resources"]
    rule = resources["FailureRule"]
    assert rule["Condition"] == resources["FailureQueuePolicy"]["Condition"] == "ToBucket"
    wanted = rule["Properties"]["EventPattern"]["detail"]["object"]["key"]
    mappings = [name for name in resources if resources[name]["Type"] == "AWS::Lambda::EventSourceMapping"]
    assert wanted == [{"prefix": {"Fn::Sub": f"aws/lambda/${{{name}}}/"}} for name in mappings]
    (statement,) = resources["FailureQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["FailureRule", "Arn"]}}}


def test_the_alarms_are_about_metrics_that_the_functions_publish(document: dict[str, Any]) -> None:
    published = report.sweep_counts(Swept(Reduced()))
    alarms = all_of(document, "AWS::CloudWatch::Alarm").values()
    own = [made for made in alarms if made["Namespace"] == report.NAMESPACE]
    swept = [made for made in own if made["MetricName"] != "rejected"]
    assert {made["MetricName"] for made in swept} == {"OutboxItems", "OutboxAgeSeconds", "refused"} <= published.keys()
    assert all(made["Dimensions"] == [{"Name": "stack", "Value": NAMES.stack}] for made in swept)
    (rejected,) = (made for made in own if made["MetricName"] == "rejected")
    logged = json.loads(report.line(Invocation("state", NAMES.stack, "r", 0.0, 0.0, 0), {"rejected": 1}, Meter()))
    assert rejected["Dimensions"] == [{"Name": name, "Value": logged[name]} for name in ("stack", "function")]
    (described,) = logged["_aws"]["CloudWatchMetrics"]
    assert described["Dimensions"] == [["stack", "function"]]
    assert "rejected" in {metric["Name"] for metric in described["Metrics"]}
    of_tables = {
        (made["MetricName"], made["Dimensions"][0]["Value"]["Ref"])
        for made in alarms
        if "DynamoDB" in made["Namespace"]
    }
    assert {("WriteThrottleEvents", "ReduceTable"), ("TransactionConflict", "AggregateTable")} <= of_tables
    of_queue = {made["MetricName"] for made in alarms if made["Namespace"] == "AWS/SQS"}
    assert of_queue == {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}
    of_lambda = [made for made in alarms if made["Namespace"] == "AWS/Lambda"]
    watched = {(made["MetricName"], made["Dimensions"][0]["Value"]["Ref"]) for made in of_lambda}
    for function in ("StateFunction", "ReduceFunction", "SweepFunction"):
        assert {("Errors", function), ("Throttles", function)} <= watched
    assert {("IteratorAge", "StateFunction"), ("IteratorAge", "ReduceFunction")} <= watched


def test_the_alarm_about_the_outbox_is_quiet_on_a_new_stack_and_loud_when_the_sweeper_stops(
    document: dict[str, Any],
) -> None:
    made = all_of(document, "AWS::CloudWatch::Alarm")["OutboxAge"]
    assert made["TreatMissingData"] == {"Fn::If": ["Mapped", "missing", "notBreaching"]}
    assert made["InsufficientDataActions"] == made["AlarmActions"]


def test_the_accounts_own_key_encrypts_all_that_the_stack_keeps(document: dict[str, Any]) -> None:
    for made in all_of(document, "AWS::Logs::LogGroup").values():
        assert made["KmsKeyId"] == KEY
    (stream,) = all_of(document, "AWS::Kinesis::Stream").values()
    assert stream["StreamEncryption"]["KeyId"] == {"Fn::If": ["Keyed", {"Ref": "KmsKeyArn"}, "alias/aws/kinesis"]}
    (queue,) = all_of(document, "AWS::SQS::Queue").values()
    assert queue["KmsMasterKeyId"] == KEY
    assert queue["SqsManagedSseEnabled"] == {"Fn::If": ["Keyed", {"Ref": "AWS::NoValue"}, True]}
    (bucket,) = all_of(document, "AWS::S3::Bucket").values()
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == KEY
    (policy,) = all_of(document, "AWS::IAM::ManagedPolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Resource"] == {"Ref": "KmsKeyArn"}
    assert not [action for action in statement["Action"] if "*" in action]
    assert [*statement["Condition"]["StringLike"]] == ["kms:ViaService"]
    attached = {"Fn::If": ["Keyed", {"Ref": "KeyPolicy"}, {"Ref": "AWS::NoValue"}]}
    roles = all_of(document, "AWS::IAM::Role")
    assert all(attached in roles[f"{name}Role"]["ManagedPolicyArns"] for name in ("State", "Reduce", "Sweep"))


def test_a_stream_that_is_there_is_read_and_none_is_made(document: dict[str, Any]) -> None:
    assert document["Resources"]["Stream"]["Condition"] == "NewStream"
    source = {"Fn::If": ["NewStream", {"Fn::GetAtt": ["Stream", "Arn"]}, {"Ref": "StreamArn"}]}
    assert all_of(document, "AWS::Lambda::EventSourceMapping")["StateMapping"]["EventSourceArn"] == source
    (statement,) = (
        one
        for one in all_of(document, "AWS::IAM::Role")["StateRole"]["Policies"][0]["PolicyDocument"]["Statement"]
        if "kinesis:GetRecords" in one.get("Action", ())
    )
    assert statement["Resource"] == source


@pytest.mark.parametrize(("mode", "functions"), [(STANDARD, "State Reduce"), (ECONOMY, "State Net Reduce")])
def test_events_are_shifted_to_a_new_version_and_back_if_an_alarm_goes_off(mode: str, functions: str) -> None:
    document = template(RISK, NAMES, mode)
    mappings = all_of(document, "AWS::Lambda::EventSourceMapping")
    assert {name.removesuffix("Mapping") for name in mappings} == {*functions.split()}
    for name in functions.split():
        called = {"Fn::If": ["Released", {"Ref": f"{name}Alias"}, {"Fn::GetAtt": [f"{name}Function", "Arn"]}]}
        assert mappings[f"{name}Mapping"]["FunctionName"] == called
        alias = document["Resources"][f"{name}Alias"]
        assert alias["Condition"] == "Released"
        assert alias["Properties"]["FunctionVersion"] == {"Fn::GetAtt": [f"{name}Version", "Version"]}
        shifting = {"ApplicationName": {"Ref": "Releases"}, "DeploymentGroupName": {"Ref": f"{name}Release"}}
        assert alias["UpdatePolicy"] == {"CodeDeployLambdaAliasUpdate": shifting}
        group = document["Resources"][f"{name}Release"]
        assert group["Condition"] == "Released"
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["Properties"]["AutoRollbackConfiguration"]["Events"]
        alarms = {one["Name"]["Ref"] for one in group["Properties"]["AlarmConfiguration"]["Alarms"]}
        assert (
            {f"{one}Errors" for one in functions.split()} <= alarms <= all_of(document, "AWS::CloudWatch::Alarm").keys()
        )


@pytest.mark.parametrize("mode", MODES)
def test_what_a_version_is_made_of_makes_it_another(mode: str) -> None:
    """CloudFormation publishes a version where the description changes, and never changes one in place."""
    document = template(RISK, NAMES, mode)
    for name, version in all_of(document, "AWS::Lambda::Version").items():
        function = all_of(document, "AWS::Lambda::Function")[name.replace("Version", "Function")]
        description = version["Description"]["Fn::Sub"]
        of_function = {made for made in references(function) if made in EVERY}
        of_elsewhere = {"CodeBucket", "SubnetIds", "SecurityGroupIds", f"{name.removesuffix('Version')}Concurrency"}
        assert of_function - of_elsewhere <= set(re.findall(r"\$\{(.*?)\}", description))
        assert document["Resources"][name]["UpdateReplacePolicy"] == "Retain"


def test_tables_take_at_once_what_is_set(document: dict[str, Any]) -> None:
    tables = all_of(document, "AWS::DynamoDB::Table")
    for name in ("State", "Reduce", "Aggregate"):
        condition, warm, _ = tables[f"{name}Table"]["WarmThroughput"]["Fn::If"]
        assert condition == f"{name}Warm"
        assert warm["WriteUnitsPerSecond"] == {"Ref": f"{name}WarmWriteUnits"}
    assert "WarmThroughput" not in tables["RejectTable"]


def test_roles_are_bounded_if_a_boundary_is_given(document: dict[str, Any]) -> None:
    bounded = {"Fn::If": ["Bounded", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]}
    roles = all_of(document, "AWS::IAM::Role").values()
    assert len(roles) == 4
    assert all(made["PermissionsBoundary"] == bounded for made in roles)


@pytest.mark.parametrize("tag", ["team", "=risk", "aws:team=risk", "Aws:x=1", "n" * 129 + "=1", "n=" + "v" * 257])
def test_what_aws_takes_for_no_tag_is_refused(tag: str) -> None:
    assert parse_tags(["team=risk", "stage=", "url=a=b"]) == {"team": "risk", "stage": "", "url": "a=b"}
    with pytest.raises(OncefoldError, match="--tag"):
        parse_tags([tag])


def test_every_parameter_has_an_effect_and_is_in_the_guide(document: dict[str, Any]) -> None:
    used = {*references(document["Resources"]), *references(document["Conditions"])}
    assert PARAMETERS.keys() == document["Parameters"].keys()
    assert PARAMETERS.keys() <= used
    guide = GUIDE.read_text(encoding="utf-8")
    for name, parameter in PARAMETERS.items():
        default = "" if parameter.default in {None, ""} else f"`{parameter.default}`"
        assert f"| `{name}` | {default} | {parameter.description} |".replace("|  |", "| |") in guide, name


def test_defaults_are_within_their_own_bounds() -> None:
    settings = [f"{name}={value.default}" for name, value in PARAMETERS.items() if value.default is not None]
    assert len(parse(settings)) == len(settings) == len(PARAMETERS) - 2


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("ShardCount", "write it as Name=Value"),
        ("Shards=4", "--parameter Shards: no such parameter; did you mean ShardCount?"),
        ("Timeout=4", "no such parameter; did you mean NetTimeoutSeconds?"),
        ("zzz=4", "no such parameter; known are AggregateWarmWriteUnits, Alarm"),
        ("CodeKey=x", "no such parameter"),
        ("ShardCount=0", "'0' is no whole number from 1 to 10,000"),
        ("ShardCount=four", "'four' is no whole number"),
        ("StateRetries=-2", "'-2' is no whole number from -1"),
        ("StreamMode=fast", "'fast' is not one of PROVISIONED, ON_DEMAND"),
        ("StreamArn=trades", "'trades' is none: ARN of a stream that is there"),
        ("KmsKeyArn=alias/mine", "'alias/mine' is none: ARN of the KMS key"),
        ("StateMaxAgeSeconds=0", "'0' is no whole number from 60 to 604,800, nor -1"),
        ("ReduceMaxAgeSeconds=59", "'59' is no whole number from 60"),
        ("StateMaxAgeSeconds=604801", "'604801' is no whole number"),
        ("LogRetentionDays=2", "'2' is not one of 1, 3, 5"),
    ],
)
def test_settings_that_no_parameter_has_are_refused(setting: str, message: str) -> None:
    with pytest.raises(OncefoldError, match=message.replace("?", r"\?")):
        parse([setting])


def test_arns_of_streams_and_keys_are_taken() -> None:
    arns = {
        "StreamArn": "arn:aws-us-gov:kinesis:us-gov-west-1:123456789012:stream/trades_1.2",
        "KmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/mrk-1234abcd",
    }
    assert parse(f"{name}={arn}" for name, arn in arns.items()) == arns


def test_a_pipeline_that_dynamodb_cannot_hold_gets_no_template() -> None:
    with pytest.raises(DefinitionError, match="could not hold a single event"):
        template(tree(EVENT_NODES, 1), NAMES)


def test_the_age_of_a_record_is_checked_as_lambda_does(document: dict[str, Any]) -> None:
    assert parse(["StateMaxAgeSeconds=-1", "ReduceMaxAgeSeconds=60"]).keys() == {
        "StateMaxAgeSeconds",
        "ReduceMaxAgeSeconds",
    }
    for name in ("StateMaxAgeSeconds", "ReduceMaxAgeSeconds"):
        allowed = re.compile(document["Parameters"][name]["AllowedPattern"])
        assert allowed.fullmatch(str(PARAMETERS[name].default))
        for number in [-2, -1, *range(200), *range(1, 604_900, 997), 604_800, 604_801, 999_999]:
            assert bool(allowed.fullmatch(str(number))) == (number == -1 or 60 <= number <= 604_800), number


@pytest.mark.parametrize(("least", "most"), [(0, 0), (0, 9), (1, 10), (7, 1234), (60, 999), (100, 100), (99, 1000)])
def test_patterns_match_exactly_the_numbers_of_a_range(least: int, most: int) -> None:
    allowed = re.compile("|".join(whole_numbers(least, most)))
    assert [number for number in range(1500) if allowed.fullmatch(str(number))] == [*range(least, most + 1)]


def spelled_out(metrics: list[list[Any]]) -> Iterator[tuple[Any, ...]]:
    """Metrics with what a point stands for: the same as in the metric before."""
    before: tuple[Any, ...] = ()
    for metric in metrics:
        before = tuple(before[index] if part == "." else part for index, part in enumerate(metric))
        yield before


@pytest.mark.parametrize(("mode", "also"), [(STANDARD, set()), (ECONOMY, {("Oncefold", "StreamLost")})])
def test_the_dashboard_shows_every_alarm_and_metrics_that_there_are(mode: str, also: set[tuple[str, str]]) -> None:
    """Its body is JSON once CloudFormation has filled in the region and the alarms."""
    document = template(RISK, NAMES, mode)
    (made,) = all_of(document, "AWS::CloudWatch::Dashboard").values()
    body = made["DashboardBody"]["Fn::Sub"]
    alarms = all_of(document, "AWS::CloudWatch::Alarm")
    filled = {"AWS::Region", "AWS::StackName", *(f"{name}.Arn" for name in alarms)}
    assert set(re.findall(r"\$\{(.*?)\}", body)) == filled
    states, *graphs = json.loads(body)["widgets"]
    assert len(states["properties"]["alarms"]) == len(alarms)
    watched = {(one["Namespace"], one["MetricName"]) for one in alarms.values()}
    shown = {metric[:2] for graph in graphs for metric in spelled_out(graph["properties"]["metrics"])}
    assert watched - shown == {
        ("AWS/Lambda", "Throttles"), ("Oncefold", "refused"), ("AWS/SQS", "ApproximateAgeOfOldestMessage"), *also,
    }  # fmt: skip
    places = [(graph["x"], graph["y"]) for graph in graphs]
    assert len(set(places)) == len(places)
