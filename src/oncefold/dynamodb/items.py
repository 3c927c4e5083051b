"""Items of DynamoDB in the form of its low-level API, exact numbers, and the limits of items and transactions. Pure.

Numbers are written as the shortest plain decimal, which is the form that DynamoDB gives back, so that a number read
equals the number written also where numbers are compared as text. Limits are those of "Amazon DynamoDB Transactions:
How it works" (100 items, 4 MB), "Quotas in Amazon DynamoDB" (400 KB an item) and "Supported data types and naming rules
in Amazon DynamoDB" (38 digits).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from oncefold.core.decimals import format_decimal, parse_decimal
from oncefold.core.errors import OncefoldError

Item = dict[str, Any]

TRANSACTION_ITEMS = 100
TRANSACTION_BYTES = 4_000_000
ITEM_BYTES = 400_000
NUMBER_DIGITS = 38
"""Significant digits of a number."""
NUMBER_LIMIT = 10**NUMBER_DIGITS
"""Above any number that DynamoDB holds exactly; a mantissa has at most as many digits as its limit allows."""


def number(mantissa: int, scale: int) -> dict[str, str]:
    """A DynamoDB number of mantissa / 10**scale. Raises OncefoldError beyond 38 digits."""
    if abs(mantissa) >= NUMBER_LIMIT:
        raise OncefoldError(
            f"{format_decimal(mantissa, scale)} has more than the {NUMBER_DIGITS} digits that DynamoDB keeps; "
            "give the measure a smaller scale, or its sum a rollup with more levels"
        )
    text = format_decimal(mantissa, scale)
    if scale:
        text = text.rstrip("0").rstrip(".")
    return {"N": "0" if text == "-0" else text}


def mantissa(value: Mapping[str, str], scale: int) -> int:
    """The inverse of `number`."""
    return parse_decimal(value["N"], scale, NUMBER_LIMIT)


def digest(value: Any) -> str:
    """A hash of plain values, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
