"""The scenarios that are explored: each small, and all together with everything that the protocol has to bear."""

from dataclasses import replace

from oncefold_lab.model.scenario import ModelScenario, gone, live, records

_A1, _A2, _B1 = live("a", 1, "L", 5), live("a", 2, "M", 7), live("b", 1, "M", 3)
_B2 = live("b", 2, "L", 4)


def _folding(scenario: ModelScenario) -> ModelScenario:
    """With one plain reducer, so that all the room is StateLambda's."""
    return replace(scenario, sweepers_at_once=0, announcements_again=False, announcements_lost=False)


CORRECTION = _folding(
    ModelScenario(
        "correction",
        "a key is corrected and moves to another leaf; its first event comes again, by another shard",
        (records(_A1, _A2), records(_A1)),
    )
)
DELETE = _folding(
    ModelScenario(
        "delete",
        "a key is deleted; an older event of it is late",
        (records(live("a", 2, "L", 5), gone("a", 3)), records(_A1)),
    )
)
CONFLICT = _folding(
    ModelScenario(
        "conflict",
        "two contents of one version, in two shards",
        (records(_A1), records(live("a", 1, "M", 7))),
    )
)
REWIND = _folding(
    ModelScenario(
        "rewind",
        "checkpoints move back; batches are cut anew",
        (records(_A1, _A2), records(live("a", 2, "M", 7))),
        rewinds=True,
    )
)
CHUNK = _folding(
    ModelScenario(
        "chunk",
        "two keys in one transaction, and another invocation that changes one of them",
        (((_A1, _B1),), records(_B2)),
    )
)
CHUNKS = _folding(
    ModelScenario(
        "chunks",
        "a record with two keys, a transaction for each; a delete of one of them",
        (((_A1, _B1),), records(gone("a", 2))),
        chunk_keys=1,
    )
)
PARTIAL = _folding(
    ModelScenario(
        "partial",
        "two records, a transaction for each; the time may be up between them",
        (records(_A1, _B1),),
        chunk_keys=1,
    )
)
OUTBOX = ModelScenario(
    "outbox",
    "two deltas, two reducers and two sweepers at once; stream records come again or are lost",
    (records(_A1), records(_B1)),
    states_at_once=1,
    zombies=False,
    reducers_at_once=2,
    sweepers_at_once=2,
)
PARTS = ModelScenario(
    "parts",
    "a chunk with two deltas, the root's and the leaf's, applied one by one",
    (records(_A1),),
    delta_items=2,
    group_deltas=1,
    states_at_once=1,
    reducers_at_once=2,
)
ALL = ModelScenario(
    "all",
    "two keys, two shards, two StateLambdas, two ReduceLambdas and a sweeper at once, with every fault",
    (records(_A1), records(_B1)),
    reducers_at_once=2,
    rewinds=True,
)


def _economy(name: str, about: str, scenario: ModelScenario) -> ModelScenario:
    """In economy mode with one invocation of each function, if the scenario does not say more."""
    return _folding(replace(scenario, name=name, about=f"economy: {about}"))


def _writing(scenario: ModelScenario) -> ModelScenario:
    """With one plain NetLambda, so that all the room is StateLambda's."""
    return replace(scenario, netters_at_once=1, net_zombies=False, batch_changes=1)


def _netting(scenario: ModelScenario) -> ModelScenario:
    """With one plain StateLambda, so that all the room is NetLambda's."""
    return replace(scenario, states_at_once=1, zombies=False)


UNREAD_STATES = _writing(
    _economy(
        "unread states",
        "a correction and a move by two StateLambdas at once",
        ModelScenario("", "", (records(_A1), records(_A2)), change_shards=((0,),)),
    )
)
TIE = _writing(
    _economy(
        "tie",
        "two contents of one version, in two shards",
        ModelScenario("", "", (records(_A1), records(live("a", 1, "M", 7))), change_shards=((0,),)),
    )
)
LATE_TIE = _writing(
    _economy(
        "late tie",
        "a correction with two contents, in two shards; none is given up",
        ModelScenario("", "", (records(_A1, _A2), records(live("a", 2, "L", 9))), change_shards=((0,),), zombies=False),
    )
)
TOMBSTONE = _writing(
    _economy(
        "tombstone",
        "a key is deleted; an older event of it is late",
        ModelScenario("", "", (records(_A1, gone("a", 3)), records(_A2)), change_shards=((0,),), zombies=False),
    )
)
POSITION = _netting(
    _economy(
        "position",
        "two changes in one shard, and two NetLambdas at once; batches are cut anew and come again",
        ModelScenario("", "", (records(_A1, _A2),), change_shards=((0,),), rewinds=True),
    )
)
STEPS = _netting(
    _economy(
        "steps",
        "a batch of two changes that takes two transactions; the time may be up between them",
        ModelScenario("", "", (records(_A1, _A2),), change_shards=((0,),), step_changes=1),
    )
)
TWO_SHARDS = _netting(
    _economy(
        "two shards",
        "two keys, each in a shard of the changes of its own",
        ModelScenario("", "", (records(_A1, _B1),), change_shards=((0,), (1,))),
    )
)
SPLIT = _netting(
    _economy(
        "split",
        "each change of a key in any of two shards, as after a split; no order between them",
        ModelScenario("", "", (records(_A1, _A2),), change_shards=((0, 1),)),
    )
)

UNREAD_CONTENTS = _writing(
    _economy(
        "unread contents",
        "three contents of one version, written unread",
        ModelScenario(
            "",
            "",
            (records(_A1, live("a", 1, "M", 7)), records(live("a", 1, "M", 9))),
            change_shards=((0,),),
            zombies=False,
        ),
    )
)

SMALL = (
    CORRECTION,
    DELETE,
    CONFLICT,
    REWIND,
    CHUNK,
    CHUNKS,
    PARTIAL,
    OUTBOX,
    PARTS,
    ALL,
    UNREAD_STATES,
    TIE,
    LATE_TIE,
    TOMBSTONE,
    POSITION,
    STEPS,
    TWO_SHARDS,
    SPLIT,
)

LARGE = (
    _folding(
        ModelScenario(
            "three contents",
            "three contents of one version, in two shards",
            (records(_A1, live("a", 1, "M", 7)), records(live("a", 1, "M", 9))),
        )
    ),
    replace(CORRECTION, name="three at once", about=f"{CORRECTION.about}; three StateLambdas", states_at_once=3),
    replace(
        PARTIAL,
        name="longer",
        about="three records in batches of up to three, two keys, a delete",
        shards=(records(_A1, _B1, gone("a", 2)),),
        batch_records=3,
    ),
    replace(CHUNK, name="cut chunks", about=f"{CHUNK.about}; cut anew", shards=(records(_A1, _B1), CHUNK.shards[1])),
    replace(
        PARTS,
        name="two parts",
        about="two chunks with two deltas each, a reducer and a sweeper",
        shards=(records(_A1, _A2),),
        zombies=False,
        reducers_at_once=1,
        announcements_again=False,
    ),
    replace(ALL, name="two sweepers", about=f"{ALL.about}; and another sweeper", sweepers_at_once=2),
    replace(
        ALL,
        name="corrections",
        about=f"{ALL.about}; with corrections",
        shards=(ALL.shards[0], ((_B2, _A2),)),
    ),
    UNREAD_CONTENTS,
    replace(
        POSITION,
        name="three changes",
        about="economy: three changes in one shard, and two NetLambdas at once",
        shards=(records(_A1, _B1, _A2),),
        change_shards=((0,), (0,)),
        rewinds=False,
    ),
)
"""Minutes, and half a gigabyte."""
