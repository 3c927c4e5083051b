"""Names of fields: dotted paths into nested records, quoted segments for names that hold dots."""

import re
from dataclasses import dataclass

_SEGMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^."]+)')


@dataclass(frozen=True, slots=True)
class FieldPath:
    """Where a field is in a record: one segment per level of nesting, never empty."""

    segments: tuple[str, ...]
    """Names from the record inwards."""

    @classmethod
    def parse(cls, text: str) -> "FieldPath":
        r"""Read `Hierarchy.Region` or `"a.b".c`; inside quotes `\"` means a quote and `\\` a backslash.

        Raises:
            ValueError: The text is no path; the message says why and at which character.

        Example:
            >>> FieldPath.parse('order."line.item".price').segments
            ('order', 'line.item', 'price')
        """
        segments: list[str] = []
        at = 0
        while True:
            match = _SEGMENT.match(text, at)
            if match is None:
                raise ValueError(f"{text!r} is not a field path: a name is missing at character {at + 1}")
            quoted, plain = match.groups()
            segments.append(plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
            at = match.end()
            if at == len(text):
                return cls(tuple(segments))
            if text[at] != ".":
                raise ValueError(f"{text!r} is not a field path: expected a dot at character {at + 1}")
            at += 1

    @property
    def column(self) -> str:
        """The column that holds the field where records are flat (CSV, a flat table): joined by dots."""
        return ".".join(self.segments)

    def __str__(self) -> str:
        return ".".join(map(_quoted, self.segments))


def _quoted(segment: str) -> str:
    if segment and "." not in segment and '"' not in segment:
        return segment
    return '"' + segment.replace("\\", "\\\\").replace('"', '\\"') + '"'
