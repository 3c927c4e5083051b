"""A command with many options, shown under headings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class HeadedCommand(click.Command):
    """A command whose help lists its options under headings; those that no heading names stand last."""

    def __init__(self, *args: Any, headings: Mapping[str, Sequence[str]], **extra: Any) -> None:
        """`headings` has the names of each heading's options, in order."""
        super().__init__(*args, **extra)
        self._headings = headings

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, heading by heading."""
        records = {
            item.name: item.get_help_record(ctx) for item in self.get_params(ctx) if isinstance(item, click.Option)
        }
        shown = {name: record for name, record in records.items() if record is not None}
        named = {name for names in self._headings.values() for name in names}
        headings = {**self._headings, "Other": [name for name in shown if name not in named]}
        for heading, names in headings.items():
            with formatter.section(heading):
                formatter.write_dl([shown[name] for name in names])
