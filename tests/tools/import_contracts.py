"""A contract type for import-linter: what a package may import at all. pyproject.toml says where it holds."""

import sys

import grimp
from importlinter import Contract, ContractCheck, fields, output


class AllowedImports(Contract):
    """The modules of `packages` import the packages themselves, the standard library and `allowed`, and nothing else.

    Only direct imports are looked at: what is allowed answers for what it imports itself.
    """

    packages = fields.ListField(subfield=fields.ModuleField())
    allowed = fields.ListField(subfield=fields.ModuleField(), required=False)

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        """Whether each direct import of the packages is one of those allowed."""
        packages = [module.name for module in self.packages]  # type: ignore[attr-defined]
        allowed = [*packages, *(module.name for module in self.allowed or ())]  # type: ignore[attr-defined]
        wrong = [
            f"{importer} (l. {detail['line_number']}) imports {imported}"
            for package in packages
            for importer in sorted({package, *graph.find_descendants(package)})
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if imported.split(".")[0] not in sys.stdlib_module_names and not _within(imported, allowed)
            for detail in graph.get_import_details(importer=importer, imported=imported)
        ]
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each import that is not allowed."""
        for line in check.metadata["wrong"]:
            output.print_error(f"- {line}")


def _within(module: str, packages: list[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)
