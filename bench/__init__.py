"""The benchmark of the embedded engine: `python -m bench`.

A case (`bench.cases`) runs in this process and starts its measurements (`bench.probes`), each in a fresh interpreter
whose kernels are compiled before the clock starts. Every measurement ends with the totals in the store, which must
equal the generator's truth.
"""
