"""The dashboard's files over HTTP: read once, sent with entity tags and a policy that lets nothing foreign in."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

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

HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


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
        headers = {**HEADERS, "ETag": self.etag}
        tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
        if self.etag in tags or "*" in tags:
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=headers, media_type=self.media_type)


def read_files() -> Mapping[str, StaticFile]:
    """All files of the page, by name, from the installed package."""
    found = files(__package__).joinpath("static").iterdir()
    return {item.name: StaticFile.of(item.name, item.read_bytes()) for item in found if item.is_file()}


def routes() -> list[BaseRoute]:
    """`/` is the page, `/assets/NAME` its files; both are public, since they hold nothing of any store."""
    static = read_files()

    async def page(request: Request) -> Response:
        return static[PAGE].response(request.headers.get("if-none-match", ""))

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in static:
            raise HTTPException(404, f"the dashboard has no file {name!r}")
        return static[name].response(request.headers.get("if-none-match", ""))

    return [Route("/", page), Route("/assets/{name}", asset)]
