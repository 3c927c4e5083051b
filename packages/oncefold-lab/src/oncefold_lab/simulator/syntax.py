"""Expressions from their text to plain values: tokens, reserved words, paths, placeholders and operands."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from oncefold_lab.simulator.errors import ServiceError
from oncefold_lab.simulator.values import Item, Value

_WORDS = """
ABORT ABSOLUTE ACTION ADD AFTER AGENT AGGREGATE ALL ALLOCATE ALTER ANALYZE AND ANY ARCHIVE ARE ARRAY AS ASC
ASCII ASENSITIVE ASSERTION ASYMMETRIC AT ATOMIC ATTACH ATTRIBUTE AUTH AUTHORIZATION AUTHORIZE AUTO AVG BACK
BACKUP BASE BATCH BEFORE BEGIN BETWEEN BIGINT BINARY BIT BLOB BLOCK BOOLEAN BOTH BREADTH BUCKET BULK BY BYTE
CALL CALLED CALLING CAPACITY CASCADE CASCADED CASE CAST CATALOG CHAR CHARACTER CHECK CLASS CLOB CLOSE CLUSTER
CLUSTERED CLUSTERING CLUSTERS COALESCE COLLATE COLLATION COLLECTION COLUMN COLUMNS COMBINE COMMENT COMMIT
COMPACT COMPILE COMPRESS CONDITION CONFLICT CONNECT CONNECTION CONSISTENCY CONSISTENT CONSTRAINT CONSTRAINTS
CONSTRUCTOR CONSUMED CONTINUE CONVERT COPY CORRESPONDING COUNT COUNTER CREATE CROSS CUBE CURRENT CURSOR CYCLE
DATA DATABASE DATE DATETIME DAY DEALLOCATE DEC DECIMAL DECLARE DEFAULT DEFERRABLE DEFERRED DEFINE DEFINED
DEFINITION DELETE DELIMITED DEPTH DEREF DESC DESCRIBE DESCRIPTOR DETACH DETERMINISTIC DIAGNOSTICS DIRECTORIES
DISABLE DISCONNECT DISTINCT DISTRIBUTE DO DOMAIN DOUBLE DROP DUMP DURATION DYNAMIC EACH ELEMENT ELSE ELSEIF
EMPTY ENABLE END EQUAL EQUALS ERROR ESCAPE ESCAPED EVAL EVALUATE EXCEEDED EXCEPT EXCEPTION EXCEPTIONS EXCLUSIVE
EXEC EXECUTE EXISTS EXIT EXPLAIN EXPLODE EXPORT EXPRESSION EXTENDED EXTERNAL EXTRACT FAIL FALSE FAMILY FETCH
FIELDS FILE FILTER FILTERING FINAL FINISH FIRST FIXED FLATTERN FLOAT FOR FORCE FOREIGN FORMAT FORWARD FOUND FREE
FROM FULL FUNCTION FUNCTIONS GENERAL GENERATE GET GLOB GLOBAL GO GOTO GRANT GREATER GROUP GROUPING HANDLER HASH
HAVE HAVING HEAP HIDDEN HOLD HOUR IDENTIFIED IDENTITY IF IGNORE IMMEDIATE IMPORT IN INCLUDING INCLUSIVE
INCREMENT INCREMENTAL INDEX INDEXED INDEXES INDICATOR INFINITE INITIALLY INLINE INNER INNTER INOUT INPUT
INSENSITIVE INSERT INSTEAD INT INTEGER INTERSECT INTERVAL INTO INVALIDATE IS ISOLATION ITEM ITEMS ITERATE JOIN
KEY KEYS LAG LANGUAGE LARGE LAST LATERAL LEAD LEADING LEAVE LEFT LENGTH LESS LEVEL LIKE LIMIT LIMITED LINES LIST
LOAD LOCAL LOCALTIME LOCALTIMESTAMP LOCATION LOCATOR LOCK LOCKS LOG LOGED LONG LOOP LOWER MAP MATCH MATERIALIZED
MAX MAXLEN MEMBER MERGE METHOD METRICS MIN MINUS MINUTE MISSING MOD MODE MODIFIES MODIFY MODULE MONTH MULTI
MULTISET NAME NAMES NATIONAL NATURAL NCHAR NCLOB NEW NEXT NO NONE NOT NULL NULLIF NUMBER NUMERIC OBJECT OF
OFFLINE OFFSET OLD ON ONLINE ONLY OPAQUE OPEN OPERATOR OPTION OR ORDER ORDINALITY OTHER OTHERS OUT OUTER OUTPUT
OVER OVERLAPS OVERRIDE OWNER PAD PARALLEL PARAMETER PARAMETERS PARTIAL PARTITION PARTITIONED PARTITIONS PATH
PERCENT PERCENTILE PERMISSION PERMISSIONS PIPE PIPELINED PLAN POOL POSITION PRECISION PREPARE PRESERVE PRIMARY
PRIOR PRIVATE PRIVILEGES PROCEDURE PROCESSED PROJECT PROJECTION PROPERTY PROVISIONING PUBLIC PUT QUERY QUIT
QUORUM RAISE RANDOM RANGE RANK RAW READ READS REAL REBUILD RECORD RECURSIVE REDUCE REF REFERENCE REFERENCES
REFERENCING REGEXP REGION REINDEX RELATIVE RELEASE REMAINDER RENAME REPEAT REPLACE REQUEST RESET RESIGNAL
RESOURCE RESPONSE RESTORE RESTRICT RESULT RETURN RETURNING RETURNS REVERSE REVOKE RIGHT ROLE ROLES ROLLBACK
ROLLUP ROUTINE ROW ROWS RULE RULES SAMPLE SATISFIES SAVE SAVEPOINT SCAN SCHEMA SCOPE SCROLL SEARCH SECOND
SECTION SEGMENT SEGMENTS SELECT SELF SEMI SENSITIVE SEPARATE SEQUENCE SERIALIZABLE SESSION SET SETS SHARD SHARE
SHARED SHORT SHOW SIGNAL SIMILAR SIZE SKEWED SMALLINT SNAPSHOT SOME SOURCE SPACE SPACES SPARSE SPECIFIC
SPECIFICTYPE SPLIT SQL SQLCODE SQLERROR SQLEXCEPTION SQLSTATE SQLWARNING START STATE STATIC STATUS STORAGE STORE
STORED STREAM STRING STRUCT STYLE SUB SUBMULTISET SUBPARTITION SUBSTRING SUBTYPE SUM SUPER SYMMETRIC SYNONYM
SYSTEM TABLE TABLESAMPLE TEMP TEMPORARY TERMINATED TEXT THAN THEN THROUGHPUT TIME TIMESTAMP TIMEZONE TINYINT TO
TOKEN TOTAL TOUCH TRAILING TRANSACTION TRANSFORM TRANSLATE TRANSLATION TREAT TRIGGER TRIM TRUE TRUNCATE TTL
TUPLE TYPE UNDER UNDO UNION UNIQUE UNIT UNKNOWN UNLOGGED UNNEST UNPROCESSED UNSIGNED UNTIL UPDATE UPPER URL
USAGE USE USER USERS USING UUID VACUUM VALUE VALUED VALUES VARCHAR VARIABLE VARIANCE VARINT VARYING VIEW VIEWS
VIRTUAL VOID WAIT WHEN WHENEVER WHERE WHILE WINDOW WITH WITHIN WITHOUT WORK WRAPPED WRITE YEAR ZONE
"""

RESERVED = frozenset(_WORDS.split())


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


class TokenReader:
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

    def refuse(self, message: str) -> NoReturn:
        """Refuse the expression."""
        raise ServiceError.invalid(f"Invalid {self.parameter}: {message}")


Element = str | int
"""An attribute's or map entry's name, or a list index."""
Values = Mapping[str, Value]
"""Values by their placeholder."""


@dataclass(frozen=True, slots=True)
class Path:
    """A document path: `a.b[1]` is ("a", "b", 1)."""

    elements: tuple[Element, ...]

    def shown(self) -> str:
        """The path as messages show it."""
        return f"[{', '.join(f'[{e}]' if isinstance(e, int) else e for e in self.elements)}]"

    def read(self, item: Item) -> Value | None:
        """The value at the path, if there is one."""
        value = item.get(str(self.elements[0]))
        for element in self.elements[1:]:
            if value is None:
                return None
            value = step(value, element)
        return value


@dataclass(frozen=True, slots=True)
class Reference:
    """A placeholder for a value: `:v`."""

    name: str


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function and its operands."""

    function: str
    operands: "tuple[Operand, ...]"


