"""Functions of the workshop's shape, written for these tests: three folders, each with modules of its own."""

from pathlib import Path

STATE = """
import base64
import json
import random
import time
from decimal import Decimal

import boto3
from botocore.exceptions import ClientError

import constants
import functions


def lambda_handler(event, context):
    database = boto3.resource("dynamodb")
    table = database.Table(constants.TABLE)
    percentage = functions.percentage(database)
    records = event["Records"]
    print("got", len(records))
    for record in records:
        if random.uniform(0, 100) < percentage / len(records):
            raise Exception("on purpose")
        message = json.loads(base64.b64decode(record["kinesis"]["data"]))
        if time.time() - message["Timestamp"] > 60:
            continue
        update(table, message)
    return {"statusCode": 200}


def update(table, message):
    request = {
        "Key": {"id": message["TradeID"]},
        "UpdateExpression": "SET #v = :v, #n = :n, Hierarchy = :h, #t = :t",
        "ExpressionAttributeNames": {"#v": "Value", "#n": "Version", "#t": "Timestamp"},
        "ExpressionAttributeValues": {
            ":v": Decimal(str(message["Value"])),
            ":n": message["Version"],
            ":h": json.dumps(message["Hierarchy"], sort_keys=True),
            ":t": Decimal(str(message["Timestamp"])),
        },
    }
    table.update_item(**request)
"""
CONDITIONAL = """    request["ConditionExpression"] = "attribute_not_exists(id) OR #n < :n"
    try:
        table.update_item(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
"""
MAP = """
import hashlib
import json
import random

import boto3
from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError

import constants
import functions


def lambda_handler(event, context):
    database = boto3.resource("dynamodb")
    sums = {"message_count": 0}
    for record in event["Records"]:
        images = record["dynamodb"]
        functions.add(sums, images["NewImage"], 1)
        if "OldImage" in images:
            functions.add(sums, images["OldImage"], -1)
        sums["message_count"] += 1
    name = hashlib.sha256(str(event["Records"]).encode()).hexdigest()
    try:
        database.Table(constants.TABLE).put_item(
            Item={"MessageId": name, "Message": json.dumps(sums)},
            ConditionExpression=Attr("MessageId").not_exists(),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
    if random.uniform(0, 100) < functions.percentage(database):
        raise Exception("on purpose")
"""
REDUCE = """
import hashlib
import json
import random

import boto3

import constants
import functions


def lambda_handler(event, context):
    totals = {}
    records = event["Records"]
    for record in records:
        for node, value in json.loads(record["dynamodb"]["NewImage"]["Message"]["S"]).items():
            totals[node] = totals.get(node, 0) + value
    batch = [
        {
            "Update": {
                "TableName": constants.TABLE,
                "Key": {"Identifier": {"S": node}},
                "UpdateExpression": "ADD #v :v",
                "ExpressionAttributeNames": {"#v": "Value"},
                "ExpressionAttributeValues": {":v": {"N": str(value)}},
            }
        }
        for node, value in totals.items()
    ]
    boto3.client("dynamodb").transact_write_items(TransactItems=batch)
    if random.uniform(0, 100) < functions.percentage(boto3.resource("dynamodb")):
        raise Exception("on purpose")
"""
TOKEN = "TransactItems=batch, ClientRequestToken=hashlib.md5(str(records).encode()).hexdigest()"
FUNCTIONS = """
import json

import constants


def percentage(database):
    found = database.Table("ParameterTable").get_item(Key={"parameter": constants.PERCENTAGE}, ConsistentRead=True)
    return int(found["Item"]["value"]) if "Item" in found else 0


def add(sums, image, sign):
    labels = json.loads(image["Hierarchy"]["S"])
    path = [labels[level] for level in ("RiskType", "TradeDesk", "Region")]
    for depth in (1, 2, 3):
        node = ":".join(path[:depth])
        sums[node] = sums.get(node, 0) + sign * float(image["Value"]["N"])
"""
PARTS = (("State", STATE, "StateTable"), ("Map", MAP, "ReduceTable"), ("Reduce", REDUCE, "AggregateTable"))


def write(folder: Path, *, fixed: bool) -> Path:
    """Three folders in a folder, as they are handed out, or with the two edits of the workshop's second lab."""
    for name, handed_out, table in PARTS:
        place = folder / f"{name}LambdaPackage"
        place.mkdir(parents=True)
        edited = handed_out.replace("    table.update_item(**request)\n", CONDITIONAL)
        code = edited.replace("TransactItems=batch", TOKEN) if fixed else handed_out
        percentage = f"FAILURE_{name.upper()}_LAMBDA_PCT"
        (place / "lambda_function.py").write_text(code, encoding="utf-8")
        (place / "functions.py").write_text(FUNCTIONS, encoding="utf-8")
        (place / "constants.py").write_text(f"TABLE = {table!r}\nPERCENTAGE = {percentage!r}\n", encoding="utf-8")
    return folder
