"""What the service says of itself: counters, metrics, log lines."""
