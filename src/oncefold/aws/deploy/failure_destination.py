"""Where batches that failed for good go: described in a queue, or whole in a bucket, of which the queue is told.

Sources: "Retain discarded batch records for a Kinesis Data Streams event source in Lambda" and its like for DynamoDB;
"Using EventBridge" in the Amazon S3 user guide.
"""

from oncefold.aws.deploy.package import CLOSED, tls_only
from oncefold.aws.deploy.permissions import FAILURES_PREFIX, NEW_BUCKET, TO_BUCKET
from oncefold.aws.deploy.resources import KEY, KEYED, NO_VALUE, Declaration, arn, either, ref
from oncefold.aws.names import Names

QUEUE_SECONDS = 14 * 86_400
"""How long the failure queue keeps a message: SQS's most."""


def failure_destination(names: Names) -> dict[str, Declaration]:
    """The queue, and the bucket with what tells the queue of each object in it, which the alarms are about."""
    bucket = either(NEW_BUCKET, ref("FailedBatchesBucket"), ref("FailureBucket"))
    mappings = [{"prefix": {"Fn::Sub": f"{FAILURES_PREFIX}${{{name}Mapping}}/"}} for name in ("State", "Reduce")]
    return {
        "FailureQueue": {
            "Type": "AWS::SQS::Queue",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {
                "QueueName": names.failure_queue,
                "MessageRetentionPeriod": QUEUE_SECONDS,
                "SqsManagedSseEnabled": {"Fn::If": [KEYED, NO_VALUE, True]},
                "KmsMasterKeyId": KEY,
            },
        },
        "FailedBatchesBucket": {
            "Type": "AWS::S3::Bucket",
            "Condition": NEW_BUCKET,
            # It holds events, and CloudFormation deletes no bucket that holds anything.
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "PublicAccessBlockConfiguration": dict.fromkeys(CLOSED, True),
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {
                            "BucketKeyEnabled": True,
                            "ServerSideEncryptionByDefault": {
                                "SSEAlgorithm": either(KEYED, "aws:kms", "AES256"),
                                "KMSMasterKeyID": KEY,
                            },
                        }
                    ]
                },
                "LifecycleConfiguration": {
                    "Rules": [{"Status": "Enabled", "ExpirationInDays": ref("FailureRetentionDays")}]
                },
                "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
            },
        },
        "FailedBatchesPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Condition": NEW_BUCKET,
            "Properties": {
                "Bucket": ref("FailedBatchesBucket"),
                "PolicyDocument": tls_only(arn("FailedBatchesBucket"), {"Fn::Sub": "${FailedBatchesBucket.Arn}/*"}),
            },
        },
        "FailureRule": {
            "Type": "AWS::Events::Rule",
            "Condition": TO_BUCKET,
            "Properties": {
                "Description": "Batches that failed for good, for the alarms on the queue",
                "EventPattern": {
                    "source": ["aws.s3"],
                    "detail-type": ["Object Created"],
                    "detail": {"bucket": {"name": [bucket]}, "object": {"key": mappings}},
                },
                "Targets": [{"Id": "failures", "Arn": arn("FailureQueue")}],
            },
        },
        "FailureQueuePolicy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Condition": TO_BUCKET,
            "Properties": {
                "Queues": [ref("FailureQueue")],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "events.amazonaws.com"},
                            "Action": "sqs:SendMessage",
                            "Resource": arn("FailureQueue"),
                            "Condition": {"ArnEquals": {"aws:SourceArn": arn("FailureRule")}},
                        }
                    ],
                },
            },
        },
    }
