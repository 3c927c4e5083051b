"""The dashboard's files over HTTP: read once, sent with entity tags and a policy that lets nothing foreign in."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from oncefold.serve.http.request import Header, Request
from oncefold.serve.http.response import Problem, Response
from oncefold.serve.http.routing import Route

PAGE = "index.html"

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Labels and keys come from events, which anybody may have written: no text of theirs can become markup or script."""

HEADERS: tuple[Header, ...] = (
    (b"cache-control", b"no-cache"),
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file of the page, and the entity tag of its content."""

    content: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, name: str, content: bytes) -> "StaticFile":
        """The file of this name and content. Raises KeyError for an ending that the page has no use for."""
        digest = hashlib.sha256(content).hexdigest()[:32]
        return cls(content, MEDIA_TYPES[f".{name.rpartition('.')[2]}"], f'"{digest}"')

    def response(self, known: str) -> Response:
        """The file, or 304 where `known`, the request's If-None-Match, holds its tag."""
        headers = (*HEADERS, (b"etag", self.etag.encode()))
        tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
        if self.etag in tags or "*" in tags:
            return Response(304, headers)
        return Response(200, (*headers, (b"content-type", self.media_type.encode())), self.content)


def read_files() -> Mapping[str, StaticFile]:
    """All files of the page, by name, from the installed package."""
    found = files(__package__).joinpath("static").iterdir()
    return {item.name: StaticFile.of(item.name, item.read_bytes()) for item in found if item.is_file()}


def routes() -> list[Route]:
    """`/` is the page, `/assets/NAME` its files; both are public, since they hold nothing of any store."""
    static = read_files()

    async def page(request: Request) -> Response:
        return static[PAGE].response(_known(request))

    async def asset(request: Request) -> Response:
        name = request.parameters["name"]
        if name not in static:
            raise Problem(404, f"the dashboard has no file {name[:200]!r}")
        return static[name].response(_known(request))

    return [Route("/", page), Route("/assets/{name}", asset)]


def _known(request: Request) -> str:
    return request.headers.get(b"if-none-match").decode("latin-1")
