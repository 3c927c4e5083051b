"""A world of simulated services and functions: one thread, virtual time, one seed.

`World` has the services and the clock; a `System` is what is deployed into it. docs/LAB.md says how it works.
"""
