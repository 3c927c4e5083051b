"""docs/AWS_IAM.md, made from the list that the roles are made from.

`python -m tests.aws.deploy.iam_page` writes it.
"""

from pathlib import Path

from oncefold.aws.deploy.permissions import ECONOMY_PERMISSIONS, PERMISSIONS, Permission

PAGE = Path(__file__).parents[3] / "docs" / "AWS_IAM.md"

_NAMES = {"State": "StateLambda", "Reduce": "ReduceLambda", "Sweep": "the sweeper", "Net": "NetLambda"}

_HEAD = """\
# Permissions

Each function has a role of its own with the actions below on exactly these resources, and nothing else. The table is
made from `src/oncefold/aws/deploy/permissions.py`, from which the template's roles are made, too.

| function | action | on | call that needs it |
|---|---|---|---|
"""

_TAIL = """
- TransactWriteItems has no action of its own: it needs those of the writes in it.
- A statement on an *item* holds for its partition key alone (`dynamodb:LeadingKeys`).
- The streams and tables are encrypted with keys that AWS manages in the account (`alias/aws/kinesis`,
  `alias/aws/dynamodb`); whoever may use the stream or table may use those, so no action on KMS is needed. The failure
  queue is encrypted with a key of SQS, the failure bucket with one of S3. With `KmsKeyArn` all roles have one more
  policy: {actions} on that key, through services of the region alone (`kms:ViaService`).
- The failure bucket must belong to the stack's account (`s3:ResourceAccount`).
- EventBridge may invoke the sweeper, from the one rule of the stack (`AWS::Lambda::Permission`); Lambda itself invokes
  the two others from their event source mappings.
- The functions may not create log groups: the template makes them, and their retention stays as it says.

What the person or pipeline needs who runs `oncefold aws deploy` and `destroy` is in [AWS_DEPLOY.md](AWS_DEPLOY.md).
"""


_ECONOMY = """
In [economy mode](AWS_ECONOMY.md) StateLambda may not put items into StateTable and ReduceTable, and these are added:

| function | action | on | call that needs it |
|---|---|---|---|
"""


def page() -> str:
    added = (permission for permission in ECONOMY_PERMISSIONS if permission not in PERMISSIONS)
    return _HEAD + "".join(map(_row, PERMISSIONS)) + _ECONOMY + "".join(map(_row, added)) + _TAIL


def _row(permission: Permission) -> str:
    actions = "<br>".join(f"`{action}`" for action in permission.actions)
    return f"| {_NAMES[permission.function]} | {actions} | {permission.name} | {permission.call} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
