"""The files of the page, as the server sends them."""

import re
from importlib.resources import files

from oncefold.serve.dashboard import page
from tests.serve.application import LOCAL, Parts
from tests.serve.application import ask as send

STATIC = {item.name: item.read_text() for item in files("oncefold.serve.dashboard").joinpath("static").iterdir()}
MODULES = sorted(name for name in STATIC if name.endswith(".js") and name not in {"main.js", "theme.js"})


def ask(path, **headers):
    """Status, headers and body of an answer."""
    found = send(
        Parts().guarded(page.routes()), "GET", path, {**LOCAL, **{n.replace("_", "-"): v for n, v in headers.items()}}
    )
    return found.status, found.headers, found.body


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
    assert ask("/assets/../page.py")[0] == 404
    assert ask("/assets/none.js")[0] == 404


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
    assert sum(map(len, STATIC.values())) < 230_000
    assert all(text.count("\n") < 480 for text in STATIC.values())
