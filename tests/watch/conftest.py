"""A stack of empty tables on the emulator."""

from tests.aws.conftest import aws, emulator, mode_of_stack, stack

__all__ = ["aws", "emulator", "mode_of_stack", "stack"]
