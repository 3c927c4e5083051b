"""Views: totals of another definition from kept contents are those that it would have had from the beginning."""

from dataclasses import replace
from random import Random

import pytest

from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError, InvalidEvent
from oncefold.core.event import Event
from oncefold.core.fold import Stored, fold, net
from oncefold.core.view import view_of
from oncefold_lab.search.redefining import redefined
from oncefold_lab.search.workload import draw_pipeline, draw_sends, with_several_leaves
from tests.tools import reference
from tests.tools.sizes import sized

TEXT = """
name = "shop"
[event]
key = "order"
version = "v"
delete = "gone"
time = "at"
[rollups]
place = ["country", "city"]
[measures]
amount = { sum = "amount", scale = 2 }
fee = { sum = "fee", scale = 2, missing = "zero" }
"""
KEPT = parse_toml(TEXT)


def changed(old: str, new: str) -> Pipeline:
    assert old in TEXT
    return parse_toml(TEXT.replace(old, new))


def folded(pipeline: Pipeline, lines: list[bytes]) -> dict[str, Stored]:
    decoder, states = Decoder(pipeline), dict[str, Stored]()
    for line in lines:
        try:
            event: Event = decoder.json(line)
        except InvalidEvent:
            continue
        states[event.key] = fold(states.get(event.key), event)[1]
    return states


@pytest.mark.parametrize("seed", range(sized(60, 400)))
def test_the_totals_are_those_of_the_definition_from_the_beginning(seed: int) -> None:
    """Of lines with duplicates, contradictions, moves, deletes and rejects, in any order."""
    random = Random(seed)
    kept = with_several_leaves(random, draw_pipeline(random))
    wanted = redefined(random, kept)
    lines = [line.data for send in draw_sends(random, kept) for line in send.lines]
    random.shuffle(lines)
    view = view_of(kept, wanted)
    seen = [(None, view.stored(state)) for state in folded(kept, lines).values()]
    made = net(wanted, [(None, state) for state in folded(wanted, lines).values()])
    reference.assert_equal(made, net(wanted, seen), wanted)


def test_the_same_definition_keeps_the_same_columns() -> None:
    assert view_of(KEPT, KEPT).columns is None
    assert view_of(KEPT, replace(KEPT, name="other")).columns is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('["country", "city"]', '["country", "city"]\ncities = ["city"]\nall = []'),
        ('["country", "city"]', '["country"]\ncities = ["city", "country"]'),
        ('fee = {', 'mean = { avg = "amount", scale = 2 }\nfee = {'),
        ('"zero" }', '"zero" }\nmean = { avg = "amount", scale = 2 }\nhow_many = { count = "amount" }'),
        ("amount = {", "turnover = {"),
    ],
)  # fmt: skip
def test_what_suffices(old: str, new: str) -> None:
    view_of(KEPT, changed(old, new))


CITY, FEE = '["country", "city"]', 'missing = "zero" }'
REFUSED = [
    (
        CITY,
        f'{CITY}\nchannels = ["channel"]',
        "channels: keys are kept without channel; the labels of a key are country",
    ),
    (CITY, f'{CITY}\ndays = [{{ field = "at", window = "1d" }}]', "keys are kept without at"),
    (CITY, '["country"]', "no tree has city any more"),
    ("place = [", 'cities = ["city"]\nplace = [', "in another order, .* behind those that were there"),
    ('"city"]', '{ field = "city", missing = "(none)" }]', "what a missing city means has changed"),
    ('amount = { sum = "amount", scale = 2 }\n', "", "amount is gone or is another one"),
    ("scale = 2 }", "scale = 3 }", r"without amount \(scale 3, missing = reject\); their numbers are amount \(scale 2"),
    (FEE, f'{FEE}\nmean = {{ avg = "fee", scale = 2 }}', "mean: keys are kept without whether fee is there"),
    (FEE, f'{FEE}\ntax = {{ sum = "tax", scale = 2 }}', "tax: keys are kept without tax"),
    ("amount = {", f'first = {{ sum = "fee", scale = 2, {FEE}\namount = {{', "measures. are in another order"),
    ('"v"', '"w"', r"version was .* and is now"),
    ('delete = "gone"\n', "", "delete was"),
    ('time = "at"', 'time = "when"', "time has changed: deploy that change for itself"),
]


@pytest.mark.parametrize(("old", "new", "reason"), REFUSED)
def test_what_does_not_says_why(old: str, new: str, reason: str) -> None:
    with pytest.raises(DefinitionError, match=reason):
        view_of(KEPT, changed(old, new))


def test_every_reason_is_said_at_once() -> None:
    other = changed('["country", "city"]', '["country", "city", "channel"]')
    with pytest.raises(DefinitionError, match=r"channel.*; .*amount: keys are kept without amount"):
        view_of(KEPT, replace(other, measures=tuple(replace(m, scale=4) for m in other.measures)))
