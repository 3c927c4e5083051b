"""Whether the service can take events, as its parts say it."""

STARTING = "starting: the store is being opened"
STOPPING = "stopping: what was accepted is being committed"


class Health:
    """Told by what starts, ingests and stops; read by whoever asks. Any thread may do either."""

    def __init__(self) -> None:
        self._why: str = STARTING
        self._stopping = False

    @property
    def why_not(self) -> str:
        """Why events cannot be taken now; empty if they can."""
        return STOPPING if self._stopping else self._why

    def ready(self) -> None:
        """The ingest loop runs and nothing is wrong with it, or not any more."""
        self._why = ""

    def failed(self, why: str) -> None:
        """The last commit failed, or the ingest loop ended, for this reason."""
        self._why = f"failing: {why}"

    def stopping(self) -> None:
        """The server ends; it does not become ready again."""
        self._stopping = True
