"""Events on the express lane: short bodies that arrived in one piece, from the connection straight to the ingest."""

from collections.abc import Callable

from oncefold.serve.ingest.answer import answer_of
from oncefold.serve.ingest.delivery import Delivery
from oncefold.serve.ingest.forms import read_head
from oncefold.serve.ingest.gate import Ingest
from oncefold.serve.ingest.refusal import Header, Refused
from oncefold.serve.ingest.small import plain_lines, small_bytes
from oncefold.serve.operations.access import Access
from oncefold.serve.operations.bookkeeping import Asked, Bookkeeping
from oncefold.serve.operations.express import WholeRequest
from oncefold.serve.operations.guard import ALWAYS
from oncefold.serve.operations.judging import Judge
from oncefold.serve.operations.request import Head, RequestIds
from oncefold.serve.operations.scopes import EVENTS

_METHOD = "POST"
_URL = EVENTS.encode("ascii")


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
        limits = ingest.limits
        self._most = small_bytes(limits) if limits.max_body is None else min(small_bytes(limits), limits.max_body)

    def suits(self, method: bytes, url: bytes) -> bool:
        """`POST /events` without a query."""
        return url == _URL and method == b"POST"

    def take(self, request: WholeRequest) -> bool:
        """Hand the events over, and answer when they are durable; False if anything is out of the ordinary."""
        head = Head(request.headers)
        size = len(request.body)
        if size > self._most or head.origin or self._judge.refusal(_METHOD, EVENTS, head) is not None:
            return False
        try:
            lines = plain_lines(form := read_head(request.headers, b"").form, request.body)
            if lines is None or not self._entered(size):
                return False
        except Refused:
            return False
        began = self._books.monotonic()
        asked = Asked(self._ids.of(head.request_id), _METHOD, EVENTS, request.client, began)

        def tell(delivery: Delivery) -> None:
            self._ingest.let_go(size)
            self._ingest.leave()
            self._answer(request, asked, delivery)

        self._ingest.add(Delivery(tell, source=form.source, begun=True, body=lines))
        return True

    def _entered(self, size: int) -> bool:
        self._ingest.enter()
        try:
            self._ingest.hold(size)
        except Refused:
            self._ingest.leave()
            raise
        return True

    def _answer(self, request: WholeRequest, asked: Asked, delivery: Delivery) -> None:
        answer = answer_of(delivery, asked.request_id)
        own = (b"x-request-id", asked.request_id.encode("ascii"))
        request.answer(answer.status, [*self._always(), *answer.headers, own, *ALWAYS], answer.body)
        self._books.ended(asked, answer.status, len(request.body), len(answer.body))
