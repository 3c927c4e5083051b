"""Failures of AWS in words: what was asked, of whom, and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from oncefold.core.errors import OncefoldError

_DENIED = frozenset(["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"])
_UNKNOWN_CALLER = frozenset(
    ["ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"]
)
_MISSING = frozenset(
    ["ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "ResourceNotFound"]
)


@contextmanager
def explaining(stack: str) -> Iterator[None]:
    """Turn errors of AWS inside the block into OncefoldErrors about this stack."""
    try:
        yield
    except ClientError as error:
        raise OncefoldError(f"stack {stack}: {_words(error)}") from None
    except NoCredentialsError:
        raise OncefoldError("AWS: no credentials are found; set AWS_PROFILE, or run: aws configure") from None
    except BotoCoreError as error:
        raise OncefoldError(f"stack {stack}: AWS does not answer: {error}") from None


def is_missing(error: ClientError) -> bool:
    """Whether AWS says that the thing does not exist."""
    return str(error.response["Error"]["Code"]) in _MISSING


def plain_words(error: ClientError) -> str:
    """What AWS said, in one line."""
    told = error.response["Error"]
    return f"{told.get('Message') or 'no reason is given'} ({told['Code']})"


def _words(error: ClientError) -> str:
    said = f"{error.operation_name}: {plain_words(error)}"
    code = str(error.response["Error"]["Code"])
    if is_missing(error):
        return f"a part of it is not there. {said}. Is its name right, and the region (AWS_REGION)?"
    if code in _DENIED:
        return f"not allowed. {said}. docs/AWS_OPERATIONS.md lists the actions that each command needs"
    if code in _UNKNOWN_CALLER:
        return f"the credentials are not accepted. {said}. Set AWS_PROFILE, or log in again"
    return said
