"""From the text of an expression to tokens, with DynamoDB's words about a syntax error."""

import re
from dataclasses import dataclass
from typing import NoReturn

from oncefold_lab.simulator.errors import Refusal

EXPRESSION_BYTES = 4096
"""The longest expression."""

_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z][A-Za-z0-9_]*)|(?P<alias>#[A-Za-z0-9_]+)|(?P<value>:[A-Za-z0-9_]+)"
    r"|(?P<index>[0-9]+)|(?P<sign><>|<=|>=|[=<>(),.\[\]+-])|(?P<other>\S))",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression: its kind is a group of the pattern above, or `end`."""

    kind: str
    text: str
    start: int
    end: int


class Tokens:
    """The tokens of one expression, read from left to right."""

    def __init__(self, parameter: str, text: str) -> None:
        """`parameter` is what the request calls the expression, as in `ConditionExpression`."""
        self.parameter = parameter
        self._text = text
        if not text.strip():
            self.refuse("The expression can not be empty;")
        if len(text.encode()) > EXPRESSION_BYTES:
            self.refuse("Expression size has exceeded the maximum allowed size;")
        self._tokens = [
            Token(str(match.lastgroup), match[str(match.lastgroup)], match.start(match.lastindex or 0), match.end())
            for match in _TOKEN.finditer(text)
        ]
        self._tokens.append(Token("end", "<EOF>", len(text), len(text)))
        self._next = 0

    def peek(self, ahead: int = 0) -> Token:
        """The token to be read next, or one after it."""
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)]

    def take(self) -> Token:
        """Read a token."""
        token = self.peek()
        if token.kind == "other":
            self.syntax_error()
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def take_kind(self, kind: str) -> str:
        """Read a token of a kind; its text."""
        if self.peek().kind != kind:
            self.syntax_error()
        return self.take().text

    def take_sign(self, sign: str) -> None:
        """Read a certain sign."""
        if not self.skip_sign(sign):
            self.syntax_error()

    def skip_sign(self, sign: str) -> bool:
        """Read a certain sign if it comes next."""
        token = self.peek()
        if token.kind == "sign" and token.text == sign:
            self._next += 1
            return True
        return False

    def is_word(self, word: str) -> bool:
        """Whether a certain keyword comes next; their case does not matter."""
        token = self.peek()
        return token.kind == "name" and token.text.upper() == word

    def skip_word(self, word: str) -> bool:
        """Read a certain keyword if it comes next."""
        if self.is_word(word):
            self._next += 1
            return True
        return False

    def finish(self) -> None:
        """Raise Refusal if anything is left."""
        if self.peek().kind != "end":
            self.syntax_error()

    def syntax_error(self) -> NoReturn:
        """Refuse the token that comes next, showing what is around it."""
        token, after = self.peek(), self.peek(1)
        before = self._tokens[max(self._next - 1, 0)]
        near = self._text[before.start : after.end]
        self.refuse(f'Syntax error; token: "{token.text}", near: "{near}"')

    def refuse(self, words: str) -> NoReturn:
        """Refuse the expression."""
        raise Refusal.invalid(f"Invalid {self.parameter}: {words}")
