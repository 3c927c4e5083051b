"""Makes records for any pipeline: good ones, hostile ones, and ones broken at the level of bytes.

Everything is drawn from one `random.Random`, so that a test says a whole block with one number.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

from hypothesis import strategies as st

from oncefold.core.definition import FirstOf, Pipeline, Rollup, Unit, Version
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import KEY_BYTES, LABEL_BYTES, PATH_BYTES
from oncefold.core.timestamps import UNIT_PLACES
from tests.core.strategies import pipelines

Token = Callable[[], str]
"""Draws the JSON text of one value."""

SEEDS = st.integers(0, 2**32 - 1)

_PLAIN = "abcdefghijklmnop -_.:#'é€😀"
_AWKWARD = '"\\/\x00\x01\t\n\r\x7f\x80\u2028\ufeff,;{}[]:'
_JUNK = (
    "null", "true", "false", "[]", "{}", "[1,2]", '["a"]', '{"a":1}', "[[{}],[]]", '""', '" "', "NaN", "-Infinity",
    "nul", "tru", "falsee", "True", "'a'", "", "-", "+1", "-+1", "01", "-01", "1.", ".5", "1e", "1e+", "0x1", "1_0",
    "--1", "1..2", "1 2", r'"\ud800"', r'"\ud83d\ude00"', r'"\u12g4"', r'"\u12', r'"\x"', '"\\', r'"\u0000"', '"a',
    '"\x00"', '"\x1f"', '"\ufeff"', "[" * 70 + "]" * 70, '{"a":' * 40 + "1" + "}" * 40, "[1", "[1,]", "{,}", '{"a"}',
    "[" * 31 + "]" * 31, "[" * 63 + "]" * 63, "[" * 64 + "]" * 64,
)  # fmt: skip
_NUMBERS = (
    "0", "-0", "0.0", "-0.00", "1e2", "1E+2", "1e-2", "150e-2", "0e999999999999999999999", "1e400", "-1e-400", "1.5",
    "9" * 18, "9" * 19, "-" + "9" * 17, "1" + "0" * 18, "9223372036854775807", "-9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "0." + "9" * 18, "0." + "0" * 30 + "1", "1." + "0" * 40,
    "0.125", "0.135", "0.005", "0.015", "0.0050000000000000000000001", "0.00499999999999999999999", "2.5", "3.5",
    "999999999999999999.5", "999999999999999999.4", "99999999999999999.995", "9" * 5_000, "0." + "5" * 5_000,
    "1616413258.8997", "1616413258899.7", "-62135596800", "1234567890123456789", "9000000000", "-9000000000",
)  # fmt: skip
_ODD_NUMERALS = (
    "007",
    "+1",
    "+0.5",
    "5.",
    ".5",
    "+.5e1",
    " 1",
    "1 ",
    "1,5",
    "\uff11",
    "00000000000000000000001",
    "-",
    "",
)
_TIMES = (
    "2021-03-22", "2021-03-22T11:00:58.8997Z", "2021-03-22 11:00:58", "2021-03-22t11:00:58z", "1969-12-31T23:59:59Z",
    "2021-03-22T11:00:58+05:30", "2021-03-22T11:00:58-23:59", "2021-03-22T11:00:58+24:00", "2021-02-29",
    "2020-02-29", "1900-02-29", "2000-02-29T23:59:59.999999999Z", "2021-03-22T11:00:58.1234567890Z",
    "2021-03-22T11:00:58.1234567891Z", "2021-03-22T24:00:00Z", "2021-03-22T23:59:60Z", "2021-13-01", "2021-00-01",
    "2021-01-00", "1677-09-21T00:12:44Z", "1677-09-20", "2262-04-11T23:47:16Z", "2262-04-12", "1699-12-31",
    "1700-01-01", "2250-12-31T23:59:59.999999999Z", "2251-01-01", "0001-01-01", "9999-12-31", "2021-03-22T11:00",
    "2021-03-22T11:00:58.Z", "2021-03-22T11:00:58Z ", "2021-03-22X11:00:58Z", "2021-3-22", "20210322",
    "2021-03-22T11:00:58+0530", "2021-03-22T1a:00:58Z", "1970-01-01T00:00:00-00:01", "2021-03-22T", "2021-03-2\uff12",
)  # fmt: skip


_VERSIONS_OF = {
    "decimal": ["1", "-7", "0", '"18446744073709551615"', '"4421584500000000017450439091"', "9" * 38, "0.5", '"1.50"'],
    "ulid": [
        '"01ARZ3NDEKTSV4RRFFQ69G5FAV"',
        '"01arz3ndektsv4rrffq69g5faw"',
        '"7ZZZZZZZZZZZZZZZZZZZZZZZZZ"',
        f'"{"0" * 26}"',
    ],
    "uuidv7": ['"018f3c2e-7b00-7000-8000-000000000001"', '"018F3C2E-7B00-7FFF-BFFF-FFFFFFFFFFFF"'],
    "lsn": ['"0/16B3748"', '"7FFFFFFF/FFFFFFFE"', '"a/b"', '"0/0"'],
    "binlog": ['"mysql-bin.000003:154"', '"000003:155"', '"binlog.000010:4"'],
    "text": ['"a"', '"ab"', '"1.10.0"', '"\u00e9\u00e9"', '"0123456789abcdef"', '""'],
}
_VERSIONS = (
    "1" * 39, "9" * 38 + ".0", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "01ARZ3NDEKTSV4RRFFQ69G5FAU",
    "018f3c2e-7b00-4000-8000-000000000001",
    "018f3c2e7b0070008000000000000001", "80000000/0", "7FFFFFFF/FFFFFFFF", "0/123456789", "/1", "1/", "x:1", "a.b:1",
    "0123456789abcdefg", "a\\u0000", "+5", "-0", "0.00000000000000000000000000000000000001", "1e3", "007",
)  # fmt: skip


@st.composite
def near_pipelines(draw: st.DrawFn) -> Pipeline:
    """Any definition, with few and plain names: paths meet, are prefixes of each other, or differ after eight bytes."""
    pipeline = draw(pipelines())
    names = st.sampled_from(["a", "b", "c", "abcdefgh", "abcdefgh1", "abcdefgh2", "a.b", "", "é"])
    paths = st.builds(FieldPath, st.lists(names, min_size=1, max_size=3).map(tuple))
    old = pipeline.fields
    new = draw(st.lists(paths, min_size=len(old), max_size=len(old), unique=draw(st.booleans())))
    return renamed(pipeline, dict(zip(old, new, strict=True)))


def renamed(pipeline: Pipeline, new: Mapping[FieldPath, FieldPath]) -> Pipeline:
    """The pipeline with other fields."""

    def swap(item: Any) -> Any:
        if isinstance(item, Version):
            item = replace(item, then=tuple(map(swap, item.then)))
        return None if item is None else replace(item, field=new[item.field])

    def swap_part(part: Any) -> Any:
        return FirstOf(tuple(new[field] for field in part.fields)) if isinstance(part, FirstOf) else new[part]

    return replace(
        pipeline,
        key=tuple(map(swap_part, pipeline.key)),
        rollups=tuple(Rollup(r.name, tuple(dict.fromkeys(map(swap, r.levels)))) for r in pipeline.rollups),
        measures=tuple(map(swap, pipeline.measures)),
        version=swap(pipeline.version),
        time=swap(pipeline.time),
        delete=swap(pipeline.delete),
    )


PIPELINES = pipelines() | near_pipelines()


class Values:
    """Draws the JSON texts of values; `odds` is the share of those that are out of the ordinary."""

    def __init__(self, rng: Random, odds: float) -> None:
        self._rng, self._odds = rng, odds

    def odd(self) -> bool:
        """Whether the next thing shall be odd."""
        return self._rng.random() < self._odds

    def quoted(self, text: str) -> str:
        """The text as a JSON string, at times with escapes that need not be."""
        if self.odd():
            return json.dumps(text)
        at = self._rng.randrange(len(text)) if self.odd() and text else -1
        if at >= 0 and ord(text[at]) < 0x10000:
            head, tail = json.dumps(text[:at], ensure_ascii=False), json.dumps(text[at + 1 :], ensure_ascii=False)
            return f"{head[:-1]}\\u{ord(text[at]):04X}{tail[1:]}"
        return json.dumps(text, ensure_ascii=False)

    def text(self) -> str:
        """A text; an odd one is awkward, or about as long as some limit."""
        if not self.odd():
            return "".join(self._rng.choices(_PLAIN, k=self._rng.randrange(12)))
        if self._rng.random() < 0.5:
            return "".join(self._rng.choices(_PLAIN + _AWKWARD, k=self._rng.randrange(12)))
        size = self._rng.choice([890, 898, 899, 900, LABEL_BYTES, PATH_BYTES, KEY_BYTES]) + self._rng.randint(-3, 3)
        return self._rng.choice(["x", "é", "/", "\\", "\n", "😀"]) * (size // self._rng.choice([1, 1, 2, 4]))

    def label(self) -> str:
        """A key's or label's value."""
        if self.odd():
            return self._rng.choice(["-0", "0", "9" * 30, "-" + "9" * 20, "1.0", "1e3", "-5", "9" * 899, "9" * 2049])
        return str(self._rng.randint(-999, 999)) if self._rng.random() < 0.3 else self.quoted(self.text())

    def number(self, places: int) -> str:
        """A number that fits so many decimal places, in quotes at times."""
        rng = self._rng
        token = rng.choice(["", "-"]) + str(rng.randrange(10 ** rng.randint(1, max(1, 17 - places))))
        if places >= 17:
            token = rng.choice(["0", "-0"])
        if places and rng.random() < 0.8:
            token += "." + str(rng.randrange(10**places)).rjust(places, "0")[: rng.randint(1, places)]
        if self.odd():
            token += "0" * (places if "." in token else 0) + rng.choice(
                ["0", "5", "50", "50001", "49999", "6", "0" * 18]
            )
        if self.odd():
            token = rng.choice(_NUMBERS)
        if self.odd():
            return self.quoted(rng.choice(_ODD_NUMERALS))
        return self.quoted(token) if rng.random() < 0.1 else token

    def time(self, unit: Unit) -> str:
        """A time as a number of such units, or in words."""
        rng, places = self._rng, UNIT_PLACES[unit]
        if self.odd():
            return rng.choice([f'"{time}"' for time in _TIMES] + list(_NUMBERS))
        if rng.random() < 0.5:
            fraction = f".{rng.randrange(10**places):0{places}d}" if places and rng.random() < 0.5 else ""
            return str(rng.randrange(-(10**9), 4 * 10**9) * 10 ** (9 - places)) + fraction
        first, last, least, most = (1690, 2260, 0, 99) if self.odd() else (1900, 2100, 1, 12)
        year, parts = rng.randint(first, last), [rng.randint(least, most) for _ in range(5)]
        day = f"{year:04d}-{parts[0]:02d}-{parts[1]:02d}"
        fraction = f".{rng.randrange(10 ** rng.randint(1, 9))}" if rng.random() < 0.5 else ""
        zone = rng.choice(["Z", "z", "", "+01:00", "-12:34"])
        return f'"{day}{rng.choice("T t")}{parts[2]:02d}:{parts[3]:02d}:{parts[4]:02d}{fraction}{zone}"'

    def version(self) -> str:
        """One of few versions."""
        return self._rng.choice(_NUMBERS) if self.odd() else str(self._rng.randint(-5, 20))

    def wide_version(self, kind: str) -> str:
        """One of few versions of a type; some are of another one."""
        return f'"{self._rng.choice(_VERSIONS)}"' if self.odd() else self._rng.choice(_VERSIONS_OF[kind])

    def delete(self, equals: str | None) -> str:
        """A value for a field that says whether its event is a delete."""
        wanted = ["true"] if equals is None else [json.dumps(equals, ensure_ascii=False), equals]
        usual = wanted[:1] + (["false", "null"] if equals is None else ['"x"', "null"])
        odd = ['"true"', '"FALSE"', '"0"', '"1"', '""', "1", "0", '"no"', "2", "true", "false", *wanted]
        return self._rng.choice(odd if self.odd() else usual)

    def junk(self) -> str:
        """Something that hardly fits anywhere."""
        return self._rng.choice(_JUNK + _NUMBERS)


def tokens_of(pipeline: Pipeline, values: Values) -> dict[FieldPath, list[Token]]:
    """For each field, what a value of it may look like in the roles that it plays."""
    tokens: dict[FieldPath, list[Token]] = {field: [] for field in pipeline.fields}
    for part in pipeline.key:
        for field in part.fields if isinstance(part, FirstOf) else (part,):
            tokens[field].append(values.label)
    for level in pipeline.levels:
        tokens[level.field].append(values.label if level.window is None else partial(values.time, level.unit))
    for measure in pipeline.measures:
        tokens[measure.field].append(partial(values.number, measure.scale))
        if measure.kind in {"count", "distinct"}:
            tokens[measure.field].append(values.label)
    for version in () if pipeline.version is None else pipeline.version.parts:
        timed = version.type == "timestamp"
        other = values.version if version.type == "integer" else partial(values.wide_version, version.type)
        tokens[version.field].append(partial(values.time, version.unit) if timed else other)
    if (time := pipeline.time) is not None:
        tokens[time.field].append(partial(values.time, time.unit))
    if (delete := pipeline.delete) is not None:
        tokens[delete.field].append(partial(values.delete, delete.equals))
    return tokens


class Records:
    """Draws records for one pipeline; `odds` is the share of values, names and bytes that are odd."""

    def __init__(self, pipeline: Pipeline, rng: Random, odds: float) -> None:
        self._values = Values(rng, odds)
        self._tokens = tokens_of(pipeline, self._values)
        self._rng, self._odd = rng, self._values.odd

    def value(self, field: FieldPath) -> str:
        """The JSON text of a value for this field."""
        return self._values.junk() if self._odd() else self._rng.choice(self._tokens[field])()

    def line(self) -> bytes:
        """One JSON record without its newline."""
        fields = list(self._tokens)
        self._rng.shuffle(fields)
        tree: dict[str, Any] = {}
        for field in fields:
            if not self._odd():
                _plant(tree, field.segments, self.value(field))
        text = self._object(tree)
        if self._odd():
            ends = ["\ufeff" + text, text + text, text + " x", text + ",", f"[{text}]", text[:-1], "x" + text]
            text = self._rng.choice([*ends, "\x0c" + text, "\xa0" + text, text + "\0", "null", '"a"', "1", "{}"])
        return text.encode("utf-8", "surrogatepass")

    def _object(self, tree: dict[str, Any]) -> str:
        members = [(name, self._object(value) if isinstance(value, dict) else value) for name, value in tree.items()]
        if self._odd() and members:
            members.append((self._rng.choice(members)[0], self._rng.choice(["1", "null", "{}", '"x"'])))
        if self._rng.random() < 0.2:
            near = [name[:8] + "~" for name in tree] + [name + "~" for name in tree]
            names = ["x", *near, *(tree if self._odd() else ())]
            members.append((self._rng.choice(names), self._rng.choice(["1", '"é"', r'"\n\u00e9"', "[{}, [1]]", "{}"])))
        self._rng.shuffle(members)
        space = self._rng.choice(["", "", " ", " ", "\t \r"])
        pairs = [f"{self._values.quoted(name)}{space}:{space}{value}" for name, value in members]
        return "{" + space + f"{space},{space}".join(pairs) + space + "}"

    def lines(self, count: int) -> bytes:
        """A block of so many lines, with blank ones between them, some line ends CRLF, the last one maybe without."""
        ends = [b"\n"] * 8 + [b"\r\n", b" \n", b"\n\n", b"\n \t\r\n"]
        block = b"".join(self.line() + self._rng.choice(ends) for _ in range(count))
        return block if self._rng.random() < 0.7 else block.rstrip(b"\n")

    def header(self) -> list[str]:
        """A header with all columns in any order; an odd one lacks one, or has it twice."""
        columns = list(dict.fromkeys(field.column for field in self._tokens))
        columns += self._rng.choices(["x", "unknown"], k=self._rng.randrange(3))
        if self._odd():
            columns.append(self._rng.choice(columns))
        if self._odd():
            columns.remove(self._rng.choice(columns))
        self._rng.shuffle(columns)
        return columns or ["x"]

    def rows(self, count: int, header: Sequence[str], delimiter: str) -> bytes:
        """A block of so many CSV records."""
        block = "".join(self._row(header, delimiter) + self._line_end() for _ in range(count))
        return block.encode("utf-8", "surrogatepass")

    def _line_end(self) -> str:
        return self._rng.choice(["\n\n", "\r\r\n", "\r", "\n\r\n"]) if self._odd() else self._rng.choice(["\n", "\r\n"])

    def _row(self, header: Sequence[str], delimiter: str) -> str:
        cells = [self._written(self._cell(column), delimiter) for column in header]
        if self._odd():
            cells = self._rng.choice([cells[:-1], [*cells, "x"], [], cells[:1]])
        return delimiter.join(cells)

    def _cell(self, column: str) -> str:
        fields = [field for field in self._tokens if field.column == column]
        if self._odd():
            return self._rng.choice(["", "a,b", 'a"b', "é", "\n", "\r", "\0", " "])
        if not fields:
            return self._rng.choice(["", "x", "1", "a,b", "é"])
        token = self.value(self._rng.choice(fields))
        return token[1:-1] if token[:1] == token[-1:] == '"' else "" if token == "null" else token

    def _written(self, cell: str, delimiter: str) -> str:
        if self._odd():
            return self._rng.choice([f'"{cell}', f'{cell}"', f'"{cell}"x', f'a"{cell}"', f' "{cell}"', f'""{cell}'])
        if self._rng.random() < 0.1 or any(letter in cell for letter in ('"', "\r", "\n", delimiter)):
            return '"' + cell.replace('"', '""') + '"'
        return cell


def _plant(tree: dict[str, Any], segments: Sequence[str], value: str) -> None:
    """Put a value at a path, unless something else is there."""
    for name in segments[:-1]:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            return
    tree.setdefault(segments[-1], value)


_BYTES = [
    bytes([b]) for b in b'\n\n\r\t "\\{}[]:,.-+0159eEuntf\x00\x01\x1f\x20\x7f\x80\xc3\xa9\xe2\xf0\xff\xef\xbb\xbf;/'
]


def mutated(block: bytes, rng: Random, times: int) -> bytes:
    """The block with bytes inserted, deleted, flipped, repeated, or moved from elsewhere."""
    data = bytearray(block)
    for _ in range(times):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            data[at:at] = rng.choice(_BYTES) * rng.choice([1, 1, 1, 2, 9])
        elif kind == 1:
            del data[at : at + rng.choice([1, 1, 2, 5])]
        elif kind == 2 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            start = rng.randrange(len(data) + 1)
            data[at:at] = data[start : start + rng.randrange(12)]
        elif at < len(data):
            data[at : at + 1] = rng.choice(_BYTES)
    return bytes(data)
