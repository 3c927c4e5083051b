"""The ledger: what our table remembers of records, of a shard's position, and of totals that were there before. Pure.

Its key is `id`, a text. What stands before the first slash says what an item is.

| id | what it holds | way |
|---|---|---|
| `id/RECORD` | `counts`: what the record added | id |
| `version/RECORD` | `version`, `counts`, and `content`, a hash of the counts that conditions compare | version |
| `position/LANE` | `position`: the last that is counted; `+` and how many of its additions, if not all | position |
| `base/KEY` | `counts`: what of a counter's totals the ledger does not explain | all |
| `settings` | what the counters are, so that no other ones use this ledger | all |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from oncefold.dynamodb.items import Item, digest, mantissa
from oncefold.once.counts import Counts, Place, counts_text, parse_counts
from oncefold.once.errors import CountsError

Way = Literal["id", "version", "position"]
WAYS: tuple[Way, ...] = ("id", "version", "position")
SETTINGS_KEY: Item = {"id": {"S": "settings"}}
BASE = "base/"
_KEY_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Kept:
    """A record's version that counts, and what it added."""

    version: str
    """A number as DynamoDB writes it."""
    text: str
    """Its counts as text."""

    @property
    def content(self) -> str:
        """What identifies its counts in conditions."""
        return digest(self.text)[:32]

    @property
    def rank(self) -> tuple[int, bool, bytes]:
        """What decides between versions of a record: the version; of one version nothing above all, then the text."""
        return mantissa({"N": self.version}, VERSION_PLACES), self.text == NOTHING, self.text.encode()


VERSION_PLACES = 18
"""Decimal places that a version may have; seconds with nanoseconds have nine."""
NOTHING = "[]"
"""The text of counts that count nowhere."""


def record_key(way: Way, record: str) -> Item:
    """The key of what is kept of a record, or of a lane. Raises CountsError."""
    key = f"{way}/{record}"
    size = len(key.encode())
    if size > _KEY_BYTES:
        raise CountsError(
            f"{way} {record[:40]!r}...: it has {size:,} bytes with its prefix; the ledger's key takes {_KEY_BYTES:,}. "
            "Give a shorter one, such as its SHA-256"
        )
    return {"id": {"S": key}}


def record_of(way: Way, item: Mapping[str, Any]) -> str:
    """The record, or lane, that an item of the ledger is about."""
    text: str = item["id"]["S"]
    return text.removeprefix(f"{way}/")


def id_write(ledger: str, record: str, text: str) -> Item:
    """Keep a record that nobody has kept."""
    return {
        "Put": {
            "TableName": ledger,
            "Item": {**record_key("id", record), "counts": {"S": text}},
            "ConditionExpression": "attribute_not_exists(#id)",
            "ExpressionAttributeNames": {"#id": "id"},
        }
    }


def version_write(ledger: str, record: str, before: Kept | None, after: Kept) -> Item:
    """Keep a record's version in the place of the one that was read."""
    put: Item = {
        "TableName": ledger,
        "Item": {
            **record_key("version", record),
            "version": {"N": after.version},
            "content": {"S": after.content},
            "counts": {"S": after.text},
        },
    }
    if before is None:
        put["ConditionExpression"] = "attribute_not_exists(#id)"
        put["ExpressionAttributeNames"] = {"#id": "id"}
    else:
        put["ConditionExpression"] = "#version = :version AND #content = :content"
        put["ExpressionAttributeNames"] = {"#version": "version", "#content": "content"}
        put["ExpressionAttributeValues"] = {":version": {"N": before.version}, ":content": {"S": before.content}}
    return {"Put": put}


def parse_kept(item: Mapping[str, Any]) -> Kept:
    """The version that an item holds."""
    return Kept(item["version"]["N"], item["counts"]["S"])


def position_write(ledger: str, lane: str, before: str | None, after: str) -> Item:
    """Move a lane's position from where it was read."""
    put: Item = {"TableName": ledger, "Item": {**record_key("position", lane), "position": {"S": after}}}
    if before is None:
        put["ConditionExpression"] = "attribute_not_exists(#id)"
        put["ExpressionAttributeNames"] = {"#id": "id"}
    else:
        put["ConditionExpression"] = "#position = :position"
        put["ExpressionAttributeNames"] = {"#position": "position"}
        put["ExpressionAttributeValues"] = {":position": {"S": before}}
    return {"Put": put}


def base_item(place: Place, counts: Counts, places: int) -> Item:
    """What of a counter's totals the ledger does not explain."""
    name = digest([list(part) for part in place])
    return {"id": {"S": BASE + name}, "counts": {"S": counts_text(counts, places)}}


def parse_item_counts(item: Mapping[str, Any], places: int) -> Counts:
    """The counts that an item holds."""
    return parse_counts(item["counts"]["S"], places)


def settings_item(way: Way, table: str, places: int) -> Item:
    """What the counters of a ledger are."""
    return {**SETTINGS_KEY, "way": {"S": way}, "counters": {"S": table}, "places": {"N": str(places)}}
