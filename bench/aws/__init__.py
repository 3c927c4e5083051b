"""Oncefold's functions beside the workshop's: events per function-second and DynamoDB units, one emulator, one run.

python -m bench.aws [--events N] [--out docs/PERFORMANCE.md]
"""
