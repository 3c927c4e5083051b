"""An attempt that is expected to fail: a claim that a scenario breaks under some rules."""

from dataclasses import dataclass

from oncefold_lab.model.claims import Claim
from oncefold_lab.model.rules import PROTOCOL, Rules
from oncefold_lab.model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Trial:
    """A mutation of the protocol with a claim that it breaks, or a false claim of the protocol itself."""

    name: str
    words: str
    scenario: Scenario
    claim: Claim
    rules: Rules = PROTOCOL
