"""What web pages of others cannot do, and what allowed ones can."""

import pytest

from oncefold.serve.security.access import access_on
from oncefold.serve.security.tokens import Tokens, from_environment
from tests.serve.application import LOCAL, Parts, ask, echo

SECRET = "admin-token-0123456789"
TOKENS = from_environment({"ONCEFOLD_ADMIN_TOKEN": SECRET})
AUTH = {"authorization": f"Bearer {SECRET}"}
PAGE = "https://app.example.com"


def status(address: str, host: str | None, *names: str) -> int:
    app = Parts(access_on(address, TOKENS, host_names=names)).guarded(echo())
    return ask(app, "GET", "/status", AUTH if host is None else {**AUTH, "host": host}).status


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8321", "LOCALHOST:1", "127.0.0.1:8321", "127.9.9.9", "[::1]:8321"]
)
def test_loopback_answers_to_names_of_this_machine(host: str) -> None:
    assert status("127.0.0.1", host) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8321", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1",
     "192.168.1.1:80", "localhost@evil.example", "localhost:80:80", "", "[::1", "\xff\xfe", "localhost, evil.example"],
)  # fmt: skip
def test_loopback_answers_to_no_other_name(host: str) -> None:
    assert status("127.0.0.1", host) == 421


def test_a_host_is_named_once() -> None:
    assert status("127.0.0.1", None) == 400
    app = Parts().guarded(echo())
    assert ask(app, "GET", "/status", {}, version="1.0").status == 200
    assert ask(app, "GET", "/status", {"host": "evil.example"}, version="1.0").status == 421


def test_names_that_were_allowed_are_answered_to() -> None:
    assert status("127.0.0.1", "totals.example.com:443", "totals.example.com") == 200
    assert status("127.0.0.1", "other.example.com", "totals.example.com") == 421
    assert status("0.0.0.0", "other.example.com", "totals.example.com") == 421
    assert status("0.0.0.0", "10.2.3.4:8321", "totals.example.com") == 200
    assert status("0.0.0.0", "any.example.com") == 200


def test_health_too_is_told_under_its_own_names_alone() -> None:
    assert ask(Parts().guarded(echo()), "GET", "/healthz", {"host": "evil.example"}).status == 421


FOREIGN = [
    {"origin": "https://evil.example"},
    {"origin": "http://localhost:3000"},
    {"origin": "http://127.0.0.1"},
    {"origin": "null"},
    {"origin": "http://evil.example", "sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]
OWN = [{}, {"origin": f"http://{LOCAL['host']}"}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("path", ["/events", "/rejects/redrive", "/verify"])
def test_a_page_of_another_origin_changes_nothing(headers: dict[str, str], path: str) -> None:
    answer = ask(Parts().guarded(echo()), "POST", path, {**LOCAL, **headers})
    assert answer.status == 403
    assert "--cors-origin" in answer.document["detail"]
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("headers", OWN)
def test_programs_and_the_servers_own_page_do(headers: dict[str, str]) -> None:
    assert ask(Parts().guarded(echo()), "POST", "/events", {**LOCAL, **headers}).status == 200


COSTLY = ["/verify", "/explain/risk", "/series/risk/Delta", "/search", "/history/T-1"]


@pytest.mark.parametrize("path", COSTLY)
@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_of_another_origin_starts_nothing_that_takes_long(headers: dict[str, str], path: str) -> None:
    """An image of such an address is enough for a page to send it."""
    app = Parts(access_on("127.0.0.1", Tokens(), cors_origins=(PAGE,))).guarded(echo())
    assert ask(app, "GET", path, {**LOCAL, **headers}).status == 403
    assert ask(app, "GET", path, {**LOCAL, "origin": PAGE, "sec-fetch-site": "cross-site"}).status == 200
    for own in OWN:
        assert ask(app, "GET", path, {**LOCAL, **own}).status == 200


def test_no_answer_can_be_embedded_by_a_page_of_another_origin() -> None:
    app = Parts().guarded(echo())
    for path in ("/totals/risk", "/status", "/", "/verify"):
        assert ask(app, "GET", path).headers["cross-origin-resource-policy"] == "same-origin"


def test_a_link_from_elsewhere_opens_the_page() -> None:
    headers = {**LOCAL, "sec-fetch-site": "cross-site"}
    answer = ask(Parts().guarded(echo()), "GET", "/", headers)
    assert answer.status == 200
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_cors_is_off_until_an_origin_is_allowed() -> None:
    asked = {**LOCAL, "origin": PAGE, "access-control-request-method": "POST"}
    off = Parts(access_on("127.0.0.1", TOKENS)).guarded(echo())
    answer = ask(off, "OPTIONS", "/events", asked)
    assert answer.status == 401
    assert not [name for name in answer.headers if name.startswith("access-control")]

    on = Parts(access_on("127.0.0.1", TOKENS, cors_origins=(PAGE,))).guarded(echo())
    answer = ask(on, "OPTIONS", "/events", asked)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Authorization" in answer.headers["access-control-allow-headers"]

    answer = ask(on, "POST", "/events", {**LOCAL, **AUTH, "origin": PAGE})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "Oncefold-Commit" in answer.headers["access-control-expose-headers"]
    answer = ask(on, "POST", "/events", {**LOCAL, "origin": PAGE})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (401, PAGE)

    for other in ("https://evil.example", "http://app.example.com", f"{PAGE}:8443"):
        assert ask(on, "POST", "/events", {**LOCAL, **AUTH, "origin": other}).status == 403
        answer = ask(on, "GET", "/status", {**LOCAL, **AUTH, "origin": other})
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["vary"] == "Origin"


def test_a_question_before_a_request_opens_nothing_else() -> None:
    on = Parts(access_on("127.0.0.1", Tokens(), cors_origins=(PAGE,))).guarded(echo())
    asked = {"host": "evil.example", "origin": PAGE, "access-control-request-method": "POST"}
    assert ask(on, "OPTIONS", "/events", asked).status == 421
