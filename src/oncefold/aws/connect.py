"""Clients of AWS services by the standard credential chain, and errors of AWS as messages for a person.

`AWS_ENDPOINT_URL` directs the clients to an emulator. boto3 is imported when it is used: it is an optional dependency.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from oncefold.core.errors import OncefoldError

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_ATTEMPTS = 5
_TIMEOUT_SECONDS = 60

_DENIED = frozenset(["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"])
_UNKNOWN_CALLER = frozenset(
    ["ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"]
)
_MISSING = frozenset(
    ["ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "ResourceNotFound"]
)


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
        # boto3 itself reads AWS_DEFAULT_REGION alone; AWS's other tools read AWS_REGION too.
        return boto3.client(service, region_name=os.environ.get("AWS_REGION"), config=config)
    except BotoCoreError as error:
        raise OncefoldError(
            f"AWS: {error} Set it in the environment (AWS_REGION, AWS_PROFILE, ...) or with: aws configure"
        ) from None


@contextmanager
def aws_errors_explained(stack: str) -> Iterator[None]:
    """Turn errors of AWS inside the block into OncefoldErrors about this stack."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except ClientError as error:
        raise OncefoldError(f"stack {stack}: {_message(error)}") from None
    except NoCredentialsError:
        raise OncefoldError("AWS: no credentials are found; set AWS_PROFILE, or run: aws configure") from None
    except BotoCoreError as error:
        raise OncefoldError(f"stack {stack}: AWS does not answer: {error}") from None


def is_missing(error: "ClientError") -> bool:
    """Whether AWS says that the thing does not exist."""
    return str(error.response["Error"]["Code"]) in _MISSING


def is_denied(error: "ClientError") -> bool:
    """Whether AWS says that the caller may not do that."""
    return str(error.response["Error"]["Code"]) in _DENIED


def plain_message(error: "ClientError") -> str:
    """What AWS answered, in one line."""
    answer = error.response["Error"]
    return f"{answer.get('Message') or 'no reason is given'} ({answer['Code']})"


def _message(error: "ClientError") -> str:
    message = f"{error.operation_name}: {plain_message(error)}"
    code = str(error.response["Error"]["Code"])
    if is_missing(error):
        return f"a part of it does not exist. {message}. Is its name right, and the region (AWS_REGION)?"
    if is_denied(error):
        return f"not allowed. {message}. docs/AWS_OPERATIONS.md lists the actions that each command needs"
    if code in _UNKNOWN_CALLER:
        return f"the credentials are not accepted. {message}. Set AWS_PROFILE, or log in again"
    return message
