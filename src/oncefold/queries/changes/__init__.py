"""What changed after a commit: read from a store in one snapshot, as messages, and as a stream of answers."""
