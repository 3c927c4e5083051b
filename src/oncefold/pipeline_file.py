"""The pipeline file: read from disk, with errors that name the file and say what to do."""

from pathlib import Path

from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError
from oncefold.expression_sql import parse_sql


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
