"""The commands `oncefold lab ...`."""
