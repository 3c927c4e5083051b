"""Pipelines of every shape: with and without versions, deletes, times and measures, of one to three rollups."""

from random import Random

from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml

_PLACES = '[{ field = "region"%s }, "desk"]'
_DAYS = '[{ field = "t", window = "1d", missing = "never" }, "desk"]'
_ROLLUPS = ("places", "days", "all")


def shape(rng: Random) -> str:
    """A definition, as text."""
    event = ['key = "id"']
    event += ['version = "v"'] if rng.random() < 0.85 else []
    event += ['delete = "gone"'] if rng.random() < 0.8 else []
    event += ['time = "t"'] if rng.random() < 0.5 else []
    missing = rng.choice(("", ', missing = "nowhere"'))
    written = {"places": _PLACES % missing, "days": _DAYS, "all": "[]"}
    rollups = rng.sample(_ROLLUPS, rng.randint(1, len(_ROLLUPS)))
    measures = [f'value = {{ sum = "value", scale = {rng.choice((0, 2, 9))} }}'] if rng.random() < 0.9 else []
    measures += ['fee = { sum = "fee", missing = "zero" }'] if rng.random() < 0.6 else []
    tables = (
        ("event", event),
        ("rollups", [f"{name} = {written[name]}" for name in rollups]),
        ("measures", measures),
    )
    return 'name = "lab"\n' + "".join(f"[{name}]\n" + "".join(f"{line}\n" for line in lines) for name, lines in tables)


def pipeline_of(text: str) -> Pipeline:
    """The pipeline of a shape."""
    return parse_toml(text)
