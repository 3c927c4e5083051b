"""The commands that this distribution adds to `oncefold`."""

from oncefold.cli.lazy import Lazy, Section

LAB = (
    Section(
        "Prove",
        (
            Lazy("search", "oncefold_lab.cli.search:search", "Search for faults: a simulated stack, seed by seed."),
            Lazy("disk", "oncefold_lab.cli.disk:disk", "The same for the embedded engine, on a failing disk."),
            Lazy("model", "oncefold_lab.cli.model:model", "Every state of the AWS protocol, in small scenarios."),
        ),
    ),
)
"""Commands of `oncefold lab`."""

AWS = (
    Section(
        "On this machine",
        (Lazy("local", "oncefold_lab.cli.local:local", "The whole stack on this machine, without an account."),),
    ),
)
"""Commands of `oncefold aws`."""
