"""The fault search: each seed draws a stack, a workload and what goes wrong; nothing may ever be counted wrongly.

docs/LAB.md says what is drawn, what is checked, and how to replay.
"""
