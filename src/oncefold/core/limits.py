"""Every limit of the meaning, by name and with its unit; all runtimes share them.

The sizes are those that DynamoDB sets for keys (2,048 bytes for a partition key, 1,024 for a sort key:
"Quotas in Amazon DynamoDB") less one byte, which stands for the empty text there, so that what one runtime accepts
the other accepts too.
"""

MEASURE_DIGITS = 18
"""Decimal digits of one event's measure at its scale; such a value fits a signed 64-bit integer."""

MEASURE_LIMIT = 10**MEASURE_DIGITS
"""A measure's mantissa lies strictly between plus and minus this."""

VERSION_MIN, VERSION_MAX = -(2**63) + 1, 2**63 - 1
"""Versions and nanosecond timestamps lie within these; the least 64-bit value is kept free to mean "none".

The readers refuse the two bounds themselves too, so that one bound on the magnitude suffices.
"""

DECIMAL_VERSION_DIGITS = 38
"""Digits of a version of the type decimal, its decimal places among them; 127 bits hold them."""

VERSION_TEXT_BYTES = 16
"""UTF-8 bytes of a version of the type text."""

KEY_BYTES = 2_047
"""UTF-8 bytes of a key, after joining the parts of a composite key."""

LABEL_BYTES = 1_023
"""UTF-8 bytes of one label."""

TEXT_BYTES = 2_047
"""UTF-8 bytes of a text whose different values are counted."""

EVENT_LEAVES = 100
"""Leaves of one rollup that one event's key counts in, where a level is filled for each element of an array."""

SET_BYTES = 32_767
"""Bytes of all labels of one event at such a level, with a mark of two bytes behind each."""

PATH_BYTES = 1_920
"""UTF-8 bytes of a node's written path; a rollup's name fits beside it in one partition key."""

NAME_CHARS = 64
"""Characters of a pipeline's, rollup's or measure's name."""

RECORD_BYTES = 16 * 2**20
"""Bytes of one record (a line); a longer one is rejected without being held in memory whole."""

NESTING = 64
"""Levels of JSON nesting that are read; deeper records are rejected."""

assert MEASURE_LIMIT < VERSION_MAX
assert PATH_BYTES + NAME_CHARS < 2_048
assert LABEL_BYTES <= PATH_BYTES
