"""What can be asked of a stack on AWS, and done about it: the questions of `oncefold.questions`, and operations."""

from oncefold.aws.ask.questions import StackQuestions

__all__ = ["StackQuestions"]