Operand = Path | Reference | FunctionCall
Read = Callable[[Item, Values], Value | None]
"""An operand, made to be evaluated on an item."""


@dataclass(slots=True)
class ExpressionScope:
    """The names an expression may use, and the placeholders that it used."""

    names: Mapping[str, str]
    used_names: set[str] = field(default_factory=set)
    used_values: set[str] = field(default_factory=set)


def step(value: Value, element: Element) -> Value | None:
    """One step of a path."""
    if isinstance(element, int):
        elements = value.get("L")
        return elements[element] if elements is not None and element < len(elements) else None
    entries = value.get("M")
    return entries.get(element) if entries is not None else None


def parse_path(tokens: TokenReader, scope: ExpressionScope) -> Path:
    """Read a path; names behind `#` are looked up."""
    elements: list[Element] = [_parse_name(tokens, scope)]
    while True:
        if tokens.skip_sign("."):
            elements.append(_parse_name(tokens, scope))
        elif tokens.skip_sign("["):
            elements.append(int(tokens.take_kind("index")))
            tokens.take_sign("]")
        else:
            return Path(tuple(elements))


def _parse_name(tokens: TokenReader, scope: ExpressionScope) -> str:
    token = tokens.peek()
    if token.kind == "name":
        if token.text.upper() in RESERVED:
            tokens.refuse(f"Attribute name is a reserved keyword; reserved keyword: {token.text}")
        return tokens.take().text
    alias = tokens.take_kind("alias")
    if alias not in scope.names:
        tokens.refuse(f"An expression attribute name used in the document path is not defined; attribute name: {alias}")
    scope.used_names.add(alias)
    return scope.names[alias]


