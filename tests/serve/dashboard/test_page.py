"""The files of the page, as the server sends them."""

import re
from importlib.resources import files

import pytest
from starlette.routing import Router

from oncefold.serve.dashboard import page

STATIC = {item.name: item.read_text() for item in files("oncefold.serve.dashboard").joinpath("static").iterdir()}
MODULES = sorted(name for name in STATIC if name.endswith(".js") and name not in {"main.js", "theme.js"})


async def asked(path, method="GET", **headers):
    """Status, headers and body of an answer."""
    sent = []
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "root_path": "",
             "query_string": b"", "headers": lines, "app": None}  # fmt: skip

    async def send(message):
        sent.append(message)

    await Router(page.routes())(scope, None, send)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:])


def ask(path, **options):
    import asyncio  # noqa: PLC0415

    return asyncio.run(asked(path, **options))


def test_the_page_and_each_file_come_with_a_strict_policy_and_a_tag():
    for path in ("/", *(f"/assets/{name}" for name in STATIC)):
        status, headers, body = ask(path)
        assert status == 200
        assert body.decode() == STATIC[path.rpartition("/")[2] or "index.html"]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-cache"
        again, unchanged, nothing = ask(path, if_none_match=f'"other", W/{headers["etag"]}')
        assert (again, nothing, unchanged["etag"]) == (304, b"", headers["etag"])


def test_a_file_that_is_not_there_is_an_error():
    from starlette.exceptions import HTTPException  # noqa: PLC0415

    with pytest.raises(HTTPException) as caught:
        ask("/assets/../page.py")
    assert caught.value.status_code == 404


def test_nothing_is_inline_and_nothing_is_foreign():
    html = STATIC["index.html"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", html)
    for name, text in STATIC.items():
        found = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}", text))
        assert found <= {"http://www.w3.org"}, name
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text), name


def test_all_modules_are_asked_for_at_once():
    assert re.findall(r'modulepreload" href="assets/([\w.]+)"', STATIC["index.html"]) == MODULES


def test_the_page_is_small():
    assert sum(map(len, STATIC.values())) < 150_000
    assert all(text.count("\n") < 400 for text in STATIC.values())
