"""What a field of a record holds, in kernels."""

MISSING, STRING, NUMBER, TRUE, FALSE, OTHER, EMPTY = 0, 1, 2, 3, 4, 5, 6
"""EMPTY is an empty cell of a flat text: empty as a label, missing as a number."""
