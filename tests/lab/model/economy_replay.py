"""The model's schedules of economy mode, carried out by the functions themselves over the simulator's DynamoDB."""

from collections.abc import Callable
from typing import Any

from oncefold.aws.functions import layout
from oncefold.aws.functions.direct import DirectStateFunction
from oncefold.aws.functions.net import NetFunction
from oncefold.dynamodb.calls import Dynamo
from oncefold_lab.model.state import DONE, UNREAD, Folding, ModelStep, Netting, Op, Run
from oncefold_lab.simulator.transactions import TOKEN_SECONDS
from oncefold_lab.simulator.values import give_item
from tests.lab.model.puppets import Call, Ended
from tests.lab.model.replay import CREATED, DEADLINE, Replay, Running, stream_records

_NETTED = frozenset([Op.NETTED, Op.NETTED_UNHEARD, Op.NETTED_BEFORE])
_UNHEARD = frozenset([Op.PUT_UNHEARD, Op.NETTED_UNHEARD])


class EconomyReplay(Replay):
    """One schedule of a scenario of economy mode.

    What lies in a shard of StateTable's stream is what the model says: which shard a change is in is left open by it.
    Images are those of the simulator's stream; numbers are places, as in the model, so that deltas have its names.
    """

    economy = True

    def _possible(self, step: ModelStep) -> bool:
        if step.op is Op.READ:
            return False  # The functions do where most of many keys were refused.
        if isinstance(step.before, Netting):
            return step.op is not Op.NETTED_BEFORE or self._remembered(self._of(step.before))
        if isinstance(step.before, Folding) and step.op not in {Op.DELIVERED, Op.REPEATED, Op.CRASHED}:
            return self._of_call(step, self._of(step.before))
        return super()._possible(step)

    def _remembered(self, running: Running) -> bool:
        done = self._tokens.get(running.puppet.call.request["ClientRequestToken"])
        return done is not None and self.stack.time.now < done + TOKEN_SECONDS

    def _of_call(self, step: ModelStep, running: Running) -> bool:
        """Whether a step is about the key that the code is at: it takes one after the other here."""
        now = running.puppet.now
        if isinstance(now, Ended):
            return step.op is Op.ANSWERED
        if step.op in {Op.PUT, Op.PUT_UNHEARD, Op.REFUSED_STATE}:
            key = step.about if step.op is Op.REFUSED_STATE else self.protocol.world.changes[step.about][0]
            return now.operation == "update_item" and now.request["Key"]["key"]["S"] == self.protocol.world.keys[key]
        return step.op in {Op.CUT_SHORT, Op.ANSWERED} or now.operation == "batch_write_item"

    def _function(self, run: Run) -> Callable[[Dynamo], Any]:
        names = self.stack.names
        if isinstance(run, Netting):
            records = self._changes(run)
            return lambda dynamo: NetFunction(self.stack.pipeline, names, dynamo, lambda: CREATED).handle(
                f"shard-{run.shard}", records
            )
        if isinstance(run, Folding):
            records_of_batch = stream_records(self.protocol.world, run.batch)
            return lambda dynamo: DirectStateFunction(self.stack.pipeline, names, dynamo, lambda: CREATED).handle(
                records_of_batch
            )
        return super()._function(run)

    def _changes(self, run: Netting) -> list[dict[str, Any]]:
        """The records of a batch as Lambda delivers them."""
        numbers = self.state.tables.log.records[run.shard]
        begin = run.first if run.begin == UNREAD else run.begin
        return [{"SequenceNumber": str(place + 1), **self._images(numbers[place])} for place in range(begin, run.end)]

    def _images(self, change: int) -> dict[str, Any]:
        """The images that the simulator's stream has of a change; a key's states only grow, so it has it once."""
        wanted = self._images_by_change()
        key, before, after = self.protocol.world.changes[change]
        ladder = self.protocol.world.ladders[key]
        return wanted[self.protocol.world.keys[key], ladder[before], ladder[after]]

    def _images_by_change(self) -> dict[Any, dict[str, Any]]:
        stream = self.stack.client._database.tables[self.stack.names.state_table].stream
        found: dict[Any, dict[str, Any]] = {}
        for shard in stream.shards.all.values():
            for entry in shard.entries:
                images = {name: give_item(item) for name, item in entry.images.items()}
                change = layout.parse_change(self.stack.pipeline, {"SequenceNumber": "1", **images})
                before, after = (None if one is None else one.stored for one in (change.before, change.after))
                key = images["NewImage"]["key"]["S"]
                assert (key, before, after) not in found
                found[key, before, after] = images
        return found

    def _act(self, step: ModelStep, run: Run) -> None:
        if step.op in {Op.DELIVERED, Op.REPEATED}:
            self._begun(run)
            self._settle(step, self._running[-1])
        elif step.op in {Op.HANDED, Op.HANDED_AGAIN}:
            running = self._begun(run)
            self._execute(running)
            self._settle(step, running)
        elif step.op in _NETTED or step.op in {Op.OVERTAKEN, Op.PUT, Op.PUT_UNHEARD, Op.REFUSED_STATE}:
            running = self._of(run)
            self._write(step, running)
            self._settle(step, running)
        elif step.op is Op.NET_LEFT:
            running = self._of(run)
            running.clock.now = 2 * DEADLINE
            self._lose_answer(running)
            assert running.puppet.result.unfinished == str(step.about + 1)
            self._settle(step, running)
        else:
            super()._act(step, run)

    def _write(self, step: ModelStep, running: Running) -> None:
        call = running.puppet.call
        token = call.request.get("ClientRequestToken")
        if token is not None:
            assert call.operation == "transact_write_items"
            if step.op is not Op.NETTED_BEFORE and token in self._tokens:
                self.stack.time.now += TOKEN_SECONDS
        else:
            assert call.operation == "update_item"
        if step.op in _UNHEARD:
            self._call(call)
            self._lose_answer(running)
        else:
            self._execute(running)
        if token is not None and step.op in {Op.NETTED, Op.NETTED_UNHEARD}:
            self._tokens[token] = self.stack.time.now
        if step.op is Op.OVERTAKEN:
            assert running.puppet.call.operation == "get_item"
            self._execute(running)

    def _settle(self, step: ModelStep, running: Running) -> None:
        """The invocation is where the model has it."""
        for other in self._running:
            self._pass_repeated_notes(other)
        if step.after is not None:
            running.run = step.after
            self._check_waiting(running)
            return
        self._running.remove(running)
        if step.op is not Op.NET_LEFT:
            assert running.puppet.result.unfinished is None

    def _check_finished(self, running: Running) -> None:
        if isinstance(running.run, Netting):
            assert running.puppet.result.unfinished is None
        else:
            super()._check_finished(running)

    def _check_waiting(self, running: Running) -> None:
        """The invocation waits for the call that the model has it make next."""
        run, now = running.run, running.puppet.now
        if isinstance(run, Netting):
            assert isinstance(now, Call)
            assert now.operation == "transact_write_items"
        elif not isinstance(run, Folding):
            super()._check_waiting(running)
        elif isinstance(now, Call):
            assert now.operation in {"batch_write_item", "update_item"}
        else:
            assert DONE in run.keys or all(known >= 0 for known in run.keys)

    def _compare(self) -> None:
        super()._compare()
        items = self.stack.scan(self.stack.names.aggregate_table)
        found = {item["label"]["S"]: int(item["sequence"]["S"]) for item in items if "sequence" in item}
        positions = self.state.tables.log.positions
        assert found == {f"shard-{shard}": position for shard, position in enumerate(positions) if position}

    def _check_balance(self) -> None:
        """Of economy mode the model's own claim says it: what is not netted counts, too."""
