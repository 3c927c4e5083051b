"""The commands of the game and the course."""
