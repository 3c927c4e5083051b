"""A learner's own Lambda handlers in the workshop's game, and the hints and the starting kit of its course.

`functions` finds the handlers, `sandbox` loads them with the `stubs` for AWS, time and randomness, `runner` invokes
them, `player` plays them, `hints` names the next step after a lost round. docs/COURSE.md is the course.
"""
