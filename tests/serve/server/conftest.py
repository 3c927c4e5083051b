"""Places for stores."""

from tests.engine.conftest import memory

__all__ = ["memory"]
