"""What a definition means: its fingerprint, and which changes keep the meaning of totals."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from oncefold.core.definition import Delete, Level, Pipeline, Rollup, Time, Version
from oncefold.core.definition_changes import changes_of_meaning
from oncefold.core.fieldpath import FieldPath
from oncefold.core.measures import Measure
from oncefold.core.windows import Window
from tests.core.strategies import pipelines


def path(text: str) -> FieldPath:
    return FieldPath.parse(text)


REGION, DESK = Level(path("Region")), Level(path("Desk"))
HOUR = Level(path("At"), Window(1, "h"))
BASE = Pipeline(
    name="risk",
    key=(path("ID"),),
    version=Version(path("Version")),
    rollups=(Rollup("place", (REGION, DESK)), Rollup("hours", (HOUR, REGION))),
    measures=(Measure("value", path("Value"), 2), Measure("pieces", path("N"), 0, None, "zero")),
)


def with_measure(**changes: Any) -> Pipeline:
    return replace(BASE, measures=(replace(BASE.measures[0], **changes), BASE.measures[1]))


def with_level(old: Level, new: Level) -> Pipeline:
    """BASE with one level exchanged wherever it stands."""
    rollups = tuple(Rollup(r.name, tuple(new if level == old else level for level in r.levels)) for r in BASE.rollups)
    return replace(BASE, rollups=rollups)


SAME_MEANING = {
    "the name": replace(BASE, name="other"),
    "the event time": replace(BASE, time=Time(path("Timestamp"), "ms")),
}

WIDER = {
    "a measure that may be missing": with_measure(missing="zero"),
    "a measure that rounds": with_measure(round="half-even"),
    "a level that may be missing": with_level(DESK, replace(DESK, missing="(none)")),
    "a shared level that may be missing in both": with_level(REGION, replace(REGION, missing="(none)")),
    "a window that may be missing": with_level(HOUR, replace(HOUR, missing="never")),
}

OTHER_MEANING = {
    "key": replace(BASE, key=(path("Id"),)),
    "longer key": replace(BASE, key=(path("ID"), path("Line"))),
    "no version": replace(BASE, version=None),
    "version field": replace(BASE, version=Version(path("V"))),
    "version type": replace(BASE, version=Version(path("Version"), "timestamp")),
    "delete": replace(BASE, delete=Delete(path("Deleted"))),
    "rollup name": replace(BASE, rollups=(replace(BASE.rollups[0], name="places"), BASE.rollups[1])),
    "rollup order": replace(BASE, rollups=BASE.rollups[::-1]),
    "rollup gone": replace(BASE, rollups=BASE.rollups[:1]),
    "rollup new": replace(BASE, rollups=(*BASE.rollups, Rollup("all", ()))),
    "level field": with_level(DESK, Level(path("Team"))),
    "level order": replace(BASE, rollups=(Rollup("place", (DESK, REGION)), BASE.rollups[1])),
    "level gone": replace(BASE, rollups=(Rollup("place", (REGION,)), BASE.rollups[1])),
    "level new": replace(BASE, rollups=(Rollup("place", (REGION, DESK, HOUR)), BASE.rollups[1])),
    "window": with_level(HOUR, replace(HOUR, window=Window(1, "d"))),
    "window unit": with_level(HOUR, replace(HOUR, unit="ms")),
    "level default in one rollup of two": replace(
        BASE, rollups=(Rollup("place", (replace(REGION, missing="x"), DESK)), BASE.rollups[1])
    ),
    "measure name": with_measure(name="amount"),
    "measure order": replace(BASE, measures=BASE.measures[::-1]),
    "measure gone": replace(BASE, measures=BASE.measures[:1]),
    "measure new": replace(BASE, measures=(*BASE.measures, Measure("more", path("More"), 0))),
    "measure field": with_measure(field=path("Amount")),
    "scale": with_measure(scale=3),
    "measure that no longer may be missing": replace(
        BASE, measures=(BASE.measures[0], replace(BASE.measures[1], missing="reject"))
    ),
}


@pytest.mark.parametrize("new", SAME_MEANING.values(), ids=SAME_MEANING.keys())
def test_what_the_totals_do_not_depend_on(new: Pipeline) -> None:
    assert new.fingerprint == BASE.fingerprint
    assert changes_of_meaning(BASE, new) == []


@pytest.mark.parametrize("new", WIDER.values(), ids=WIDER.keys())
def test_accepting_what_was_rejected_keeps_the_meaning_but_not_the_way_back(new: Pipeline) -> None:
    assert new.fingerprint != BASE.fingerprint
    assert changes_of_meaning(BASE, new) == []
    assert changes_of_meaning(new, BASE)


@pytest.mark.parametrize("new", OTHER_MEANING.values(), ids=OTHER_MEANING.keys())
def test_changes_of_the_meaning_are_listed(new: Pipeline) -> None:
    assert new.fingerprint != BASE.fingerprint
    lines = changes_of_meaning(BASE, new)
    assert lines
    assert all(line.startswith(("[event] ", "[rollups] ", "[measures] ")) for line in lines)
    assert all("is now" in line or "are now" in line for line in lines)
    assert "FieldPath(" not in "".join(lines)


def test_a_change_names_the_old_and_the_new_setting() -> None:
    assert changes_of_meaning(BASE, OTHER_MEANING["longer key"]) == ["[event] key was [ID] and is now [ID, Line]"]
    assert changes_of_meaning(BASE, OTHER_MEANING["delete"]) == ["[event] delete was absent and is now {field Deleted}"]
    assert changes_of_meaning(BASE, OTHER_MEANING["rollup gone"]) == ["[rollups] were place, hours and are now place"]
    assert changes_of_meaning(BASE, replace(BASE, measures=())) == ["[measures] were value, pieces and are now none"]


@given(pipelines(), pipelines())
def test_the_fingerprint_distinguishes_definitions(one: Pipeline, other: Pipeline) -> None:
    timed = any(measure.kind in {"first", "last"} for measure in one.measures)
    alike = replace(one, name=other.name, time=one.time if timed else other.time) == other
    assert (one.fingerprint == other.fingerprint) == alike
    assert changes_of_meaning(one, one) == []
    if not alike and one.key != other.key:
        assert changes_of_meaning(one, other)


def test_the_fingerprint_is_stable() -> None:
    """A store keeps it: a new release must give the old value, or say how to go on."""
    assert BASE.fingerprint == "5020ba7a6d8e052857c21a613d3d98afecc0b9ad06619c06ed5bf41543301d1a"


def test_level_names() -> None:
    assert (REGION.name, HOUR.name) == ("Region", "At (1h)")
