"""What can be asked of a stack on AWS, and done about it: the questions of `oncefold.queries`, and operations."""

from oncefold.aws.reader.questions import StackQuestions

__all__ = ["StackQuestions"]
