"""Who may ask what: tokens and scopes on every route and address, and what is refused before a server starts."""

import hashlib
from pathlib import Path

import pytest

from oncefold.core.errors import OncefoldError
from oncefold.serve.security.access import Access, access_on, is_loopback
from oncefold.serve.security.checks import needed_scope
from oncefold.serve.security.tokens import Scope, Tokens, from_environment, from_file
from tests.serve.application import LOCAL, Parts, ask, echo

SECRETS = {
    Scope.INGEST: "ingest-token-0123456789",
    Scope.READ: "read-token-0123456789",
    Scope.ADMIN: "admin-0123456789",
}
ROUTES = [
    ("POST", "/events", Scope.INGEST),
    ("GET", "/events", Scope.READ),
    ("GET", "/totals/risk", Scope.READ),
    ("GET", "/totals/risk/Delta/FXSpot", Scope.READ),
    ("HEAD", "/totals/risk", Scope.READ),
    ("GET", "/series/risk", Scope.READ),
    ("GET", "/explain/risk", Scope.READ),
    ("GET", "/history/key", Scope.READ),
    ("GET", "/search", Scope.READ),
    ("GET", "/rejects", Scope.READ),
    ("GET", "/conflicts", Scope.READ),
    ("GET", "/status", Scope.READ),
    ("GET", "/changes", Scope.READ),
    ("GET", "/metrics", Scope.READ),
    ("GET", "/openapi.json", Scope.READ),
    ("GET", "/no/such/path", Scope.READ),
    ("GET", "/verify", Scope.ADMIN),
    ("POST", "/verify", Scope.ADMIN),
    ("POST", "/rejects/redrive", Scope.ADMIN),
    ("POST", "/redefine", Scope.ADMIN),
    ("DELETE", "/rejects/7", Scope.ADMIN),
    ("POST", "/", Scope.ADMIN),
    ("PUT", "/assets/page.js", Scope.ADMIN),
    ("GET", "/", Scope.OPEN),
    ("GET", "/assets/page.js", Scope.OPEN),
    ("GET", "/healthz", Scope.OPEN),
    ("GET", "/readyz", Scope.OPEN),
]
PUBLIC, LOOPBACK = "0.0.0.0", "127.0.0.1"


def tokens(*scopes: Scope) -> Tokens:
    return from_environment({f"ONCEFOLD_{scope.name}_TOKEN": SECRETS[scope] for scope in scopes or SECRETS})


def bearer(token: str, host: str = LOCAL["host"]) -> dict[str, str]:
    return {"host": host, "authorization": f"Bearer {token}"}


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_each_route_needs_its_scope(method: str, path: str, scope: Scope) -> None:
    assert needed_scope(method, path) is scope


@pytest.mark.parametrize("address", [LOOPBACK, PUBLIC])
@pytest.mark.parametrize(
    ("method", "path", "scope"), [route for route in ROUTES if route[0] in {"GET", "POST", "DELETE"}]
)
def test_a_route_opens_to_its_own_scope_and_to_admin_alone(address: str, method: str, path: str, scope: Scope) -> None:
    app = Parts(access_on(address, tokens())).guarded(echo())
    is_open = scope is Scope.OPEN
    for held, secret in SECRETS.items():
        answer = ask(app, method, path, bearer(secret))
        assert answer.status == (200 if is_open or held in {scope, Scope.ADMIN} else 403)
        if answer.status == 403:
            assert f"scope {scope.value}" in answer.document["detail"]
            assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    for headers in (
        LOCAL,
        bearer("not-a-token-of-this-server"),
        {**LOCAL, "authorization": f"Basic {SECRETS[Scope.ADMIN]}"},
    ):
        answer = ask(app, method, path, headers)
        assert answer.status == (200 if is_open else 401)
        if not is_open:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith("Bearer ")
            assert answer.document["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_none_is_needed_on_loopback_without_tokens(method: str, path: str, scope: Scope) -> None:
    assert ask(Parts(access_on(LOOPBACK, Tokens())).guarded(echo()), method, path).status in {200, 405}


def test_one_token_closes_every_scope() -> None:
    app = Parts(access_on(LOOPBACK, tokens(Scope.INGEST))).guarded(echo())
    assert ask(app, "GET", "/status").status == 401
    assert ask(app, "GET", "/status", bearer(SECRETS[Scope.INGEST])).status == 403
    assert ask(app, "POST", "/events", bearer(SECRETS[Scope.INGEST])).status == 200


@pytest.mark.parametrize("name", ["127.0.0.1", "127.8.9.10", "::1", "[::1]", "localhost"])
def test_names_of_this_machine(name: str) -> None:
    assert is_loopback(name)
    assert access_on(name, Tokens()).loopback


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "10.1.2.3", "fe80::1", "totals.example.com", "localhost.example.com"]
)
def test_a_server_that_others_reach_does_not_start_without_a_token(address: str) -> None:
    with pytest.raises(OncefoldError, match=r"no token: give --token-file FILE or set ONCEFOLD_INGEST_TOKEN"):
        access_on(address, Tokens())
    assert not access_on(address, tokens()).loopback


