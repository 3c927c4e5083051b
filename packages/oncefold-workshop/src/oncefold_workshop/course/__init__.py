"""A learner's own Lambda handlers in the workshop's game, and the hints and the starting kit of its course.

`functions` finds the handlers, `importing` loads them with the world's services, time and chance, `player` lets them
play, `hints` says where to go on. docs/COURSE.md is the course.
"""
