"""The commands that this distribution adds to `oncefold`."""

from oncefold.cli.lazy import Lazy, Section

LAB = (
    Section(
        "Play",
        (
            Lazy("play", "oncefold_workshop.cli.play:play", "The workshop's game: pipelines side by side, for points."),
            Lazy("course", "oncefold_workshop.cli.course:course", "Handlers of your own, to begin the course with."),
            Lazy("tournament", "oncefold_workshop.cli.tournament:tournament", "Games of many seeds, and their sums."),
        ),
    ),
)
"""Commands of `oncefold lab`."""

WORKSHOP = (
    Section(
        "For a class",
        (
            Lazy("run", "oncefold_workshop.cli.run:run", "The workshop's own stack on this machine, a round a minute."),
            Lazy("scoreboard", "oncefold_workshop.cli.scoreboard:scoreboard", "The points of several teams."),
        ),
    ),
)
"""Commands of `oncefold workshop`."""
