"""`oncefold completion`: what a shell needs to complete commands, options and files."""

from __future__ import annotations

import click

_EPILOG = """\b
Examples:
  eval "$(oncefold completion bash)"                                      # in this shell
  oncefold completion bash >> ~/.bashrc                                   # in every bash (4.4 or newer)
  oncefold completion zsh > "${fpath[1]}/_oncefold"                       # in every zsh
  oncefold completion fish > ~/.config/fish/completions/oncefold.fish     # in every fish"""

VARIABLE = "_ONCEFOLD_COMPLETE"
"""By which the shell's function tells the program, run anew for each completion, to complete."""


@click.command(epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the function by which SHELL completes oncefold's commands, options and files."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(context.find_root().command, {}, "oncefold", VARIABLE).source())
