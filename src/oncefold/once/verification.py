"""The ledger against the counters: what the totals are, what they should be, and what nobody can know."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from oncefold.dynamodb.calls import PUT_ITEMS, READ_KEYS, Dynamo, slices
from oncefold.dynamodb.items import Item, mantissa, number
from oncefold.once.counts import Amounts, Counts, Place, add, key_item, place_of, place_text
from oncefold.once.errors import CountsError
from oncefold.once.ledger import BASE, Way, base_item, parse_item_counts


@dataclass(frozen=True, slots=True)
class Difference:
    """An amount of a counter that is not what it should be."""

    counter: str
    attribute: str
    stored: Decimal | str
    """The number, or what is wrong with it."""
    expected: Decimal

    @property
    def text(self) -> str:
        """In one line."""
        return f"{self.counter}: {self.attribute} is {self.stored}, and should be {self.expected}"


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of a comparison."""

    records: int
    """Records, or by position shards, that the ledger has."""
    counters: int
    """Counters whose totals were compared."""
    wrong: tuple[Difference, ...]
    moving: int
    """Counters that changed meanwhile, so that nothing is said of them."""
    unknown: tuple[str, ...]
    """What cannot be known, in sentences."""

    @property
    def exact(self) -> bool:
        """Whether all that can be known is right."""
        return not self.wrong


_BY_POSITION = (
    "by position the ledger keeps how far each shard is counted and not what was added: totals cannot be compared"
)


class Verifier:
    """Compares one ledger with its counters."""

    def __init__(self, dynamo: Dynamo, table: str, ledger: str, way: Way, places: int) -> None:
        self._dynamo = dynamo
        self._table, self._ledger, self._way, self._places = table, ledger, way, places
        self._records = 0
        self._based = False

    def verify(self) -> Verification:
        """Compare every total that the ledger knows of."""
        stored = self._stored()
        expected = self._expected()
        if self._way == "position":
            return Verification(self._records, 0, (), 0, (_BY_POSITION,))
        suspects = [place for place, amounts in expected.items() if self._differs(amounts, stored.get(place, {}))]
        # A record that was counted between the two scans shows as a difference that moves: looked at once more.
        again = self._again(suspects)
        moving = [place for place in suspects if again.get(place, {}) != stored.get(place, {})]
        wrong = [
            difference
            for place in suspects
            if place not in moving
            for difference in self._differences(place, expected[place], stored.get(place, {}))
        ]
        return Verification(self._records, len(expected), tuple(wrong), len(moving), self._unknown(stored, expected))

    def adopt(self) -> Verification:
        """Write what is missing in the ledger's account as the base of each counter, and compare again."""
        if self._way == "position":
            raise CountsError(f"{_BY_POSITION}, so there is no base to take; set positions by Counters.adopting")
        stored, expected = self._stored(), self._expected()
        bases = dict(self._bases)
        items = []
        for place, amounts in stored.items():
            numbers = {name: self._number(place, name, value) for name, value in amounts.items() if "N" in value}
            rest = {name: value - expected.get(place, {}).get(name, 0) for name, value in numbers.items()}
            base: Counts = {place: dict(bases.get(place, {}))}
            add(base, {place: rest})
            if any(rest.values()):
                items.append(base_item(place, base, self._places))
        for some in slices(items, PUT_ITEMS):
            self._dynamo.put(self._ledger, some)
        return Verifier(self._dynamo, self._table, self._ledger, self._way, self._places).verify()

    def _stored(self) -> dict[Place, Item]:
        """The counters' items by their keys, without the keys' attributes."""
        schema = self._dynamo.describe(self._table)["KeySchema"]
        self._names = [part["AttributeName"] for part in sorted(schema, key=lambda part: str(part["KeyType"]))]
        return dict(map(self._row, self._dynamo.scan(self._table)))

    def _row(self, item: Item) -> tuple[Place, Item]:
        return place_of(item, self._names), {name: item[name] for name in item if name not in self._names}

    def _expected(self) -> Counts:
        """What the ledger adds up to."""
        expected: Counts = {}
        self._bases: Counts = {}
        for item in self._dynamo.scan(self._ledger):
            name = item["id"]["S"]
            based = name.startswith(BASE)
            self._records += name.startswith(f"{self._way}/")
            if "counts" in item:
                counts = parse_item_counts(item, self._places)
                add(expected, counts)
                if based:
                    add(self._bases, counts)
        return expected

    def _again(self, places: Iterable[Place]) -> dict[Place, Item]:
        keys = [key_item(place) for place in places]
        return dict(
            self._row(item) for some in slices(keys, READ_KEYS) for item in self._dynamo.read(self._table, some)
        )

    def _differs(self, expected: Amounts, item: Mapping[str, Any]) -> bool:
        return any(self._value(item, name) != amount for name, amount in expected.items())

    def _differences(self, place: Place, expected: Amounts, item: Mapping[str, Any]) -> Iterator[Difference]:
        for name, amount in sorted(expected.items()):
            value = self._value(item, name)
            if value != amount:
                shown = value if isinstance(value, str) else self._decimal(value)
                yield Difference(place_text(place), name, shown, self._decimal(amount))

    def _value(self, item: Mapping[str, Any], name: str) -> int | str:
        """An amount, 0 where there is none, or what is wrong with it."""
        attribute = item.get(name, {"N": "0"})
        if "N" not in attribute:
            return "no number"
        try:
            return mantissa(attribute, self._places)
        except ValueError as error:
            return f"not readable: {error}"

    def _number(self, place: Place, name: str, value: Mapping[str, str]) -> int:
        try:
            return mantissa(value, self._places)
        except ValueError as error:
            raise CountsError(
                f"{place_text(place)}: {name}: {error}; round it before the counters go on, or give them more places="
            ) from None

    def _decimal(self, value: int) -> Decimal:
        return Decimal(number(value, self._places)["N"])

    def _unknown(self, stored: Mapping[Place, Item], expected: Counts) -> tuple[str, ...]:
        others = sum(
            any("N" in value and name not in expected.get(place, {}) for name, value in item.items())
            for place, item in stored.items()
        )
        if not others:
            return ()
        said = (
            f"{others} items of {self._table} have numbers that no record of the ledger added to: nothing is known of"
        )
        return (f"{said} those numbers; Counters.adopt_totals takes them for the base",)
