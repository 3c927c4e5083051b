"""Groups of commands whose modules are imported when a command is called, so that `--help` is quick."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command by the place where it is defined, with its line in the group's help."""

    name: str
    where: str
    """`module:attribute`."""
    words: str

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
    """A group of lazy commands. With a `default`, that one is meant when none is named."""

    def __init__(self, *args: Any, sections: Sequence[Section], default: str | None = None, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self._sections = sections
        self._lazy = {command.name: command for section in sections for command in section.commands}
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default in front of arguments that name no command and ask for no help."""
        if self._default is not None and not {*args[:1]} & {*self._lazy, *ctx.help_option_names}:
            misnamed = args and not args[0].startswith("-")
            args = args if misnamed else [self._default, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names, in the order of the sections."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        lazy = self._lazy.get(cmd_name)
        return None if lazy is None else lazy.load()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands in their sections, without importing any."""
        width = max(map(len, self._lazy), default=0)
        for section in self._sections:
            with formatter.section(section.heading):
                formatter.write_dl([(lazy.name.ljust(width), lazy.words) for lazy in section.commands])
