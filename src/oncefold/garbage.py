"""The garbage collector of a process of this program."""

import gc
from typing import Final

_OBJECTS_PER_COLLECTION: Final = 200_000
"""New objects between two collections of the youngest generation; Python's default is 700 to 2,000."""


def tune_gc() -> None:
    """Let this process run the garbage collector less often.

    A commit with many new nodes makes a million small objects, none in a cycle, and so do imports; traversing them
    again and again takes as long as making them.
    """
    gc.set_threshold(_OBJECTS_PER_COLLECTION)


def leave_to_the_system() -> None:
    """Exempt all objects of this process, which is about to end, from the collections that the interpreter ends with.

    Those take a tenth of a second, and the system takes the memory back all the same.
    """
    gc.freeze()