def parse_operand(tokens: TokenReader, scope: ExpressionScope) -> Operand:
    """Read a path, a placeholder or a function with its operands."""
    token = tokens.peek()
    if token.kind == "value":
        scope.used_values.add(token.text)
        return Reference(tokens.take().text)
    if token.kind == "name" and tokens.peek(1).text == "(":
        return parse_call(tokens, scope)
    return parse_path(tokens, scope)


def parse_call(tokens: TokenReader, scope: ExpressionScope) -> FunctionCall:
    """Read a function and its operands."""
    function = tokens.take_kind("name")
    tokens.take_sign("(")
    operands = [parse_operand(tokens, scope)]
    while tokens.skip_sign(","):
        operands.append(parse_operand(tokens, scope))
    tokens.take_sign(")")
    return FunctionCall(function, tuple(operands))


def check_count(tokens: TokenReader, call: FunctionCall, count: int) -> None:
    """Refuse a function with another number of operands."""
    if len(call.operands) != count:
        tokens.refuse(
            "Incorrect number of operands for operator or function; "
            f"operator or function: {call.function}, number of operands: {len(call.operands)}"
        )


def check_path(tokens: TokenReader, call: FunctionCall) -> Path:
    """The first operand of a function that takes a path there, and nothing else."""
    path = call.operands[0]
    if not isinstance(path, Path):
        tokens.refuse(f"Operator or function requires a document path; operator or function: {call.function}")
    return path


def read_path(path: Path) -> Read:
    """A path, made to be evaluated."""
    if len(path.elements) == 1:
        name = str(path.elements[0])
        return lambda item, _: item.get(name)
    return lambda item, _: path.read(item)


def read_reference(reference: Reference) -> Read:
    """A placeholder, made to be evaluated."""
    name = reference.name
    return lambda _, values: values[name]


def placeholder(operand: Operand) -> str | None:
    """The placeholder that an operand is, if it is one."""
    return operand.name if isinstance(operand, Reference) else None