def test_a_name_besides_its_own_needs_a_token_too() -> None:
    with pytest.raises(OncefoldError, match="--host-name"):
        access_on(LOOPBACK, Tokens(), host_names=("totals.example.com",))
    assert access_on(LOOPBACK, tokens(), host_names=("Totals.example.com",)).host_names == {"totals.example.com"}
    for wrong in ("https://a.example", "a.example:80", "a b", ""):
        with pytest.raises(OncefoldError, match="--host-name"):
            access_on(LOOPBACK, tokens(), host_names=(wrong,))


@pytest.mark.parametrize(
    "origin", ["*", "app.example.com", "https://app.example.com/", "null", "ftp://a", "https://a b"]
)
def test_origins_are_exact(origin: str) -> None:
    with pytest.raises(OncefoldError, match="--cors-origin"):
        access_on(LOOPBACK, Tokens(), cors_origins=(origin,))


# token files


def token_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "tokens"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_token_file_has_a_line_for_each_token_plain_or_hashed(tmp_path: Path) -> None:
    hashed = hashlib.sha256(b"another-reader-012345").hexdigest()
    text = f"# who may read\nread  {SECRETS[Scope.READ]}\nread sha256:{hashed}\n\nadmin {SECRETS[Scope.ADMIN]}\n"
    found = from_file(token_file(tmp_path, text))
    assert found.scopes == {Scope.READ, Scope.ADMIN}
    assert found.scopes_of(b"another-reader-012345") == {Scope.READ}
    assert found.scopes_of(SECRETS[Scope.READ].encode()) == {Scope.READ}
    assert found.scopes_of(SECRETS[Scope.ADMIN].encode()) == {Scope.ADMIN}
    assert found.scopes_of(hashed.encode()) == frozenset()
    assert SECRETS[Scope.READ] not in repr(Access(found))


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o620, 0o666])
def test_a_token_file_that_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(OncefoldError, match=r"other users .* chmod 600"):
        from_file(token_file(tmp_path, f"read {SECRETS[Scope.READ]}\n", mode))


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
def test_a_group_may_read_it(tmp_path: Path, mode: int) -> None:
    assert from_file(token_file(tmp_path, f"read {SECRETS[Scope.READ]}\n", mode))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no token"),
        ("# nothing\n", "holds no token"),
        ("write a-token-that-is-long-enough\n", "line 1: a line is SCOPE TOKEN"),
        ("read\n", "line 1: a line is SCOPE TOKEN"),
        ("read two words-are-no-token\n", "line 1"),
        ("\nread short\n", "line 2: the token has fewer than 16 characters"),
        ("read sha256:abc\n", "64 hexadecimal digits"),
        ("read sha256:" + "g" * 64 + "\n", "64 hexadecimal digits"),
        ("read tökens-are-plain-ascii-only\n", "letters, digits"),
    ],
)
def test_a_wrong_token_file_is_told_without_its_tokens(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(OncefoldError, match=words) as told:
        from_file(token_file(tmp_path, text))
    assert not any(word in str(told.value) for word in ("long-enough", "short\n", "are-no-token"))


def test_a_token_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(OncefoldError, match="cannot be read: No such file"):
        from_file(tmp_path / "none")
    with pytest.raises(OncefoldError, match="cannot be read: Is a directory"):
        from_file(tmp_path)
    path = token_file(tmp_path, "")
    path.write_bytes(b"read \xff\xfe\n")
    with pytest.raises(OncefoldError, match="UTF-8"):
        from_file(path)


def test_variables_name_their_scope() -> None:
    assert from_environment({}) == Tokens()
    assert from_environment({"ONCEFOLD_READ_TOKEN": ""}) == Tokens()
    assert tokens(Scope.READ).scopes == {Scope.READ}
    with pytest.raises(OncefoldError, match="the variable ONCEFOLD_ADMIN_TOKEN: the token has fewer"):
        from_environment({"ONCEFOLD_ADMIN_TOKEN": "short"})
