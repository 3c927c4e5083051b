"""Why a body could not be read to its end; they are also sent from one process to another."""


class Malformed(Exception):  # noqa: N818 - a state of the body, turned into an answer further up
    """The body as a whole is not what it should be; the message says how."""


class BrokenOff(Exception):  # noqa: N818
    """No more of the body will come, though it is not at its end."""


class Crowded(Exception):  # noqa: N818
    """A record of the body is so long that there was no room for it beside those of other bodies."""


class Broken(Exception):  # noqa: N818
    """Reading it met a mistake of ours; the message is its trace."""
