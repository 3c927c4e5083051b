"""The workshop for a class: a stack of its own on one machine, and one scoreboard of several teams.

`teams` reads the points of teams, `page` shows them in a browser, `local_stack` runs the workshop's stack on the
emulator, with the generator that scores.
"""
