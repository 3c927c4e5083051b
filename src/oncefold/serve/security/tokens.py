"""Bearer tokens and their scopes. Only hashes are kept: nothing that is held or shown here opens a server."""

import hashlib
import hmac
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from oncefold.core.errors import OncefoldError


class Scope(Enum):
    """A right that a token gives."""

    OPEN = "open"
    """Needs no token."""
    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"
    """Includes all others."""


GIVEN = (Scope.INGEST, Scope.READ, Scope.ADMIN)
"""The scopes that tokens are given for."""

LEAST_CHARACTERS = 16
"""Of a token: shorter ones can be guessed."""
VARIABLES = {f"ONCEFOLD_{scope.name}_TOKEN": scope for scope in GIVEN}
"""Environment variables that hold a token."""

_HASHED = "sha256:"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_FORM = "a line is SCOPE TOKEN, or SCOPE sha256:HEX"
_MAKE = "make one with: openssl rand -hex 32"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that a server knows, as SHA-256 hashes with their scopes."""

    hashes: tuple[tuple[bytes, Scope], ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.hashes)

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens((*self.hashes, *other.hashes))

    @property
    def scopes(self) -> frozenset[Scope]:
        """The scopes for which there is a token."""
        return frozenset(scope for _, scope in self.hashes)

    def scopes_of(self, token: bytes) -> frozenset[Scope]:
        """The scopes of a token; none for one that is not known. Takes as long for a right one as for a wrong one."""
        given = hashlib.sha256(token).digest()
        return frozenset([scope for known, scope in self.hashes if hmac.compare_digest(known, given)])


def from_environment(environment: Mapping[str, str]) -> Tokens:
    """The tokens that environment variables hold. Raises OncefoldError for one that cannot be a token."""
    found = [(name, scope, environment[name].strip()) for name, scope in VARIABLES.items() if environment.get(name)]
    return Tokens(tuple((_hash(token, f"the variable {name}"), scope) for name, scope, token in found))


def from_file(path: Path) -> Tokens:
    """The tokens of a file. Raises OncefoldError if it cannot be read, is not for its owner alone, or is wrong."""
    tokens = Tokens(tuple(_entries(_lines(path), path)))
    if not tokens:
        raise OncefoldError(f"{path}: the token file holds no token; {_FORM}; {_MAKE}")
    return tokens


def reading_token(path: Path) -> str:
    """The token that a reader sends, from a file that holds it alone, or from a server's token file.

    Raises OncefoldError as `from_file` does, and for a file without a plain token for reading.
    """
    return _plain_token(path, (Scope.READ, Scope.ADMIN), "reading")


def administering_token(path: Path) -> str:
    """The same of an administrator."""
    return _plain_token(path, (Scope.ADMIN,), "administration")


def _plain_token(path: Path, scopes: Iterable[Scope], what: str) -> str:
    lines = [line.split() for line in _lines(path) if line.strip() and not line.startswith("#")]
    if len(lines) == 1 and len(lines[0]) == 1:
        return lines[0][0]
    plain = {words[0]: words[1] for words in lines if len(words) == 2 and not words[1].startswith(_HASHED)}
    for scope in scopes:
        if scope.value in plain:
            return plain[scope.value]
    wanted = next(iter(scopes)).value
    raise OncefoldError(
        f"{path}: holds no token for {what}: give a file with the token alone, or a line {wanted} TOKEN"
    )


def _lines(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8") as file:
            _refuse_public(path, os.fstat(file.fileno()).st_mode)
            return file.readlines()
    except OSError as error:
        raise OncefoldError(f"{path}: the token file cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise OncefoldError(f"{path}: the token file is no UTF-8 text; {_FORM}") from None


def _refuse_public(path: Path, mode: int) -> None:
    """A group may read it, since that is how systemd and Kubernetes hand secrets over."""
    if os.name == "posix" and mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise OncefoldError(
            f"{path}: other users of this machine can read or write the token file (mode {stat.S_IMODE(mode):o}); "
            f"let its owner alone do so: chmod 600 {path}"
        )


def _entries(lines: Iterable[str], path: Path) -> Iterator[tuple[bytes, Scope]]:
    names = {scope.value: scope for scope in GIVEN}
    for number, line in enumerate(lines, 1):
        words, where = line.split(), f"{path}, line {number}"
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or words[0] not in names:
            raise OncefoldError(f"{where}: {_FORM}, and SCOPE is one of {', '.join(names)}")
        yield _hash(words[1], where), names[words[0]]


def _hash(text: str, where: str) -> bytes:
    """The hash of a token, or the one that is given in its place. Errors do not repeat the text: it may be a secret."""
    if text.startswith(_HASHED):
        try:
            digest = bytes.fromhex(text.removeprefix(_HASHED))
        except ValueError:
            digest = b""
        if len(digest) != hashlib.sha256().digest_size:
            raise OncefoldError(f"{where}: after {_HASHED} come the 64 hexadecimal digits of the token's SHA-256")
        return digest
    if len(text) < LEAST_CHARACTERS:
        raise OncefoldError(f"{where}: the token has fewer than {LEAST_CHARACTERS} characters; {_MAKE}")
    if not _TOKEN.fullmatch(text):
        raise OncefoldError(f"{where}: a token is letters, digits and . _ ~ + / - only; {_MAKE}")
    return hashlib.sha256(text.encode()).digest()
