"""Groups of commands whose modules are imported when a command is called, so that `--help` is quick.

Other distributions add commands to a group by an entry point of the group `oncefold.commands` that has the group's name
and leads to a tuple of `Section`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from click.shell_completion import CompletionItem

ENTRY_POINTS = "oncefold.commands"
"""The entry-point group by which other distributions add commands."""


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command that is imported when it is called."""

    name: str
    where: str
    """`module:attribute`."""
    summary: str
    """The line in the group's help."""

    def load(self) -> click.Command:
        """Import it."""
        module, _, attribute = self.where.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@dataclass(frozen=True, slots=True)
class Section:
    """Commands that belong together, under one heading of the help."""

    heading: str
    commands: Sequence[Lazy]


class LazyGroup(click.Group):
    """A group of lazy commands. Without a command's name, `default` is called.

    With `plugins`, commands of other distributions that name this group are added. `distributions` names, for commands
    that may be missing, the distribution that adds them.
    """

    def __init__(
        self,
        *args: Any,
        sections: Sequence[Section],
        default: str | None = None,
        plugins: str | None = None,
        distributions: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(*args, **extra)
        self._own = sections
        self._default = default
        self._plugins = plugins
        self._distributions = distributions or {}

    @cached_property
    def _sections(self) -> Sequence[Section]:
        """The sections of this distribution, then those of the others that are installed, by their headings."""
        if self._plugins is None:
            return self._own
        from importlib.metadata import entry_points

        found = entry_points(group=ENTRY_POINTS, name=self._plugins)
        added: list[Section] = [section for point in found for section in point.load()]
        return (*self._own, *sorted(added, key=lambda section: section.heading, reverse=True))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default in front of arguments that name no command and do not ask for help."""
        completes = ctx.resilient_parsing
        if (
            self._default is not None
            and not completes
            and not {*args[:1]} & {*self.list_commands(ctx), *ctx.help_option_names}
        ):
            misnamed = args and not args[0].startswith("-")
            args = args if misnamed else [self._default, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names, in the order of the sections."""
        return [command.name for section in self._sections for command in section.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command. Raises UsageError for one of a distribution that is not installed."""
        for sections in (self._own, self._sections):
            for section in sections:
                for command in section.commands:
                    if command.name == cmd_name:
                        return command.load()
        if cmd_name in self._distributions:
            distribution = self._distributions[cmd_name]
            raise click.UsageError(
                f"{cmd_name} is in the distribution {distribution}, which is not installed: pip install {distribution} "
                f"(in a clone of the repository: pip install ./packages/{distribution})"
            )
        return None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands that begin so, without importing any, and the group's own options."""
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(lazy.name, help=lazy.summary)
            for section in self._sections
            for lazy in section.commands
            if lazy.name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands in their sections, without importing any; then those of distributions that are missing."""
        names = self.list_commands(ctx)
        missing = {name: where for name, where in self._distributions.items() if name not in names}
        width = max(map(len, (*names, *missing)), default=0)
        for section in self._sections:
            with formatter.section(section.heading):
                formatter.write_dl([(lazy.name.ljust(width), lazy.summary) for lazy in section.commands])
        if missing:
            with formatter.section("Not installed"):
                formatter.write_dl([(name.ljust(width), f"pip install {where}") for name, where in missing.items()])
