"""Random records for the pipeline TWO_TREES: few keys, so that they move, are corrected and deleted; odd labels."""

import random
from typing import Any

ODD = ["", "\0", "\0\0", "a", "a/b", "a\\", "é", "\uffff", "\U00010000", "\n", " ", "e"]


def random_records(seed: int, number: int = 60, labels: list[str] | None = None) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    labels = ODD if labels is None else labels
    return [_record(chance, labels) for _ in range(number)]


def _record(chance: random.Random, labels: list[str]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "book": chance.choice(["x", "y/", ""]),
        "id": chance.randrange(8),
        "v": chance.randrange(4),
    }
    if chance.random() < 0.15:
        return {**record, "gone": True}
    return {
        **record,
        "type": chance.choice(labels),
        "region": chance.choice(labels),
        "value": f"{chance.randrange(-(10**9), 10**9)}.{chance.randrange(100):02d}",
        "tiny": chance.choice([0, "0.000000000000000001", "-0.5"]),
    }
