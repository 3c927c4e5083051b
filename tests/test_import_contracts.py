"""The contract type that the project adds to import-linter finds what it claims to find."""

from typing import Any

import pytest

grimp = pytest.importorskip("grimp", reason="import-linter is not here: it is in the extra `dev`")

from tests.tools.import_contracts import AllowedImports  # noqa: E402 - after the check above


def contract(**options: object) -> Any:
    return AllowedImports("a contract", {}, {"name": "a contract", "type": "allowed", **options})


@pytest.mark.parametrize(
    ("imported", "kept"),
    [
        ("json", True),
        ("p.core.other", True),
        ("botocore", True),
        ("p.store", False),
        ("p.core_twin", False),
        ("numpy", False),
    ],
)
def test_a_package_imports_what_it_may_alone(imported: str, kept: bool) -> None:
    graph = grimp.ImportGraph()
    for module in ("p", "p.core", "p.core.decode"):
        graph.add_module(module)
    graph.add_import(importer="p.core.decode", imported=imported, line_number=3, line_contents=f"import {imported}")
    checked = contract(packages=["p.core"], allowed=["botocore"]).check(graph, verbose=False)
    assert checked.kept is kept
    assert bool(checked.metadata["wrong"]) is not kept


def test_what_the_allowed_packages_import_is_not_looked_at() -> None:
    graph = grimp.ImportGraph()
    for module in ("p", "p.core"):
        graph.add_module(module)
    graph.add_import(importer="p.core", imported="botocore", line_number=1, line_contents="import botocore")
    graph.add_import(importer="botocore", imported="numpy", line_number=1, line_contents="import numpy")
    assert contract(packages=["p.core"], allowed=["botocore"]).check(graph, verbose=False).kept
