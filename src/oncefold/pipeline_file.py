"""The pipeline file: read from disk, with errors that name the file and say what to do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import from_dict, parse_toml
from oncefold.core.errors import DefinitionError
from oncefold.expression_sql import parse_sql


def pipeline_of(given: str | Path | Mapping[str, Any] | Pipeline) -> Pipeline:
    """The pipeline that a program gives: an object, the tables as a dictionary, a TOML text, or a TOML file's name.

    A text of several lines, or with an equals sign, is TOML; any other is a name. Raises DefinitionError.
    """
    if isinstance(given, Pipeline):
        return given
    if isinstance(given, Mapping):
        return from_dict(_as_toml(given, "pipeline"), "pipeline", parse_sql)
    if isinstance(given, str) and ("\n" in given or "=" in given):
        return parse_pipeline(given)
    if isinstance(given, str | Path):
        return load_pipeline(given)
    raise DefinitionError(
        f"pipeline: {type(given).__name__} is no definition; give a file's name, TOML text, a dictionary or a Pipeline"
    )


def _as_toml(value: Any, place: str) -> Any:
    """Tables, lists and values as TOML's reader would give them. Raises DefinitionError for what TOML does not have."""
    if isinstance(value, Mapping):
        unnamed = next((name for name in value if not isinstance(name, str)), None)
        if unnamed is not None:
            raise DefinitionError(f"{place}: the name {unnamed!r} is no text; names of settings are texts")
        return {name: _as_toml(one, f"{place}.{name}") for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_toml(one, place) for one in value]
    if not isinstance(value, str | int | float | bool):
        raise DefinitionError(
            f"{place}: {value!r} is no value of a definition; leave it out, or write a text or number"
        )
    return value


def load_pipeline(path: str | Path) -> Pipeline:
    """The pipeline that a TOML file defines. Raises DefinitionError, whose message begins with the file's name."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DefinitionError(f"{path}: no such file; write a commented example with: oncefold init {path}") from None
    except UnicodeDecodeError as error:
        raise DefinitionError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8 text") from None
    except OSError as error:
        raise DefinitionError(f"{path}: cannot be read: {error.strerror}; name a TOML file") from None
    return parse_pipeline(text, str(path))


def parse_pipeline(text: str, origin: str = "pipeline") -> Pipeline:
    """The pipeline that a TOML text defines.

    Args:
        text: The definition.
        origin: What errors call the text.

    Raises:
        DefinitionError: It is no definition; the message says where and what to write.

    Example:
        >>> import oncefold
        >>> pipeline = oncefold.parse_pipeline('''
        ...     name = "orders"
        ...     event = { key = "id", version = "v", where = "status = 'paid'" }
        ...     rollups.by_country = ["UPPER(country)"]
        ...     measures.net = { sum = "qty * price", scale = 2 }
        ... ''')
        >>> [str(field) for field in pipeline.fields]
        ['id', 'country', 'qty', 'price', 'v', 'status']
    """
    return parse_toml(text, origin, parse_sql)
