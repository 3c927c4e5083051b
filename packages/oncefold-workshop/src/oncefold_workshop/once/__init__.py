"""The workshop's pipeline with a ReduceLambda that counts once, and the player that it is in the game."""
