"""The zip that Lambda runs: this package alone, the same bytes every time."""

import io
import zipfile
from pathlib import Path

_HERE = Path(__file__).parent
_PACKAGE = "oncefold_workshop/pipelines"
_WHEN = (1980, 1, 1, 0, 0, 0)


def package() -> bytes:
    """The bytes of the zip; its handlers are `oncefold_workshop.pipelines.handlers.NAME`."""
    # The package around it is empty in the zip, so that nothing else is imported.
    files = {"oncefold_workshop/__init__.py": b""}
    files |= {f"{_PACKAGE}/{path.name}": path.read_bytes() for path in sorted(_HERE.glob("*.py"))}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, _WHEN)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return buffer.getvalue()
