"""The workshop's game: rounds of messages, several pipelines side by side, points for every round that is exact.

`players` has who can play, `stage` one player's world, `match` the rounds, `tournament` games of many seeds.
docs/GAME.md has the rules.
"""
