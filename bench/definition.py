"""The pipeline that every measurement runs: the workshop's tree, with its event time."""

from typing import Final

from oncefold.core.definition_toml import parse_toml

TEXT: Final = """\
name = "risk"

[event]
key = "TradeID"
version = "Version"
time = "Timestamp"

[rollups]
risk = ["Hierarchy.RiskType", "Hierarchy.TradeDesk", "Hierarchy.Region"]

[measures]
value = { sum = "Value", scale = 2 }
"""

PIPELINE: Final = parse_toml(TEXT)
SCALE: Final = PIPELINE.measures[0].scale
