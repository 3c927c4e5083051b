"""Clients that functions get: one that shows every call to an observer, and the queues of SQS."""

from collections.abc import Callable
from typing import Any, Protocol

from botocore.exceptions import ClientError

TOKEN_SECONDS = 600.0


class CallObserver(Protocol):
    """Gets to know what became of calls."""

    def called(self, operation: str, outcome: str) -> None:
        """A call has come back."""

    def token(self, token: str) -> None:
        """A transaction is sent under a token."""

    def done(self, token: str) -> None:
        """A transaction is known to be done under a token."""


class ObservedClient:
    """A simulated client whose calls are shown to an observer."""

    def __init__(self, client: Any, observer: CallObserver) -> None:
        self._client = client
        self._observer = observer
        self.exceptions = client.exceptions

    def transact_write_items(self, **request: Any) -> Any:
        """TransactWriteItems."""
        token = request.get("ClientRequestToken", "")
        self._observer.token(token)
        answer = self._observed("transact_write_items", request)
        self._observer.done(token)
        return answer

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            return self._observed(operation, request)

        return call

    def _observed(self, operation: str, request: dict[str, Any]) -> Any:
        try:
            answer = getattr(self._client, operation)(**request)
        except ClientError as error:
            self._observer.called(operation, error.response["Error"]["Code"])
            raise
        except Exception as error:
            self._observer.called(operation, type(error).__name__)
            raise
        self._observer.called(operation, "ok")
        return answer


HIDDEN_SECONDS = 30.0
_RECEIVED = 10


class Queues:
    """One account's queues."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._queues: dict[str, dict[str, tuple[str, float]]] = {}
        self._number = 0

    def create_queue(self, QueueName: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        """CreateQueue."""
        self._queues.setdefault(QueueName, {})
        return {"QueueUrl": QueueName}

    def get_queue_url(self, QueueName: str) -> dict[str, Any]:  # noqa: N803
        """GetQueueUrl."""
        if QueueName not in self._queues:
            error = {"Code": "AWS.SimpleQueueService.NonExistentQueue", "Message": "The queue does not exist."}
            raise ClientError({"Error": error}, "GetQueueUrl")
        return {"QueueUrl": QueueName}

    def send_message(self, QueueUrl: str, MessageBody: str) -> dict[str, Any]:  # noqa: N803
        """SendMessage."""
        self._number += 1
        self._queues[QueueUrl][f"{self._number:06d}"] = (MessageBody, self._clock())
        return {"MessageId": f"{self._number:06d}"}

    def receive_message(
        self,
        QueueUrl: str,  # noqa: N803
        MaxNumberOfMessages: int = 1,  # noqa: N803
        WaitTimeSeconds: int = 0,  # noqa: ARG002, N803
        VisibilityTimeout: float = HIDDEN_SECONDS,  # noqa: N803
    ) -> dict[str, Any]:
        """ReceiveMessage."""
        now, queue = self._clock(), self._queues[QueueUrl]
        names = [name for name, (_, visible) in queue.items() if visible <= now][: min(MaxNumberOfMessages, _RECEIVED)]
        messages = [{"MessageId": name, "ReceiptHandle": name, "Body": queue[name][0]} for name in names]
        for name in names:
            queue[name] = (queue[name][0], now + VisibilityTimeout)
        return {"Messages": messages} if messages else {}

    def delete_message(self, QueueUrl: str, ReceiptHandle: str) -> dict[str, Any]:  # noqa: N803
        """DeleteMessage."""
        self._queues[QueueUrl].pop(ReceiptHandle, None)
        return {}

    def change_message_visibility(
        self,
        QueueUrl: str,  # noqa: N803
        ReceiptHandle: str,  # noqa: N803
        VisibilityTimeout: float,  # noqa: N803
    ) -> dict[str, Any]:
        """ChangeMessageVisibility."""
        body, _ = self._queues[QueueUrl][ReceiptHandle]
        self._queues[QueueUrl][ReceiptHandle] = (body, self._clock() + VisibilityTimeout)
        return {}

    def length(self, name: str) -> int:
        """Messages in a queue, hidden ones too; none where there is no queue."""
        return len(self._queues.get(name, ()))
