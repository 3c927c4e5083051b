"""Questions to a server over HTTP: one connection, kept open, with what went wrong in words."""

import http.client
import json
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from oncefold.core.errors import OncefoldError
from oncefold.watch.looks import NotYetError

TIMEOUT_SECONDS = 10.0
MOST_ANSWER_BYTES = 256 * 2**20
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Address:
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


def address_of(url: str) -> Address:
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
    return Address(url, parts.scheme == "https", host, port, parts.path.rstrip("/"))


class Client:
    """Asks one server; not for several threads at a time."""

    def __init__(self, address: Address, token: str | None) -> None:
        self.url = address.url
        self._address, self._token = address, token
        self._connection: http.client.HTTPConnection | None = None

    def get(self, target: str, etag: str | None = None) -> Reply:
        """GET a path with its query.

        Raises NotYetError where nothing answers, where the server starts or ends, and for 404; OncefoldError else.
        """
        headers = {"Accept": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        if etag is not None:
            headers["If-None-Match"] = etag
        try:
            return self._reply(*self._exchange(target, headers))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection; the next question opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, target: str, headers: Mapping[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
        """Ask; once more on a new connection, if the one that was kept is found closed."""
        if self._connection is not None:
            with suppress(http.client.RemoteDisconnected, ConnectionError):
                return self._once(self._connection, target, headers)
            self.close()
        self._connection = self._connect()
        try:
            return self._once(self._connection, target, headers)
        except ssl.SSLError as error:
            raise OncefoldError(f"{self.url}: no secure connection: {error.reason or error}") from None
        except (ConnectionError, http.client.RemoteDisconnected):
            raise NotYetError(f"{self.url}: no server answers there") from None
        except (OSError, http.client.HTTPException) as error:
            words = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise OncefoldError(f"{self.url}: cannot be asked: {words}") from None

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._address.secure else http.client.HTTPConnection
        return kind(self._address.host, self._address.port, timeout=TIMEOUT_SECONDS)

    def _once(
        self, connection: http.client.HTTPConnection, target: str, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection.request("GET", self._address.prefix + target, headers=dict(headers))
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
        words = str(document["detail"])[:_SHOWN]
        if status in {http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN}:
            return OncefoldError(f"{self.url}: {words} Give --token-file FILE or set ONCEFOLD_READ_TOKEN.")
        if status in {http.HTTPStatus.NOT_FOUND, http.HTTPStatus.SERVICE_UNAVAILABLE}:
            return NotYetError(words if status == http.HTTPStatus.NOT_FOUND else f"{self.url}: {words}")
        return OncefoldError(f"{self.url}: {words}")


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
