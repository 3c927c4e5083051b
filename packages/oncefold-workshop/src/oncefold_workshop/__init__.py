"""The workshop that Oncefold grew out of: its pipelines, the game between pipelines, and the course."""
