"""Teams and their points: in the ParameterTable of a stack on AWS or on a machine, or in the lines of a game."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from oncefold.aws.connect import plain_message
from oncefold.core.errors import OncefoldError
from oncefold_workshop.course.player import NAME
from oncefold_workshop.pipelines.generator import Scores, read_scores
from oncefold_workshop.pipelines.settings import TABLES

FORM = "NAME=http://127.0.0.1:PORT, NAME=aws, NAME=aws:PROFILE, NAME=aws:PROFILE@REGION or NAME=GAME.jsonl"
_SECONDS = 5
"""That an answer may take."""


class TeamSource(Protocol):
    """Where the points of a team are."""

    def read(self) -> Scores:
        """The points as they are now. Raises OncefoldError."""


@dataclass(frozen=True, slots=True)
class StackSource:
    """A stack's ParameterTable."""

    dynamodb: Any
    table: str

    def read(self) -> Scores:
        """See TeamSource."""
        try:
            return read_scores(self.dynamodb, self.table)
        except ClientError as error:
            raise OncefoldError(plain_message(error)) from None
        except BotoCoreError as error:
            raise OncefoldError(str(error)) from None


@dataclass(frozen=True, slots=True)
class GameSource:
    """A file that `oncefold lab play --json` writes."""

    path: Path

    def read(self) -> Scores:
        """See TeamSource: the learner's points, or those of the first player."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
            rounds = [document for document in map(json.loads, lines) if not document.get("final")]
            points = tuple(int(_player(document["players"])["points"]) for document in rounds)
        except OSError as error:
            raise OncefoldError(f"{self.path}: cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise OncefoldError(f"{self.path}: these are no lines of oncefold lab play --json") from None
        return Scores(sum(points), points)


def _player(players: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return next((player for player in players if player["name"] == NAME), players[0])


@dataclass(frozen=True, slots=True)
class Team:
    """A team's name, and where its points are."""

    name: str
    source: TeamSource


def parse_team(text: str, table: str = TABLES.parameter) -> Team:
    """Read `NAME=SOURCE`. Raises OncefoldError."""
    name, _, source = text.partition("=")
    if not name.strip() or not source:
        raise OncefoldError(f"team {text!r}: write {FORM}")
    if source.startswith(("http://", "https://")):
        return Team(name, StackSource(_local_client(source), table))
    if source == "aws" or source.startswith("aws:"):
        return Team(name, StackSource(_aws_client(source.removeprefix("aws").removeprefix(":")), table))
    return Team(name, GameSource(Path(source)))


def _local_client(endpoint: str) -> Any:
    try:
        return boto3.client(
            "dynamodb",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 - an emulator takes any
            config=_config(),
        )
    except ValueError as error:
        raise OncefoldError(f"{endpoint}: {error}") from None


def _aws_client(profile: str) -> Any:
    name, _, region = profile.partition("@")
    try:
        session = boto3.Session(profile_name=name or None, region_name=region or None)
        return session.client("dynamodb", config=_config())
    except BotoCoreError as error:
        raise OncefoldError(f"AWS: {error} Name a profile and a region: aws:PROFILE@REGION") from None


def _config() -> Any:
    return Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 2})


@dataclass(frozen=True, slots=True)
class Standing:
    """A team on the board."""

    name: str
    scores: Scores
    error: str = ""
    """Why its points cannot be read now."""


class Board:
    """All teams, read again and again. What cannot be read keeps its last points."""

    def __init__(self, teams: Sequence[Team]) -> None:
        """Raises OncefoldError where two teams have one name."""
        names = [team.name for team in teams]
        if len({*names}) < len(names):
            raise OncefoldError("each team has to have a name of its own")
        self._teams = teams
        self._last = {name: Scores(0) for name in names}
        self._read: set[str] = set()

    def refresh(self) -> tuple[Standing, ...]:
        """Every team as it is now, the leading one first."""
        found = [self._standing(team) for team in self._teams]
        return tuple(sorted(found, key=lambda standing: -standing.scores.total))

    def _standing(self, team: Team) -> Standing:
        before = self._last[team.name]
        try:
            scores = team.source.read()
        except OncefoldError as error:
            return Standing(team.name, before, str(error))
        if not scores.rounds:
            scores = Scores(scores.total, self._seen(team.name, before, scores.total))
        self._read.add(team.name)
        self._last[team.name] = scores
        return Standing(team.name, scores)

    def _seen(self, name: str, before: Scores, total: int) -> tuple[int, ...]:
        """The rounds of a stack whose generator keeps the sum alone: what was seen to be added since the first look."""
        if name not in self._read or total == before.total:
            return before.rounds
        return (*before.rounds, total - before.total)
