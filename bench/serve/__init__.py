"""The HTTP service: acknowledgements, ingest beside the engine's own rate, readers and subscribers, all in one run.

python -m bench.serve [--small] [--out docs/PERFORMANCE.md]
"""
