"""Measurements. Each `measure` runs alone in a fresh interpreter and returns what it found as plain JSON values."""
