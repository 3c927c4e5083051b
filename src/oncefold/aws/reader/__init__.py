"""The AWS implementation of `oncefold.queries.protocol.Reader`: queries answered from a stack's tables."""

from oncefold.aws.reader.reader import StackReader, open_stack

__all__ = ["StackReader", "open_stack"]
