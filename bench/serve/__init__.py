"""The HTTP service: acknowledgements, ingest beside the engine's own rate, readers and subscribers, all in one run.

python -m bench.serve [--small] [--against OTHER_CHECKOUT] [--out docs/PERFORMANCE.md]
"""
