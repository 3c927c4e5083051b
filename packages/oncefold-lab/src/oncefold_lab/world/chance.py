"""Random sources by name, all from one seed, so that drawing more from one leaves the others as they were."""

from random import Random


def source(seed: int | str, name: str) -> Random:
    """The source of this name; the same seed and name give the same numbers on every machine."""
    return Random(f"{seed}/{name}")  # noqa: S311 - it has to be repeatable, not secret
