"""A simulated disk under SQLite: in memory, deterministic, and able to fail in every way a disk can."""
