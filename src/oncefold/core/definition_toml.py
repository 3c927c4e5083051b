"""The definition as a TOML text, or the tables of one, read with errors that name the position and the remedy."""

import tomllib
from collections.abc import Mapping
from typing import Any, get_args

from oncefold.core.definition import (
    Envelope,
    Pipeline,
)
from oncefold.core.errors import DefinitionError
from oncefold.core.event_settings import (
    delete_setting,
    keep_events_setting,
    key_setting,
    missing_texts_setting,
    separators_setting,
    time_setting,
    timezone_setting,
    version_setting,
    where_setting,
)
from oncefold.core.toml_table import ParseSql, TomlTable
from oncefold.core.total_settings import check_distinct, measure_setting, rollup_setting


def parse_toml(text: str, origin: str = "pipeline", sql: ParseSql | None = None) -> Pipeline:
    """Read a definition; `origin` names the text in errors, and `sql` reads expressions.

    Without it a text is always a field, as in the canonical form, which holds expressions as trees.
    Raises DefinitionError.
    """
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise DefinitionError(f"{origin}: not valid TOML: nested too deeply; no setting needs it") from None
    except ValueError as error:
        raise DefinitionError(f"{origin}: not valid TOML: {error}; correct the text there") from None
    return from_dict(document, origin, sql)


def from_dict(document: Mapping[str, Any], origin: str = "pipeline", sql: ParseSql | None = None) -> Pipeline:
    """The same from parsed tables. Raises DefinitionError."""
    top = TomlTable(document, origin, sql=sql)
    derived = top.table("fields", None)
    for name in derived.values:
        top.derived[name] = derived.source(name, derived.get(name), name)
    event = top.table("event", 'write a table [event] with at least key = "FIELD"')
    rollups = top.table("rollups", 'write a table [rollups] with at least one tree, such as by_region = ["Region"]')
    measures = top.table("measures", None)
    for table in (rollups, measures):
        check_distinct(table)
    if not rollups.values:
        rollups.fail(None, "no rollup is defined", 'add one, such as by_region = ["Region"]')
    envelope = event.choice("envelope", get_args(Envelope), None)
    zone = timezone_setting(event, "timezone", None)
    decimal, group = separators_setting(event)
    pipeline = Pipeline(
        name=top.name_of("name"),
        key=key_setting(event),
        version=version_setting(event, envelope, zone),
        time=time_setting(event, zone),
        delete=delete_setting(event),
        where=where_setting(event),
        envelope=envelope,
        missing_texts=missing_texts_setting(event),
        decimal=decimal,
        group=group,
        rollups=tuple(rollup_setting(rollups, name, zone) for name in rollups.values),
        measures=tuple(measure_setting(measures, name) for name in measures.values),
        keep_events=keep_events_setting(top),
    )
    for table in (top, event):
        table.finish()
    return pipeline
