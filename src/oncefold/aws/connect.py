"""Clients of AWS services by the standard credential chain; `AWS_ENDPOINT_URL` leads them to an emulator."""

import os
from typing import Any

from oncefold.core.errors import OncefoldError

_ATTEMPTS = 5
_TIMEOUT_SECONDS = 60


def client(service: str) -> Any:
    """A boto3 client. Raises OncefoldError where boto3, a region or a profile is missing."""
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise OncefoldError("the AWS commands need boto3: pip install 'oncefold[aws]'") from None
    config = Config(
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        connect_timeout=_TIMEOUT_SECONDS,
        read_timeout=_TIMEOUT_SECONDS,
        # Emulators answer with shard ids shorter than the service's own.
        parameter_validation=False,
    )
    try:
        # boto3 itself looks for AWS_DEFAULT_REGION alone; AWS's other tools know AWS_REGION too.
        return boto3.client(service, region_name=os.environ.get("AWS_REGION"), config=config)
    except BotoCoreError as error:
        raise OncefoldError(
            f"AWS: {error} Set it in the environment (AWS_REGION, AWS_PROFILE, ...) or with: aws configure"
        ) from None
