"""The emulator comes up, keeps DynamoDB's digits, and goes with the process that started it."""

import subprocess
import sys

import pytest

from oncefold.aws.connect import client
from oncefold.aws.names import Names
from oncefold.core.errors import OncefoldError
from oncefold_lab.local.emulator import Emulator
from tests.tools.waiting import until


def test_a_stack_of_tables_and_a_stream_is_there(stack: Names) -> None:
    pages = client("dynamodb").get_paginator("list_tables").paginate()
    tables = {name for page in pages for name in page["TableNames"]}
    assert {stack.state_table, stack.reduce_table, stack.aggregate_table, stack.reject_table} <= tables
    shards = client("kinesis").list_shards(StreamName=stack.stream)["Shards"]
    assert len(shards) == 2


def test_numbers_add_to_38_digits(stack: Names) -> None:
    table, key = stack.reject_table, {"id": {"S": "sum"}}
    for value in ("12345678901234567890123456789012345.678", "0.001"):
        client("dynamodb").update_item(
            TableName=table,
            Key=key,
            UpdateExpression="ADD amount :value",
            ExpressionAttributeValues={":value": {"N": value}},
        )
    item = client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    assert item["amount"]["N"] == "12345678901234567890123456789012345.679"


def test_it_ends_with_the_process_that_started_it() -> None:
    child = subprocess.run([sys.executable, "-c", _ABANDON], stdout=subprocess.PIPE, check=False, timeout=60, text=True)
    port = int(child.stdout)
    until(lambda: not Emulator(port).answers(), "the emulator is gone")


_ABANDON = """
import os
from oncefold_lab.local.emulator import Emulator, free_port
port = free_port()
Emulator(port).start()
print(port, flush=True)
os._exit(9)
"""


def test_a_name_that_cloudformation_refuses_is_refused() -> None:
    with pytest.raises(OncefoldError, match="no name for a stack"):
        Names("9_lives")
