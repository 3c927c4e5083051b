"""A module's source without docstrings and comments: a quarter fewer bytes for Lambda to fetch, and the same code.

Every statement stays on its line, so that a traceback from the functions' log names the lines of the release.
"""

import ast
import io
import tokenize
from collections.abc import Iterator
from functools import cache


@cache
def bare(source: bytes) -> bytes:
    """The same syntax tree without texts that are statements, on the same lines."""
    lines = source.decode().split("\n")
    for node in ast.walk(ast.parse(source)):
        for text, alone in _texts(node):
            first, last = text.lineno - 1, text.end_lineno or text.lineno
            lines[first:last] = [""] * (last - first)
            if alone:
                lines[first] = " " * text.col_offset + "..."
    for token in tokenize.generate_tokens(io.StringIO("\n".join(lines)).readline):
        if token.type == tokenize.COMMENT:
            line, column = token.start
            lines[line - 1] = lines[line - 1][:column].rstrip()
    return "\n".join(lines).encode()


def _texts(node: ast.AST) -> Iterator[tuple[ast.Expr, bool]]:
    """The texts among the statements of a body, and whether one is all that there is."""
    body = getattr(node, "body", None)
    if isinstance(body, list):
        for statement in body:
            if isinstance(statement, ast.Expr) and _is_text(statement.value):
                yield statement, len(body) == 1


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)
