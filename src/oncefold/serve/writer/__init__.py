"""What runs in the writer process: it reads bodies, decodes, folds and commits, with one thread that owns the store.

The server waits for neither: the writer computes on processors and in memory of its own.
"""
