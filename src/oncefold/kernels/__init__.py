"""Loops over flat arrays as machine code: declared in Python, compiled ahead of time, loaded without a compiler.

A kernel's author writes `@kernel("const u8[], i64", returns="i64")` (see `declare`). `python -m oncefold.kernels.build`
compiles every kernel to object code with numba; a process loads that object code by itself, or with
llvmlite alone.
"""
