"""A stack of empty tables on the emulator."""

from tests.aws.conftest import aws, emulator, stack

__all__ = ["aws", "emulator", "stack"]
