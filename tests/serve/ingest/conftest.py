"""Places for stores."""

from tests.embedded.conftest import memory

__all__ = ["memory"]
