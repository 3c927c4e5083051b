"""Events on the express lane: short bodies that arrived in one piece, from the connection straight to the ingest."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from oncefold.serve.ingest.answer import Answer, answer_of
from oncefold.serve.ingest.delivery import Delivery
from oncefold.serve.ingest.forms import Form, read_head
from oncefold.serve.ingest.gate import Ingest
from oncefold.serve.ingest.refusal import Header, Refused
from oncefold.serve.ingest.small import small_bytes
from oncefold.serve.operations.access import Access
from oncefold.serve.operations.bookkeeping import Asked, Bookkeeping
from oncefold.serve.operations.express import WholeRequest
from oncefold.serve.operations.guard import ALWAYS, PROBLEM, broken_document
from oncefold.serve.operations.judging import Judge
from oncefold.serve.operations.request import Head, RequestIds
from oncefold.serve.operations.scopes import EVENTS

_METHOD = "POST"
_URL = EVENTS.encode("ascii")
_REMEMBERED_HEADS = 256
"""Headers that were found good, as a whole: most clients send the same again and again."""


@dataclass(frozen=True, slots=True)
class _Plain:
    """What the headers of a good request say."""

    form: Form
    request_id: bytes


class EventsExpress:
    """What the guard and the endpoint do, for requests of which nothing is wrong; belongs to their event loop."""

    def __init__(
        self,
        access: Access,
        ids: RequestIds,
        books: Bookkeeping,
        ingest: Ingest,
        always: Callable[[], list[Header]],
    ) -> None:
        """`always` gives the headers that the server adds to every answer now, such as its date."""
        self._ids, self._books, self._ingest, self._always = ids, books, ingest, always
        self._judge = Judge(access)
        self._plain: Callable[[tuple[Header, ...]], _Plain | None] = self._judged
        if not access.tokens:  # tokens are compared anew each time, in constant time
            self._plain = lru_cache(_REMEMBERED_HEADS)(self._judged)
        limits = ingest.limits
        self._most = small_bytes(limits) if limits.max_body is None else min(small_bytes(limits), limits.max_body)

    def suits(self, method: bytes, url: bytes) -> bool:
        """`POST /events` without a query."""
        return url == _URL and method == b"POST"

    def take(self, request: WholeRequest) -> bool:
        """Hand the events over, and answer when they are durable; False if anything is out of the ordinary."""
        size = len(request.body)
        plain = self._plain(tuple(request.headers)) if size <= self._most else None
        if plain is None or not self._entered(size):
            return False
        began = self._books.monotonic()
        asked = Asked(self._ids.of(plain.request_id), _METHOD, EVENTS, request.client, began)

        def tell(delivery: Delivery) -> None:
            self._ingest.let_go(size)
            self._ingest.leave()
            self._answer(request, asked, delivery)

        self._ingest.take(Delivery(tell, form=plain.form, begun=True), request.body)
        return True

    def _judged(self, headers: tuple[Header, ...]) -> _Plain | None:
        """What is to be known of a request with these headers; None if the ordinary way has to look at them."""
        head = Head(headers)
        if head.origin or self._judge.refusal(_METHOD, EVENTS, head) is not None:
            return None
        try:
            return _Plain(read_head(headers, b"").form, head.request_id)
        except Refused:
            return None

    def _entered(self, size: int) -> bool:
        """Whether there was room for a request with so many bytes."""
        try:
            self._ingest.enter()
        except Refused:
            return False
        try:
            self._ingest.hold(size)
        except Refused:
            self._ingest.leave()
            return False
        return True

    def _answer(self, request: WholeRequest, asked: Asked, delivery: Delivery) -> None:
        try:
            answer = answer_of(delivery, asked.request_id)
        except Exception as error:  # others are answered in the same turn
            self._books.log.broke(asked.request_id, error)
            answer = Answer(500, (PROBLEM,), broken_document(asked.request_id))
        own = (b"x-request-id", asked.request_id.encode("ascii"))
        request.answer(answer.status, [*self._always(), *answer.headers, own, *ALWAYS], answer.body)
        self._books.ended(asked, answer.status, len(request.body), len(answer.body))
