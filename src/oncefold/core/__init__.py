"""The pure core: definition, decoding, the fold, deltas and trees.

Standard library only; no I/O, no clock, no randomness. Every runtime depends on it and must equal it.
"""
