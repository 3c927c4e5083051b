"""What AWS's clients raise: errors by their code, message and the members of their shape.

Source: the API references of Amazon DynamoDB and Amazon Kinesis Data Streams, and the service models of botocore.
"""

from collections.abc import Mapping
from typing import Any

from botocore import exceptions

CONDITION_FAILED = "The conditional request failed"
THROUGHPUT = (
    "The level of configured provisioned throughput for the table was exceeded. "
    "Consider increasing your provisioning level with the UpdateTable API."
)
THROTTLED = (
    "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your table or "
    "index so please try again shortly. If exceptions persist, check if you have a hot key: "
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html."
)
REQUEST_LIMIT = "Throughput exceeds the current throughput limit for your account."
INTERNAL = "Internal server error"
CONFLICT = "Transaction is ongoing for the item"

_STATUS = {"InternalServerError": 500, "InternalFailure": 500, "ServiceUnavailable": 503}
_CAPITAL_MESSAGE = frozenset(
    ["IdempotentParameterMismatchException", "TransactionCanceledException", "TransactionInProgressException"]
)
"""Errors whose shape has `Message`; all others have `message`."""

ENDPOINT = "https://simulated.invalid/"


class ServiceError(Exception):
    """A service's answer that is an error, before it is known to which operation."""

    def __init__(self, code: str, message: str, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.members = members

    @classmethod
    def invalid(cls, message: str) -> "ServiceError":
        """The request is invalid."""
        return cls("ValidationException", message)

    @classmethod
    def not_found(cls, message: str = "Requested resource not found") -> "ServiceError":
        """What the request names does not exist."""
        return cls("ResourceNotFoundException", message)


class Errors:
    """The exception classes of one client by their code, as `client.exceptions` offers them."""

    def __init__(self) -> None:
        self._classes: dict[str, type[Exception]] = {}

    def __getattr__(self, code: str) -> Any:
        if code.startswith("_"):
            raise AttributeError(code)
        if code == "ClientError":
            return exceptions.ClientError
        if code not in self._classes:
            self._classes[code] = type(code, (exceptions.ClientError,), {})
        return self._classes[code]

    def made(self, refusal: ServiceError, operation: str, request: str) -> Exception:
        """The refusal as boto3 raises it."""
        members = {"Message" if refusal.code in _CAPITAL_MESSAGE else "message": refusal.message, **refusal.members}
        response: Mapping[str, Any] = {
            "Error": {"Message": refusal.message, "Code": refusal.code},
            "ResponseMetadata": metadata(request, _STATUS.get(refusal.code, 400)),
            **members,
        }
        return getattr(self, refusal.code)(response, operation)  # type: ignore[no-any-return]


def metadata(request: str, status: int = 200) -> dict[str, Any]:
    """What every reply says of its request."""
    return {"RequestId": request, "HTTPStatusCode": status, "HTTPHeaders": {}, "RetryAttempts": 0}
