"""`oncefold.once` as a zip for functions of the user's own, and the CloudFormation of its ledger."""

from typing import Any

from oncefold.aws.deploy.package import Package, modules, name_in_zip, zipped
from oncefold.core.errors import OncefoldError

ENTRY = "oncefold.once"
MOST_BYTES = 50_000
_ROOT = '"""The part of Oncefold that functions import: oncefold.once."""\n'
_LAYER = "python/"
"""Where Lambda looks for modules within a layer."""


def build(*, layer: bool = False) -> Package:
    """The library's modules and what they import, with botocore left to Lambda's runtime. The same bytes every time.

    Raises OncefoldError if it has become too large.
    """
    files = {name_in_zip(path): path.read_bytes() for path in modules(ENTRY, root=False).values()}
    files["oncefold/__init__.py"] = _ROOT.encode()
    data = zipped({(_LAYER if layer else "") + name: content for name, content in files.items()})
    if len(data) > MOST_BYTES:
        raise OncefoldError(
            f"the library's zip has {len(data):,} bytes, more than {MOST_BYTES:,}; drop what it imports"
        )
    return Package(data)


def template(table: str, ledger: str) -> dict[str, Any]:
    """A template of the ledger, and of a policy with all that the counters call and nothing else."""
    tables = {
        "Counters": {"Fn::Sub": f"arn:${{AWS::Partition}}:dynamodb:${{AWS::Region}}:${{AWS::AccountId}}:table/{table}"},
        "Ledger": {"Fn::GetAtt": ["Ledger", "Arn"]},
    }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"The ledger {ledger} of the counters in {table}, and what their function may do",
        "Resources": {
            "Ledger": {
                "Type": "AWS::DynamoDB::Table",
                "DeletionPolicy": "Retain",
                "UpdateReplacePolicy": "Retain",
                "Properties": {
                    "TableName": ledger,
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                },
            },
            "CountersPolicy": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {
                    "Description": f"Add to the counters in {table}, each record once",
                    "PolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Sid": "AddToCounters",
                                "Effect": "Allow",
                                "Action": ["dynamodb:UpdateItem", "dynamodb:DescribeTable"],
                                "Resource": tables["Counters"],
                            },
                            {
                                "Sid": "KeepTheLedger",
                                "Effect": "Allow",
                                "Action": ["dynamodb:PutItem", "dynamodb:BatchGetItem"],
                                "Resource": tables["Ledger"],
                            },
                        ],
                    },
                },
            },
        },
        "Outputs": {
            "CountersPolicyArn": {
                "Description": "Attach it to the role of the function that counts",
                "Value": {"Ref": "CountersPolicy"},
            }
        },
    }
