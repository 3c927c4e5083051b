"""Every planted mistake is found within the seeds that are stated, and the page says by which."""

import re

import pytest

from oncefold_lab.planted.catalogue import PLANTED, Planted
from oncefold_lab.search.trial import draw_for, run
from tests.lab.planted.page import parts
from tests.tools.sizes import full_only

NAMES = [planted.system.__name__ for planted in PLANTED]
ROW = re.compile(r"^\| `\w+:(\w+)` \| (.+) \| (\d+) \| (\d+) \|$", re.MULTILINE)


@full_only("the whole search for each; the short form runs the seed that the page names")
@pytest.mark.parametrize("planted", PLANTED, ids=NAMES)
def test_it_is_found(planted: Planted) -> None:
    assert planted.first_seed() is not None


@pytest.mark.parametrize(
    "planted",
    [
        pytest.param(planted, marks=full_only("2 to 5 s") if name in {"CountedEpochs", "OneDefinition"} else ())
        for planted, name in zip(PLANTED, NAMES, strict=True)
    ],
    ids=NAMES,
)
def test_the_page_names_a_seed_that_finds_it(planted: Planted) -> None:
    rows = {name: (description, int(seed), int(within)) for name, description, seed, within in ROW.findall(parts()[1])}
    description, seed, within = rows[planted.system.__name__]
    assert (description, within) == (planted.description, planted.within)
    assert run(draw_for(planted.system, seed), planted.system).failure, (
        "write the table anew: python -m tests.lab.planted.page"
    )


def test_there_are_enough_and_each_says_what_it_does() -> None:
    assert len({*NAMES}) == len(PLANTED) >= 15
    assert all(planted.description and "\n" not in planted.description for planted in PLANTED)
