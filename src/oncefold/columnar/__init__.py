"""The same meaning by the column: scanners, the batch and the fold as numba kernels over flat arrays.

Held equal to the scalar core by property tests. Still pure: arrays in, arrays out.
"""
