"""Requests to a server: one connection, kept open, with errors that say what to do."""

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from oncefold.core.errors import InvalidQueryError, OncefoldError, QueryError

TIMEOUT_SECONDS = 10.0
"""Without a byte from the server."""
MOST_ANSWER_BYTES = 256 * 2**20
_SHOWN = 200


class UnreachableError(OncefoldError):
    """No server answers, or it starts or ends; it may answer soon."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server is."""

    url: str
    secure: bool
    host: str
    port: int | None
    prefix: str
    """Path below which its routes are, without a slash at its end."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with a status that is no error."""

    status: int
    headers: Mapping[str, str]
    document: Any = field(repr=False)
    """Of JSON; None for 304."""


def address_of(url: str) -> ServerAddress:
    """The parts of a server's URL. Raises OncefoldError for one that cannot be a server's."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise OncefoldError(f"{url}: not a URL: {error}") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise OncefoldError(f"{url}: a server's URL begins with http:// or https:// and a name")
    if parts.username or parts.password:
        raise OncefoldError("a token does not belong into the URL: give --token-file FILE or set ONCEFOLD_READ_TOKEN")
    if parts.query or parts.fragment:
        raise OncefoldError(f"{url}: give the server's address alone, without what follows ? or #")
    return ServerAddress(url, parts.scheme == "https", host, port, parts.path.rstrip("/"))


class Client:
    """Queries one server; not for several threads at a time."""

    def __init__(self, address: ServerAddress, token: str | None, timeout: float = TIMEOUT_SECONDS) -> None:
        """`timeout` is in seconds without a byte from the server."""
        self.url = address.url
        self._address, self._token, self._timeout = address, token, timeout
        self._connection: http.client.HTTPConnection | None = None

    def another(self) -> "Client":
        """A client of the same server, with a connection of its own."""
        return Client(self._address, self._token, self._timeout)

    def get(self, target: str, etag: str | None = None) -> Reply:
        """GET a path with its query.

        Raises UnreachableError where nothing answers, and where the server starts or ends; QueryError for 404,
        InvalidQueryError for 422, and OncefoldError else.
        """
        headers = self._headers() if etag is None else self._headers() | {"If-None-Match": etag}
        try:
            return self._reply(*self._exchange(target, headers))
        except BaseException:
            self.close()
            raise

    def post(self, target: str, body: bytes, content_type: str) -> Any:
        """POST a body to a path with its query, on a connection of its own; the JSON document of the answer.

        Raises as `get` does.
        """
        return self._change("POST", target, self._headers() | {"Content-Type": content_type}, body)

    def delete(self, target: str) -> Any:
        """DELETE a path; the JSON document of the answer. Raises as `get` does."""
        return self._change("DELETE", target, self._headers(), None)

    def _change(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Any:
        """Request a change, on a connection of its own: one that was kept may be closed when it arrives there."""
        self.close()
        self._connection = self._connect()
        try:
            with self._errors():
                return self._reply(*self._once(self._connection, target, headers, method, body)).document
        finally:
            self.close()

    def stream(self, target: str, last_event: str | None = None) -> "EventStream":
        """Begin a stream of server-sent events, on a connection of its own, after the event of this id.

        Raises as `get` does.
        """
        resumed = {} if last_event is None else {"Last-Event-ID": last_event}
        connection = self._connect()
        try:
            with self._errors():
                connection.request("GET", self._address.prefix + target, None, self._headers() | resumed)
                link = connection.sock
                response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                self._reply(response, response.read(MOST_ANSWER_BYTES))
        except BaseException:
            connection.close()
            raise
        return EventStream(self.url, connection, link, response)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _headers(self) -> dict[str, str]:
        """What every request has."""
        token = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        return {"Accept": "application/json", **token}

    def _exchange(self, target: str, headers: Mapping[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
        """Request; once more on a new connection, if the one that was kept is found closed."""
        if self._connection is not None:
            with suppress(http.client.RemoteDisconnected, ConnectionError):
                return self._once(self._connection, target, headers)
            self.close()
        self._connection = self._connect()
        with self._errors():
            return self._once(self._connection, target, headers)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise what is wrong with a connection as errors of ours."""
        try:
            yield
        except ssl.SSLError as error:
            raise OncefoldError(f"{self.url}: no secure connection: {error.reason or error}") from None
        except TimeoutError:
            raise UnreachableError(f"{self.url}: no answer within {self._timeout:.0f} s") from None
        except (ConnectionError, http.client.RemoteDisconnected, http.client.IncompleteRead):
            raise UnreachableError(f"{self.url}: no server answers there") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise OncefoldError(f"{self.url}: cannot be queried: {reason}") from None

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._address.secure else http.client.HTTPConnection
        return kind(self._address.host, self._address.port, timeout=self._timeout)

    def _once(
        self,
        connection: http.client.HTTPConnection,
        target: str,
        headers: Mapping[str, str],
        method: str = "GET",
        sent: bytes | None = None,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        with suppress(BrokenPipeError):  # a server may answer before it has read all, and then reads no more
            connection.request(method, self._address.prefix + target, sent, dict(headers))
        response = connection.getresponse()
        body = response.read(MOST_ANSWER_BYTES + 1)
        if len(body) > MOST_ANSWER_BYTES:
            raise OncefoldError(f"{self.url}: the answer is longer than {MOST_ANSWER_BYTES:,} bytes; name a NODE")
        return response, body

    def _reply(self, response: http.client.HTTPResponse, body: bytes) -> Reply:
        headers = {name.lower(): value for name, value in response.getheaders()}
        if response.status == http.HTTPStatus.NOT_MODIFIED:
            return Reply(response.status, headers, None)
        document = _document(body)
        if response.status == http.HTTPStatus.OK:
            if not isinstance(document, dict):
                raise OncefoldError(f"{self.url}: this is no Oncefold server: its answer is no JSON object")
            return Reply(response.status, headers, document)
        raise self._problem(response.status, document, response.reason)

    def _problem(self, status: int, document: Any, reason: str) -> Exception:
        if not isinstance(document, dict) or "detail" not in document:
            return OncefoldError(f"{self.url}: this is no Oncefold server: it answers {status} {reason}")
        reason = str(document["detail"])[:_SHOWN]
        if status in {http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN}:
            return OncefoldError(f"{self.url}: {reason} Give --token-file FILE or set ONCEFOLD_READ_TOKEN.")
        if status == http.HTTPStatus.NOT_FOUND:
            return QueryError(reason)
        if status == http.HTTPStatus.UNPROCESSABLE_ENTITY:
            return InvalidQueryError(reason)
        if status in {http.HTTPStatus.SERVICE_UNAVAILABLE, http.HTTPStatus.TOO_MANY_REQUESTS}:
            return UnreachableError(f"{self.url}: {reason}")
        return OncefoldError(f"{self.url}: {reason}")


class EventStream:
    """Server-sent events of one response, read by one thread, which another may end by `close`."""

    def __init__(
        self,
        url: str,
        connection: http.client.HTTPConnection,
        link: socket.socket,
        response: http.client.HTTPResponse,
    ) -> None:
        """`link` is the socket of the connection, which the response may have taken over."""
        self._url, self._connection, self._link, self._response = url, connection, link, response
        self._reading = threading.Lock()

    def next(self) -> tuple[str, str, bytes]:
        """(event, id, data) of the next event. Raises UnreachableError where the stream ends."""
        with self._reading:
            try:
                found = self._read()
            except (OSError, http.client.HTTPException, ValueError):
                found = None  # as if it had ended
        if found is None:
            self.close()
            raise UnreachableError(f"{self._url}: the stream of changes has ended")
        return found

    def close(self) -> None:
        """End the stream, also while `next` waits."""
        with suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        with self._reading:
            self._response.close()
            self._connection.close()

    def _read(self) -> tuple[str, str, bytes] | None:
        """The next event; None where the stream ends."""
        fields: dict[bytes, bytes] = {}
        while (line := self._response.readline(MOST_ANSWER_BYTES)).endswith(b"\n"):
            name, colon, value = line.rstrip(b"\r\n").partition(b":")
            if name and colon:
                fields[name] = value.removeprefix(b" ")
            elif not name and not colon and b"data" in fields:
                return fields.get(b"event", b"message").decode(), fields.get(b"id", b"").decode(), fields[b"data"]
        return None


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
