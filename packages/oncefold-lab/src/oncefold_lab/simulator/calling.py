"""How a call goes: the hook, what is due, the fault, the effect, the hook again, the reply."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from oncefold_lab.simulator.agenda import Agenda
from oncefold_lab.simulator.errors import Errors, Refusal, metadata
from oncefold_lab.simulator.faults import Fault, Faults, Manners
from oncefold_lab.simulator.parameters import Parameters

Request = Mapping[str, Any]
Reply = dict[str, Any]
Handler = Callable[[Request, Fault | None], Reply]
Moment = Literal["before", "after"]
CallHook = Callable[[str, Moment], None]
"""Told of every call by its operation: before it reaches the service, and when its effect is there but no reply yet.

It may make calls of its own, move the clock, and raise: then the caller has crashed there.
"""


class NoReply(Exception):  # noqa: N818 - carries what the caller gets
    """A call ends without a reply."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass
class Caller:
    """The way of all calls of one client."""

    clock: Callable[[], float]
    faults: Faults
    manners: Manners
    parameters: Parameters
    agenda: Agenda
    counts: Counter[str]
    """Calls by operation, errors by code, and what else there is to count."""
    hook: CallHook | None = None
    errors: Errors = field(default_factory=Errors)
    _requests: int = 0

    def call(self, operation: str, handler: Handler, request: Request) -> Reply:
        """Have a call made. Raises what boto3 raises, and what the hook raises."""
        self.parameters.check(operation, request)
        if self.hook is not None:
            self.hook(operation, "before")
        self.agenda.run(self.clock())
        self._requests += 1
        number = f"{self._requests:032d}"
        self.counts[operation] += 1
        reply: Reply | None = None
        fault = self.faults.draw(operation)
        problem = self.faults.before(fault, self.manners)
        if problem is None:
            try:
                reply = handler(request, fault)
            except Refusal as refusal:
                problem = refusal
            except NoReply as silence:
                problem = silence.error
            problem = self.faults.after(fault, self.manners) or problem
        if self.hook is not None:
            self.hook(operation, "after")
        if problem is not None or reply is None:
            raise self._raised(problem, operation, number)
        reply["ResponseMetadata"] = metadata(number)
        return reply

    def _raised(self, problem: Exception | None, operation: str, number: str) -> Exception:
        if isinstance(problem, Refusal):
            self.counts[problem.code] += 1
            for reason in problem.members.get("CancellationReasons", ()):
                self.counts[f"cancelled: {reason['Code']}"] += 1
            return self.errors.made(problem, operation, number)
        assert problem is not None
        self.counts[type(problem).__name__] += 1
        return problem

    def now(self) -> float:
        """The time."""
        return self.clock()

    def count(self, what: str, times: int = 1) -> None:
        """Count something that a run should have met."""
        if times:
            self.counts[what] += times

    def shortened(self, length: int) -> int:
        """How much of a page is left of it when it is cut short: less than all, perhaps nothing."""
        self.faults.happened(Fault.SHORT)
        return self.faults.random.randrange(length)

    def later(self, fault: Fault, action: Callable[[], object]) -> NoReply:
        """Plan an effect for later; what the caller gets for now."""
        self.faults.happened(fault)
        seconds, error = self.faults.late()
        self.agenda.plan(self.clock() + seconds, action)
        return NoReply(error)
