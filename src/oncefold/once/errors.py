"""What a function that counts has to know about: a record that cannot be counted, and a batch that is not."""

from oncefold.core.errors import OncefoldError


class CountsError(OncefoldError):
    """A record, or a setting of the counters, is wrong; the same call fails however often it is made."""


class NotCounted(OncefoldError):  # noqa: N818 - Lambda shall deliver the batch again
    """Records of a batch are not counted; whatever is delivered again counts once all the same."""
